//! Sources on real files: what they give, what they do where it is bad, and where they go on.

use std::io::Write as _;

use towpath_patterns::yaml;

use super::*;

fn plan(path: &Path) -> Plan {
    let format = Format::of(path.to_str().unwrap()).unwrap();
    Plan {
        path: path.to_owned(),
        format,
        columns: None,
        delimiter: b',',
        time: None,
        tail: false,
        sorted: false,
    }
}

fn columns(text: &str) -> Option<Columns> {
    Some(yaml::read(&yaml::parse(text).unwrap()).unwrap())
}

/// All that there is for now.
fn given(source: &mut dyn Source) -> Vec<Item> {
    let mut all = Vec::new();
    loop {
        match source.next().unwrap() {
            Given::Items(items) => all.extend(items),
            Given::Wait | Given::End => return all,
        }
    }
}

fn told(items: &[Item]) -> Vec<String> {
    items
        .iter()
        .map(|item| match &item.what {
            Ok(value) => format!("{} {value}", item.line),
            Err((why, text)) => format!("{} {why} [{text}]", item.line),
        })
        .collect()
}

fn write(path: &Path, text: &[u8]) {
    fs::write(path, text).unwrap();
}

fn append(path: &Path, text: &str) {
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

fn packed(text: &str) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

const TABLE: &str = "id,name\n1,Ann\n2,\"Bo\nb\"\nbad\nx,Cy\n5,Dee";

#[test]
fn a_table_is_read_and_bad_rows_are_told() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.csv", "a.csv.gz"] {
        let path = folder.path().join(name);
        let bytes = if name.ends_with("gz") { packed(TABLE) } else { TABLE.as_bytes().to_vec() };
        write(&path, &bytes);
        let plan = Plan { columns: columns("{id: integer, name: text}"), ..plan(&path) };
        let (mut source, is_other) = plan.open(None).unwrap();
        let items = given(&mut *source);
        assert!(!is_other);
        assert_eq!(
            told(&items),
            [
                "2 {\"id\":1,\"name\":\"Ann\"}",
                "3 {\"id\":2,\"name\":\"Bo\\nb\"}",
                "5 it has 1 fields, and the first line 2 [bad]",
                "6 `id` should be a whole number, and is `x` [x,Cy]",
                "7 {\"id\":5,\"name\":\"Dee\"}",
            ]
        );
        // From each place it goes on with the rest.
        for at in 0..items.len() {
            let (mut source, is_other) = plan.open(Some(items[at].place.clone())).unwrap();
            assert_eq!(
                (given(&mut *source), is_other),
                (items[at + 1..].to_vec(), false),
                "{name} {at}"
            );
        }
    }
}

#[test]
fn another_file_is_read_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ndjson");
    write(&path, b"1\n2\n3\n");
    let plan = plan(&path);
    let items = given(&mut *plan.open(None).unwrap().0);
    write(&path, b"7\n8\n9\n");
    let (mut source, is_other) = plan.open(Some(items[0].place.clone())).unwrap();
    assert_eq!(
        (told(&given(&mut *source)), is_other),
        (vec!["1 7".to_owned(), "2 8".to_owned(), "3 9".to_owned()], true)
    );
}

#[test]
fn what_the_file_is_not_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let failed = |plan: &Plan| match plan.open(None) {
        Err(error) => error.to_string(),
        Ok((mut source, _)) => loop {
            match source.next() {
                Ok(Given::End) => break "nothing".to_owned(),
                Ok(_) => {}
                Err(error) => break error.to_string(),
            }
        },
    };
    let path = folder.path().join("a.csv");
    write(&path, b"id,nam\n");
    let wrong = Plan { columns: columns("{name: text}"), ..plan(&path) };
    assert!(
        failed(&wrong)
            .ends_with("there is no column `name` in the first line; did you mean `nam`?")
    );
    let path = folder.path().join("a.xes");
    write(&path, b"<log><trace></log>");
    assert!(failed(&plan(&path)).contains("a.xes: "), "{}", failed(&plan(&path)));
    let path = folder.path().join("b.csv.gz");
    write(&path, &packed(TABLE)[..30]);
    assert_ne!(failed(&plan(&path)), "nothing", "a packed file that is cut");
}

const LOG: &str = r#"<log>
  <trace><string key="concept:name" value="order 1"/><string key="Vendor" value="v"/>
    <event><string key="concept:name" value="Pay"/><date key="time:timestamp" value="2018-01-03T00:00:00Z"/><float key="cost" value="2.5"/></event>
    <event><string key="concept:name" value="Ship"/><date key="time:timestamp" value="2018-01-05T00:00:00Z"/><float key="cost" value="x"/></event>
  </trace>
  <trace><string key="concept:name" value="order 2"/>
    <event><string key="concept:name" value="Pay"/><date key="time:timestamp" value="2018-01-04T00:00:00Z"/><float key="cost" value="1"/></event>
  </trace>
</log>"#;

#[test]
fn an_event_log_is_read_as_it_is_or_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.xes.gz");
    write(&path, &packed(LOG));
    let items = given(&mut *plan(&path).open(None).unwrap().0);
    let first = items[0].what.clone().unwrap();
    assert_eq!(
        (&first["case"], &first["activity"], &first["event"]["cost"], &first["trace"]["Vendor"]),
        (&json!("order 1"), &json!("Pay"), &json!("2.5"), &json!("v"))
    );
    let columns = columns(
        "{order: {text: \"case:concept:name\"}, what: {text: \"concept:name\"}, cost: number}",
    );
    let sorted = Plan { columns, sorted: true, ..plan(&path) };
    let items = given(&mut *sorted.open(None).unwrap().0);
    assert_eq!(
        told(&items),
        [
            "1 {\"cost\":2.5,\"order\":\"order 1\",\"what\":\"Pay\"}",
            "3 {\"cost\":1,\"order\":\"order 2\",\"what\":\"Pay\"}",
            "2 `cost` should be a number, and is `x` [Ship of order 1]",
        ]
    );
    let (mut source, _) = sorted.open(Some(items[0].place.clone())).unwrap();
    assert_eq!(given(&mut *source), items[1..]);
}

#[test]
fn a_file_is_followed_through_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.ndjson");
    let plan = Plan { tail: true, ..plan(&path) };
    let (mut source, _) = plan.open(None).unwrap();
    assert_eq!(source.next().unwrap(), Given::Wait, "it is not there yet");
    append(&path, "1\n2\n{\"half\":");
    assert_eq!(told(&given(&mut *source)), ["1 1", "2 2"]);
    append(&path, "true}\n");
    assert_eq!(told(&given(&mut *source)), ["3 {\"half\":true}"]);
    // Renamed, written to for a while yet, and another takes its name.
    append(&path, "4\n");
    let old = folder.path().join("app.ndjson.1");
    fs::rename(&path, &old).unwrap();
    assert_eq!(told(&given(&mut *source)), ["4 4"]);
    append(&path, "10\n");
    assert_eq!(told(&given(&mut *source)), Vec::<String>::new(), "one more look");
    append(&old, "5");
    assert_eq!(told(&given(&mut *source)), ["5 5", "1 10"]);
    // Emptied.
    write(&path, b"");
    assert_eq!(told(&given(&mut *source)), Vec::<String>::new());
    append(&path, "11\n");
    assert_eq!(told(&given(&mut *source)), ["1 11"]);
}

#[test]
fn who_follows_goes_on_where_he_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.csv");
    let plan = Plan { tail: true, ..plan(&path) };
    write(&path, b"n\n1\n2\n3\n");
    let items = given(&mut *plan.open(None).unwrap().0);
    assert_eq!(items.len(), 3);
    let place = items[1].place.clone();
    append(&path, "4\n");
    let (mut source, is_other) = plan.open(Some(place.clone())).unwrap();
    assert_eq!(
        (told(&given(&mut *source)), is_other),
        (vec!["4 {\"n\":\"3\"}".to_owned(), "5 {\"n\":\"4\"}".to_owned()], false)
    );
    // Renamed while nobody looked: its rest comes first.
    fs::rename(&path, folder.path().join("app.csv.1")).unwrap();
    write(&path, b"m\n9\n");
    let (mut source, is_other) = plan.open(Some(place.clone())).unwrap();
    let mut all = told(&given(&mut *source));
    all.extend(told(&given(&mut *source)));
    assert_eq!(
        (all, is_other),
        (vec!["4 {\"n\":\"3\"}".into(), "5 {\"n\":\"4\"}".into(), "2 {\"m\":\"9\"}".into()], false)
    );
    // Gone: the new one from its beginning.
    fs::remove_file(folder.path().join("app.csv.1")).unwrap();
    let (mut source, is_other) = plan.open(Some(place)).unwrap();
    assert_eq!((told(&given(&mut *source)), is_other), (vec!["2 {\"m\":\"9\"}".to_owned()], true));
}
