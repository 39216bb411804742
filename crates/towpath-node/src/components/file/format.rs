//! From a record to a message: a row of CSV, a line of JSON.

use csv_core::ReadRecordResult;
use serde_json::{Map, Value};

use super::columns::{Columns, Row, names, object};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// A table with a line of names.
    Csv,
    /// One JSON value a line.
    Ndjson,
    /// An event log.
    Xes,
}

impl Format {
    /// By the end of a path, `.gz` left out.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let path = path.strip_suffix(".gz").unwrap_or(path);
        match path.rsplit_once('.')?.1 {
            "csv" => Some(Self::Csv),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "xes" => Some(Self::Xes),
            _ => None,
        }
    }
}

/// Reads the rows of one table.
pub(crate) struct Table {
    reader: csv_core::Reader,
    columns: Option<Columns>,
    header: Vec<String>,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Table {
    pub(crate) fn new(delimiter: u8, columns: Option<Columns>) -> Self {
        let reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self { reader, columns, header: Vec::new(), text: vec![0; 1024], ends: vec![0; 32] }
    }

    /// Whether the names of the columns are known.
    pub(crate) fn has_header(&self) -> bool {
        !self.header.is_empty()
    }

    /// Takes the first record as the names of the columns.
    ///
    /// # Errors
    /// There is no such line, or a column is not in it.
    pub(crate) fn header(&mut self, record: &[u8]) -> Result<(), String> {
        let record = record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(record);
        let fields = self.split(record)?;
        let header: Vec<String> = fields.iter().map(|it| it.trim().to_owned()).collect();
        for name in self.columns.iter().flat_map(names) {
            if !header.iter().any(|it| it == name) {
                let hint = towpath_patterns::yaml::hint(name, header.iter().map(String::as_str));
                return Err(format!("there is no column `{name}` in the first line{hint}"));
            }
        }
        if header.iter().all(String::is_empty) {
            return Err("the first line has no names of columns".to_owned());
        }
        self.header = header;
        Ok(())
    }

    /// A row as a message; `None` for an empty line.
    ///
    /// # Errors
    /// It has more columns than there are names, or fewer; or a value is not what it should be.
    pub(crate) fn row(&mut self, record: &[u8]) -> Result<Option<Value>, String> {
        if record.is_empty() {
            return Ok(None);
        }
        let header = std::mem::take(&mut self.header);
        let columns = self.columns.take();
        let read = self.split(record).and_then(|fields| {
            if fields.len() != header.len() {
                return Err(format!(
                    "it has {} fields, and the first line {}",
                    fields.len(),
                    header.len()
                ));
            }
            match &columns {
                Some(columns) => object(columns, &Named { header: &header, fields: &fields }),
                None => {
                    let named = header.iter().zip(fields);
                    let all: Map<_, _> =
                        named.map(|(name, text)| (name.clone(), Value::from(text))).collect();
                    Ok(Value::Object(all))
                }
            }
        });
        (self.header, self.columns) = (header, columns);
        read.map(Some)
    }

    fn split(&mut self, record: &[u8]) -> Result<Vec<&str>, String> {
        self.reader.reset();
        let (mut read, mut text, mut ends) = (0, 0, 0);
        loop {
            let (result, nin, nout, nend) = self.reader.read_record(
                &record[read..],
                &mut self.text[text..],
                &mut self.ends[ends..],
            );
            (read, text, ends) = (read + nin, text + nout, ends + nend);
            match result {
                // Asked again with nothing, it knows that this is the end.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record | ReadRecordResult::End => break,
            }
        }
        let mut begin = 0;
        let fields = self.ends[..ends].iter().map(|end| {
            let field = &self.text[begin..*end];
            begin = *end;
            std::str::from_utf8(field).map_err(|_| "it is not UTF-8".to_owned())
        });
        fields.collect()
    }
}

struct Named<'a> {
    header: &'a [String],
    fields: &'a [&'a str],
}

impl Row for Named<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let at = self.header.iter().position(|it| it == name)?;
        self.fields.get(at).copied()
    }
}

/// A line of JSON as a message; `None` for an empty one.
///
/// # Errors
/// It is no JSON.
pub(crate) fn line(record: &[u8]) -> Result<Option<Value>, String> {
    let record = record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(record);
    if record.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    serde_json::from_slice(record).map(Some).map_err(|error| {
        let text = error.to_string();
        let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
        format!("this is no JSON: {what} at column {}", error.column())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use towpath_patterns::yaml;

    use super::*;

    fn table(columns: Option<&str>) -> Table {
        let columns = columns.map(|text| yaml::read(&yaml::parse(text).unwrap()).unwrap());
        Table::new(b',', columns)
    }

    #[test]
    fn rows_are_objects() {
        let mut plain = table(None);
        plain.header(b"\xef\xbb\xbfid, name").unwrap();
        assert_eq!(
            plain.row(b"7,\"a \"\"b\"\", c\"").unwrap(),
            Some(json!({"id": "7", "name": "a \"b\", c"}))
        );
        assert_eq!(plain.row(b"").unwrap(), None);
        assert_eq!(plain.row(b"7").unwrap_err(), "it has 1 fields, and the first line 2");
        assert_eq!(plain.row(b"7,\xff").unwrap_err(), "it is not UTF-8");
        assert_eq!(
            plain.row(b"8,\"two\nlines\"").unwrap(),
            Some(json!({"id": "8", "name": "two\nlines"}))
        );
        let mut typed = table(Some("{n: {integer: id}}"));
        typed.header(b"name,id").unwrap();
        assert_eq!(typed.row(b"x,7").unwrap(), Some(json!({"n": 7})));
        assert_eq!(typed.row(b"x,y").unwrap_err(), "`id` should be a whole number, and is `y`");
        let wide: String = (0..200).map(|n| format!("column {n},")).collect();
        let mut long = table(None);
        long.header(wide.as_bytes()).unwrap();
        assert_eq!(long.row(wide.as_bytes()).unwrap().unwrap()["column 150"], "column 150");
    }

    #[test]
    fn a_column_that_is_not_there_is_told() {
        let told = table(Some("{fare: number}")).header(b"id,far").unwrap_err();
        assert_eq!(told, "there is no column `fare` in the first line; did you mean `far`?");
        assert!(table(None).header(b"").is_err());
    }

    #[test]
    fn lines_are_json() {
        assert_eq!(line(b"{\"a\": 1}"), Ok(Some(json!({"a": 1}))));
        assert_eq!(line(b"  "), Ok(None));
        assert_eq!(
            line(b"{\"a\": }"),
            Err("this is no JSON: expected value at column 7".to_owned())
        );
    }

    #[test]
    fn formats_are_known_by_their_names() {
        for (path, expected) in [
            ("a/b.csv", Some(Format::Csv)),
            ("b.csv.gz", Some(Format::Csv)),
            ("b.jsonl", Some(Format::Ndjson)),
            ("b.xes.gz", Some(Format::Xes)),
            ("b.txt", None),
            ("csv", None),
        ] {
            assert_eq!(Format::of(path), expected, "{path}");
        }
    }
}
