//! What the models in `tests/loom` reach of this home that no user does. It exists in models only.

use std::pin::Pin;

use super::slot::{Emptied, Slot, Turn};
use crate::process::{Name, Process};

/// A `Slot` with the process whose job is in it.
#[derive(Debug)]
pub struct JobSlot<J> {
    slot: Slot<J>,
    process: Process,
}

/// What has become of the job in one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// This call has dropped it: it was done, or doomed, or nobody had it in hand.
    Dropped,
    /// It goes on, or somebody else has it in hand and sees to it.
    Elsewhere,
    /// It was gone before, or somebody else had it in hand.
    Missed,
}

impl<J> JobSlot<J> {
    /// A job that nobody has in hand.
    pub fn new(job: J) -> Self {
        Self { slot: Slot::new(job), process: Process::new(Name::from("model")) }
    }

    /// Gives it a turn; `turn` says whether it is done.
    pub fn turn(self: Pin<&Self>, turn: impl FnOnce(Pin<&mut J>) -> bool) -> Fate {
        // SAFETY: the slot is a field that nobody moves out.
        let slot = unsafe { self.map_unchecked(|this| &this.slot) };
        match slot.turn(&self.process, |job| turn(job).then_some(())) {
            Turn::Missed => Fate::Missed,
            Turn::Pending => Fate::Elsewhere,
            Turn::Done((), _) | Turn::Doomed(_) => Fate::Dropped,
        }
    }

    /// Drops it now, or at the end of the turn it is having.
    pub fn empty(&self) -> Fate {
        match self.slot.empty(&self.process) {
            Emptied::Now(_) => Fate::Dropped,
            Emptied::Before => Fate::Missed,
            Emptied::Elsewhere | Emptied::Here => Fate::Elsewhere,
        }
    }

    /// Whether somebody has it in hand.
    pub fn is_running(&self) -> bool {
        self.slot.is_running()
    }
}
