//! `write`: writes messages to a file.
//!
//! ```yaml
//! out:   {uses: write, in: paid, path: paid.ndjson, rotate_bytes: 100000000, keep: 5, fsync: true}
//! table: {uses: write, in: bills, path: bills.csv, columns: [ride, total], mode: whole}
//! ```
//!
//! | option | what |
//! |---|---|
//! | `path` | the file, relative to the network file |
//! | `format` | `ndjson` or `csv`; by the name of the file, if not said |
//! | `columns` | the fields of a table, in this order; a field that is not there is empty, and one that is an object or a list is JSON |
//! | `mode` | `append` to what is there, or `whole`: under its name it is there when it is whole, at the end or when it is rotated |
//! | `rotate_bytes` | when it is as long as this, it is renamed to `path.1`, that to `path.2`, and so on |
//! | `keep` | so many of those are kept, 5 if not said |
//! | `fsync` | a batch is on the disk before the next is taken; otherwise it is the system's to write |
//!
//! Messages are written in batches of what has come, and after each the file has all of them: nothing is held back. When it cannot be written,
//! as on a full disk, the batch is tried again every second until it can, and whoever sends waits; a record is never written in part for
//! longer than that. A crash of the machine can cut the last line; in `append` the next run ends it first.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json};
use towpath::{BoxError, Ctx, Receiver, Sender, after, bounded, scope};
use towpath_patterns::yaml::{At, Problem};

use crate::{
    component::{Component, Need, Port},
    facet::{Facet, Query},
    home::Site,
    ports::{Message, Ports},
};

/// Messages that are written at once.
const BATCH_MAX: usize = 256;

/// One batch is under way.
const BATCH_CAPACITY: usize = 1;

/// Until a file that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Rotated files that are kept, if the file does not say.
const KEEP: u32 = 5;

/// A file below this is not worth rotating.
const ROTATE_BYTES_MIN: u64 = 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    path: At<String>,
    format: Option<Format>,
    columns: Option<At<Vec<String>>>,
    #[serde(default)]
    mode: Mode,
    rotate_bytes: Option<At<u64>>,
    keep: Option<u32>,
    #[serde(default)]
    fsync: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Csv,
    Ndjson,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Append,
    Whole,
}

/// How it is written.
#[derive(Clone, Debug)]
struct Plan {
    path: PathBuf,
    /// Of a table.
    columns: Option<Vec<String>>,
    mode: Mode,
    rotate_bytes: u64,
    keep: u32,
    fsync: bool,
}

pub(super) fn component() -> Component {
    Component::new("write", "writes messages to a file: lines of JSON, or a table")
        .input(Port::new("in").need(Need::Some))
        .outside()
        .makes(|options: Options, site: &Site| {
            let plan = Arc::new(plan(options, site)?);
            Ok(async move |_: Ctx, ports: &mut Ports| run(&plan, ports).await)
        })
}

fn plan(options: Options, site: &Site) -> Result<Plan, Problem> {
    let At { place, value: path } = options.path;
    let by_name = match path.rsplit_once('.').map(|(_, end)| end) {
        Some("csv") => Some(Format::Csv),
        Some("ndjson" | "jsonl") => Some(Format::Ndjson),
        _ => None,
    };
    let Some(format) = options.format.or(by_name) else {
        return Err(Problem::new(
            place,
            "how is it to be written? give `format`: `ndjson` or `csv`",
        ));
    };
    let columns = match (format, options.columns) {
        (Format::Csv, Some(columns)) if !columns.value.is_empty() => Some(columns.value),
        (Format::Csv, _) => {
            return Err(Problem::new(place, "which fields has the table? give `columns`, a list"));
        }
        (Format::Ndjson, None) => None,
        (Format::Ndjson, Some(columns)) => {
            return Err(Problem::new(
                columns.place,
                "lines of JSON have all fields; `map` makes other messages of them",
            ));
        }
    };
    if let Some(At { place, value: ..ROTATE_BYTES_MIN }) = options.rotate_bytes {
        return Err(Problem::new(place, format!("`rotate_bytes` is {ROTATE_BYTES_MIN} at least")));
    }
    Ok(Plan {
        path: site.reads(path),
        columns,
        mode: options.mode,
        rotate_bytes: options.rotate_bytes.map_or(u64::MAX, |bytes| bytes.value),
        keep: options.keep.unwrap_or(KEEP),
        fsync: options.fsync,
    })
}

#[derive(Default)]
struct Counts {
    written: AtomicU64,
    bytes: AtomicU64,
    rotated: AtomicU64,
}

async fn run(plan: &Arc<Plan>, ports: &mut Ports) -> Result<(), BoxError> {
    let counts = Arc::<Counts>::default();
    let ([messages], outputs) = ports.split(["in"]);
    let home = outputs.home();
    let shown = Shown { path: plan.path.display().to_string(), counts: counts.clone() };
    let _shown = home.show(shown);
    let ran = scope(&Ctx::root(), |s| async move {
        let (batches, rx) = bounded(BATCH_CAPACITY);
        let (tx, mut written) = bounded(BATCH_CAPACITY);
        let writer = Writer { plan: (**plan).clone(), counts, open: None };
        let join = s.spawn_blocking("write", move |_| writer.run(rx, &tx));
        let mut batch: Vec<Message> = Vec::new();
        while messages.recv_many(&mut batch, BATCH_MAX).await > 0 {
            let mut messages: Vec<Value> = batch.drain(..).map(Message::into_inner).collect();
            loop {
                // It goes when its channel does, and not before.
                if batches.send(messages).await.is_err() {
                    break;
                }
                match written.recv().await {
                    None | Some(Ok(())) => break,
                    Some(Err((why, unwritten))) => {
                        home.trouble(why);
                        messages = unwritten;
                        after(AGAIN).await;
                    }
                }
            }
        }
        drop(batches);
        Ok(join.await?)
    });
    Ok(ran.await?)
}

/// The thread that writes.
struct Writer {
    plan: Plan,
    counts: Arc<Counts>,
    open: Option<Open>,
}

struct Open {
    file: File,
    /// Where it is while it is written.
    path: PathBuf,
    /// All of them whole records.
    bytes: u64,
}

type Written = Result<(), (String, Vec<Value>)>;

impl Writer {
    fn run(
        mut self,
        mut batches: Receiver<Vec<Value>>,
        written: &Sender<Written>,
    ) -> io::Result<()> {
        while let Some(batch) = batches.recv_blocking() {
            let told = self.write(&batch).map_err(|error| {
                // What is open is looked at anew.
                self.open = None;
                (format!("{}: {error}", self.plan.path.display()), batch)
            });
            if written.send_blocking(told).is_err() {
                break;
            }
        }
        self.finish()
    }

    fn write(&mut self, batch: &[Value]) -> io::Result<()> {
        let mut text = Vec::new();
        for message in batch {
            record(&self.plan, message, &mut text);
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => Open::new(&self.plan)?,
        };
        let open = self.open.insert(open);
        let put = open
            .file
            .write_all(&text)
            .and_then(|()| if self.plan.fsync { open.file.sync_data() } else { Ok(()) });
        if let Err(error) = put {
            // Records are there whole or not at all. If this fails too, the next run ends the line.
            open.file.set_len(open.bytes)?;
            return Err(error);
        }
        open.bytes += text.len() as u64;
        self.counts.written.fetch_add(batch.len() as u64, Relaxed);
        self.counts.bytes.fetch_add(text.len() as u64, Relaxed);
        if open.bytes >= self.plan.rotate_bytes
            && let Err(error) = self.rotate()
        {
            // What was written is written: it grows until it can be rotated.
            let _ = error;
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.finish()?;
        let Plan { path, keep, .. } = &self.plan;
        for number in (1..*keep).rev() {
            if_there(fs::rename(numbered(path, number), numbered(path, number + 1)))?;
        }
        if *keep == 0 {
            fs::remove_file(path)?;
        } else {
            fs::rename(path, numbered(path, 1))?;
        }
        self.counts.rotated.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Gives the file its name.
    fn finish(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        if open.path != self.plan.path {
            // A name for what is not on the disk would be a name for nothing after a crash.
            open.file.sync_all()?;
            fs::rename(&open.path, &self.plan.path)?;
        }
        Ok(())
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

impl Open {
    fn new(plan: &Plan) -> io::Result<Self> {
        let path = match plan.mode {
            Mode::Append => plan.path.clone(),
            Mode::Whole => {
                let mut name = plan.path.as_os_str().to_owned();
                name.push(".part");
                name.into()
            }
        };
        // What a run has left that came to no end is gone on with: its messages are nowhere else.
        let mut file = OpenOptions::new().read(true).create(true).append(true).open(&path)?;
        let mut bytes = file.metadata()?.len();
        if bytes > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                bytes += 1;
            }
        } else if let Some(columns) = &plan.columns {
            let mut text = Vec::new();
            row(columns.iter().map(|name| name.as_str().into()), &mut text);
            file.write_all(&text)?;
            bytes = text.len() as u64;
        }
        Ok(Self { file, path, bytes })
    }
}

/// A message as it stands in the file.
fn record(plan: &Plan, message: &Value, into: &mut Vec<u8>) {
    match &plan.columns {
        None => {
            // JSON has no line ends but between its words, and those are not written.
            into.extend_from_slice(message.to_string().as_bytes());
            into.push(b'\n');
        }
        Some(columns) => {
            let fields = columns.iter().map(|name| match message.get(name) {
                None | Some(Value::Null) => "".into(),
                Some(Value::String(text)) => text.as_str().into(),
                Some(other) => other.to_string().into(),
            });
            row(fields, into);
        }
    }
}

fn row<'a>(fields: impl Iterator<Item = std::borrow::Cow<'a, str>>, into: &mut Vec<u8>) {
    let begin = into.len();
    for (at, field) in fields.enumerate() {
        if at > 0 {
            into.push(b',');
        }
        if field.contains([',', '"', '\n', '\r']) {
            into.push(b'"');
            into.extend_from_slice(field.replace('"', "\"\"").as_bytes());
            into.push(b'"');
        } else {
            into.extend_from_slice(field.as_bytes());
        }
    }
    if into.len() == begin {
        // A row of one empty field would be no row.
        into.extend_from_slice(b"\"\"");
    }
    into.push(b'\n');
}

struct Shown {
    path: String,
    counts: Arc<Counts>,
}

impl Facet for Shown {
    fn kind(&self) -> &'static str {
        "write"
    }

    fn show(&self, _query: &Query) -> Value {
        let Counts { written, bytes, rotated } = &*self.counts;
        json!({
            "path": self.path,
            "written": written.load(Relaxed),
            "bytes": bytes.load(Relaxed),
            "rotated": rotated.load(Relaxed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(path: &Path, change: impl FnOnce(&mut Plan)) -> Writer {
        let (path, columns) = (path.to_owned(), None);
        let mut plan = Plan {
            path,
            columns,
            mode: Mode::Append,
            rotate_bytes: u64::MAX,
            keep: 2,
            fsync: false,
        };
        change(&mut plan);
        Writer { plan, counts: Arc::default(), open: None }
    }

    fn text(path: impl AsRef<Path>) -> String {
        fs::read_to_string(path).unwrap_or_else(|error| format!("{error}"))
    }

    #[test]
    fn a_line_that_was_cut_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ndjson");
        fs::write(&path, "{\"a\":1}\n{\"b").unwrap();
        let mut writer = writer(&path, |_| {});
        writer.write(&[json!({"c": "x\ny"}), json!(7)]).unwrap();
        assert_eq!(text(&path), "{\"a\":1}\n{\"b\n{\"c\":\"x\\ny\"}\n7\n");
    }

    #[test]
    fn a_table_has_its_names_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        let columns = || Some(vec!["id".to_owned(), "at".to_owned(), "na,me".to_owned()]);
        for id in [1, 2] {
            let mut writer = writer(&path, |plan| plan.columns = columns());
            writer
                .write(&[json!({"id": id, "at": [1, 2], "na,me": "a \"b\""}), json!(null)])
                .unwrap();
        }
        let row = |id: u8| format!("{id},\"[1,2]\",\"a \"\"b\"\"\"\n,,\n");
        assert_eq!(text(&path), format!("id,at,\"na,me\"\n{}{}", row(1), row(2)));
        let mut one = Vec::new();
        row_of_nothing(&mut one);
        assert_eq!(one, b"\"\"\n");
    }

    fn row_of_nothing(into: &mut Vec<u8>) {
        row(std::iter::once("".into()), into);
    }

    #[test]
    fn a_whole_file_has_its_name_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ndjson");
        let mut first = writer(&path, |plan| plan.mode = Mode::Whole);
        first.write(&[json!(1)]).unwrap();
        assert!(!path.exists());
        drop(first); // a crash
        let mut second = writer(&path, |plan| plan.mode = Mode::Whole);
        second.write(&[json!(2)]).unwrap();
        second.finish().unwrap();
        assert_eq!(text(&path), "1\n2\n", "nothing is lost");
    }

    #[test]
    fn a_long_file_is_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ndjson");
        let mut writer = writer(&path, |plan| plan.rotate_bytes = 4);
        for n in 10..17 {
            writer.write(&[json!(n)]).unwrap();
        }
        let told: Vec<_> =
            [path.clone(), numbered(&path, 1), numbered(&path, 2), numbered(&path, 3)]
                .map(text)
                .into();
        assert_eq!(told[..3], ["16\n", "14\n15\n", "12\n13\n"]);
        assert!(told[3].contains("No such file"));
        assert_eq!(writer.counts.rotated.load(Relaxed), 3);
    }

    #[test]
    fn what_cannot_be_written_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("not/there.ndjson");
        let (tx, rx) = bounded(BATCH_CAPACITY);
        let (told, mut written) = bounded(BATCH_CAPACITY);
        let writer = writer(&path, |_| {});
        let thread = std::thread::spawn(move || writer.run(rx, &told));
        tx.send_blocking(vec![json!(1)]).unwrap();
        let (why, batch) = written.recv_blocking().unwrap().unwrap_err();
        assert!(why.contains("No such file") && batch == [json!(1)], "{why}");
        fs::create_dir(path.parent().unwrap()).unwrap();
        tx.send_blocking(batch).unwrap();
        assert_eq!(written.recv_blocking(), Some(Ok(())));
        drop(tx);
        thread.join().unwrap().unwrap();
        assert_eq!(text(&path), "1\n");
    }
}
