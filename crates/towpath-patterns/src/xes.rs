//! Event logs in the format XES (IEEE 1849), read as a stream: what a real process did, trace by trace.
//!
//! ```
//! use towpath_patterns::xes::Log;
//!
//! let text = r#"<log>
//!     <trace><string key="concept:name" value="order 7"/>
//!         <event><string key="concept:name" value="Pay"/><date key="time:timestamp" value="2018-01-02T12:53:00+00:00"/></event>
//!     </trace>
//! </log>"#;
//! let mut log = Log::new(text.as_bytes());
//! let trace = log.next_trace()?.unwrap();
//! assert_eq!(trace.name(), Some("order 7"));
//! assert_eq!(trace.events[0].name(), Some("Pay"));
//! assert_eq!(trace.events[0].get("time:timestamp"), Some("2018-01-02T12:53:00+00:00"));
//! assert!(log.next_trace()?.is_none());
//! # Ok::<(), towpath_patterns::xes::Error>(())
//! ```
//!
//! What always holds:
//! - One trace is in memory at a time; what a file may ask for in memory is bounded by [`Limits`], whoever wrote it.
//! - Attributes keep their order and their text. The reader does not know what a key means, and a list or a nested attribute is read as
//!   its own key and value, its children beside it.
//! - An error says where: the byte in the XML, which for a gzipped file is after unpacking.
//!
//! Entities beyond XML's own five are refused, so there is nothing to expand.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event as Xml};
use quick_xml::reader::Reader;

/// Bytes that are read from the file at a time.
const READ_BYTES: usize = 64 << 10;

/// How much of a log is taken before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one piece of markup or text: a tag with its attributes. 64 KiB unless said otherwise.
    pub markup_bytes_max: usize,
    /// Elements inside each other. 32 unless said otherwise; a log needs 3 and one for each nested attribute.
    pub depth_max: usize,
    /// Events of one trace. A million unless said otherwise.
    pub trace_events_max: usize,
    /// Attributes of one event or trace. 1,000 unless said otherwise.
    pub attributes_max: usize,
    /// Bytes of the XML in all. 16 GiB unless said otherwise: a small file can unpack to a large one.
    pub log_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            markup_bytes_max: 64 << 10,
            depth_max: 32,
            trace_events_max: 1_000_000,
            attributes_max: 1_000,
            log_bytes_max: 16 << 30,
        }
    }
}

/// A key and its value, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// As `concept:name`.
    pub key: String,
    /// As written, entities resolved.
    pub value: String,
}

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// In the order of the file.
    pub attributes: Vec<Attribute>,
}

/// What happened to one case, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Of the trace itself.
    pub attributes: Vec<Attribute>,
    /// Its events.
    pub events: Vec<Event>,
}

impl Event {
    /// The value of the first attribute of this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        get(&self.attributes, key)
    }

    /// Its activity, `concept:name`.
    pub fn name(&self) -> Option<&str> {
        self.get("concept:name")
    }

    /// When it happened, `time:timestamp`, as written.
    pub fn time(&self) -> Option<&str> {
        self.get("time:timestamp")
    }

    /// When it happened, in seconds since 1970, fractions left out; `None` if it does not say, or not as
    /// `2018-01-02T12:53:00+00:00`.
    pub fn seconds(&self) -> Option<i64> {
        seconds(self.time()?)
    }
}

impl Trace {
    /// The value of the first attribute of this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        get(&self.attributes, key)
    }

    /// Its case, `concept:name`.
    pub fn name(&self) -> Option<&str> {
        self.get("concept:name")
    }
}

fn get<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.key == key).map(|attribute| &*attribute.value)
}

/// RFC 3339, as XES asks for.
fn seconds(text: &str) -> Option<i64> {
    let number = |from: usize, len: usize| {
        let digits = text.get(from..from + len)?;
        digits.bytes().all(|it| it.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let marks = text.bytes().zip(0..).filter(|(_, at)| [4, 7, 10, 13, 16].contains(at));
    if !marks.map(|(mark, _)| mark).eq(*b"--T::") {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let zone = text.get(19..)?.trim_start_matches(|it: char| it == '.' || it.is_ascii_digit());
    let east = match zone.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let from = text.len() - 5;
            let ahead = number(from, 2)? * 3_600 + number(from + 3, 2)? * 60;
            if *sign == b'+' { ahead } else { -ahead }
        }
        _ => return None,
    };
    let is_right = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24;
    if !is_right || minute > 59 || second > 60 {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second - east)
}

/// What kind of thing is wrong with a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file cannot be read, or does not unpack.
    Io,
    /// It is not XML.
    Malformed,
    /// It is XML and not a log.
    NotALog,
    /// It has more of something than [`Limits`] allow.
    TooLarge,
}

/// Why a log could not be read on.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    at: u64,
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// What kind of thing is wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The byte of the XML behind which it is.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Whether reading again may go well: no, unless somebody changes the file.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

/// A log that is read trace by trace.
pub struct Log<R> {
    reader: Reader<Fenced<R>>,
    buffer: Vec<u8>,
    limits: Limits,
    /// The names of the elements that are open.
    open: Vec<Element>,
    state: Stage,
}

impl<R> fmt::Debug for Log<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("open", &self.open).field("stage", &self.state).finish()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Before,
    Inside,
    After,
}

/// What is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Log,
    Trace,
    Event,
    /// An attribute, or something of the header.
    Other,
}

impl Log<Box<dyn BufRead + Send>> {
    /// Opens a file, gzipped or not: its first two bytes say which.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let failed = |source: io::Error| Error {
            kind: ErrorKind::Io,
            at: 0,
            what: format!("{} cannot be opened", path.display()),
            source: Some(source.into()),
        };
        let mut file = BufReader::with_capacity(READ_BYTES, File::open(path).map_err(failed)?);
        let is_gzip = file.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        let input: Box<dyn BufRead + Send> = if is_gzip {
            Box::new(BufReader::with_capacity(READ_BYTES, MultiGzDecoder::new(file)))
        } else {
            Box::new(file)
        };
        Ok(Self::new(input))
    }
}

impl<R: BufRead> Log<R> {
    /// A log that comes from anywhere, not packed.
    pub fn new(input: R) -> Self {
        Self::with_limits(input, Limits::default())
    }

    /// The same, with other limits.
    pub fn with_limits(input: R, limits: Limits) -> Self {
        let fenced = Fenced { input, left: limits.markup_bytes_max, all: limits.log_bytes_max };
        let mut reader = Reader::from_reader(fenced);
        reader.config_mut().expand_empty_elements = true;
        Self { reader, buffer: Vec::new(), limits, open: Vec::new(), state: Stage::Before }
    }

    /// The next trace. None: the log has ended, and was whole.
    ///
    /// # Errors
    /// Whatever [`ErrorKind`] says; afterwards the rest cannot be read.
    pub fn next_trace(&mut self) -> Result<Option<Trace>, Error> {
        let mut trace: Option<Trace> = None;
        loop {
            self.buffer.clear();
            let fenced = self.reader.get_mut();
            fenced.left = self.limits.markup_bytes_max;
            let at = self.reader.buffer_position();
            match self.reader.read_event_into(&mut self.buffer) {
                Ok(Xml::Start(tag)) => {
                    let element = Element::of(&tag, self.open.last().copied());
                    if self.open.is_empty()
                        && (element != Element::Log || self.state == Stage::After)
                    {
                        return Err(error(
                            ErrorKind::NotALog,
                            at,
                            "an XES file has one element, `log`",
                        ));
                    }
                    if self.open.len() >= self.limits.depth_max {
                        let what = format!(
                            "more than {} elements inside each other",
                            self.limits.depth_max
                        );
                        return Err(error(ErrorKind::TooLarge, at, what));
                    }
                    match element {
                        Element::Log => self.state = Stage::Inside,
                        Element::Trace => trace = Some(Trace::default()),
                        Element::Event => begin_event(trace.as_mut(), &self.limits, at)?,
                        Element::Other => {
                            let inside = self.open.iter().rev().find(|e| **e != Element::Other);
                            attribute(trace.as_mut(), inside, &tag, &self.limits, at)?;
                        }
                    }
                    self.open.push(element);
                }
                Ok(Xml::End(_)) => match self.open.pop() {
                    Some(Element::Trace) => return Ok(trace),
                    Some(Element::Log) => self.state = Stage::After,
                    _ => {}
                },
                Ok(Xml::Eof) => {
                    return match (self.state, self.open.is_empty()) {
                        (Stage::After, true) => Ok(None),
                        (Stage::Before, _) => {
                            Err(error(ErrorKind::NotALog, at, "the file has no element `log`"))
                        }
                        _ => Err(error(
                            ErrorKind::Malformed,
                            at,
                            "the file ends in the middle of the log",
                        )),
                    };
                }
                Ok(Xml::DocType(_)) => {
                    return Err(error(
                        ErrorKind::NotALog,
                        at,
                        "a log has no document type; remove it",
                    ));
                }
                // Text between elements means nothing in XES.
                Ok(_) => {}
                Err(quick_xml::Error::Io(source)) => {
                    let kind = match source.get_ref() {
                        Some(inner) if inner.is::<Fence>() => ErrorKind::TooLarge,
                        _ => ErrorKind::Io,
                    };
                    let what = if kind == ErrorKind::Io {
                        "reading failed"
                    } else {
                        "the log is too large"
                    };
                    let source = Some(Box::new(source) as _);
                    return Err(Error { kind, at, what: what.to_owned(), source });
                }
                Err(source) => {
                    let source = Some(Box::new(source) as _);
                    return Err(Error {
                        kind: ErrorKind::Malformed,
                        at,
                        what: "this is not XML".to_owned(),
                        source,
                    });
                }
            }
        }
    }
}

impl Element {
    fn of(tag: &BytesStart<'_>, inside: Option<Self>) -> Self {
        match (tag.local_name().as_ref(), inside) {
            ("log", None) => Self::Log,
            ("trace", Some(Self::Log)) => Self::Trace,
            ("event", Some(Self::Trace)) => Self::Event,
            _ => Self::Other,
        }
    }
}

pub(crate) fn error(kind: ErrorKind, at: u64, what: impl Into<String>) -> Error {
    Error { kind, at, what: what.into(), source: None }
}

fn begin_event(trace: Option<&mut Trace>, limits: &Limits, at: u64) -> Result<(), Error> {
    let Some(trace) = trace else { return Ok(()) };
    if trace.events.len() >= limits.trace_events_max {
        let what = format!("a trace has more than {} events", limits.trace_events_max);
        return Err(error(ErrorKind::TooLarge, at, what));
    }
    trace.events.push(Event::default());
    Ok(())
}

/// An element with a key and a value belongs to the event or trace that it stands in.
fn attribute(
    trace: Option<&mut Trace>,
    inside: Option<&Element>,
    tag: &BytesStart<'_>,
    limits: &Limits,
    at: u64,
) -> Result<(), Error> {
    let attributes = match (trace, inside) {
        (Some(trace), Some(Element::Trace)) => &mut trace.attributes,
        (Some(trace), Some(Element::Event)) => match trace.events.last_mut() {
            Some(event) => &mut event.attributes,
            None => return Ok(()),
        },
        // The header: extensions, globals, classifiers.
        _ => return Ok(()),
    };
    if attributes.len() >= limits.attributes_max {
        let what = format!("more than {} attributes in one place", limits.attributes_max);
        return Err(error(ErrorKind::TooLarge, at, what));
    }
    let malformed = |source: Box<dyn std::error::Error + Send + Sync>| Error {
        kind: ErrorKind::Malformed,
        at,
        what: "this is not XML".to_owned(),
        source: Some(source),
    };
    let (mut key, mut value) = (None, None);
    for found in tag.attributes() {
        let found = found.map_err(|source| malformed(source.into()))?;
        let to = match found.key.as_ref() {
            "key" => &mut key,
            "value" => &mut value,
            _ => continue,
        };
        let text = found.normalized_value(XmlVersion::Explicit1_0);
        *to = Some(text.map_err(|source| malformed(source.into()))?.into_owned());
    }
    if let Some(key) = key {
        attributes.push(Attribute { key, value: value.unwrap_or_default() });
    }
    Ok(())
}

/// Lets through so many bytes until somebody looks, and so many in all.
struct Fenced<R> {
    input: R,
    left: usize,
    all: u64,
}

/// Why the fence closed.
#[derive(Debug)]
struct Fence(&'static str);

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Fence {}

impl<R: BufRead> Read for Fenced<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut have = self.fill_buf()?;
        let count = have.read(buf)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Fenced<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.all == 0 {
            let why = "the log has more bytes than allowed; `Limits::log_bytes_max` says how many";
            return Err(io::Error::other(Fence(why)));
        }
        let most = usize::try_from(self.all).unwrap_or(usize::MAX).min(self.left);
        let bytes = self.input.fill_buf()?;
        if most == 0 && !bytes.is_empty() {
            let why = "a tag or text has more bytes than allowed; `Limits::markup_bytes_max` says how many";
            return Err(io::Error::other(Fence(why)));
        }
        Ok(&bytes[..bytes.len().min(most)])
    }

    fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.left = self.left.saturating_sub(count);
        self.all = self.all.saturating_sub(count as u64);
    }
}
