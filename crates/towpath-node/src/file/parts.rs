//! The parts of a network file: one table, which the reader knows names by and the published schema is made of.

use serde_json::{Value, json};

/// What can stand at a place: its name, what it is for, and its JSON Schema.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    about: &'static str,
    schema: fn() -> Value,
}

const fn part(name: &'static str, about: &'static str, schema: fn() -> Value) -> Part {
    Part { name, about, schema }
}

/// A network.
pub(crate) const NETWORK: [Part; 7] = [
    part("version", "The version of the form; 1 is what there is.", || json!({"const": 1})),
    part("name", "What the network is called.", word),
    part(
        "settings",
        "Names with values that `--set NAME=VALUE` changes; `${name}` stands for them.",
        || json!({"type": ["object", "null"]}),
    ),
    part(
        "types",
        "Types of messages, each a JSON Schema.",
        || json!({"type": ["object", "null"], "additionalProperties": {"type": ["object", "boolean"]}}),
    ),
    part("channels", "Channels, by name.", || {
        let channel = json!({"anyOf": [{"type": "null"}, object(&CHANNEL, &[], false)]});
        json!({"type": ["object", "null"], "additionalProperties": channel})
    }),
    part(
        "processes",
        "Processes, by name.",
        || json!({"type": ["object", "null"], "additionalProperties": {"$ref": "#/$defs/process"}}),
    ),
    part(
        "tests",
        "Tests that `towpath test` runs in the simulator.",
        || json!({"type": ["array", "null"], "items": object(&TEST, &["expect"], false)}),
    ),
];

/// A channel.
pub(crate) const CHANNEL: [Part; 4] = [
    part("type", "What its messages are: a type of this file or a built-in one.", word),
    part(
        "capacity",
        "How many messages wait in it; 0 is a rendezvous.",
        || json!({"type": "integer", "minimum": 0}),
    ),
    part(
        "full",
        "What becomes of a message when it is full.",
        || json!({"enum": ["block", "drop"]}),
    ),
    part(
        "trace",
        "Whether work for its messages is recorded: below its sender's (`parent`, or `true`), or in a trace of its own with a link to it.",
        || json!({"enum": [true, false, "parent", "link", "off"]}),
    ),
];

/// A process, beside the options of its component.
pub(crate) const PROCESS: [Part; 4] = [
    part("uses", "The component that it uses.", word),
    part("in", "Channels that it receives from.", wires),
    part("out", "Channels that it sends to.", wires),
    part("on_error", "The channel for what it cannot handle.", word),
];

/// A test.
pub(crate) const TEST: [Part; 4] = [
    part("name", "What it is called.", word),
    part("send", "What is sent: channel and message, or a list of those.", messages),
    part("expect", "What has to come out: channel, and what the message has at least.", messages),
    part("within", "In how long, by the simulated clock: 1s, 200ms.", || json!({"type": "string"})),
];

/// The names of a table.
pub(crate) fn names(parts: &'static [Part]) -> impl Iterator<Item = &'static str> + Clone {
    parts.iter().map(|part| part.name)
}

/// A mapping of these parts.
pub(crate) fn object(parts: &[Part], required: &[&str], open: bool) -> Value {
    let properties = parts.iter().map(|part| {
        let mut schema = (part.schema)();
        schema["description"] = part.about.into();
        (part.name.to_owned(), schema)
    });
    let properties: serde_json::Map<String, Value> = properties.collect();
    let mut object = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    if !open {
        object["additionalProperties"] = false.into();
    }
    object
}

/// A word may be written as a number or `true`, where a name is meant.
fn word() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}

fn wires() -> Value {
    let word = word();
    json!({"anyOf": [word, {"type": "array", "items": word}, {"type": "object", "additionalProperties": word}]})
}

fn messages() -> Value {
    json!({"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]})
}
