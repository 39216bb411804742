//! A call, as the process receives it that does the work, and the ways to answer.
//!
//! What always holds:
//! - Every call is answered once: by a method, or by being dropped, which says that whoever had it in hand died.
//! - All calls of one step have the same [`key`](Call::key), in every attempt and after every restart; its compensation has
//!   another, which is as stable.
//!
//! # What a process promises that receives calls
//! 1. A call with a key that it has done answers what it answered then, and does nothing.
//! 2. A compensation of a step that it has not done succeeds, and from then on the step's key
//!    ([`step_key`](Call::step_key)) is refused: the call may still be on its way.
//!
//! [`Keys`](super::Keys) keeps these books for a process that has no database of its own. When the effect is a record of the
//! saga's own journal ([`Call::done_with`]) neither is needed.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use towpath::{Ctx, Headers, Sender};
use towpath_journal::Entry;

use super::decide::{ToCall, Verdict};
use super::record::How;

/// A record that becomes durable together with the news that a step is done: both, or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// What the payload is: the caller's to number, but not from 0x7300 to 0x73ff, which are the sagas' own.
    pub kind: u16,
    /// Whom it is about; may be empty.
    pub key: Vec<u8>,
    /// The content.
    pub payload: Vec<u8>,
}

impl Effect {
    pub(super) fn entry(&self) -> Entry<'_> {
        Entry { kind: self.kind, key: &self.key, payload: &self.payload }
    }
}

/// Which saga of a coordinator, and not one that had its place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) slot: u32,
    pub(super) life: u32,
    pub(super) of: ToCall,
}

/// An answer on its way back.
pub(super) struct Answer {
    pub(super) ticket: Ticket,
    pub(super) verdict: Verdict,
    pub(super) effects: Vec<Effect>,
}

/// What answers go through: at most one for each call of an unfinished saga.
pub(super) type Answers = Sender<super::run::Notice>;

/// One step of one saga, to be done or taken back now.
///
/// Dropped without an answer, it counts as the death of whoever had it in hand: it is called again, and after a few such
/// deaths the saga is put into quarantine.
#[must_use = "dropped, it counts as the death of this process"]
pub struct Call {
    pub(super) saga: Arc<str>,
    pub(super) step: Arc<str>,
    pub(super) action: Arc<str>,
    pub(super) ticket: Ticket,
    pub(super) input: Arc<[u8]>,
    pub(super) outputs: Arc<Vec<Arc<[u8]>>>,
    pub(super) names: Arc<[Arc<str>]>,
    pub(super) headers: Headers,
    pub(super) deadline: Instant,
    /// Taken by the answer.
    pub(super) answers: Option<Answers>,
}

impl Call {
    /// The saga's id.
    pub fn saga(&self) -> &str {
        &self.saga
    }

    /// What is to be done: the name of the step's action, or of its compensation.
    pub fn action(&self) -> &str {
        &self.action
    }

    /// The step it is about.
    pub fn step(&self) -> &str {
        &self.step
    }

    /// Whether the step is to be taken back.
    pub fn is_undo(&self) -> bool {
        self.ticket.of.undo
    }

    /// Which call of this step this is: 1 for the first. For information: what is done must not depend on it.
    pub fn attempt(&self) -> u32 {
        self.ticket.of.attempt
    }

    /// The idempotency key: saga and step, and `undo` for a compensation. The same in every attempt.
    pub fn key(&self) -> String {
        let mut key = self.step_key();
        if self.is_undo() {
            key.push_str("/undo");
        }
        key
    }

    /// The key of the step itself, which for a compensation is the key of what it takes back.
    pub fn step_key(&self) -> String {
        let mut key = String::with_capacity(self.saga.len() + 1 + self.step.len());
        escape(&mut key, &self.saga);
        key.push('/');
        escape(&mut key, &self.step);
        key
    }

    /// What the saga was started with.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// What an earlier step answered; for a compensation also the step itself. `None` if it has not, because it waits in
    /// doubt, or there is no such step.
    pub fn output_of(&self, step: &str) -> Option<&[u8]> {
        let at = self.names.iter().position(|name| &**name == step)?;
        self.outputs.get(at).map(|output| &**output)
    }

    /// What the saga carries: the trace it was started under.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// When the coordinator stops waiting for the answer.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A child of `ctx` with this call's headers and deadline: for the work it takes, and what is sent on the way.
    pub fn under(&self, ctx: &Ctx) -> Ctx {
        ctx.with_headers(self.headers.clone()).with_deadline(self.deadline)
    }

    /// It is done. The output is kept in the journal, for later steps and compensations.
    pub fn done(self, output: impl Into<Arc<[u8]>>) {
        self.done_with(output, Vec::new());
    }

    /// It is done, and its effect is these records: they are appended with the news that the step is done. An answer
    /// that comes twice, or late, or is lost in a crash, leaves either one copy of them in the journal or none: exactly-once
    /// effects, for effects that are records of this journal.
    ///
    /// Effects with a kind of the sagas' own are not written; the call then counts as refused.
    pub fn done_with(mut self, output: impl Into<Arc<[u8]>>, effects: Vec<Effect>) {
        self.send(Verdict::Done(output.into()), effects);
    }

    /// Nothing was done, and another try is of no use: the saga turns back. A compensation that is refused makes the saga
    /// a dead letter.
    pub fn refuse(mut self, reason: impl Into<String>) {
        self.send(Verdict::Not(How::Refused, reason.into()), Vec::new());
    }

    /// Nothing was done, and another try may succeed.
    pub fn retry(mut self, reason: impl Into<String>) {
        self.send(Verdict::Not(How::Failed, reason.into()), Vec::new());
    }

    /// Nobody knows whether it was done: the connection broke, say. It is in doubt and called again, with the same key.
    pub fn lost(mut self, reason: impl Into<String>) {
        self.send(Verdict::Not(How::Lost, reason.into()), Vec::new());
    }

    fn send(&mut self, verdict: Verdict, effects: Vec<Effect>) {
        if let Some(answers) = self.answers.take() {
            let answer = Answer { ticket: self.ticket, verdict, effects };
            // A coordinator that is gone asks again when it is back.
            drop(answers.try_send(super::run::Notice::Answer(answer)));
        }
    }

    /// Gives it back to the coordinator as not delivered.
    pub(super) fn undelivered(mut self) {
        let reason = format!("nobody receives `{}` any more", self.action);
        self.send(Verdict::Not(How::Unreachable, reason), Vec::new());
    }

    /// Says nothing when dropped: the coordinator is going and knows.
    pub(super) fn forget(mut self) {
        self.answers = None;
    }
}

/// Appends a text in which a slash is written as in a URL, so that no two pairs of texts give one key.
fn escape(key: &mut String, text: &str) {
    for part in text.chars() {
        match part {
            '/' => key.push_str("%2F"),
            '%' => key.push_str("%25"),
            other => key.push(other),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let reason = format!("whoever had `{}` in hand died, or dropped it", self.action);
        if self.answers.is_some() {
            self.send(Verdict::Not(How::Died, reason), Vec::new());
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("saga", &self.saga)
            .field("action", &self.action)
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}
