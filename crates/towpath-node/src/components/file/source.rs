//! Files as they are read: a table or lines from their beginning, an event log, and a file that others still write.
//!
//! What always holds: a source gives each record once, with the place behind it, from which another goes on. A bad record is told and
//! does not end it.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;
use serde_json::{Map, Value, json};
use towpath_patterns::xes::{self, Event, Log, Trace};

use super::{
    columns::{Columns, Row, object},
    format::{self, Format, Table},
    place::{Place, inode},
    split::{Found, Mark, RECORD_BYTES_MAX, Splitter},
    time::millis,
};

/// Bytes that are read at a time.
const READ_BYTES: usize = 64 << 10;

/// Characters of a bad record that are shown.
const EXCERPT_CHARS_MAX: usize = 200;

/// Records that are put in order of time: all of them are in memory.
const SORTED_MAX: usize = 5_000_000;

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    /// A message, or what is wrong with it and how it begins.
    pub(crate) what: Result<Value, (String, String)>,
    /// In milliseconds since 1970, if the file says.
    pub(crate) at: Option<i64>,
    /// Where it stands, and how far the file is read behind it.
    pub(crate) line: u64,
    pub(crate) place: Place,
}

/// What a source gives.
#[derive(Debug, PartialEq)]
pub(crate) enum Given {
    Items(Vec<Item>),
    /// Nothing now; there may be more later.
    Wait,
    End,
}

/// What is known of a file before it is opened.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) columns: Option<Columns>,
    pub(crate) delimiter: u8,
    /// The field that says when.
    pub(crate) time: Option<String>,
    pub(crate) tail: bool,
    /// By time, and not as in the file.
    pub(crate) sorted: bool,
}

/// Where items come from.
pub(crate) trait Source: Send {
    /// # Errors
    /// The file cannot be read on.
    fn next(&mut self) -> io::Result<Given>;
}

impl Plan {
    /// Opens the file at a place, or at its beginning. The flag says that it is another file than the one of the place.
    ///
    /// # Errors
    /// It cannot be opened, or its first line is not what the options say.
    pub(crate) fn open(&self, place: Option<Place>) -> io::Result<(Box<dyn Source>, bool)> {
        if self.tail {
            let (tail, is_other) = Tail::open(self, place)?;
            return Ok((Box::new(tail), is_other));
        }
        let mut file = File::open(&self.path)?;
        let known = match place {
            Some(place) if place.is_of(&mut file)? => Some(place),
            Some(_) => None,
            None => Some(Place::default()),
        };
        let is_other = known.is_none();
        file.rewind()?;
        let mut begin = Place::begin(&mut file)?;
        file.rewind()?;
        let known = known.unwrap_or_default();
        if self.sorted || self.format == Format::Xes {
            let mut source: Box<dyn Source> = match self.format {
                Format::Xes => Box::new(Events::new(self.clone(), begin)?),
                _ => Box::new(Records::open(
                    self,
                    file,
                    begin,
                    Mark { line: 1, end: 0, next_line: 1 },
                )?),
            };
            if self.sorted {
                source = Box::new(Sorted::read(source)?);
            }
            return Ok((Box::new(Skipping { source, left: known.count }), is_other));
        }
        begin.count = known.count;
        let mark =
            if known.end > 0 { known.mark() } else { Mark { line: 1, end: 0, next_line: 1 } };
        Ok((Box::new(Records::open(self, file, begin, mark)?), is_other))
    }

    fn error(&self, why: impl std::fmt::Display) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", self.path.display()))
    }
}

/// From records to items.
struct Parser {
    format: Format,
    table: Table,
    time: Option<String>,
    splitter: Splitter,
    record: Vec<u8>,
    place: Place,
}

impl Parser {
    fn new(plan: &Plan, place: Place, mark: Mark) -> Self {
        let quoted = plan.format == Format::Csv;
        Self {
            format: plan.format,
            table: Table::new(plan.delimiter, plan.columns.clone()),
            time: plan.time.clone(),
            splitter: Splitter::at(quoted, mark),
            record: Vec::new(),
            place,
        }
    }

    /// Whether the next record is the line of names.
    fn wants_header(&self) -> bool {
        self.format == Format::Csv && !self.table.has_header()
    }

    /// The items among what has come; with `is_end` also the last without a line end.
    fn items(&mut self, is_end: bool) -> Result<Vec<Item>, String> {
        let mut items = Vec::new();
        loop {
            let found = self.splitter.next(&mut self.record);
            let found = match found {
                None if is_end => self.splitter.finish(&mut self.record),
                found => found,
            };
            let Some(found) = found else { return Ok(items) };
            let (mark, what) = match found {
                Found::TooLong(mark) => {
                    let why = format!("it has more than {RECORD_BYTES_MAX} bytes");
                    (mark, Err((why, String::new())))
                }
                Found::Record(mark) if self.wants_header() => {
                    self.table.header(&self.record)?;
                    (self.place.end, self.place.next_line) = (mark.end, mark.next_line);
                    continue;
                }
                Found::Record(mark) => {
                    let read = match self.format {
                        Format::Csv => self.table.row(&self.record),
                        Format::Ndjson | Format::Xes => format::line(&self.record),
                    };
                    match read {
                        Ok(None) => continue,
                        Ok(Some(value)) => (mark, Ok(value)),
                        Err(why) => (mark, Err((why, excerpt(&self.record)))),
                    }
                }
            };
            self.place.count += 1;
            (self.place.end, self.place.next_line) = (mark.end, mark.next_line);
            let at = what
                .as_ref()
                .ok()
                .and_then(|value| self.time.as_ref().and_then(|time| value.get(time)));
            let at = at.and_then(millis);
            items.push(Item { what, at, line: mark.line, place: self.place.clone() });
        }
    }
}

fn excerpt(record: &[u8]) -> String {
    String::from_utf8_lossy(record).chars().take(EXCERPT_CHARS_MAX).collect()
}

/// A table or lines, from a place to the end.
struct Records {
    plan: Plan,
    input: Box<dyn Read + Send>,
    parser: Parser,
    ended: bool,
}

impl Records {
    fn open(plan: &Plan, file: File, place: Place, mark: Mark) -> io::Result<Self> {
        let mut parser = Parser::new(plan, place, mark);
        let mut input = unpacked(file)?;
        if mark.end > 0 {
            // The names of the columns stand at the beginning, wherever it goes on.
            if plan.format == Format::Csv {
                let mut from_begin = unpacked(File::open(&plan.path)?)?;
                header(plan, &mut parser.table, &mut *from_begin)?;
            }
            let skipped = io::copy(&mut (&mut input).take(mark.end), &mut io::sink())?;
            if skipped < mark.end {
                return Err(plan.error("it is shorter than it was"));
            }
        }
        Ok(Self { plan: plan.clone(), input, parser, ended: false })
    }
}

/// The bytes of a file, gzipped or not.
fn unpacked(file: File) -> io::Result<Box<dyn Read + Send>> {
    let mut file = BufReader::with_capacity(READ_BYTES, file);
    let is_gzip = io::BufRead::fill_buf(&mut file)?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// Reads the line of names.
fn header(plan: &Plan, table: &mut Table, input: &mut dyn Read) -> io::Result<()> {
    let (mut splitter, mut record, mut bytes) = (Splitter::new(true), Vec::new(), vec![0; 4096]);
    loop {
        let count = input.read(&mut bytes)?;
        splitter.push(&bytes[..count]);
        let found = splitter.next(&mut record);
        let found = if count == 0 { found.or_else(|| splitter.finish(&mut record)) } else { found };
        match found {
            Some(Found::Record(_)) => return table.header(&record).map_err(|why| plan.error(why)),
            Some(Found::TooLong(_)) => return Err(plan.error("its first line is no line of names")),
            None if count == 0 => {
                return Err(plan.error("it is empty, and should begin with a line of names"));
            }
            None => {}
        }
    }
}

impl Source for Records {
    fn next(&mut self) -> io::Result<Given> {
        if self.ended {
            return Ok(Given::End);
        }
        let mut bytes = vec![0; READ_BYTES];
        let count = self.input.read(&mut bytes)?;
        self.parser.splitter.push(&bytes[..count]);
        self.ended = count == 0;
        let items = self.parser.items(self.ended).map_err(|why| self.plan.error(why))?;
        Ok(Given::Items(items))
    }
}

/// An event log, event by event.
struct Events {
    plan: Plan,
    log: Log<Box<dyn io::BufRead + Send>>,
    place: Place,
}

impl Events {
    fn new(plan: Plan, place: Place) -> io::Result<Self> {
        let log = Log::open(&plan.path).map_err(|error| told(&plan, &error))?;
        Ok(Self { plan, log, place })
    }
}

fn told(plan: &Plan, error: &xes::Error) -> io::Error {
    let cause =
        std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    plan.error(format!("{error}{cause}"))
}

impl Source for Events {
    fn next(&mut self) -> io::Result<Given> {
        let trace = self.log.next_trace().map_err(|error| told(&self.plan, &error))?;
        let Some(mut trace) = trace else { return Ok(Given::End) };
        let events = std::mem::take(&mut trace.events);
        let items = events.iter().map(|event| {
            self.place.count += 1;
            let pair = Pair { trace: &trace, event };
            let what = match &self.plan.columns {
                Some(columns) => object(columns, &pair).map_err(|why| (why, pair.name())),
                None => Ok(pair.whole()),
            };
            let at = match (&self.plan.time, &what) {
                (Some(time), Ok(value)) => value.get(time).and_then(millis),
                (None, _) => event.time().and_then(|time| millis(&Value::from(time))),
                (Some(_), Err(_)) => None,
            };
            Item { what, at, line: self.place.count, place: self.place.clone() }
        });
        Ok(Given::Items(items.collect()))
    }
}

/// An event with its trace. Attributes are the event's, then the trace's; `case:` is only the trace's.
struct Pair<'a> {
    trace: &'a Trace,
    event: &'a Event,
}

impl Pair<'_> {
    fn name(&self) -> String {
        let name = |name: Option<&str>| name.unwrap_or("?").chars().take(100).collect::<String>();
        format!("{} of {}", name(self.event.name()), name(self.trace.name()))
    }

    /// All of it, as text.
    fn whole(&self) -> Value {
        let map = |attributes: &[xes::Attribute]| {
            let pairs =
                attributes.iter().map(|it| (it.key.clone(), Value::from(it.value.as_str())));
            Value::Object(pairs.collect::<Map<_, _>>())
        };
        json!({
            "case": self.trace.name(),
            "activity": self.event.name(),
            "at": self.event.time(),
            "event": map(&self.event.attributes),
            "trace": map(&self.trace.attributes),
        })
    }
}

impl Row for Pair<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        match name.strip_prefix("case:") {
            Some(name) => self.trace.get(name),
            None => self.event.get(name).or_else(|| self.trace.get(name)),
        }
    }
}

/// All items of another source, by time; those that do not say when stand where the one before them does.
struct Sorted {
    items: std::vec::IntoIter<Item>,
}

impl Sorted {
    fn read(mut source: Box<dyn Source>) -> io::Result<Self> {
        let mut all = Vec::new();
        while let Given::Items(items) = source.next()? {
            all.extend(items);
            if all.len() > SORTED_MAX {
                let why =
                    format!("more than {SORTED_MAX} records cannot be put in order; sort the file");
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
        let mut last = i64::MIN;
        let mut keyed: Vec<(i64, Item)> = all
            .into_iter()
            .map(|item| {
                last = item.at.unwrap_or(last);
                (last, item)
            })
            .collect();
        // Stable: records of one moment stay as in the file.
        keyed.sort_by_key(|(at, _)| *at);
        let mut items: Vec<Item> = keyed.into_iter().map(|(_, item)| item).collect();
        for (count, item) in (1..).zip(&mut items) {
            item.place.count = count;
        }
        Ok(Self { items: items.into_iter() })
    }
}

impl Source for Sorted {
    fn next(&mut self) -> io::Result<Given> {
        let items: Vec<Item> = self.items.by_ref().take(1024).collect();
        Ok(if items.is_empty() { Given::End } else { Given::Items(items) })
    }
}

/// Leaves out what was given before.
struct Skipping {
    source: Box<dyn Source>,
    left: u64,
}

impl Source for Skipping {
    fn next(&mut self) -> io::Result<Given> {
        let mut given = self.source.next()?;
        if let Given::Items(items) = &mut given {
            let skip = usize::try_from(self.left).unwrap_or(usize::MAX).min(items.len());
            self.left -= skip as u64;
            items.drain(..skip);
        }
        Ok(given)
    }
}

/// A file that others write: followed when it is renamed and another takes its name, and when it is emptied.
struct Tail {
    plan: Plan,
    open: Option<(File, Parser)>,
    /// Bytes read of it.
    read: u64,
    count: u64,
    /// Another file has its name, and it was looked at once more since: who had it open may have written on for a while.
    renamed: bool,
}

impl Tail {
    fn open(plan: &Plan, place: Option<Place>) -> io::Result<(Self, bool)> {
        let mut tail = Self { plan: plan.clone(), open: None, read: 0, count: 0, renamed: false };
        let Some(place) = place else { return Ok((tail, false)) };
        tail.count = place.count;
        // It may have been renamed since.
        let Some(mut file) = find(&plan.path, place.inode)? else { return Ok((tail, true)) };
        let fits = file.metadata()?.len() >= place.end && place.is_of(&mut file)?;
        if !fits {
            return Ok((tail, true));
        }
        let mut parser = Parser::new(plan, place.clone(), place.mark());
        if plan.format == Format::Csv && place.end > 0 {
            file.rewind()?;
            header(plan, &mut parser.table, &mut file)?;
        }
        file.seek(SeekFrom::Start(place.end))?;
        tail.read = place.end;
        tail.open = Some((file, parser));
        Ok((tail, false))
    }

    fn begin(&mut self, mut file: File) -> io::Result<()> {
        let mut place = Place::begin(&mut file)?;
        place.count = self.count;
        file.rewind()?;
        let mark = Mark { line: 1, end: 0, next_line: 1 };
        self.open = Some((file, Parser::new(&self.plan, place, mark)));
        (self.read, self.renamed) = (0, false);
        Ok(())
    }
}

/// The file of that number: under its name, or one beside it to which it was renamed.
fn find(path: &Path, number: u64) -> io::Result<Option<File>> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    for path in std::iter::once(path.to_owned()).chain(beside) {
        if fs::metadata(&path).is_ok_and(|it| it.is_file() && inode(&it) == number) {
            return File::open(path).map(Some);
        }
    }
    Ok(None)
}

/// `None` for a file that is not there.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Source for Tail {
    fn next(&mut self) -> io::Result<Given> {
        if self.open.is_none() {
            match if_there(File::open(&self.plan.path))? {
                None => return Ok(Given::Wait),
                // One that is empty has no beginning by which it could be known again.
                Some(file) if file.metadata()?.len() == 0 => return Ok(Given::Wait),
                Some(file) => self.begin(file)?,
            }
        }
        let Some((file, parser)) = &mut self.open else { return Ok(Given::Wait) };
        let mut bytes = vec![0; READ_BYTES];
        let count = file.read(&mut bytes)?;
        self.read += count as u64;
        parser.splitter.push(&bytes[..count]);
        let mut items = parser.items(false).map_err(|why| self.plan.error(why))?;
        if count == 0 {
            let own = file.metadata()?;
            match if_there(fs::metadata(&self.plan.path))? {
                // Nobody writes to a file that has no name of its own any more: its last line is whole.
                Some(there) if inode(&there) != inode(&own) && !self.renamed => {
                    self.renamed = true;
                    return Ok(Given::Wait);
                }
                Some(there) if inode(&there) != inode(&own) => {
                    items = parser.items(true).map_err(|why| self.plan.error(why))?;
                    self.count = parser.place.count;
                    self.open = None;
                }
                _ if own.len() < self.read => {
                    // Emptied. What was read of a line without an end is gone with the rest of it.
                    self.count = parser.place.count;
                    self.open = None;
                }
                _ if items.is_empty() => return Ok(Given::Wait),
                _ => {}
            }
        }
        if let Some(last) = items.last() {
            self.count = last.place.count;
        }
        Ok(Given::Items(items))
    }
}

/// However the bytes come, it is the same records.
#[cfg(fuzzing)]
pub(super) fn fuzz(bytes: &[u8]) {
    use super::columns::{Column, Kind};
    let Some((how, bytes)) = bytes.split_first() else { return };
    let format = if how & 1 == 0 { Format::Csv } else { Format::Ndjson };
    let typed = Columns::from_iter([
        ("a".to_owned(), Column::Of(Kind::Number, None)),
        ("at".to_owned(), Column::Geo("a".to_owned(), "b".to_owned())),
        ("t".to_owned(), Column::Of(Kind::Text, Some("b".to_owned()))),
    ]);
    let columns = (how & 2 != 0).then_some(typed);
    let time = Some("t".to_owned());
    let plan = Plan {
        path: PathBuf::new(),
        format,
        columns,
        delimiter: b',',
        time,
        tail: false,
        sorted: false,
    };
    let read = |size: usize| -> Result<Vec<Item>, String> {
        let mut parser =
            Parser::new(&plan, Place::default(), Mark { line: 1, end: 0, next_line: 1 });
        let mut all = Vec::new();
        for bytes in bytes.chunks(size) {
            parser.splitter.push(bytes);
            all.extend(parser.items(false)?);
        }
        all.extend(parser.items(true)?);
        Ok(all)
    };
    let whole = read(bytes.len().max(1));
    assert_eq!(whole, read(usize::from(how >> 2) + 1));
    if let Ok(items) = whole {
        let ends: Vec<u64> = items.iter().map(|item| item.place.end).collect();
        assert!(ends.is_sorted() && ends.last().is_none_or(|end| *end <= bytes.len() as u64));
    }
}

#[cfg(test)]
mod tests;
