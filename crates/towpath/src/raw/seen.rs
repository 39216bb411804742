//! What an observer sees of a channel: how full it is, how many ends it has, and who stands in its lines.

use std::{panic::Location, ptr};

use super::{
    chan::{Chan, Queue},
    gate::Side,
    list::List,
    ring::Ring,
};
#[cfg(not(towpath_loom))]
use crate::observe;
use crate::{
    observe::Shown,
    probe::ResourceId,
    sync::{Arc, Ordering},
};

/// An operation that stands in a line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Parked {
    /// Where the program began it.
    pub(crate) at: &'static Location<'static>,
    /// The process that waits, as `process::number` gives it; 0 for none.
    pub(crate) process: u32,
    /// The first look that could have seen it.
    pub(crate) since: u32,
    /// Whose wait it is: the arms of one select have the same.
    pub(crate) waiter: usize,
    /// How many arms that wait has.
    pub(crate) arms: u32,
    /// Where it stands: no later wait has the same place and number.
    pub(crate) place: (usize, u32),
    /// A thread waits, which can do nothing else meanwhile.
    pub(crate) thread: bool,
}

/// How full a channel is, and how many ends it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Filling {
    pub(crate) capacity: Option<usize>,
    pub(crate) queued: usize,
    pub(crate) senders: usize,
    pub(crate) receivers: usize,
    /// Positions in the queue: while they are the same nothing went in or out. Of a queue without positions zeros, and
    /// there nobody waits for what is there.
    pub(crate) positions: (u64, u64),
    /// Messages that went in, and messages that came out, since the channel was made. The second is never greater.
    pub(crate) totals: (u64, u64),
}

/// A channel, whatever its messages.
pub(crate) trait Visible: Send + Sync {
    fn filling(&self) -> Filling;

    /// Adds those who wait. Takes the lock of the lines for as long as that lasts.
    fn look(&self, seen: &mut Vec<(Side, Parked)>);
}

impl<T: Send> Visible for Chan<T> {
    fn filling(&self) -> Filling {
        self.filling()
    }

    fn look(&self, seen: &mut Vec<(Side, Parked)>) {
        // Room for them is made outside the lock, as far as can be told.
        seen.reserve(self.parked() + 1);
        self.look(seen);
    }
}

/// The channel as a thing to be seen.
#[cfg(not(towpath_loom))]
pub(super) fn visible<T: Send + 'static>(channel: &Arc<Chan<T>>) -> Shown {
    channel.clone()
}

/// The last end of a channel has gone, so its name is forgotten. The registry alone holds channels weakly, those with a
/// name.
#[cfg(not(towpath_loom))]
#[inline]
pub(super) fn forget<T>(channel: &Arc<Chan<T>>) {
    if Arc::weak_count(channel) > 0 {
        observe::forget_channel(channel.id(), channel.filling().totals);
    }
}

#[cfg(towpath_loom)]
pub(super) fn forget<T>(_: &Arc<Chan<T>>) {}

/// Loom's `Arc` has no weak form, so in models a channel shows nothing.
#[cfg(towpath_loom)]
pub(super) fn visible<T>(_: &Arc<Chan<T>>) -> Shown {
    struct Unseen;
    impl Visible for Unseen {
        fn filling(&self) -> Filling {
            Filling {
                capacity: None,
                queued: 0,
                senders: 0,
                receivers: 0,
                positions: (0, 0),
                totals: (0, 0),
            }
        }

        fn look(&self, _: &mut Vec<(Side, Parked)>) {}
    }
    std::sync::Arc::new(Unseen)
}

impl<T> Chan<T> {
    /// Names it for observers.
    pub(crate) fn id(&self) -> ResourceId {
        ResourceId(ptr::from_ref(self).addr() as u64)
    }

    pub(super) fn filling(&self) -> Filling {
        // The totals are of the moment of the positions, so that nothing is missing in one that is in the other.
        let (positions, totals) = match &self.queue {
            Queue::Meet(meet) => ((0, 0), meet.totals()),
            Queue::Ring(ring) => {
                let positions = ring.positions();
                (positions, Ring::<T>::totals(positions))
            }
            Queue::List(list) => {
                let positions = list.positions();
                (positions, List::<T>::totals(positions))
            }
        };
        Filling {
            capacity: self.capacity(),
            queued: self.len(),
            senders: self.senders.load(Ordering::SeqCst),
            receivers: self.receivers.load(Ordering::SeqCst),
            positions,
            totals,
        }
    }

    /// Shows an observer who waits.
    pub(super) fn look(&self, seen: &mut Vec<(Side, Parked)>) {
        match &self.queue {
            Queue::Meet(meet) => meet.look(seen),
            Queue::Ring(ring) => ring.gate.look(seen),
            Queue::List(list) => list.gate.look(seen),
        }
    }

    /// How many wait.
    pub(super) fn parked(&self) -> usize {
        match &self.queue {
            Queue::Meet(meet) => meet.parked(),
            Queue::Ring(ring) => ring.gate.parked(),
            Queue::List(list) => list.gate.parked(),
        }
    }
}
