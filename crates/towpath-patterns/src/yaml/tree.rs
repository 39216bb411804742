//! YAML as a tree that remembers where everything stood.
//!
//! What always holds: a tree is at most [`DEPTH_MAX`] deep, no key stands twice in a mapping, and nothing in it is shared; so reading
//! it takes time and memory in proportion to the text, whoever wrote it.
//!
//! Why not serde: an error should point at the word that is wrong, also when each word alone was fine and only the table as a whole
//! is not. Anchors, aliases and tags are refused: nobody needs them here, and they are what makes YAML dangerous to read.

use granit_parser::{Event, Parser, Span};

use super::{Place, Problem};

/// How deep mappings and sequences nest. A table of a machine needs 6.
const DEPTH_MAX: usize = 16;

/// A node and where it begins.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where.
    pub place: Place,
    /// What.
    pub kind: Kind,
}

/// What stands at a place.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Nothing after the colon.
    Empty,
    /// A word, and whether it was written without quotes: only then may it be a number, `true` or `false`.
    Scalar(String, bool),
    /// Items in their order.
    Sequence(Vec<Node>),
    /// Key and value; keys are scalars.
    Mapping(Vec<(Word, Node)>),
}

/// A scalar with its place.
#[derive(Clone, Debug)]
pub struct Word {
    /// Where.
    pub place: Place,
    /// What.
    pub text: String,
}

impl Node {
    /// What it is, for an error.
    pub fn is(&self) -> &'static str {
        match self.kind {
            Kind::Empty => "nothing",
            Kind::Scalar(..) => "a word",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        }
    }
}

/// Reads a text that is one document, or [nothing](Kind::Empty).
///
/// # Errors
/// The first thing that is no YAML, or none that is read here.
pub fn parse(text: &str) -> Result<Node, Problem> {
    let mut reader =
        Reader { events: Parser::new_from_str(text), last: Place { line: 1, column: 1 } };
    let mut root = None;
    loop {
        let (event, place) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            _ if root.is_some() => {
                let message = "a second document begins here; a file holds one";
                return Err(Problem::new(place, message));
            }
            event => root = Some(reader.node(event, place, 0)?),
        }
    }
    Ok(root.unwrap_or(Node { place: Place { line: 1, column: 1 }, kind: Kind::Empty }))
}

struct Reader<'a> {
    events: Parser<'a, granit_parser::StrInput<'a>>,
    last: Place,
}

impl<'a> Reader<'a> {
    /// The next event that is content.
    fn next(&mut self) -> Result<(Event<'a>, Place), Problem> {
        loop {
            let Some(next) = self.events.next_event() else {
                return Ok((Event::StreamEnd, self.last));
            };
            let (event, span) = next.map_err(|error| {
                let mark = error.marker();
                let place = Place { line: mark.line().max(1), column: mark.col() + 1 };
                Problem::new(place, format!("this is not YAML: {error}"))
            })?;
            self.last = place(span);
            if !matches!(event, Event::Comment(..)) {
                return Ok((event, self.last));
            }
        }
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Result<Node, Problem> {
        if depth > DEPTH_MAX {
            let message = format!("nests deeper than {DEPTH_MAX}; such files are flat");
            return Err(Problem::new(place, message));
        }
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some()),
            Event::SequenceStart(_, anchor, tag) | Event::MappingStart(_, anchor, tag) => {
                (*anchor, tag.is_some())
            }
            _ => (0, false),
        };
        if anchor != 0 || tag {
            let message = "anchors and tags are not read: write the value itself";
            return Err(Problem::new(place, message));
        }
        let kind = match event {
            Event::Scalar(text, style, ..) => {
                let plain = style == granit_parser::ScalarStyle::Plain;
                let empty = plain && matches!(&*text, "" | "~" | "null");
                if empty { Kind::Empty } else { Kind::Scalar(text.into_owned(), plain) }
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Kind::Sequence(items),
                        (event, place) => items.push(self.node(event, place, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut entries: Vec<(Word, Node)> = Vec::new();
                loop {
                    let (event, place) = self.next()?;
                    if matches!(event, Event::MappingEnd) {
                        break Kind::Mapping(entries);
                    }
                    let key = self.node(event, place, depth + 1)?;
                    let Kind::Scalar(text, _) = key.kind else {
                        let message = format!("a key is a word, and this is {}", key.is());
                        return Err(Problem::new(place, message));
                    };
                    if let Some((first, _)) = entries.iter().find(|(word, _)| word.text == text) {
                        let message = format!(
                            "`{text}` stands here twice; first in line {}",
                            first.place.line
                        );
                        return Err(Problem::new(place, message));
                    }
                    let (event, at) = self.next()?;
                    let value = self.node(event, at, depth + 1)?;
                    entries.push((Word { place, text }, value));
                }
            }
            _ => {
                let message = "aliases are not read: write the value itself";
                return Err(Problem::new(place, message));
            }
        };
        Ok(Node { place, kind })
    }
}

fn place(span: Span) -> Place {
    Place { line: span.start.line().max(1), column: span.start.col() + 1 }
}
