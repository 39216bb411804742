//! What can go wrong in a schedule.

use std::{collections::BTreeSet, panic::Location};

use super::{
    law::Broken,
    tasks::{State, Tasks},
};

/// The first thing that went wrong.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    /// Who ran then.
    pub(crate) task: u32,
    pub(crate) step: u64,
    /// Who had not ended, and what they did last.
    pub(crate) left: Vec<(u32, Option<&'static Location<'static>>)>,
}

/// What went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Nobody can go on, and the main process has not ended.
    Deadlock,
    /// The main process has ended, and others never will.
    Leak,
    /// This one waits although it could go on.
    LostWakeup(u32),
    /// It goes on and on.
    NoEnd,
    Panic {
        message: String,
        at: Option<String>,
    },
    Law(Broken),
    /// A thread of the system that the simulator does not know has woken somebody.
    Outside,
}

impl Failure {
    pub(super) fn new(fault: Fault, task: u32, step: u64, tasks: &Tasks) -> Self {
        let left = tasks.iter().filter(|(_, it)| it.state != State::Done);
        Self { fault, task, step, left: left.map(|(number, it)| (number, it.doing)).collect() }
    }

    fn places(&self) -> BTreeSet<(&str, u32, u32)> {
        let places = self.left.iter().filter_map(|(_, at)| *at);
        places.map(|at| (at.file(), at.line(), at.column())).collect()
    }

    /// Whether it is the same thing that went wrong, at the same place, though perhaps on another way.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        use Fault::*;
        match (&self.fault, &other.fault) {
            (Panic { message: a, at: at_a }, Panic { message: b, at: at_b }) => {
                at_a == at_b && (at_a.is_some() || a == b)
            }
            (Law(a), Law(b)) => a.name == b.name,
            (Deadlock, Deadlock) | (Leak, Leak) => self.places() == other.places(),
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}
