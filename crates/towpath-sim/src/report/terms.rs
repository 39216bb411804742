//! What operations and things are called.

use towpath::{
    probe,
    rt::sim::{Object, Op},
};

use crate::engine::Thing;

pub(super) fn verb(op: Op) -> &'static str {
    match op {
        Op::Recv => "to receive from",
        Op::Send => "to send on",
        Op::Reserve => "to reserve a place in",
        Op::Acquire => "for its turn at",
        Op::Notified => "for a notice from",
        Op::All => "for everybody at",
        Op::Foreign => "for something of somebody else's",
        Op::Done => "for the end of a context",
        Op::Join => "for the value of a process",
        Op::JoinAll => "for all processes of its scope",
        Op::Sleep => "for a timer",
        Op::Select => "in a select for something else",
        _ => "for something",
    }
}

pub(super) fn deed(op: Op) -> &'static str {
    match op {
        Op::Send => "sends on",
        Op::Recv => "receives from",
        Op::Reserve => "reserves a place in",
        Op::TrySend => "tries to send on",
        Op::TryRecv => "tries to receive from",
        Op::TryReserve => "tries to reserve a place in",
        Op::DropSender => "drops the last sender of",
        Op::DropReceiver => "drops the last receiver of",
        Op::Unreserve => "gives back a place in",
        Op::Select => "selects",
        Op::Acquire => "takes",
        Op::Release => "gives back",
        Op::Notified => "begins to listen to",
        Op::Notify => "notifies",
        Op::All => "joins the others at",
        Op::Cancel => "cancels",
        Op::Done => "looks at",
        Op::Spawn => "has started somebody",
        Op::Join => "joins",
        Op::JoinAll => "joins everybody",
        Op::Sleep => "sleeps",
        Op::Park => "parks",
        Op::Yield => "lets others go first",
        _ => "does something with",
    }
}

/// The same for the channel that carries the value of a task.
pub(super) fn deed_with_value(op: Op) -> &'static str {
    match op {
        Op::Recv | Op::TryRecv => "looks for the value of",
        Op::DropReceiver => "lets go of",
        Op::DropSender => "is over:",
        _ => "gives the value of",
    }
}

pub(super) fn is_task(thing: &Thing) -> bool {
    thing.what == Some(Object::Result)
}

pub(super) fn nobody(op: Op) -> Option<&'static str> {
    match op {
        Op::Recv => Some("nobody: no process has ever sent there"),
        Op::Send | Op::Reserve => Some("nobody: no process has ever received there"),
        Op::Notified => Some("nobody: no process has ever notified it"),
        _ => None,
    }
}

pub(super) fn kind_of(thing: &Thing) -> Option<&'static str> {
    if let Some(kind) = thing.kind {
        return Some(match kind {
            probe::Thing::Mutex => "mutex",
            probe::Thing::RwLock => "read-write lock",
            probe::Thing::Semaphore => "semaphore",
            probe::Thing::Notify => "notification",
            probe::Thing::Barrier => "barrier",
            probe::Thing::WaitGroup => "wait group",
            _ => "channel",
        });
    }
    match thing.what? {
        Object::Channel(Some(0)) => Some("rendezvous"),
        Object::Channel(_) => Some("channel"),
        Object::Lock => Some("lock"),
        Object::Context => Some("context"),
        Object::Result => Some("task"),
        _ => None,
    }
}

/// What a thing is of which nothing is known but what was done to it.
pub(super) fn nameless(op: Op) -> &'static str {
    match op {
        Op::Acquire | Op::Release => "a lock",
        Op::Notified | Op::Notify => "a notification",
        Op::All => "a barrier",
        Op::Done | Op::Cancel => "a context",
        _ => "",
    }
}

pub(super) fn size(thing: &Thing) -> Option<String> {
    match thing.what? {
        Object::Channel(Some(0)) => Some("rendezvous".to_owned()),
        Object::Channel(Some(1)) => Some("1 place".to_owned()),
        Object::Channel(Some(places)) => Some(format!("{places} places")),
        Object::Channel(None) => Some("unbounded".to_owned()),
        _ => None,
    }
}
