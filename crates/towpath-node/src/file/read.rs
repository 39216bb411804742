//! From a tree of YAML to a [`NetworkFile`]. All problems of a file are told at once.

use serde::Deserialize;
use towpath_patterns::yaml::{self, At, Kind, LoadError, Node, Place, Problem, Span, Word, hint};

use super::{CAPACITY, Channel, Full, NetworkFile, Process, Test, Trace, Wires, parts, settings};

/// Bytes of a file that are read: a network of a thousand processes takes a tenth.
const BYTES_MAX: usize = 4 << 20;

/// How long a test waits that does not say.
const WITHIN: Span = Span(std::time::Duration::from_secs(10));

/// What this version reads.
const VERSION: u64 = 1;

pub(super) fn read(
    path: &str,
    text: &str,
    set: &[(String, String)],
) -> Result<NetworkFile, LoadError> {
    let begin = Place { line: 1, column: 1 };
    let fail = |problem| LoadError::new(path, text, vec![problem]);
    if text.len() > BYTES_MAX {
        let message = format!("the file has {} bytes, more than {BYTES_MAX}", text.len());
        return Err(fail(Problem::new(begin, message)));
    }
    let mut root = yaml::parse(text).map_err(fail)?;
    let mut reader = Reader { problems: Vec::new() };
    let settings = settings::declared(&root, set, &mut reader.problems);
    settings::fill(&mut root, &settings, &mut reader.problems);
    let file = reader.file(path, text, &root);
    match file {
        Some(file) if reader.problems.is_empty() => Ok(NetworkFile { set: set.to_vec(), ..file }),
        _ => Err(LoadError::new(path, text, reader.problems)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelOptions {
    r#type: Option<At<String>>,
    capacity: Option<usize>,
    #[serde(default)]
    full: Full,
    #[serde(default)]
    trace: Trace,
}

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem::new(place, message));
    }

    fn file(&mut self, path: &str, text: &str, root: &Node) -> Option<NetworkFile> {
        let entries = match &root.kind {
            Kind::Mapping(entries) => entries,
            Kind::Empty => {
                self.problem(root.place, "the file is empty; it begins with `version: 1`");
                return None;
            }
            _ => {
                self.problem(
                    root.place,
                    format!("a network is a mapping, and this is {}", root.is()),
                );
                return None;
            }
        };
        let (mut version, mut name) = (None, None);
        let mut file = NetworkFile {
            path: path.to_owned(),
            text: text.to_owned(),
            set: Vec::new(),
            name: Word { place: root.place, text: String::new() },
            types: Vec::new(),
            channels: Vec::new(),
            processes: Vec::new(),
            tests: Vec::new(),
        };
        for (key, node) in entries {
            match key.text.as_str() {
                "version" => version = self.value::<At<u64>>(node),
                "name" => name = self.word(node, "the network's name"),
                "settings" => {}
                "types" => file.types = self.named(node, "types"),
                "channels" => {
                    let named = self.named(node, "channels");
                    file.channels = named.iter().filter_map(|it| self.channel(it)).collect();
                }
                "processes" => {
                    let named = self.named(node, "processes");
                    file.processes = named.iter().filter_map(|it| self.process(it)).collect();
                }
                "tests" => file.tests = self.tests(node),
                other => {
                    let hint = hint(other, parts::names(&parts::NETWORK));
                    self.problem(key.place, format!("a network has no part `{other}`{hint}"));
                }
            }
        }
        match version {
            Some(At { value: VERSION, .. }) => {}
            Some(At { place, value }) => self.problem(
                place,
                format!("this is version {value}, and version {VERSION} is what can be read"),
            ),
            None if entries.iter().any(|(key, _)| key.text == "version") => {}
            None => self.problem(root.place, "`version` is missing: write `version: 1`"),
        }
        if name.is_none() && !entries.iter().any(|(key, _)| key.text == "name") {
            self.problem(root.place, "`name` is missing: what is the network called?");
        }
        file.name = name?;
        Some(file)
    }

    /// Reads a value by serde.
    fn value<T: serde::de::DeserializeOwned>(&mut self, node: &Node) -> Option<T> {
        yaml::read(node).map_err(|problem| self.problems.push(problem)).ok()
    }

    fn word(&mut self, node: &Node, what: &str) -> Option<Word> {
        match &node.kind {
            Kind::Scalar(text, _) => Some(Word { place: node.place, text: text.clone() }),
            _ => {
                self.problem(node.place, format!("{what} is a word, and this is {}", node.is()));
                None
            }
        }
    }

    /// The entries of a part.
    fn named(&mut self, node: &Node, part: &str) -> Vec<(Word, Node)> {
        match &node.kind {
            Kind::Mapping(entries) => entries.clone(),
            Kind::Empty => Vec::new(),
            _ => {
                let message =
                    format!("`{part}` is a mapping from names, and this is {}", node.is());
                self.problem(node.place, message);
                Vec::new()
            }
        }
    }

    fn channel(&mut self, (name, node): &(Word, Node)) -> Option<Channel> {
        let empty = Node { place: node.place, kind: Kind::Mapping(Vec::new()) };
        let node = if matches!(node.kind, Kind::Empty) { &empty } else { node };
        let options: ChannelOptions = self.value(node)?;
        let kind = options.r#type.map(|At { place, value }| Word { place, text: value });
        Some(Channel {
            name: name.clone(),
            kind,
            capacity: options.capacity.unwrap_or(CAPACITY),
            full: options.full,
            trace: options.trace,
        })
    }

    fn process(&mut self, (name, node): &(Word, Node)) -> Option<Process> {
        let Kind::Mapping(entries) = &node.kind else {
            let message = format!("a process is a mapping with `uses`, and this is {}", node.is());
            self.problem(node.place, message);
            return None;
        };
        let (mut uses, mut on_error) = (None, None);
        let [mut inputs, mut outputs] = [const { Wires::Listed(Vec::new()) }; 2];
        let mut options = Vec::new();
        let mut has_uses = false;
        for (key, value) in entries {
            match key.text.as_str() {
                "uses" => {
                    has_uses = true;
                    uses = self.word(value, "`uses` names a component, which");
                }
                "in" => inputs = self.wires(value)?,
                "out" => outputs = self.wires(value)?,
                "on_error" => on_error = self.word(value, "`on_error` names a channel, which"),
                _ => options.push((key.clone(), value.clone())),
            }
        }
        if !has_uses {
            self.problem(
                name.place,
                format!("`{}` does not say which component it uses", name.text),
            );
        }
        let options = Node { place: node.place, kind: Kind::Mapping(options) };
        Some(Process { name: name.clone(), uses: uses?, inputs, outputs, on_error, options })
    }

    fn wires(&mut self, node: &Node) -> Option<Wires> {
        const CHANNEL: &str = "a channel";
        match &node.kind {
            Kind::Sequence(items) => {
                let words = items.iter().map(|item| self.word(item, CHANNEL));
                words.collect::<Option<_>>().map(Wires::Listed)
            }
            Kind::Mapping(entries) => {
                let wires = entries.iter().map(|(port, node)| {
                    self.word(node, CHANNEL).map(|channel| (port.clone(), channel))
                });
                wires.collect::<Option<_>>().map(Wires::Named)
            }
            _ => self.word(node, CHANNEL).map(|word| Wires::Listed(vec![word])),
        }
    }

    fn tests(&mut self, node: &Node) -> Vec<Test> {
        match &node.kind {
            Kind::Sequence(items) => items.iter().filter_map(|item| self.test(item)).collect(),
            Kind::Empty => Vec::new(),
            _ => {
                self.problem(node.place, format!("`tests` is a list, and this is {}", node.is()));
                Vec::new()
            }
        }
    }

    fn test(&mut self, node: &Node) -> Option<Test> {
        let Kind::Mapping(entries) = &node.kind else {
            let message =
                format!("a test is a mapping with `send` and `expect`, and this is {}", node.is());
            self.problem(node.place, message);
            return None;
        };
        let (mut send, mut expect, mut within) = (Vec::new(), Vec::new(), WITHIN);
        let mut name = None;
        for (key, value) in entries {
            match key.text.as_str() {
                "name" => name = self.word(value, "the name of a test").map(|name| name.text),
                "send" => send = self.messages(value)?,
                "expect" => expect = self.messages(value)?,
                "within" => within = self.value(value)?,
                other => {
                    let hint = hint(other, parts::names(&parts::TEST));
                    self.problem(key.place, format!("a test has no `{other}`{hint}"));
                }
            }
        }
        if expect.is_empty() {
            self.problem(node.place, "a test that expects nothing cannot fail: add `expect`");
        }
        Some(Test { name, place: node.place, send, expect, within: within.0 })
    }

    /// Channels and messages: a mapping, or a list of them where the order counts or a channel comes twice.
    fn messages(&mut self, node: &Node) -> Option<Vec<(Word, serde_json::Value)>> {
        match &node.kind {
            Kind::Mapping(entries) => entries
                .iter()
                .map(|(channel, node)| self.value(node).map(|message| (channel.clone(), message)))
                .collect(),
            Kind::Sequence(items) => {
                let all: Option<Vec<_>> = items.iter().map(|item| self.messages(item)).collect();
                all.map(|all| all.concat())
            }
            _ => {
                let message =
                    format!("this is a mapping from channels to messages, not {}", node.is());
                self.problem(node.place, message);
                None
            }
        }
    }
}
