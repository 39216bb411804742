//! One scrape: what the core shows now, beside what it showed at the scrape before.
//!
//! What always holds: a counter does not go back while its name is known. A channel that has gone leaves what was last seen of it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use towpath::{
    observe,
    process::Name,
    waitfor::{Arm, Channel, Grade, Kind, Options, ProcessId, ResourceId, Snapshot, State, Wait},
};

use super::{
    families,
    source::Samples,
    waits::{Books, Finished, Known, On, Spent, Totals, locked},
};

/// Scrapes of which it is remembered how many messages had been sent by then: for the age of the oldest message.
///
/// When there are more since it was sent, every second one is forgotten, and the age gets coarser: 64 know it to a few percent.
const SCRAPES_KEPT: usize = 64;

/// What is remembered of a channel.
struct Seen {
    name: Name,
    /// The last scrape did not find it. Who has gone says so, perhaps after this.
    missed: bool,
    sent: u64,
    received: u64,
    /// When so many had been sent, the earliest first: those since the oldest message was seen.
    history: VecDeque<(Instant, u64)>,
}

/// What is remembered from scrape to scrape.
#[derive(Default)]
pub(super) struct Memory {
    channels: Known<ResourceId, Seen, Totals>,
    /// How long those with a name were busy, as it was told: what stands for many may later turn out to have been too much.
    busy: BTreeMap<String, Duration>,
    last: Option<Instant>,
}

impl Memory {
    /// Collects what the program shows now.
    pub(super) fn scrape(
        &mut self,
        now: Instant,
        books: &Books,
        options: &Options,
        to: &mut Samples<'_>,
    ) {
        // In this order: who goes in between is missed now, and counted by the next scrape.
        let finished = books.take_finished();
        let seen = observe::snapshot();
        self.channels(finished, &seen, now, books, to);
        let states = states(&seen, to.names.hides);
        for (state, count) in states {
            to.put(&families::PROCESSES, &[state], count);
        }
        self.times(&seen, now, books, to);
        let report = seen.analyse(options);
        for (grade, name) in
            [(Grade::Proven, "proven"), (Grade::Likely, "likely"), (Grade::Suspect, "suspect")]
        {
            to.put(&families::STUCK_PROCESSES, &[name], report.count(grade));
        }
        self.last = Some(now);
    }

    fn channels(
        &mut self,
        finished: Finished,
        seen: &Snapshot,
        now: Instant,
        books: &Books,
        to: &mut Samples<'_>,
    ) {
        let channels: BTreeMap<ResourceId, (&str, &Channel)> = seen
            .resources
            .iter()
            .filter_map(|resource| match &resource.kind {
                Kind::Channel(channel) => Some((resource.id, (&*resource.name, channel))),
                _ => None,
            })
            .collect();
        self.forget(finished, &channels);
        let mut load = BTreeMap::new();
        let mut head_age: BTreeMap<&str, Duration> = BTreeMap::new();
        for (id, &(name, channel)) in &channels {
            books.attach(*id, false);
            let one = &[name][..];
            if let Some(capacity) = channel.capacity {
                to.put(&families::CHANNEL_CAPACITY, one, capacity);
                let (full, room) = load.entry(name).or_insert((0, 0));
                *full += channel.queued;
                *room += capacity;
            }
            to.put(&families::CHANNEL_LENGTH, one, channel.queued);
            to.put(&families::CHANNEL_SENDERS, one, channel.senders.total);
            to.put(&families::CHANNEL_RECEIVERS, one, channel.receivers.total);
            for side in ["send", "recv"] {
                to.put(&families::CHANNEL_WAITERS, &[name, side], 0_u64);
            }
            if let (Some(sent), Some(received)) = (channel.sent, channel.received) {
                let kept = self.channels.here.entry(*id).or_insert_with(|| Seen {
                    name: name.to_owned().into(),
                    missed: false,
                    sent: 0,
                    received: 0,
                    history: VecDeque::new(),
                });
                let age = kept.look(sent, received, now);
                let oldest = head_age.entry(name).or_default();
                *oldest = age.max(*oldest);
                to.put(&families::CHANNEL_SENDS, one, sent);
                to.put(&families::CHANNEL_RECEIVES, one, received);
            }
        }
        for missed in self.channels.here.values().filter(|seen| seen.missed) {
            to.put(&families::CHANNEL_SENDS, &[&missed.name], missed.sent);
            to.put(&families::CHANNEL_RECEIVES, &[&missed.name], missed.received);
        }
        for (name, gone) in &self.channels.gone {
            to.put(&families::CHANNEL_SENDS, &[name], gone.sent);
            to.put(&families::CHANNEL_RECEIVES, &[name], gone.received);
        }
        for (name, (full, room)) in load.into_iter().filter(|(_, (_, room))| *room > 0) {
            to.put(&families::CHANNEL_LOAD, &[name], full as f64 / room as f64);
        }
        for (name, age) in head_age {
            to.put(&families::CHANNEL_HEAD_AGE, &[name], age);
        }
        for arm in seen.waits.iter().flat_map(|wait| &wait.arms) {
            let (id, side) = match arm {
                Arm::Send(id) | Arm::Reserve(id) => (id, "send"),
                Arm::Recv(id) => (id, "recv"),
                _ => continue,
            };
            if let Some((name, _)) = channels.get(id) {
                to.put(&families::CHANNEL_WAITERS, &[name, side], 1_u64);
            }
        }
        waited(books, &channels, to);
    }

    /// Keeps the totals of channels that are there no more, or whose place another has. `finished` have said what went through them, as of
    /// a moment before `channels` were looked at.
    fn forget(&mut self, finished: Finished, channels: &BTreeMap<ResourceId, (&str, &Channel)>) {
        for id in finished.here.keys() {
            self.channels.here.remove(id);
        }
        for (name, totals) in finished.gone {
            self.channels.gone(&name).add(totals);
        }
        let gone = self.channels.here.extract_if(.., |id, seen| {
            let channel = channels.get(id).map(|(_, channel)| channel);
            match channel {
                Some(channel) => channel.sent < Some(seen.sent),
                None => std::mem::replace(&mut seen.missed, true),
            }
        });
        for (_, seen) in gone.collect::<Vec<_>>() {
            let Seen { name, sent, received, .. } = seen;
            self.channels.gone(&name).add(Totals { sent, received });
        }
    }

    /// Busy and blocked, of all that have lived.
    fn times(&mut self, seen: &Snapshot, now: Instant, books: &Books, to: &mut Samples<'_>) {
        books.count_so_far(now);
        let lives: BTreeMap<u64, &str> =
            seen.processes.iter().map(|process| (process.id.0, &*process.name)).collect();
        books.forget_processes(now, |id| lives.contains_key(&id));
        let since_last =
            self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        for (&id, name) in &lives {
            let times = books.enter(id, &Name::from((*name).to_owned()), false, false);
            // A wait of which the probe was not told. What the last scrape saw of it was counted then.
            if !times.is_timed()
                && let Some((on, age)) = waits_of(seen, ProcessId(id))
            {
                times.add(on, age.min(since_last), 1);
            }
        }
        let processes = locked!(books.processes.read());
        let mut all: BTreeMap<&str, Spent> = BTreeMap::new();
        for (name, spent) in &processes.gone {
            all.entry(name).or_default().add(spent);
        }
        for times in processes.here.values() {
            all.entry(times.name()).or_default().add(&times.read(now));
        }
        self.busy.retain(|name, _| all.contains_key(name.as_str()));
        for (name, spent) in all {
            let blocked: u64 = spent.blocked.iter().sum();
            let busy = spent.lived.saturating_sub(Duration::from_nanos(blocked));
            let told = self.busy.entry(name.to_owned()).or_default();
            *told = busy.max(*told);
            to.put(&families::PROCESS_BUSY, &[name], *told);
            for (on, nanos) in On::ALL.into_iter().zip(spent.blocked) {
                let blocked = Duration::from_nanos(nanos);
                to.put(&families::PROCESS_BLOCKED, &[name, on.name()], blocked);
            }
            to.put(&families::PROCESS_RESTARTS, &[name], spent.restarts);
        }
    }
}

impl Seen {
    /// Notes how things stand. The answer is for how long the oldest message has been there at least.
    fn look(&mut self, sent: u64, received: u64, now: Instant) -> Duration {
        self.missed = false;
        (self.sent, self.received) = (sent, received);
        if self.history.back().is_none_or(|(_, before)| *before != sent) {
            self.history.push_back((now, sent));
        }
        while self.history.front().is_some_and(|(_, sent)| *sent <= received) {
            self.history.pop_front();
        }
        if self.history.len() > SCRAPES_KEPT {
            let mut place = 0;
            self.history.retain(|_| {
                place += 1;
                place % 2 == 1
            });
        }
        let first = self.history.front();
        first.map_or(Duration::ZERO, |(then, _)| now.saturating_duration_since(*then))
    }
}

/// How long operations waited that waited by themselves.
fn waited(books: &Books, channels: &BTreeMap<ResourceId, (&str, &Channel)>, to: &mut Samples<'_>) {
    let known = locked!(books.channels.read());
    let sides = [&families::CHANNEL_SEND_WAIT, &families::CHANNEL_RECV_WAIT];
    let here =
        known.here.iter().filter_map(|(id, lines)| Some((channels.get(id)?.0, lines.read())));
    let gone = known.gone.iter().map(|(name, counts)| (name.as_str(), counts.clone()));
    for (name, counts) in here.chain(gone) {
        for (family, counts) in sides.into_iter().zip(&counts) {
            if counts.count() > 0 {
                to.put_histogram(family, &[name], counts);
            }
        }
    }
    drop(known);
    books.forget_channels(|id| channels.contains_key(&id));
}

/// How many processes do what.
fn states(seen: &Snapshot, hides: fn(&str) -> bool) -> [(&'static str, usize); 3] {
    let (mut waiting, mut blocked, mut running) = (0, 0, 0);
    for process in seen.processes.iter().filter(|process| !hides(&process.name)) {
        match (process.state, waits_of(seen, process.id)) {
            (State::Ended, _) => {}
            (State::Parked, Some(_)) if for_room(seen, process.id) => blocked += 1,
            (State::Parked, _) => waiting += 1,
            (State::Running, _) => running += 1,
        }
    }
    [("running", running), ("waiting", waiting), ("blocked", blocked)]
}

/// The waits of a process; a snapshot of a running program has them in the order of processes.
fn of(seen: &Snapshot, process: ProcessId) -> &[Wait] {
    let start = seen.waits.partition_point(|wait| wait.process < process);
    let len = seen.waits[start..].partition_point(|wait| wait.process == process);
    &seen.waits[start..start + len]
}

/// What a process waits for, and for how long.
fn waits_of(seen: &Snapshot, process: ProcessId) -> Option<(On, Duration)> {
    let wait = of(seen, process).first()?;
    let on = match wait.arms[..] {
        [Arm::Recv(_)] => On::Recv,
        [Arm::Send(_) | Arm::Reserve(_)] => On::Send,
        [Arm::Lock(_) | Arm::Acquire { .. } | Arm::Notified(_) | Arm::All(_)] => On::Lock,
        _ => On::Select,
    };
    Some((on, wait.age))
}

/// Whether it would go on with room or a lock, and not with a message.
fn for_room(seen: &Snapshot, process: ProcessId) -> bool {
    let arms = || of(seen, process).iter().flat_map(|wait| &wait.arms);
    let held_up = |arm: &Arm| {
        matches!(
            arm,
            Arm::Send(_) | Arm::Reserve(_) | Arm::Lock(_) | Arm::Acquire { .. } | Arm::All(_)
        )
    };
    arms().any(held_up) && !arms().any(|arm| matches!(arm, Arm::Recv(_)))
}
