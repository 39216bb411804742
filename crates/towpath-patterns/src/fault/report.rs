//! What is told about a failure.

use std::time::SystemTime;

use towpath::{Headers, process::Name};

use super::{Class, Classify, class, dead::LetterId};

/// Something went wrong once: who, what, where, when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The process in which it did.
    pub process: Name,
    /// Its class.
    pub class: Class,
    /// What it has in common with others ([`Classify::cause_key`]).
    pub cause: String,
    /// Its text, with what is behind it; 512 bytes at most.
    pub message: String,
    /// Where, as `file:line:column`, if it was a panic.
    pub at: Option<String>,
    /// By the clock of the machine.
    pub when: SystemTime,
}

impl Fault {
    /// That this error happened in this process, now.
    pub fn of(process: impl Into<Name>, error: &(impl Classify + ?Sized)) -> Self {
        let mut cause = error.cause_key();
        class::shorten(&mut cause, class::CAUSE_BYTES_MAX);
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            message.push_str(": ");
            message.push_str(&error.to_string());
            source = error.source();
        }
        class::shorten(&mut message, class::MESSAGE_BYTES_MAX);
        let (process, class) = (process.into(), error.class());
        Self { process, class, cause, message, at: None, when: towpath::rt::wall() }
    }

    pub(crate) fn timed_out(process: Name) -> Self {
        let cause = "the attempt took too long".to_owned();
        let (class, message, when) = (Class::Timeout, cause.clone(), towpath::rt::wall());
        Self { process, class, cause, message, at: None, when }
    }

    pub(crate) fn panicked(process: Name, message: &str, at: Option<&str>) -> Self {
        let mut message = message.to_owned();
        class::shorten(&mut message, class::MESSAGE_BYTES_MAX);
        let cause = super::cause_of(&message);
        let (class, at, when) = (Class::Panic, at.map(str::to_owned), towpath::rt::wall());
        Self { process, class, cause, message, at, when }
    }
}

/// What was done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is tried again.
    Retry,
    /// The process has been started again, and the message is tried again.
    Restart,
    /// The message is a dead letter now.
    DeadLetter(LetterId),
    /// The message was given up.
    GivenUp,
    /// The process stops.
    Stopped,
    /// Nobody has decided: it was only told.
    Told,
}

/// A failure on its way to the aggregator.
#[derive(Clone, Debug)]
pub struct Report {
    /// What went wrong.
    pub fault: Fault,
    /// What was done about it.
    pub verdict: Verdict,
    /// Which attempt at the message it was, from 1 on; 0 if it was no attempt at one.
    pub attempt: u32,
    /// The headers under which it happened: the trace context.
    pub headers: Headers,
    /// The policy wants somebody to be told at once.
    pub alert: bool,
}

impl Report {
    /// Of a failure about which nothing was decided.
    pub fn told(fault: Fault) -> Self {
        let (verdict, headers) = (Verdict::Told, Headers::none());
        Self { fault, verdict, attempt: 0, headers, alert: false }
    }
}
