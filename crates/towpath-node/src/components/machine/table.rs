//! The table of a process: from its options, with everything that is wrong with it at its place.

use std::{fs, sync::Arc, time::Duration};

use indexmap::IndexMap;
use serde::Deserialize;
use towpath_patterns::{
    machine::{EventId, Table},
    yaml::{self, At, Kind, LoadError, Node, Place, Problem, Span, hint},
};

use super::fact::Tabled;
use crate::home::Site;

/// What the file says of a process, but for its table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// The field that says which instance is meant.
    #[serde(default = "key")]
    pub(super) key: String,
    /// The field that says what happens.
    #[serde(default = "event")]
    pub(super) event: String,
    /// What messages call the events of the table.
    #[serde(default)]
    events: IndexMap<String, At<String>>,
    /// What happens when a message does not say it.
    default_event: Option<At<String>>,
    /// The field by which a message is known that comes twice.
    pub(super) id: Option<String>,
    /// How many of those are known.
    remember: Option<At<usize>>,
    /// How long an instance is kept that has ended.
    #[serde(default = "keep")]
    pub(super) keep: Span,
    /// How many of those are kept.
    #[serde(default = "keep_most")]
    pub(super) keep_most: usize,
    /// Whether it survives crashes.
    #[serde(default)]
    pub(super) durable: bool,
    /// States whose instances are told of again at each start.
    #[serde(default)]
    again: Vec<At<String>>,
    /// Fields that an instance carries from message to message.
    #[serde(default)]
    carries: Vec<String>,
}

fn key() -> String {
    "key".to_owned()
}

fn event() -> String {
    "event".to_owned()
}

fn keep() -> Span {
    Span(KEPT)
}

fn keep_most() -> usize {
    KEPT_MOST
}

/// How long instances are kept that have ended: longer than messages are late or doubled.
const KEPT: Duration = Duration::from_secs(3600);

/// How many of those are kept at most, which bounds memory when more than thirty a second end: some tens of megabytes.
const KEPT_MOST: usize = 100_000;

/// Ids that are known unless the file says otherwise: minutes at a thousand a second, some megabytes.
const REMEMBERED: usize = 100_000;

/// Everything that a process goes by.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) options: Options,
    pub(super) machine: Tabled,
    /// Events by the words of messages that are not their names.
    words: IndexMap<String, EventId>,
    /// The event of a message that names none.
    pub(super) default_event: Option<EventId>,
    pub(super) remember: usize,
    /// For each state whether it tells again.
    pub(super) again: Arc<[bool]>,
    /// What people call the table.
    pub(super) name: String,
}

impl Plan {
    /// The event that a word of a message means.
    pub(super) fn event(&self, word: &str) -> Option<EventId> {
        self.words.get(word).copied().or_else(|| self.machine.table.event(word))
    }
}

/// Reads the options of a process, and the table that they name.
///
/// # Errors
/// The first thing that is wrong with the options; everything that is wrong with the table, as one.
pub(super) fn read(node: &Node, site: &Site) -> Result<Plan, Problem> {
    let (table, rest) = split(node);
    let options: Options = yaml::read(&rest)?;
    let table = table.ok_or_else(|| {
        Problem::new(node.place, "`table` is missing: the file of a table, or a table")
    })?;
    let (name, table) = match &table.kind {
        Kind::Scalar(path, _) => (path.clone(), from_file(path, table.place, site)?),
        Kind::Mapping(_) => ("inline".to_owned(), inline(table)?),
        _ => {
            let message =
                format!("`table` is the name of a file, or a table, and this is {}", table.is());
            return Err(Problem::new(table.place, message));
        }
    };
    if let Some(guard) = table.guards().first() {
        let message = format!(
            "the table asks a guard, `{guard}`, and a network file has no functions: give it an event for each of its answers, and say in \
             front of the machine, with `map`, which one happens"
        );
        return Err(Problem::new(node.place, message));
    }
    let event = |word: &At<String>| {
        let events = table.events().iter().map(|name| &**name);
        table.event(&word.value).ok_or_else(|| {
            let message =
                format!("the table has no event `{}`{}", word.value, hint(&word.value, events));
            Problem::new(word.place, message)
        })
    };
    let words = options.events.iter().map(|(word, name)| Ok((word.clone(), event(name)?)));
    let words = words.collect::<Result<_, Problem>>()?;
    let default_event = options.default_event.as_ref().map(event).transpose()?;
    let mut again = vec![false; table.states().len()];
    for word in &options.again {
        let Some(state) = table.state(&word.value) else {
            let states = table.states().iter().map(|state| &*state.name);
            let message =
                format!("the table has no state `{}`{}", word.value, hint(&word.value, states));
            return Err(Problem::new(word.place, message));
        };
        again[state.index()] = true;
    }
    let remember = match (&options.id, &options.remember) {
        (None, Some(remember)) => {
            let message = "to remember messages they need an `id`: the field by which one is known that comes twice";
            return Err(Problem::new(remember.place, message));
        }
        (None, None) => 0,
        (Some(_), remember) => remember.as_ref().map_or(REMEMBERED, |it| it.value),
    };
    let machine = Tabled { table: Arc::new(table), carries: options.carries.clone().into() };
    Ok(Plan { options, machine, words, default_event, remember, again: again.into(), name })
}

/// The table, and the options without it.
fn split(node: &Node) -> (Option<&Node>, Node) {
    let Kind::Mapping(entries) = &node.kind else { return (None, node.clone()) };
    let table = entries.iter().find(|(key, _)| key.text == "table").map(|(_, value)| value);
    let rest = entries.iter().filter(|(key, _)| key.text != "table").cloned().collect();
    (table, Node { place: node.place, kind: Kind::Mapping(rest) })
}

fn from_file(path: &str, place: Place, site: &Site) -> Result<Table, Problem> {
    let file = site.reads(path);
    let shown = file.display();
    let text = fs::read_to_string(&file).map_err(|error| {
        Problem::new(place, format!("the table `{shown}` cannot be read: {error}"))
    })?;
    let told =
        |error: LoadError| Problem::new(place, format!("this table cannot be used:\n{error}"));
    Table::from_yaml(&shown.to_string(), &text).map_err(told)
}

fn inline(node: &Node) -> Result<Table, Problem> {
    Table::from_node(node).map_err(|problems| {
        let more = problems.len() - 1;
        let first = problems.into_iter().next();
        let mut first =
            first.unwrap_or_else(|| Problem::new(node.place, "the table cannot be used"));
        if more > 0 {
            first.message += &format!(" (and {more} more in this table)");
        }
        first
    })
}
