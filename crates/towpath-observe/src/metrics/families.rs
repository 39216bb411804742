//! The table of all families: what a scrape can show, in one place.
//!
//! What always holds:
//! - A family that alerts, dashboards or the book name is here, and one that is here is told from somewhere: by this crate from
//!   what the core shows, or by a [`Source`](super::Source) of a node from what its processes know.
//! - Every series also has the label `network`.
//!
//! Why the node's families are here too: names are for those who write queries, and they shall find them in one list; and the test that
//! holds alerts and dashboards against a live scrape needs to know what there can be.

use prometheus_client::metrics::MetricType;

/// What a family counts or shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// It goes up and down.
    Gauge,
    /// It goes up, and begins again at 0 with the program.
    Counter,
    /// How often something took how long.
    Histogram,
}

/// A metric by its name, of which there is one series for each set of labels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Family {
    /// As it stands in a query: a counter's ends in `_total`, what has a unit names it before that. A histogram's is without `_bucket`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// One sentence for whoever reads a scrape, without its full stop.
    pub help: &'static str,
    /// The labels besides `network`.
    pub labels: &'static [&'static str],
}

impl Family {
    /// A family of one's own, for a component of one's own. Names of others begin with something else than `towpath_`.
    pub const fn new(
        name: &'static str,
        kind: Kind,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self { name, kind, help, labels }
    }

    /// The name without what the encoder adds, and whether it counts seconds.
    pub(super) fn stem(&self) -> (&'static str, bool) {
        let name = match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        };
        name.strip_suffix("_seconds").map_or((name, false), |stem| (stem, true))
    }

    pub(super) fn metric_type(&self) -> MetricType {
        match self.kind {
            Kind::Gauge => MetricType::Gauge,
            Kind::Counter => MetricType::Counter,
            Kind::Histogram => MetricType::Histogram,
        }
    }
}

macro_rules! families {
    ($($(#[$about:meta])* $constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help, ".")]
            $(#[$about])*
            pub const $constant: Family = Family::new($name, Kind::$kind, $help, &[$($label),*]);
        )*

        /// All of them.
        pub const ALL: &[Family] = &[$($constant),*];
    };
}

families! {
    // Of channels with a name. Those that share a name are one series, their sum.
    ///
    /// Unbounded channels have none.
    CHANNEL_CAPACITY = Gauge "towpath_channel_capacity" ["channel"] "Messages the channel can hold, 0 for a rendezvous";
    CHANNEL_LENGTH = Gauge "towpath_channel_length" ["channel"] "Messages in the channel";
    CHANNEL_SENDERS = Gauge "towpath_channel_senders" ["channel"] "Sending ends there are";
    CHANNEL_RECEIVERS = Gauge "towpath_channel_receivers" ["channel"] "Receiving ends there are";
    ///
    /// Channels that hold no messages, or any number, have none.
    CHANNEL_LOAD = Gauge "towpath_channel_load" ["channel"] "How full the channel is, from 0 to 1";
    CHANNEL_WAITERS = Gauge "towpath_channel_waiters" ["channel", "side"] "Operations that wait to send or to receive";
    CHANNEL_SENDS = Counter "towpath_channel_sends_total" ["channel"] "Messages that went into the channel";
    ///
    /// Also those that lie in the hands of a receiver which waited and has not looked yet.
    CHANNEL_RECEIVES = Counter "towpath_channel_receives_total" ["channel"] "Messages that came out of the channel";
    ///
    /// At least that old: the time since the first scrape that saw it in the channel, 0 in an empty one. Messages carry no clock, so what it
    /// spent there before that scrape is not known; the error is less than the time between two scrapes.
    CHANNEL_HEAD_AGE = Gauge "towpath_channel_head_age_seconds" ["channel"] "Age of the oldest message in the channel, at least";
    ///
    /// Operations that waited by themselves; a select waits for several channels and counts for its process alone.
    CHANNEL_SEND_WAIT = Histogram "towpath_channel_send_wait_seconds" ["channel"] "How long those waited who had to wait to send";
    /// As [`CHANNEL_SEND_WAIT`].
    CHANNEL_RECV_WAIT = Histogram "towpath_channel_recv_wait_seconds" ["channel"] "How long those waited who had to wait to receive";
    /// Told by the node: channels that drop (`full: drop_newest` and the like) count what they drop.
    CHANNEL_DROPPED = Counter "towpath_channel_dropped_total" ["channel", "reason"] "Messages that were dropped instead of sent";

    // Of processes. Those that share a name are one series.
    ///
    /// `running`: has a turn, or waits for something of which the library knows nothing; `waiting`: for a message or for somebody unseen;
    /// `blocked`: for room or for a lock.
    PROCESSES = Gauge "towpath_processes" ["state"] "Processes by what they do";
    ///
    /// Waits for what the library does not know, such as a bare timer or a socket, are in it.
    PROCESS_BUSY = Counter "towpath_process_busy_seconds_total" ["process"] "Time processes were not waiting in an operation";
    /// By what for: `recv`, `send`, `lock`, `select`.
    PROCESS_BLOCKED = Counter "towpath_process_blocked_seconds_total" ["process", "on"] "Time processes waited in an operation";
    /// Counted from the installation of the probe on.
    PROCESS_RESTARTS = Counter "towpath_process_restarts_total" ["process"] "Starts by a supervisor after the first";
    /// As [`waitfor`](towpath::waitfor) finds them: `proven`, `likely`, `suspect`.
    STUCK_PROCESSES = Gauge "towpath_stuck_processes" ["grade"] "Processes that nobody can bring on, by how sure that is";
    /// Told by the node.
    PROCESS_REFUSED = Counter "towpath_process_refused_total" ["process"] "Messages that a process could not handle";

    // Of patterns, told by the node.
    DEAD_LETTERS = Gauge "towpath_dead_letters_kept" ["process"] "Dead letters that are kept";
    DEAD_LETTERS_TAKEN = Counter "towpath_dead_letters_total" ["process", "cause"] "Messages that became dead letters";
    DEAD_LETTERS_REPLAYED = Counter "towpath_dead_letters_replayed_total" ["process"] "Dead letters that were sent again";
    ///
    /// `forward`, `back`, `paused`; and `quarantined`, `dead_lettered`, `orphaned`, which wait for a person.
    SAGAS = Gauge "towpath_sagas" ["process", "state"] "Sagas by state";
    SAGA_ENDED = Counter "towpath_sagas_ended_total" ["process", "outcome"] "Sagas that have ended";
    SAGA_OLDEST = Gauge "towpath_saga_oldest_seconds" ["process"] "Age of the oldest saga that has not ended";
    MACHINES = Gauge "towpath_machine_instances" ["process", "state"] "State machines by state";
    MACHINE_EVENTS = Counter "towpath_machine_events_total" ["process", "outcome"] "Events by what became of them";
    ///
    /// `answered`, `overloaded`, `late`, `left`, `died`, `stopped`: as the gateway's `Refused` says, in lower case.
    GATEWAY_CALLS = Counter "towpath_gateway_calls_total" ["process", "outcome"] "Calls by how they ended";
    GATEWAY_WAITING = Gauge "towpath_gateway_waiting" ["process"] "Calls that wait for a worker";
    GATEWAY_IN_HAND = Gauge "towpath_gateway_in_hand" ["process"] "Calls that workers have in hand";
    LIMIT_PER_SECOND = Gauge "towpath_limit_per_second" ["process"] "What a limit lets through, a second";
    LIMIT_MESSAGES = Counter "towpath_limit_messages_total" ["process", "outcome"] "Messages by what a limit did: passed, held, refused";
    DISPATCH_WAITING = Gauge "towpath_dispatch_waiting" ["process"] "Requests that wait for somebody";
    DISPATCH_REQUESTS = Counter "towpath_dispatch_requests_total" ["process", "outcome"] "Requests by what became of them";
    MATCH_WAITING = Gauge "towpath_match_waiting" ["process"] "Keys of which not all parts have come";
    MATCHES = Counter "towpath_matches_total" ["process", "outcome"] "Keys by how they were matched";

    // Of traces, told by a `Tracer` and an exporter that were added.
    SPANS = Counter "towpath_spans_total" ["outcome"] "Spans that were recorded, and those that did not fit";
    SPANS_EXPORTED = Counter "towpath_spans_exported_total" ["outcome"] "Spans by whether they reached the collector";

    // Of the observer itself.
    SCRAPE = Gauge "towpath_scrape_seconds" [] "How long the scrape before this one took";
}
