//! How a node is, as data: what the daemon answers, and the dashboard, the command line and the metrics are made of.
//!
//! What always holds: fields are added, and none that is there changes its meaning or goes.

use serde::{Deserialize, Serialize};

/// How a network is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct State {
    /// Its name.
    pub network: String,
    /// The file that it is from.
    pub file: String,
    /// 1, and one more with each reload.
    pub generation: u64,
    /// What it is about.
    pub status: Status,
    /// Since its node began, in milliseconds.
    pub uptime_ms: u64,
    /// Whoever asked may not change anything.
    pub read_only: bool,
    /// Its processes, in the order of the file.
    pub processes: Vec<ProcessState>,
    /// Its channels, in the order of the file.
    pub channels: Vec<ChannelState>,
    /// Processes that wait for each other, or for what nobody can bring.
    pub stuck: Vec<Stuck>,
}

/// What a network is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// At work.
    Running,
    /// It takes nothing more, and finishes what it has begun.
    Draining,
    /// It changes to another file.
    Reloading,
    /// All is over.
    Ended,
}

/// How a process is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProcessState {
    /// Its name.
    pub name: String,
    /// The component that it uses.
    pub component: String,
    /// Where it is declared, as `file:line:column`.
    pub declared: String,
    /// What it does.
    pub state: Doing,
    /// How certain it is that it waits for ever; nothing when it is not thought to.
    pub stuck: Option<Certainty>,
    /// What it waits for; several for a select.
    pub waits: Vec<WaitState>,
    /// How often it was begun.
    pub starts: u64,
    /// Messages that it has received.
    pub received: u64,
    /// Messages that it has sent.
    pub sent: u64,
    /// Messages that it gave up.
    pub refused: u64,
    /// What went wrong the last time.
    pub last_error: Option<LastError>,
    /// What it lets people see besides.
    pub facet: Option<String>,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Doing {
    /// It is at work.
    Running,
    /// It waits for a message or for time to pass.
    Waiting,
    /// It has something and cannot get rid of it, or waits for a lock.
    Blocked,
    /// Somebody told it to take nothing.
    Paused,
    /// It has failed, and will begin again.
    Restarting,
    /// It has done all it had to.
    Ended,
}

/// How certain it is that somebody waits for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Certainty {
    /// It waits for long.
    Suspect,
    /// Nobody seen could end it, if nobody has given away what he holds.
    Likely,
    /// Nobody can end it.
    Proven,
}

/// Something that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WaitState {
    /// `recv`, `send`, `reserve`, `lock`, `timer`, `outside`, `other`.
    pub what: String,
    /// The channel, or the lock.
    pub on: Option<String>,
    /// The place in the source, as `file:line:column`.
    pub at: Option<String>,
    /// For how long it was seen to wait, in milliseconds.
    pub for_ms: u64,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LastError {
    /// What.
    pub text: String,
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
}

/// How a channel is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChannelState {
    /// Its name.
    pub name: String,
    /// The type of its messages.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// How many wait in it at most; 0 is a rendezvous.
    pub capacity: usize,
    /// Messages in it.
    pub length: usize,
    /// Ends that send.
    pub senders: usize,
    /// Ends that receive.
    pub receivers: usize,
    /// Who waits to send.
    pub waiting_send: usize,
    /// Who waits to receive.
    pub waiting_recv: usize,
    /// Messages that were ever sent.
    pub sent: u64,
    /// Messages that were ever received.
    pub received: u64,
    /// Messages that found no room and were dropped.
    pub dropped: u64,
    /// For how long it was seen as it is now, in milliseconds: with messages in it, the age of the first at least.
    pub unchanged_ms: u64,
}

/// Processes that wait for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stuck {
    /// How certain that is.
    pub grade: Certainty,
    /// They wait for each other.
    pub cycle: bool,
    /// Who.
    pub members: Vec<String>,
    /// All of it, in words.
    pub words: String,
}

/// Why a process waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Why {
    /// Which process.
    pub process: String,
    /// How certain it is that it waits for ever.
    pub grade: Option<Certainty>,
    /// The story, a line each.
    pub words: Vec<String>,
    /// Who waits for whom, from this process on.
    pub chain: Vec<String>,
}

/// Something that went wrong lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorState {
    /// Whose.
    pub process: String,
    /// What.
    pub text: String,
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
    /// `refused` a message, or `failed` and was begun again.
    pub kind: String,
}
