//! What the analysis is given: processes, what they wait for, and who could end the waiting.
//!
//! What always holds:
//! - It is plain data, and every field can be filled by hand.
//! - What is left out counts in favour of life: an end without a holder is held by somebody unknown, a resource or a
//!   process that is named but not listed is unknown, a process that is parked without a wait waits for something unknown.
//!
//! Why ids and not positions: whoever takes a snapshot walks several registries, each with ids of its own; the
//! analysis turns them into positions once (`ids.rs`).

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

/// Everything that is known about who waits for whom, at one moment.
///
/// A snapshot of a running program is collected piece by piece. The verdict is still right if every listed wait began
/// before the collecting began and lasted until it had ended; a process whose wait is shorter belongs in the snapshot
/// as [`State::Running`]. The [module](super#a-snapshot-need-not-be-taken-at-one-instant) says why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Every process that is known, each once.
    pub processes: Vec<Process>,
    /// Every channel, lock and so on that is known, each once.
    pub resources: Vec<Resource>,
    /// Who waits for what. A process that waits in several places at once (joined futures) has several: any of them can
    /// bring it on.
    pub waits: Vec<Wait>,
}

/// Names a process. Never used twice within a program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProcessId(pub u64);

/// Names a resource. Within one snapshot each has its own; a later one may have that of a resource that has gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ResourceId(pub u64);

/// A task or a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Which one it is.
    pub id: ProcessId,
    /// What people call it.
    pub name: Arc<str>,
    /// What it does.
    pub state: State,
}

/// What a process does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// It runs, or it will by itself: it is in a run queue, or it has been woken although its wait is still listed.
    Running,
    /// It goes on only when one of its waits is over.
    Parked,
    /// It is over. What it held is in other hands or gone.
    Ended,
}

/// Something processes wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Which one it is.
    pub id: ResourceId,
    /// What people call it.
    pub name: Arc<str>,
    /// For how long its messages, room and ends have been as they are now. Zero when that is not known; then a wake-up
    /// that went missing here is not reported, see [`LostWakeup`](super::LostWakeup).
    pub unchanged: Duration,
    /// What it is, and who has to do with it.
    pub kind: Kind,
}

/// What a resource is, and who can end a wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A channel: [`Arm::Send`], [`Arm::Reserve`] and [`Arm::Recv`] wait for it.
    Channel(Channel),
    /// A mutex or a read-write lock: [`Arm::Lock`] waits until *all* holders have let go.
    Lock {
        /// Who holds it; none, and it is free. The readers of a read-write lock are listed each.
        holders: Ends,
    },
    /// A semaphore: [`Arm::Acquire`] waits until *any* holder gives back what it took.
    Semaphore {
        /// Permits that nobody holds.
        free: usize,
        /// Who holds permits, or could add some.
        holders: Ends,
    },
    /// A notification: [`Arm::Notified`] waits until *any* of those who can notify does.
    Notify {
        /// A notification is stored; the next to wait takes it.
        stored: bool,
        /// Who could notify. Nobody there means never.
        notifiers: Ends,
    },
    /// A wait group, a barrier or the end of a process: [`Arm::All`] waits until *all* members have arrived.
    Group {
        /// Who has not arrived yet; none, and the group is complete.
        members: Ends,
    },
    /// A context: [`Arm::Done`] waits until it ends.
    Context {
        /// It has ended.
        done: bool,
        /// Time left until its deadline. A deadline is a timer: who waits for it goes on.
        deadline: Option<Duration>,
        /// It ends when this one ends.
        parent: Option<ResourceId>,
        /// Who can cancel it. Nobody there means never.
        cancellers: Ends,
    },
}

/// The state of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Messages it can hold; 0 for a rendezvous, `None` for an unbounded channel.
    pub capacity: Option<usize>,
    /// Messages in it.
    pub queued: usize,
    /// Places that are kept by permits of `reserve` and hold no message yet. Whoever has a sending end may have one.
    pub kept: usize,
    /// Messages that were sent since the channel was made; `None` when that is not known. Of a bounded channel modulo 2^48.
    pub sent: Option<u64>,
    /// Messages that were received, or put into the hands of a receiver that waited; `None` when that is not known. With
    /// `queued`, what was sent; but read a moment apart while the channel is in use.
    pub received: Option<u64>,
    /// The sending ends; none, and receivers are told that the channel is closed.
    pub senders: Ends,
    /// The receiving ends; none, and senders are told that the channel is closed.
    pub receivers: Ends,
}

/// All ends of one side of a resource, and who is known to hold them.
///
/// `total` counts the ends that exist. Those that neither a holder nor the outside accounts for are held by somebody
/// unknown: a process that was never seen, or a message under way in another channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Ends that exist. 0: this side is gone.
    pub total: usize,
    /// Who holds them, as far as known. If one end may be with either of two processes, both are listed.
    pub holders: Vec<Holder>,
    /// Ends that the world outside holds, by declaration: a listening socket, a signal handler, a test. Something may
    /// come from there at any time, however long nothing came.
    pub outside: usize,
}

/// A process that holds an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub process: ProcessId,
    /// How many of the ends.
    pub ends: usize,
    /// How this is known.
    pub known: Known,
}

/// How it is known who holds an end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Known {
    /// The process used the end before. It may have given it to another since.
    Observed,
    /// The end cannot leave the process: it is a port of a network, lent with `&mut`, or a guard that lives on its
    /// stack.
    Declared,
}

/// A process waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Who waits.
    pub process: ProcessId,
    /// For how long now.
    pub age: Duration,
    /// Where in the program, if known.
    pub at: Option<Location>,
    /// What it waits for, any of these: one for a plain operation, several for a `select`, none for waiting for ever.
    pub arms: Vec<Arm>,
}

/// One thing a wait could end by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Arm {
    /// To send on a channel.
    Send(ResourceId),
    /// To get a place in a channel.
    Reserve(ResourceId),
    /// To receive from a channel.
    Recv(ResourceId),
    /// To take a lock.
    Lock(ResourceId),
    /// To take permits of a semaphore.
    Acquire {
        /// Which semaphore.
        semaphore: ResourceId,
        /// How many permits at once.
        permits: usize,
    },
    /// To be notified.
    Notified(ResourceId),
    /// For all of a group: the last of a wait group or barrier, or the end of a process that is joined.
    All(ResourceId),
    /// For the end of a context.
    Done(ResourceId),
    /// For a moment, which comes by itself.
    Timer {
        /// Time left.
        remaining: Duration,
    },
    /// For the world outside, by declaration: a signal, a socket, a key press. It may come at any time.
    Outside,
    /// For a future that is not ours. Whom *that* waits for nobody knows, so it counts as somebody unknown.
    Foreign,
}

/// A place in the source.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Location {
    /// The file as the compiler was given it.
    pub file: Cow<'static, str>,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

impl Snapshot {
    /// An empty snapshot.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a process.
    pub fn process(&mut self, id: impl Into<ProcessId>, name: impl Into<Arc<str>>, state: State) {
        self.processes.push(Process { id: id.into(), name: name.into(), state });
    }

    /// Adds a resource of which it is not known for how long it has been like this.
    pub fn resource(
        &mut self,
        id: impl Into<ResourceId>,
        name: impl Into<Arc<str>>,
        kind: impl Into<Kind>,
    ) {
        let (id, name) = (id.into(), name.into());
        self.resources.push(Resource { id, name, unchanged: Duration::ZERO, kind: kind.into() });
    }

    /// Adds a wait.
    pub fn wait(
        &mut self,
        process: impl Into<ProcessId>,
        age: Duration,
        at: impl Into<Option<Location>>,
        arms: impl Into<Vec<Arm>>,
    ) {
        self.waits.push(Wait { process: process.into(), age, at: at.into(), arms: arms.into() });
    }
}

impl Kind {
    /// How many holders are listed, on all sides.
    pub(super) fn holders(&self) -> usize {
        match self {
            Self::Channel(channel) => {
                channel.senders.holders.len() + channel.receivers.holders.len()
            }
            Self::Lock { holders: ends }
            | Self::Semaphore { holders: ends, .. }
            | Self::Notify { notifiers: ends, .. }
            | Self::Group { members: ends }
            | Self::Context { cancellers: ends, .. } => ends.holders.len(),
        }
    }
}

impl Channel {
    /// An empty channel with these ends; `capacity` is `None` for an unbounded one.
    pub fn empty(capacity: Option<usize>, senders: Ends, receivers: Ends) -> Self {
        Self { capacity, queued: 0, kept: 0, sent: None, received: None, senders, receivers }
    }

    /// A bounded channel, filled to the last place.
    pub fn full(capacity: usize, senders: Ends, receivers: Ends) -> Self {
        Self { queued: capacity, ..Self::empty(Some(capacity), senders, receivers) }
    }

    /// Whether one more message fits. Never so for a rendezvous.
    pub fn has_room(&self) -> bool {
        self.capacity.is_none_or(|capacity| self.queued.saturating_add(self.kept) < capacity)
    }
}

impl Ends {
    /// No ends: this side is gone.
    pub fn gone() -> Self {
        Self::default()
    }

    /// One end for each of these processes, which cannot leave it.
    pub fn declared<P: Into<ProcessId>>(processes: impl IntoIterator<Item = P>) -> Self {
        Self::held(processes, Known::Declared)
    }

    /// One end for each of these processes, which were seen to use it.
    pub fn observed<P: Into<ProcessId>>(processes: impl IntoIterator<Item = P>) -> Self {
        Self::held(processes, Known::Observed)
    }

    /// `ends` more, held by somebody unknown.
    #[must_use]
    pub fn and_unknown(mut self, ends: usize) -> Self {
        self.total += ends;
        self
    }

    /// `ends` more, held by the world outside.
    #[must_use]
    pub fn and_outside(mut self, ends: usize) -> Self {
        self.total += ends;
        self.outside += ends;
        self
    }

    /// The ends of both.
    #[must_use]
    pub fn and(mut self, more: Ends) -> Self {
        self.total += more.total;
        self.outside += more.outside;
        self.holders.extend(more.holders);
        self
    }

    /// Ends that neither a holder nor the outside accounts for.
    pub fn unknown(&self) -> usize {
        let known = self.holders.iter().map(|holder| holder.ends).sum::<usize>() + self.outside;
        self.total.saturating_sub(known)
    }

    fn held<P: Into<ProcessId>>(processes: impl IntoIterator<Item = P>, known: Known) -> Self {
        let holders: Vec<_> = processes
            .into_iter()
            .map(|process| Holder { process: process.into(), ends: 1, known })
            .collect();
        Self { total: holders.len(), holders, outside: 0 }
    }
}

impl Arm {
    /// What it waits for, if that is a resource.
    pub fn resource(&self) -> Option<ResourceId> {
        match *self {
            Self::Send(id)
            | Self::Reserve(id)
            | Self::Recv(id)
            | Self::Lock(id)
            | Self::Acquire { semaphore: id, .. }
            | Self::Notified(id)
            | Self::All(id)
            | Self::Done(id) => Some(id),
            Self::Timer { .. } | Self::Outside | Self::Foreign => None,
        }
    }
}

impl Location {
    /// A place in the source; `line` and `column` count from 1.
    pub fn new(file: impl Into<Cow<'static, str>>, line: u32, column: u32) -> Self {
        Self { file: file.into(), line, column }
    }
}

impl From<u64> for ProcessId {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl From<u64> for ResourceId {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl From<Channel> for Kind {
    fn from(channel: Channel) -> Self {
        Self::Channel(channel)
    }
}

impl From<&'static std::panic::Location<'static>> for Location {
    fn from(at: &'static std::panic::Location<'static>) -> Self {
        Self::new(at.file(), at.line(), at.column())
    }
}

/// `src/dispatch.rs:10:5`
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
