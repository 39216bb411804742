//! Where callers and workers meet: who is in hand, who waits, what is counted. One lock, under which nothing is awaited, woken,
//! called or dropped.
//!
//! What always holds:
//! - Calls in hand (on the way to a worker, or with one) are never more than the limit was when the last of them was let in, so never
//!   more than workers. So there is room for each in the channel to the workers.
//! - Somebody waits in the line only while as many are in hand as the limit allows; whoever ends one in hand lets the next in.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use towpath::{Canceller, Ctx, Sender, rt};

use super::{
    Options, Refused, Snapshot,
    call::Call,
    line::{Line, Place},
    snapshot::Counts,
};

/// What goes to the workers.
pub(super) enum Hand<Req, Resp> {
    Work(Job<Req, Resp>),
    /// There will be nothing more; one for each worker.
    Go,
}

/// A call, and since when it is here.
pub(super) struct Job<Req, Resp> {
    pub(super) call: Call<Req, Resp>,
    pub(super) arrived: Instant,
}

/// How a call was let in.
pub(super) enum Admitted {
    InHand,
    Waits(Place),
}

pub(super) struct Desk<Req, Resp> {
    state: Mutex<State<Req, Resp>>,
    hand: Sender<Hand<Req, Resp>>,
    /// Ends what is in hand, when there is no more time.
    cut: Canceller,
    /// Ends when the last worker has.
    over: Canceller,
    pub(super) counts: Counts,
    pub(super) timeout: Option<Duration>,
}

struct State<Req, Resp> {
    line: Line<Job<Req, Resp>>,
    in_hand: usize,
    limit: usize,
    /// Whether calls are taken.
    open: bool,
    /// Whether the workers have been told to go.
    told: bool,
    workers: usize,
    /// What a call takes in hand: a mean over about the last hundred.
    work: Option<Duration>,
}

impl<Req, Resp> Desk<Req, Resp> {
    pub(super) fn new(options: &Options, hand: Sender<Hand<Req, Resp>>) -> Self {
        let state = State {
            line: Line::new(options.queue),
            in_hand: 0,
            limit: options.workers,
            open: true,
            told: false,
            workers: options.workers,
            work: None,
        };
        Self {
            state: Mutex::new(state),
            hand,
            cut: Ctx::root().with_cancel().1,
            over: Ctx::root().with_cancel().1,
            counts: Counts::default(),
            timeout: options.timeout,
        }
    }

    /// Ends when there is no more time for what is in hand.
    pub(super) fn cut(&self) -> &Ctx {
        self.cut.ctx()
    }

    /// Ends when the last worker has.
    pub(super) fn over(&self) -> &Ctx {
        self.over.ctx()
    }

    /// Lets a call in, or refuses it.
    pub(super) fn admit(&self, call: Call<Req, Resp>) -> Result<Admitted, Refused> {
        let job = Job { call, arrived: rt::now() };
        let mut state = self.lock();
        if !state.open {
            drop(state);
            return Err(Refused::Stopped);
        }
        if state.in_hand < state.limit {
            state.in_hand += 1;
            drop(state);
            self.send(Hand::Work(job));
            return Ok(Admitted::InHand);
        }
        match state.line.push(job) {
            Ok(place) => Ok(Admitted::Waits(place)),
            Err(job) => {
                let retry_after = state.backlog();
                drop(state);
                drop(job);
                Err(Refused::Overloaded { retry_after })
            }
        }
    }

    /// A worker has done with one, which took so long; the next for it, if there is one.
    pub(super) fn finished(&self, took: Duration) -> Option<Job<Req, Resp>> {
        let mut state = self.lock();
        state.in_hand -= 1;
        state.worked(took);
        let mine = state.next();
        let go = state.told_now();
        drop(state);
        self.tell(go);
        mine
    }

    /// A caller gives up its place. True: it still waited.
    pub(super) fn leave(&self, place: Place) -> bool {
        let job = self.lock().line.leave(place);
        job.is_some()
    }

    /// Takes no more calls. What is here is still done.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.open = false;
        let go = state.told_now();
        drop(state);
        self.tell(go);
    }

    /// Stops, and cuts off what is here.
    pub(super) fn cut_off(&self) {
        let mut state = self.lock();
        state.open = false;
        let waiting = state.line.take_all();
        let go = state.told_now();
        drop(state);
        for job in waiting {
            job.call.refuse(Refused::Stopped);
        }
        self.cut.cancel("the gateway has no more time to stop");
        self.tell(go);
    }

    /// A worker has ended.
    pub(super) fn gone(&self) {
        let mut state = self.lock();
        state.workers -= 1;
        let last = state.workers == 0;
        drop(state);
        if last {
            self.cut_off();
            self.over.cancel("the last worker has ended");
        }
    }

    /// Whether it was cut off: a call without an answer has not died by itself.
    pub(super) fn is_cut(&self) -> bool {
        self.cut.ctx().is_done()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.counts.snapshot();
        let state = self.lock();
        snapshot.waiting = state.line.len();
        snapshot.in_hand = state.in_hand;
        snapshot.limit = state.limit;
        snapshot
    }

    /// There is room for as many as can be in hand, and for as many words to go as there are workers. When the workers are gone it is
    /// dropped, which its caller sees.
    fn send(&self, hand: Hand<Req, Resp>) {
        drop(self.hand.try_send(hand));
    }

    fn tell(&self, workers: usize) {
        for _ in 0..workers {
            self.send(Hand::Go);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<Req, Resp>> {
        // Nothing panics under it but what would be our own mistake.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Req, Resp> State<Req, Resp> {
    /// The next one for a worker that has just ended one.
    fn next(&mut self) -> Option<Job<Req, Resp>> {
        if self.in_hand >= self.limit {
            return None;
        }
        let job = self.line.pop()?;
        self.in_hand += 1;
        Some(job)
    }

    /// So many workers are to be told, now, that there is nothing more.
    fn told_now(&mut self) -> usize {
        if self.open || self.told || !self.line.is_empty() {
            return 0;
        }
        self.told = true;
        self.workers
    }

    fn worked(&mut self, took: Duration) {
        const WEIGHT: u32 = 100;
        self.work = Some(match self.work {
            None => took,
            Some(mean) => (mean * (WEIGHT - 1) + took) / WEIGHT,
        });
    }

    /// In which time what is here will have been done.
    fn backlog(&self) -> Duration {
        /// Before the first call has ended.
        const UNKNOWN: Duration = Duration::from_secs(1);
        let here = self.line.len() + self.in_hand;
        self.work.map_or(UNKNOWN, |work| work.mul_f64(here as f64 / self.limit as f64))
    }
}
