//! Tables from YAML, and everything that is wrong with one, at its place.
//!
//! ```text
//! machine: order                       # its name
//! version: 1                           # what a journal remembers
//! states:
//!   Created: {initial: true, after: 30d, then: Expire}
//!   Paid:
//!   Archived: {final: true}
//! events: [Pay, Ship, Expire]
//! rules:
//!   Created:                           # several states: `Created | Paid`, all: `_`
//!     Pay:
//!       - {if: covers, to: Paid, do: [book]}
//!       - {refuse: the payment is not the price}
//!     _: {refuse: it is unpaid}        # every event that is not named in this state
//! ```
//!
//! An arm has `to: State`, `stay` or `refuse: reason`, with `if:` and `unless:` in front and `do:` behind; one arm alone needs no
//! list, and `stay` alone no mapping. What is said of a pair by name comes before the state's `_`, which comes before what the rules
//! of `_` say.
//!
//! What always holds: all problems of a table are told at once, in the order of the file, each with line and column and the line
//! itself; but if words are unknown, what would follow from them is not guessed.

mod rules;

use std::sync::Arc;

use super::check::Finding;
use super::table::{Draft, State, StateId, Table, Timeout};
use crate::yaml::{Kind, LoadError, Node, Place, Problem, Word, hint, span};

/// Bytes of a file that are read. A table of 256 states and 256 events with a line for each pair is smaller.
const BYTES_MAX: usize = 4 << 20;

/// States, and events, that a table may have. What has more is several machines.
const NAMES_MAX: usize = 256;

impl Table {
    /// Reads a table from YAML and checks it. `file` is the name that errors carry. The form is in the
    /// [module's documentation](mod@crate::machine#the-same-in-yaml).
    ///
    /// # Errors
    /// Everything that is wrong with it, with line, column and what was probably meant.
    pub fn from_yaml(file: &str, text: &str) -> Result<Self, LoadError> {
        if text.len() > BYTES_MAX {
            let message = format!(
                "the file has {} bytes, more than {BYTES_MAX}: it is several machines, or none",
                text.len()
            );
            let problem = Problem::new(Place { line: 1, column: 1 }, message);
            return Err(LoadError::new(file, text, vec![problem]));
        }
        let root = crate::yaml::parse(text)
            .map_err(|problem| LoadError::new(file, text, vec![problem]))?;
        Self::from_node(&root).map_err(|problems| LoadError::new(file, text, problems))
    }

    /// Makes a table of a part of a file that was read already, and checks it.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file; at least one problem.
    pub fn from_node(root: &Node) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let table = match root.kind {
            Kind::Empty => {
                let message = "the file is empty; it begins with `machine: <name>`";
                problems.push(Problem::new(root.place, message));
                None
            }
            _ => Loader { problems: &mut problems }.table(root),
        };
        match table {
            Some(table) if problems.is_empty() => Ok(table),
            _ => {
                problems.sort_by_key(|problem| problem.place);
                Err(problems)
            }
        }
    }
}

/// Names with their places.
#[derive(Default)]
struct Declared {
    words: Vec<Word>,
}

impl Declared {
    fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.words.iter().map(|word| &*word.text)
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.names().position(|known| known == name)
    }
}

const KEYS: [&str; 5] = ["machine", "version", "states", "events", "rules"];

/// Reads a tree, collecting problems; `None` where one stood in the way.
struct Loader<'p> {
    problems: &'p mut Vec<Problem>,
}

impl Loader<'_> {
    fn say<T>(&mut self, place: Place, message: impl Into<String>) -> Option<T> {
        self.problems.push(Problem::new(place, message));
        None
    }

    fn table(&mut self, root: &Node) -> Option<Table> {
        let entries = self.mapping(root, "a table")?;
        for (key, _) in entries {
            if !KEYS.contains(&&*key.text) {
                let hint = hint(&key.text, KEYS);
                let _: Option<()> =
                    self.say(key.place, format!("there is no key `{}`{hint}", key.text));
            }
        }
        let part = |name: &str| {
            let found = entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node);
            found.or_else(|| self.say(root.place, format!("the key `{name}` is missing")))
        };
        let parts = KEYS.map(part);
        let [name, version, states, events, rules] = parts;
        let (name, version) = (self.word(name?, "a name"), self.word(version?, "a number"));
        let version = version.and_then(|word| {
            let number = word.text.parse().ok();
            number.or_else(|| {
                self.say(
                    word.place,
                    format!("`version` is a whole number, and `{}` is not", word.text),
                )
            })
        });
        let events = self.events(events?);
        let mut states = self.states(states?, &events)?;
        let cells = self.cells(rules?, &states.declared, &events);
        let (name, version) = (name?, version?);
        if !self.problems.is_empty() {
            return None;
        }
        let draft = Draft {
            name: name.text.as_str().into(),
            version,
            states: std::mem::take(&mut states.states),
            events: events.names().map(Arc::from).collect(),
            initial: states.initial?,
            cells: cells
                .iter()
                .map(|cell| cell.iter().map(|arm| arm.arm.clone()).collect())
                .collect(),
        };
        let (table, findings) = Table::build(draft);
        for finding in &findings {
            let place = place(finding, &table, &states.declared, &events, &cells);
            let _: Option<()> = self.say(place, finding.words(&table));
        }
        findings.is_empty().then_some(table)
    }

    fn mapping<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [(Word, Node)]> {
        match &node.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => self.say(node.place, format!("{what} is a mapping, and this is {}", node.is())),
        }
    }

    fn word(&mut self, node: &Node, what: &str) -> Option<Word> {
        match &node.kind {
            Kind::Scalar(text, _) => Some(Word { place: node.place, text: text.clone() }),
            _ => self.say(node.place, format!("here should be {what}, and this is {}", node.is())),
        }
    }

    /// One word or a list of words.
    fn words(&mut self, node: &Node, what: &str) -> Option<Vec<Word>> {
        match &node.kind {
            Kind::Sequence(items) => items.iter().map(|item| self.word(item, what)).collect(),
            _ => self.word(node, what).map(|word| vec![word]),
        }
    }

    /// A name that is declared: a word that the rules can say.
    fn declare(&mut self, declared: &mut Declared, word: Word, what: &str) {
        let fits = |c: char| c.is_alphanumeric() || c == '_';
        if word.text == "_" || word.text.is_empty() || !word.text.chars().all(fits) {
            let message =
                format!("`{}` cannot be the name of {what}: letters, digits and `_`", word.text);
            return self.say(word.place, message).unwrap_or_default();
        }
        if declared.find(&word.text).is_some() {
            return self
                .say(word.place, format!("{what} `{}` is declared twice", word.text))
                .unwrap_or_default();
        }
        if declared.words.len() == NAMES_MAX {
            return self
                .say(word.place, format!("more than {NAMES_MAX}: make it several machines"))
                .unwrap_or_default();
        }
        declared.words.push(word);
    }

    fn events(&mut self, node: &Node) -> Declared {
        let mut declared = Declared::default();
        for word in self.words(node, "the name of an event").unwrap_or_default() {
            self.declare(&mut declared, word, "an event");
        }
        declared
    }

    fn states(&mut self, node: &Node, events: &Declared) -> Option<States> {
        let mut states = States::default();
        let mut initial: Option<(StateId, Place)> = None;
        for (word, node) in self.mapping(node, "`states`")? {
            let before = states.declared.words.len();
            self.declare(&mut states.declared, word.clone(), "a state");
            if states.declared.words.len() == before {
                continue;
            }
            let flags = match &node.kind {
                Kind::Empty => &[],
                _ => self.mapping(node, "what is said of a state").unwrap_or_default(),
            };
            let (state, is_initial) = self.state(word, flags, events);
            states.states.push(state);
            match (is_initial, initial) {
                (true, None) => initial = Some((StateId(before as u16), word.place)),
                (true, Some((_, first))) => {
                    let message = format!(
                        "`{}` is a second initial state; the first is in line {}",
                        word.text, first.line
                    );
                    let _: Option<()> = self.say(word.place, message);
                }
                _ => {}
            }
        }
        states.initial = match initial {
            Some((id, _)) => Some(id),
            None => self.say(node.place, "no state is initial: write `{initial: true}` behind one"),
        };
        Some(states)
    }

    fn state(&mut self, word: &Word, flags: &[(Word, Node)], events: &Declared) -> (State, bool) {
        const FLAGS: [&str; 4] = ["initial", "final", "after", "then"];
        let mut state = State { name: word.text.as_str().into(), is_final: false, timeout: None };
        let (mut is_initial, mut after, mut then) = (false, None, None);
        for (key, node) in flags {
            match &*key.text {
                "initial" => is_initial = self.yes(node),
                "final" => state.is_final = self.yes(node),
                "after" => {
                    let span =
                        self.word(node, "a span of time").map(|word| span::parse(&word.text));
                    after = match span {
                        Some(Err(form)) => self.say(node.place, form),
                        Some(Ok(span)) => Some(span),
                        None => None,
                    };
                }
                "then" => {
                    let event = self.word(node, "the name of an event");
                    then = event.and_then(|word| self.known(&word, events, "event"));
                }
                _ => {
                    let hint = hint(&key.text, FLAGS);
                    let _: Option<()> =
                        self.say(key.place, format!("a state has no `{}`{hint}", key.text));
                }
            }
        }
        let has = |name: &str| flags.iter().any(|(key, _)| key.text == name);
        if has("after") != has("then") {
            let message = "`after` and `then` come together: how long, and which event happens";
            let _: Option<()> = self.say(word.place, message);
        }
        if let (Some(after), Some(event)) = (after, then) {
            state.timeout = Some(Timeout { after, event: super::EventId(event as u16) });
        }
        (state, is_initial)
    }

    fn yes(&mut self, node: &Node) -> bool {
        match &node.kind {
            Kind::Scalar(text, _) if text == "true" => true,
            Kind::Scalar(text, _) if text == "false" => false,
            _ => self.say(node.place, "here is `true` or `false`").unwrap_or_default(),
        }
    }

    /// The index of a declared name.
    fn known(&mut self, word: &Word, declared: &Declared, what: &str) -> Option<usize> {
        declared.find(&word.text).or_else(|| {
            let hint = hint(&word.text, declared.names());
            self.say(word.place, format!("there is no {what} `{}`{hint}", word.text))
        })
    }
}

#[derive(Default)]
struct States {
    declared: Declared,
    states: Vec<State>,
    initial: Option<StateId>,
}

/// Where the reader of a finding should look.
fn place(
    finding: &Finding,
    table: &Table,
    states: &Declared,
    events: &Declared,
    cells: &[Vec<rules::Placed>],
) -> Place {
    let cell = |state: &StateId, event: &super::EventId| {
        &cells[state.index() * table.events().len() + event.index()]
    };
    let state = |id: &StateId| states.words[id.index()].place;
    match finding {
        Finding::Missing { state: id, .. }
        | Finding::Unreachable { state: id }
        | Finding::DeadEnd { state: id }
        | Finding::Trap { state: id }
        | Finding::FinalTimed { state: id }
        | Finding::TimeoutRefused { state: id } => state(id),
        Finding::Hole { state: id, event, .. } | Finding::TooManyGuards { state: id, event } => {
            cell(id, event).last().map_or(state(id), |arm| arm.place)
        }
        Finding::NeverTaken { state: id, event, arm } => cell(id, event)[*arm].place,
        Finding::FinalLeft { state: id, event } => {
            let leads = |arm: &&rules::Placed| matches!(arm.arm.outcome, super::Outcome::Go(_));
            cell(id, event).iter().find(leads).map_or(state(id), |arm| arm.place)
        }
        Finding::Unhandled { event } => events.words[event.index()].place,
    }
}
