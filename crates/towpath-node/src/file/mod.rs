//! What a network file says: YAML, or JSON, which is YAML too.
//!
//! ```yaml
//! version: 1
//! name: rides
//! settings: {listen: "127.0.0.1:8080"}                # changed by `--set listen=…`, used as ${listen}
//! channels:
//!   requests: {type: RideRequest, capacity: 256, full: block, trace: parent}
//!   matches:  {type: Match, capacity: 0}              # a rendezvous
//! processes:
//!   intake:   {uses: http, listen: "${listen}", out: requests, on_error: dead_letters}
//!   dispatch: {uses: dispatch, in: [requests, drivers], out: {matched: matches, late: backup}, window: 300ms}
//! tests:
//!   - {send: {requests: {id: 1}}, expect: {matches: {ride: 1}}, within: 1s}
//! ```
//!
//! `in` and `out` are one channel, a list in the order of the component's ports, or a mapping from port to channel. What else stands
//! in a process are the options of its component, which reads them itself.
//!
//! Here a file is only read. Whether its parts fit together is [`check`](mod@crate::check)'s to say, which knows the components.

pub(crate) mod parts;
mod read;
mod settings;

use std::time::Duration;

use serde::Deserialize;
use towpath_patterns::yaml::{self, LoadError, Node, Place, Word};

/// Messages that wait in a channel whose file does not say how many: enough to smooth a hiccup, few enough that a stuck reader shows.
pub const CAPACITY: usize = 64;

/// A network as its file says it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NetworkFile {
    /// The file's name, for errors.
    pub path: String,
    /// The whole text, for errors.
    pub text: String,
    /// Settings and their values that were given in place of those in the file.
    pub set: Vec<(String, String)>,
    /// The network's name.
    pub name: Word,
    /// Types of messages that the file declares, each a JSON Schema.
    pub types: Vec<(Word, Node)>,
    /// Channels, in the order of the file.
    pub channels: Vec<Channel>,
    /// Processes, in the order of the file.
    pub processes: Vec<Process>,
    /// Tests, in the order of the file.
    pub tests: Vec<Test>,
}

/// A channel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Channel {
    /// Its name.
    pub name: Word,
    /// What its messages are; `None` takes all.
    pub kind: Option<Word>,
    /// How many wait in it; 0 is a rendezvous.
    pub capacity: usize,
    /// What becomes of a message for which there is no room.
    pub full: Full,
    /// What of the work for its messages is recorded.
    pub trace: Trace,
}

/// What becomes of a message when its channel is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Full {
    /// The sender waits: nothing is lost, and slowness is felt at the source.
    #[default]
    Block,
    /// The message is dropped and counted.
    Drop,
}

/// What is recorded of the work for a channel's messages, if their trace is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trace {
    /// Nothing here. A trace goes on behind the next process.
    #[default]
    #[serde(alias = "false")]
    Off,
    /// A span below that of who sent it; `true` says so too.
    #[serde(alias = "true")]
    Parent,
    /// A trace of its own, with a link to who sent it: for work that is done later, or for many at once.
    Link,
}

/// A process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Process {
    /// Its name.
    pub name: Word,
    /// Its component.
    pub uses: Word,
    /// Channels that it receives from.
    pub inputs: Wires,
    /// Channels that it sends to.
    pub outputs: Wires,
    /// The channel for what it cannot handle.
    pub on_error: Option<Word>,
    /// What else the file says of it: a mapping, the component's to read.
    pub options: Node,
}

/// Channels of one direction.
#[derive(Clone, Debug)]
pub enum Wires {
    /// As a list, in the order of the ports; one channel is a list of one.
    Listed(Vec<Word>),
    /// Port and channel.
    Named(Vec<(Word, Word)>),
}

impl Wires {
    /// Every channel that is named.
    pub fn channels(&self) -> impl Iterator<Item = &Word> {
        let (listed, named) = match self {
            Self::Listed(channels) => (channels.as_slice(), [].as_slice()),
            Self::Named(wires) => ([].as_slice(), wires.as_slice()),
        };
        listed.iter().chain(named.iter().map(|(_, channel)| channel))
    }
}

/// A test of the network: what goes in, and what has to come out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Test {
    /// What it is about, if the file says so.
    pub name: Option<String>,
    /// Where it stands.
    pub place: Place,
    /// What is sent, in this order: channel and message.
    pub send: Vec<(Word, serde_json::Value)>,
    /// What is received: channel, and what the message has at least.
    pub expect: Vec<(Word, serde_json::Value)>,
    /// In how long, by the simulated clock.
    pub within: Duration,
}

impl NetworkFile {
    /// Reads a file. `path` is the name that errors carry; `set` are settings and their values, in place of those in the file.
    ///
    /// # Errors
    /// Everything that is wrong with its form, with line, column and what was probably meant.
    pub fn read(path: &str, text: &str, set: &[(String, String)]) -> Result<Self, LoadError> {
        read::read(path, text, set)
    }

    /// The JSON Schema of a type that the file declares.
    pub fn kind(&self, name: &str) -> Option<serde_json::Value> {
        let (_, schema) = self.types.iter().find(|(kind, _)| kind.text == name)?;
        // What YAML can say, JSON can.
        yaml::read(schema).ok()
    }

    /// The channel of that name.
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name.text == name)
    }
}
