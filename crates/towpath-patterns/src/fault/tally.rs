//! What the aggregator knows: counts, samples, rates and conditions. A value that does no I/O.
//!
//! What always holds:
//! - Every failure that it is told is counted, in exactly one line, however many kinds there are.
//! - Memory is bounded: so many lines, so many samples each. What finds no line of its own counts under `(other)`.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use towpath::process::Name;

use super::{
    Alert, Class, Condition, Report,
    watch::{Kind, Window},
};

/// Kinds of failures with a line of their own. A dashboard with more is one that nobody reads.
const LINES_MAX: usize = 1024;

/// Failures of a kind that are kept as examples.
const SAMPLES_MAX: usize = 5;

/// The time over which rates are given.
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// A policy's alerts of one kind are told once in this time.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// The cause under which those count who find no line of their own.
const OTHER: &str = "(other)";

/// Who, what, why: what is counted together.
type Key = (Name, Class, String);

struct Entry {
    count: u64,
    window: Window,
    samples: Vec<Report>,
    first: SystemTime,
    last: SystemTime,
    told: Option<Instant>,
}

struct Watched {
    condition: Condition,
    window: Window,
    raised: bool,
    example: Option<Report>,
}

pub(crate) struct Tally {
    began: Instant,
    entries: BTreeMap<Key, Entry>,
    watched: Vec<Watched>,
    faults: u64,
    /// What went well, by process.
    handled: BTreeMap<Name, u64>,
}

impl Tally {
    pub(crate) fn new(conditions: Vec<Condition>, now: Instant) -> Self {
        let watched = conditions.into_iter().map(|condition| {
            let within = match condition.kind {
                Kind::Rate { within, .. } | Kind::Share { within, .. } => within,
                Kind::NewCause => RATE_WINDOW,
            };
            let window = Window::new(within, now);
            Watched { condition, window, raised: false, example: None }
        });
        let watched = watched.collect();
        Self { began: now, entries: BTreeMap::new(), watched, faults: 0, handled: BTreeMap::new() }
    }

    /// How often [`look`](Self::look) finds something new at most.
    pub(crate) fn look_every(&self) -> Option<Duration> {
        let lasting = self.watched.iter().filter(|it| it.condition.kind != Kind::NewCause);
        lasting.map(|it| it.window.part()).min()
    }

    /// A failure was told. `chance` is a random number, for the samples.
    pub(crate) fn fault(&mut self, report: Report, now: Instant, chance: u64) -> Vec<Alert> {
        let mut alerts = Vec::new();
        self.faults += 1;
        let (key, is_new) = self.key_of(&report);
        let when = report.fault.when;
        let entry = self.entries.entry(key).or_insert_with(|| Entry {
            count: 0,
            window: Window::new(RATE_WINDOW, now),
            samples: Vec::new(),
            first: when,
            last: when,
            told: None,
        });
        entry.count += 1;
        entry.last = when;
        entry.window.add(now, 1, 0);
        // Each failure of the kind is among the samples with the same chance (Vitter's algorithm R).
        if entry.samples.len() < SAMPLES_MAX {
            entry.samples.push(report.clone());
        } else if let Some(sample) = entry.samples.get_mut((chance % entry.count) as usize) {
            *sample = report.clone();
        }
        let single = |name: Name, faults| {
            let example = Some(report.clone());
            Alert { name, raised: true, faults, attempted: None, example }
        };
        if report.alert && entry.told.is_none_or(|told| now >= told + REPEAT_AFTER) {
            entry.told = Some(now);
            alerts.push(single(Name::from("policy"), entry.count));
        }
        for watched in self.watched.iter_mut().filter(|it| it.condition.concerns(&report)) {
            if watched.condition.kind != Kind::NewCause {
                watched.window.add(now, 1, 0);
                alerts.extend(watched.look(now, Some(&report)));
            } else if is_new {
                alerts.push(single(watched.condition.name.clone(), 1));
            }
        }
        alerts
    }

    /// So much went well since the last time.
    pub(crate) fn handled(&mut self, process: &Name, count: u64, now: Instant) {
        *self.handled.entry(process.clone()).or_default() += count;
        for watched in self.watched.iter_mut().filter(|it| it.condition.is_of(process)) {
            watched.window.add(now, 0, count);
        }
    }

    /// Time has passed.
    pub(crate) fn look(&mut self, now: Instant) -> Vec<Alert> {
        self.watched.iter_mut().filter_map(|watched| watched.look(now, None)).collect()
    }

    fn key_of(&self, report: &Report) -> (Key, bool) {
        let fault = &report.fault;
        let key = (fault.process.clone(), fault.class, fault.cause.clone());
        if self.entries.contains_key(&key) {
            (key, false)
        } else if self.entries.len() < LINES_MAX {
            (key, true)
        } else {
            ((key.0, key.1, OTHER.to_owned()), true)
        }
    }

    pub(crate) fn snapshot(&mut self, now: Instant) -> Snapshot {
        let seconds = now.saturating_duration_since(self.began).min(RATE_WINDOW).as_secs_f64();
        let line = |((process, class, cause), entry): (&Key, &mut Entry)| Line {
            process: process.clone(),
            class: *class,
            cause: cause.clone(),
            faults: entry.count,
            // In its first second a rate says nothing yet.
            per_second: entry.window.sums(now).0 as f64 / seconds.max(1.0),
            first: entry.first,
            last: entry.last,
            samples: entry.samples.clone(),
        };
        let raised = self.watched.iter().filter(|it| it.raised);
        Snapshot {
            faults: self.faults,
            lost: 0,
            handled: self.handled.clone(),
            raised: raised.map(|it| it.condition.name.clone()).collect(),
            lines: self.entries.iter_mut().map(line).collect(),
        }
    }
}

impl Watched {
    /// Whether it begins, or is over.
    fn look(&mut self, now: Instant, cause: Option<&Report>) -> Option<Alert> {
        let (faults, handled) = self.window.sums(now);
        let attempted = faults + handled;
        let (holds, attempted) = match self.condition.kind {
            Kind::NewCause => return None,
            Kind::Rate { faults: limit, .. } => (faults >= limit, None),
            Kind::Share { part, of_at_least, .. } => {
                let failed = faults > 0 && faults as f64 >= part * attempted as f64;
                (failed && attempted >= of_at_least, Some(attempted))
            }
        };
        if let Some(report) = cause {
            self.example = Some(report.clone());
        }
        if holds == self.raised {
            return None;
        }
        self.raised = holds;
        let (name, example) = (self.condition.name.clone(), self.example.clone());
        Some(Alert { name, raised: holds, faults, attempted, example })
    }
}

/// What the aggregator knows, at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Failures that were told and counted.
    pub faults: u64,
    /// Failures that were told and not counted, and alerts that nobody took: there were too many at once.
    pub lost: u64,
    /// What went well, by process, of those that count it.
    pub handled: BTreeMap<Name, u64>,
    /// Conditions that hold.
    pub raised: Vec<Name>,
    /// By process, class and cause.
    pub lines: Vec<Line>,
}

/// Failures of one kind in one process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Line {
    /// The process.
    pub process: Name,
    /// The class.
    pub class: Class,
    /// The cause; `(other)` for all that found no line of their own.
    pub cause: String,
    /// How many.
    pub faults: u64,
    /// How many a second, over the last minute.
    pub per_second: f64,
    /// When the first one happened.
    pub first: SystemTime,
    /// When the last one happened.
    pub last: SystemTime,
    /// Some of them, each with the same chance of being here.
    pub samples: Vec<Report>,
}
