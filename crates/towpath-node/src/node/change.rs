//! What is different between two files of a network, and whether its processes can stay where they are. Data in, data out.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use towpath::network::Direction;
use towpath_patterns::yaml;

use crate::{
    assemble::{Plan, site},
    file::{Channel, Full, NetworkFile, Trace},
};

/// One thing that a reload changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// `process` or `channel`.
    pub what: String,
    /// Which.
    pub name: String,
    /// `added`, `removed` or `changed`.
    pub change: String,
    /// In words.
    pub words: String,
}

/// How two files differ.
pub(super) struct Difference {
    pub(super) changes: Vec<Change>,
    /// Processes that do something else, by their place in both files; all there is when the graph is the same.
    pub(super) swaps: Vec<usize>,
    /// Channels or wires are others: the processes need other ports.
    pub(super) rewired: bool,
}

/// How they differ. Only what a file says is compared, not what it refers to.
pub(super) fn difference(old: (&NetworkFile, &Plan), new: (&NetworkFile, &Plan)) -> Difference {
    let mut told = Difference { changes: Vec::new(), swaps: Vec::new(), rewired: false };
    for channel in &new.0.channels {
        let words = match old.0.channel(&channel.name.text) {
            None => "added",
            Some(before) if channel_says(before) != channel_says(channel) => "changed",
            Some(_) => continue,
        };
        told.rewired = true;
        told.add("channel", &channel.name.text, words, channel_words(channel));
    }
    for channel in &old.0.channels {
        if new.0.channel(&channel.name.text).is_none() {
            told.rewired = true;
            told.add("channel", &channel.name.text, "removed", channel_words(channel));
        }
    }
    let place = |file: &NetworkFile, name: &str| {
        file.processes.iter().position(|process| process.name.text == name)
    };
    for (index, process) in new.0.processes.iter().enumerate() {
        let name = &process.name.text;
        let uses = format!("uses {}", process.uses.text);
        let Some(before) = place(old.0, name) else {
            told.rewired = true;
            told.add("process", name, "added", uses);
            continue;
        };
        let same_wires = wires(old, before) == wires(new, index);
        if !same_wires {
            told.add("process", name, "changed", "has other channels".to_owned());
        }
        let was = &old.0.processes[before];
        if was.uses.text != process.uses.text {
            let words = format!("{uses}, and not {} any more", was.uses.text);
            told.add("process", name, "changed", words);
        } else if does(old, before) != does(new, index) {
            let words = options_words(&options(old.0, before), &options(new.0, index));
            told.add("process", name, "changed", words);
        } else if same_wires {
            told.rewired |= before != index;
            continue;
        }
        told.rewired |= !same_wires || before != index;
        told.swaps.push(index);
    }
    for process in &old.0.processes {
        if place(new.0, &process.name.text).is_none() {
            told.rewired = true;
            let words = format!("used {}", process.uses.text);
            told.add("process", &process.name.text, "removed", words);
        }
    }
    told
}

impl Difference {
    fn add(&mut self, what: &str, name: &str, change: &str, words: String) {
        self.changes.push(Change {
            what: what.to_owned(),
            name: name.to_owned(),
            change: change.to_owned(),
            words,
        });
    }
}

fn channel_says(channel: &Channel) -> (Option<&str>, usize, Full, Trace) {
    let kind = channel.kind.as_ref().map(|kind| kind.text.as_str());
    (kind, channel.capacity, channel.full, channel.trace)
}

fn channel_words(channel: &Channel) -> String {
    let kind = channel.kind.as_ref().map(|kind| format!("of {}, ", kind.text)).unwrap_or_default();
    let Channel { capacity, full, trace, .. } = channel;
    let traced = match trace {
        Trace::Off => "",
        Trace::Parent => ", traced",
        Trace::Link => ", traced by links",
    };
    let full = format!("{full:?}").to_lowercase();
    format!("{kind}capacity {capacity}, when full: {full}{traced}")
}

/// Ports and channels, by name.
fn wires<'a>(
    (file, plan): (&'a NetworkFile, &'a Plan),
    process: usize,
) -> Vec<(bool, &'a str, &'a str)> {
    let wires = plan.wires[process].iter();
    let named = |wire: &'a crate::check::Wire| {
        let channel = file.channels[wire.channel].name.text.as_str();
        (wire.direction == Direction::In, wire.port.as_str(), channel)
    };
    wires.map(named).collect()
}

fn options(file: &NetworkFile, process: usize) -> Value {
    // What YAML can say, JSON can.
    yaml::read(&file.processes[process].options).unwrap_or(Value::Null)
}

/// What decides what a process does: its component, its options, the types of its channels.
fn does((file, plan): (&NetworkFile, &Plan), process: usize) -> (Value, Vec<(String, Value)>) {
    let site = site(file, &file.processes[process], &plan.wires[process]);
    (options(file, process), site.schemas.into_iter().collect())
}

/// Which options are others.
fn options_words(old: &Value, new: &Value) -> String {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return "has other options".to_owned();
    };
    let mut words = Vec::new();
    for (name, value) in new {
        match old.get(name) {
            None => words.push(format!("{name}: {value} is new")),
            Some(before) if before != value => {
                words.push(format!("{name}: {before} becomes {value}"))
            }
            Some(_) => {}
        }
    }
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    words.extend(gone.map(|name| format!("{name} is gone")));
    if words.is_empty() { "a type of its messages is another".to_owned() } else { words.join(", ") }
}
