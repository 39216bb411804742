//! What a connection is doing and for how long: a value that its socket, its requests and its watcher share.
//!
//! What always holds:
//! - Time is the watcher's count of ticks, so that reads and writes need no clock.
//! - A request is counted in from its head to the last byte that its answer gave away, whether it was answered or dropped.
//!
//! Why atomics: the streams of an HTTP/2 connection are tasks of their own. Nothing else is ordered by them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
};

/// The state of one connection.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Ticks since the connection began.
    now: AtomicU32,
    /// When the phase below began.
    since: AtomicU32,
    /// When a byte was last written, or an answer asked for more to write.
    moved: AtomicU32,
    /// Bytes of a head have come whose request has not begun.
    head: AtomicBool,
    /// Something that was answered may not have left the buffers.
    unsent: AtomicBool,
    /// Requests between their head and the end of their answer.
    requests: AtomicU32,
    /// Of them, those whose answer is on its way to the client.
    answering: AtomicU32,
    /// Of those, the ones that wait for somebody else than the client.
    waiting: AtomicU32,
    /// It is being closed, and what still comes is thrown away.
    lingering: AtomicBool,
    /// The rest of a body was refused.
    refused: AtomicBool,
    answered: AtomicU32,
    given_up: AtomicU32,
}

/// How a connection is, at a tick.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Within its limits.
    Fine,
    /// Nothing is under way and nothing is in its buffers.
    Idle,
    /// A head is longer under way than it may be.
    HeadLate,
    /// The client takes nothing of what is ready for it.
    Stuck,
    /// The client gives up more streams than it waits for.
    Resets,
}

/// Limits in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks {
    pub(super) header: u32,
    pub(super) write: u32,
    pub(super) resets: u32,
}

impl Pulse {
    /// A tick has passed: how is it?
    pub(super) fn tick(&self, limits: &Ticks) -> Verdict {
        let now = self.now.fetch_add(1, Relaxed).wrapping_add(1);
        let lasted = |since: &AtomicU32| now.wrapping_sub(since.load(Relaxed));
        let allowed = self.answered.load(Relaxed).saturating_add(limits.resets);
        if self.given_up.load(Relaxed) > allowed {
            return Verdict::Resets;
        }
        let (requests, unsent) = (self.requests.load(Relaxed), self.unsent.load(Relaxed));
        if self.lingering.load(Relaxed) && lasted(&self.moved) > 2 {
            return Verdict::Stuck;
        }
        let to_send = self.answering.load(Relaxed) > self.waiting.load(Relaxed);
        if (to_send || unsent) && lasted(&self.moved) > limits.write {
            return Verdict::Stuck;
        }
        match (self.head.load(Relaxed), requests) {
            (true, 0) if lasted(&self.since) > limits.header => Verdict::HeadLate,
            // A tick of peace before its buffers are given back.
            (false, 0) if !unsent && lasted(&self.since) > 1 => Verdict::Idle,
            _ => Verdict::Fine,
        }
    }

    /// Whether a client gave up too much; for HTTP/2, at every stream.
    pub(super) fn resets_too_much(&self, limits: &Ticks) -> bool {
        self.given_up.load(Relaxed) > self.answered.load(Relaxed).saturating_add(limits.resets)
    }

    /// Bytes have come.
    pub(super) fn was_read(&self) {
        if self.requests.load(Relaxed) == 0 && !self.head.load(Relaxed) {
            self.head.store(true, Relaxed);
            self.since.store(self.now.load(Relaxed), Relaxed);
        }
    }

    /// Bytes have gone.
    pub(super) fn was_written(&self) {
        self.moved.store(self.now.load(Relaxed), Relaxed);
    }

    /// All that was written has gone.
    pub(super) fn was_flushed(&self) {
        self.unsent.store(false, Relaxed);
    }

    /// A body was refused whose rest the client may still be sending.
    pub(super) fn was_refused(&self) {
        self.refused.store(true, Relaxed);
    }

    /// It is being closed. Whether there may be input that nobody has read: closing a socket then would make the kernel reset the
    /// connection, and the client might lose the answer that says why.
    pub(super) fn lingers(&self) -> bool {
        let lingers = self.head.load(Relaxed) || self.refused.load(Relaxed);
        if lingers && !self.lingering.swap(true, Relaxed) {
            self.was_written();
        }
        lingers
    }

    /// Requests under way.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Relaxed)
    }

    /// A head is complete. The request lasts until the guard is dropped.
    pub(super) fn request(self: &Arc<Self>) -> Request {
        self.head.store(false, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        Request { pulse: self.clone(), stage: Stage::Working }
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Request {
    pulse: Arc<Pulse>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Working,
    Answering,
    Waiting,
    Answered,
}

impl Request {
    /// The head of its answer is made.
    pub(super) fn answering(&mut self) {
        self.enter(Stage::Answering);
    }

    /// The answer has to wait for somebody else than the client.
    pub(super) fn waiting(&mut self) {
        self.enter(Stage::Waiting);
    }

    /// The answer has nothing more to give.
    pub(super) fn answered(&mut self) {
        self.enter(Stage::Answered);
    }

    fn enter(&mut self, next: Stage) {
        self.pulse.was_written();
        if self.stage == next {
            return;
        }
        let counts = |stage| {
            (
                u32::from(matches!(stage, Stage::Answering | Stage::Waiting)),
                u32::from(stage == Stage::Waiting),
            )
        };
        let ((answering_was, waiting_was), (answering, waiting)) =
            (counts(self.stage), counts(next));
        // Two's complement: adding the difference may take away.
        self.pulse.answering.fetch_add(answering.wrapping_sub(answering_was), Relaxed);
        self.pulse.waiting.fetch_add(waiting.wrapping_sub(waiting_was), Relaxed);
        self.stage = next;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let left =
            if self.stage == Stage::Answered { &self.pulse.answered } else { &self.pulse.given_up };
        left.fetch_add(1, Relaxed);
        self.enter(Stage::Answered);
        self.pulse.unsent.store(true, Relaxed);
        self.pulse.since.store(self.pulse.now.load(Relaxed), Relaxed);
        self.pulse.requests.fetch_sub(1, Relaxed);
    }
}
