//! Event logs: what is read, what is refused, and that nothing makes the reader panic or take more than it may.

use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use towpath_patterns::xes::{Error, ErrorKind, Limits, Log, Trace};

const SMALL: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1.0" xmlns="http://www.xes-standard.org/">
  <extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
  <global scope="event"><string key="concept:name" value="__INVALID__"/></global>
  <string key="source" value="a test"/>
  <!-- two cases -->
  <trace>
    <string key="concept:name" value="a &amp; b"/>
    <list key="items"><values><int key="first" value="1"/></values></list>
    <event><string key="concept:name" value="Pay"/><date key="time:timestamp" value="2018-01-02T12:53:00+00:00"/></event>
    <event><string value="Ship" key="concept:name"><string key="by" value="&#x41;"/></string></event>
  </trace>
  <trace/>
</log>
"#;

fn all(text: &[u8], limits: Limits) -> Result<Vec<Trace>, Error> {
    let mut log = Log::with_limits(text, limits);
    let mut traces = Vec::new();
    while let Some(trace) = log.next_trace()? {
        traces.push(trace);
    }
    Ok(traces)
}

#[test]
fn traces_and_events_are_read_with_their_attributes() {
    let traces = all(SMALL.as_bytes(), Limits::default()).unwrap();
    assert_eq!(traces.len(), 2);
    assert_eq!((traces[0].name(), traces[0].get("first")), (Some("a & b"), Some("1")));
    let [pay, ship] = &traces[0].events[..] else { panic!("{:?}", traces[0]) };
    assert_eq!((pay.name(), pay.time()), (Some("Pay"), Some("2018-01-02T12:53:00+00:00")));
    assert_eq!((ship.name(), ship.get("by"), ship.time()), (Some("Ship"), Some("A"), None));
    assert_eq!(traces[1], Trace::default());
}

/// Checked against `date -u -d ... +%s`.
#[test]
fn times_are_seconds_since_1970() {
    let seconds = |text: &str| {
        let key = "time:timestamp".to_owned();
        let attributes = vec![towpath_patterns::xes::Attribute { key, value: text.to_owned() }];
        towpath_patterns::xes::Event { attributes }.seconds()
    };
    for (text, expected) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2018-01-02T12:53:00+00:00", Some(1_514_897_580)),
        ("2018-01-02T12:53:00.250+01:00", Some(1_514_893_980)),
        ("2018-01-02T12:53:00-00:30", Some(1_514_899_380)),
        ("1948-01-26T22:59:00+00:00", Some(-692_067_660)),
        ("2000-02-29T23:59:59Z", Some(951_868_799)),
        ("2100-03-01T00:00:00Z", Some(4_107_542_400)),
        ("2018-13-02T12:53:00Z", None),
        ("2018-01-02T24:53:00Z", None),
        ("2018-01-02 12:53:00Z", None),
        ("2018-01-02T12:53:00", None),
        ("2018-01-02T12:53:00+0100", None),
        ("2018-01-0éT12:53:00Z", None),
        ("", None),
    ] {
        assert_eq!(seconds(text), expected, "{text}");
    }
}

#[test]
fn a_file_is_read_gzipped_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("log.xes");
    std::fs::write(&plain, SMALL).unwrap();
    let packed = dir.path().join("log.xes.gz");
    let mut encoder = GzEncoder::new(std::fs::File::create(&packed).unwrap(), Compression::fast());
    encoder.write_all(SMALL.as_bytes()).unwrap();
    encoder.finish().unwrap();
    for path in [plain, packed] {
        let mut log = Log::open(&path).unwrap();
        assert_eq!(log.next_trace().unwrap().unwrap().events.len(), 2);
        assert!(log.next_trace().unwrap().is_some() && log.next_trace().unwrap().is_none());
        assert!(log.next_trace().unwrap().is_none(), "it stays so");
    }
    let error = Log::open(dir.path().join("nobody")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[test]
fn what_is_no_log_says_so_and_where() {
    for (text, kind, words) in [
        ("", ErrorKind::NotALog, "the file has no element `log` at byte 0"),
        ("<a/>", ErrorKind::NotALog, "an XES file has one element, `log` at byte 0"),
        ("<log/><log/>", ErrorKind::NotALog, "an XES file has one element, `log` at byte 6"),
        ("<log><trace>", ErrorKind::Malformed, "the file ends in the middle of the log at byte 12"),
        ("<log><trace></log>", ErrorKind::Malformed, "this is not XML at byte 12"),
        (
            "<log><trace><a key=x/></trace></log>",
            ErrorKind::Malformed,
            "this is not XML at byte 12",
        ),
        (
            "<log><trace><a key='x' value='&bomb;'/></trace></log>",
            ErrorKind::Malformed,
            "this is not XML at byte 12",
        ),
        (
            "<!DOCTYPE log [<!ENTITY bomb 'x'>]><log/>",
            ErrorKind::NotALog,
            "a log has no document type; remove it at byte 0",
        ),
    ] {
        let error = all(text.as_bytes(), Limits::default()).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, words), "{text}");
    }
}

#[test]
fn a_log_takes_no_more_than_it_may() {
    let limits = Limits {
        markup_bytes_max: 100,
        depth_max: 5,
        trace_events_max: 2,
        attributes_max: 3,
        log_bytes_max: 1000,
    };
    let check = |text: &str| {
        let error = all(text.as_bytes(), limits).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error} for {text}");
    };
    check(&format!("<log><trace><s key='{}'/></trace></log>", "x".repeat(200)));
    check(&format!("<log>{}</log>", "<a>".repeat(9)));
    check("<log><trace><event/><event/><event/></trace></log>");
    check(&format!("<log><trace>{}</trace></log>", "<s key='k' value='v'/>".repeat(4)));
    check(&format!("<log>{}</log>", "<trace/>".repeat(200)));
    assert!(all(b"<log><trace><event/><event/></trace></log>", limits).is_ok());
}

/// A file of a thousand bytes that unpacks to a million: refused by its size unpacked.
#[test]
fn a_bomb_does_not_go_off() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(b"<log><trace>").unwrap();
    encoder.write_all(&b"<event/>".repeat(1_000_000)).unwrap();
    let packed = encoder.finish().unwrap();
    let unpacked = std::io::BufReader::new(flate2::read::GzDecoder::new(Cursor::new(packed)));
    let mut log =
        Log::with_limits(unpacked, Limits { log_bytes_max: 100_000, ..Limits::default() });
    assert_eq!(log.next_trace().unwrap_err().kind(), ErrorKind::TooLarge);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = all(&bytes, Limits::default());
    }

    #[test]
    fn a_damaged_log_is_read_or_refused(
        at in 0_usize..1000,
        len in 0_usize..30,
        with in "[<>/a-z=\"'&;! ]{0,10}",
    ) {
        let at = at.min(SMALL.len());
        let end = (at + len).min(SMALL.len());
        let text = [&SMALL.as_bytes()[..at], with.as_bytes(), &SMALL.as_bytes()[end..]].concat();
        let _ = all(&text, Limits::default());
    }
}
