//! What the hooks of the simulator's seam say: which operation, on what, who is born.

#![cfg_attr(
    not(feature = "sim"),
    expect(dead_code, unreachable_pub, reason = "without the simulator nobody reads them")
)]

use std::panic::Location;

use crate::probe::Arm;

/// What an operation is about to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
#[non_exhaustive]
pub enum Op {
    /// A send that may wait.
    Send,
    /// A receive that may wait.
    Recv,
    /// A reservation that may wait.
    Reserve,
    /// A send that does not wait, also on a permit.
    TrySend,
    /// A receive that does not wait.
    TryRecv,
    /// A reservation that does not wait.
    TryReserve,
    /// A sending end is dropped.
    DropSender,
    /// A receiving end is dropped.
    DropReceiver,
    /// A place that was reserved is given back.
    Unreserve,
    /// A select; what it touches is not said.
    Select,
    /// A lock or permits of a semaphore are taken, perhaps after a wait.
    Acquire,
    /// They are given back.
    Release,
    /// A wait for a notice, or its beginning.
    Notified,
    /// Somebody is notified.
    Notify,
    /// A wait for the last of a wait group or barrier.
    All,
    /// A wait for something of somebody else's.
    Foreign,
    /// A context is ended.
    Cancel,
    /// A wait for a context's end, or a look at it.
    Done,
    /// Something was started.
    Spawn,
    /// A wait for the value of a process or task.
    Join,
    /// A wait for all processes of a scope.
    JoinAll,
    /// A wait for a moment.
    Sleep,
    /// A thread waits, or a task that blocks.
    Park,
    /// It said that others may go first.
    Yield,
}

impl Op {
    /// What a wait with this arm does, and the address of what it does it to; `None` if that is no object of ours.
    pub fn of(arm: Arm) -> Option<(Self, usize)> {
        let (op, id) = match arm {
            Arm::Send(id) => (Self::Send, id),
            Arm::Reserve(id) => (Self::Reserve, id),
            Arm::Recv(id) => (Self::Recv, id),
            Arm::Lock(id) | Arm::Acquire { semaphore: id, .. } => (Self::Acquire, id),
            Arm::Notified(id) => (Self::Notified, id),
            Arm::All(id) => (Self::All, id),
            Arm::Done(id) => (Self::Done, id),
            Arm::Timer { .. } | Arm::Outside | Arm::Foreign => return None,
        };
        Some((op, id.0 as usize))
    }
}

/// What can be waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Object {
    /// A channel with so many places, or as many as it takes.
    Channel(Option<usize>),
    /// A lock, semaphore or notification.
    Lock,
    /// A context.
    Context,
    /// What a task that was started will answer.
    Result,
}

/// Who is born.
#[derive(Clone, Copy, Debug)]
pub struct Born<'a> {
    /// The name it was given, if any.
    pub name: Option<&'a str>,
    /// Where it was started.
    pub at: &'static Location<'static>,
}
