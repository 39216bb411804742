//! The error channel: processes tell what went wrong, one process counts, samples and raises alerts.
//!
//! ```text
//!   parser ── Source ──┐
//!   pricer ── Source ──┼─ channel ─▶ aggregator ──▶ alerts
//!   worker ── Source ──┘                 ▲
//!                                        └── snapshot()
//! ```
//!
//! What always holds: whoever tells never waits. When failures come faster than they are counted some are lost, and how many is
//! counted; what they were is still in the dead letters, if that is where their messages went.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use towpath::{Receiver, Scope, Sender, process::Name, rt, select};

use super::{
    Alert, Classify, Condition, Fault, Report,
    tally::{Snapshot, Tally},
};

/// Failures that may wait to be counted: a burst of some milliseconds. Each is about half a kilobyte.
const REPORT_CAPACITY: usize = 1024;

/// Questions that may wait: dashboards are few.
const QUESTION_CAPACITY: usize = 16;

/// An answer is sent once and never waits.
const REPLY_CAPACITY: usize = 1;

/// Without conditions there is nothing to look at: a rare look, so that the loop is the same.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The way to the aggregator. Clones lead to the same one; it ends when the last of them, and of their [`Source`]s, is gone.
///
/// ```
/// use towpath::{Ctx, scope};
/// use towpath_patterns::fault::{Condition, Errors, Failure};
///
/// /// Alerts that wait for the pager.
/// const ALERTS: usize = 16;
///
/// # towpath::block_on(async {
/// let (tx, mut alerts) = towpath::bounded(ALERTS);
/// scope(&Ctx::root(), |s| async move {
///     let errors = Errors::start(&s, "errors", vec![Condition::new_cause("something new")], tx);
///     errors.of("parser").tell(&Failure::schema("field 7 is missing"));
///     errors.of("parser").tell(&Failure::schema("field 9 is missing"));
///
///     let snapshot = errors.snapshot().await.unwrap();
///     assert_eq!(snapshot.lines.len(), 1);
///     assert_eq!((snapshot.lines[0].cause.as_str(), snapshot.lines[0].faults), ("field # is missing", 2));
///     assert_eq!(alerts.recv().await.unwrap().name, "something new");
///     Ok(())
/// })
/// .await
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Errors {
    reports: Sender<Report>,
    questions: Sender<Sender<Snapshot>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    lost: AtomicU64,
    /// What went well, by process.
    handled: Mutex<BTreeMap<Name, Arc<AtomicU64>>>,
}

impl Errors {
    /// Starts the aggregator in `scope`. It sends to `alerts` what the conditions, and the policies of workers, raise. An alert
    /// that finds the channel full is lost and counted.
    pub fn start(
        scope: &Scope,
        name: impl Into<Name>,
        conditions: Vec<Condition>,
        alerts: Sender<Alert>,
    ) -> Self {
        let name = name.into();
        let (reports, rx) = towpath::bounded(REPORT_CAPACITY);
        let (questions, asked) = towpath::bounded(QUESTION_CAPACITY);
        let shared = Arc::<Shared>::default();
        let tally = Tally::new(conditions, rt::now());
        let aggregator =
            Aggregator { tally, reports: rx, questions: asked, alerts, shared: shared.clone() };
        scope.spawn(&name, |_ctx| aggregator.run());
        Self { reports: reports.named(&name), questions, shared }
    }

    /// The channel of one process, which will be the source of what it tells.
    pub fn of(&self, process: impl Into<Name>) -> Source {
        let process = process.into();
        let mut all = self.shared.handled.lock().unwrap_or_else(PoisonError::into_inner);
        let handled = all.entry(process.clone()).or_default().clone();
        drop(all);
        Source { process, handled, errors: self.clone() }
    }

    /// What is known now, and all that this task told before. `None` if the aggregator has ended.
    ///
    /// # Cancel safety
    /// Dropped before it finishes, nothing happened.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let (reply, mut answer) = towpath::bounded(REPLY_CAPACITY);
        self.questions.send(reply).await.ok()?;
        answer.recv().await
    }

    fn report(&self, report: Report) {
        if self.reports.try_send(report).is_err() {
            // Relaxed: a count, read for display.
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = self.shared.lost.load(Ordering::Relaxed);
        f.debug_struct("Errors").field("lost", &lost).finish_non_exhaustive()
    }
}

/// The error channel of one process. Telling never waits.
#[derive(Clone, Debug)]
pub struct Source {
    process: Name,
    handled: Arc<AtomicU64>,
    errors: Errors,
}

impl Source {
    /// The process whose channel it is.
    pub fn process(&self) -> &Name {
        &self.process
    }

    /// Tells of an error, about which nothing more is done.
    pub fn tell(&self, error: &(impl Classify + ?Sized)) {
        self.report(Report::told(Fault::of(&self.process, error)));
    }

    /// Tells of a failure and what was done about it.
    pub fn report(&self, report: Report) {
        self.errors.report(report);
    }

    /// Counts something that went well. One atomic addition.
    pub fn handled(&self) {
        // Relaxed: a count.
        self.handled.fetch_add(1, Ordering::Relaxed);
    }
}

struct Aggregator {
    tally: Tally,
    reports: Receiver<Report>,
    questions: Receiver<Sender<Snapshot>>,
    alerts: Sender<Alert>,
    shared: Arc<Shared>,
}

/// Everything the aggregator reacts to.
enum Event {
    Report(Report),
    Question(Sender<Snapshot>),
    Look,
    Closed,
}

impl Aggregator {
    async fn run(mut self) {
        let mut ticks = towpath::tick(self.tally.look_every().unwrap_or(LOOK_EVERY));
        loop {
            // Fair, so that a flood of failures starves neither questions nor time.
            let event = select! {
                report = self.reports.recv() => report.map_or(Event::Closed, Event::Report),
                reply = self.questions.recv() => reply.map_or(Event::Closed, Event::Question),
                _ = ticks.recv() => Event::Look,
            };
            match event {
                Event::Report(report) => self.take(report),
                Event::Question(reply) => {
                    self.take_what_waits();
                    self.look();
                    let mut snapshot = self.tally.snapshot(rt::now());
                    snapshot.lost = self.shared.lost.load(Ordering::Relaxed);
                    // Who does not wait any more does not want to know.
                    drop(reply.try_send(snapshot));
                }
                Event::Look => self.look(),
                Event::Closed => {
                    self.take_what_waits();
                    return;
                }
            }
        }
    }

    /// What was told before this; not what comes meanwhile, for ever.
    fn take_what_waits(&mut self) {
        for _ in 0..REPORT_CAPACITY {
            match self.reports.try_recv() {
                Ok(report) => self.take(report),
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, report: Report) {
        // First, so that a share is one of all that was attempted.
        self.take_over_handled();
        let alerts = self.tally.fault(report, rt::now(), rt::random());
        self.raise(alerts);
    }

    fn look(&mut self) {
        self.take_over_handled();
        let alerts = self.tally.look(rt::now());
        self.raise(alerts);
    }

    fn take_over_handled(&mut self) {
        let now = rt::now();
        let all = self.shared.handled.lock().unwrap_or_else(PoisonError::into_inner);
        for (process, handled) in all.iter() {
            // Relaxed: a count; what comes later is seen the next time.
            let count = handled.swap(0, Ordering::Relaxed);
            if count > 0 {
                self.tally.handled(process, count, now);
            }
        }
    }

    fn raise(&mut self, alerts: Vec<Alert>) {
        for alert in alerts {
            if self.alerts.try_send(alert).is_err() {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
