//! What happens, as it happens: one [`Probe`] for a whole program, told when somebody begins to wait and when the wait is
//! over, who is started and how they end, which channels come and go.
//!
//! [`observe::snapshot`](crate::observe::snapshot()) says how things stand; a probe says how they came to be so. Both use the
//! same numbers for channels and processes.
//!
//! ```standalone_crate
//! use std::sync::atomic::{AtomicUsize, Ordering};
//! use towpath::probe::{self, Parked, Probe};
//!
//! /// Counts the waits of this program.
//! struct Waits(AtomicUsize);
//!
//! impl Probe for &'static Waits {
//!     fn park(&self, wait: &Parked<'_>) {
//!         self.0.fetch_add(1, Ordering::Relaxed);
//!         println!("{} waits at {}", wait.process.map_or("somebody", |process| process.name()), wait.at);
//!     }
//! }
//!
//! static WAITS: Waits = Waits(AtomicUsize::new(0));
//! probe::install(&WAITS).unwrap();
//! assert!(probe::install(&WAITS).is_err()); // a program has one
//!
//! let (tx, mut rx) = towpath::rendezvous();
//! let cook = std::thread::spawn(move || rx.recv_blocking());
//! while WAITS.0.load(Ordering::Relaxed) == 0 {
//!     std::thread::yield_now();
//! }
//! tx.send_blocking("soup").unwrap();
//! assert_eq!(cook.join().unwrap(), Some("soup"));
//! ```
//!
//! # What is told
//! - [`park`](Probe::park): a receive, send, reservation, select or a wait at a lock is about to begin: a task returns from its poll, a thread
//!   goes to sleep. Whoever finds what it wants at once, or after a moment's look, is not told of. Each `park` is followed
//!   by exactly one [`unpark`](Probe::unpark), when the operation is done or is taken back; being woken for nothing in
//!   between is not told. A wait is leaked, and never over, when its future is ([`std::mem::forget`]).
//! - [`spawn`](Probe::spawn) and [`exit`](Probe::exit) of each process of a scope, supervisor or network.
//! - [`attach`](Probe::attach) of a channel or lock that gets a [name](crate::Sender::named), and
//!   [`detach`](Probe::detach) when the lock or the channel's last end has gone; before that [`finish`](Probe::finish) says what went
//!   through the channel.
//!
//! What began before the probe was installed is not told when it ends.
//!
//! # On whose time
//! Whoever waits, starts or ends calls the probe on its own thread, with no lock of ours held. The probe may use channels. What
//! it does itself during a call is not told, so it does not run in circles.
//!
//! A probe that panics is called no more: its books may be half written, and a message for each event would drown the
//! program. The panic goes no further, and nothing else changes.
//!
//! # What it costs
//! Without a probe, one branch for an operation that is about to wait and one when that wait is over; nothing for an
//! operation that does not wait. With one, also nothing for an operation that does not wait; a probe that is dear can have itself
//! told of fewer waits ([`skip_waits`]).

use std::{
    cell::Cell,
    error, fmt,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, Location, catch_unwind},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

pub use crate::waitfor::{Arm, ResourceId};
use crate::{
    process::{self, Name, Process},
    rt::sim,
};

/// Is told what happens; the [module](self) says when, and on whose time. Every method does nothing unless it is written.
pub trait Probe: Send + Sync {
    /// A channel or a lock has a name now; again when it gets another one.
    fn attach(&self, thing: &Attached<'_>) {
        let _ = thing;
    }

    /// Nobody has an end of that channel any more: what went through it. [`detach`](Self::detach) follows.
    fn finish(&self, channel: &Finished<'_>) {
        let _ = channel;
    }

    /// Nobody has an end of that channel any more, or the lock has gone. Its number may soon be that of another.
    fn detach(&self, thing: ResourceId, name: &Name) {
        let _ = (thing, name);
    }

    /// An operation is about to wait.
    fn park(&self, wait: &Parked<'_>) {
        let _ = wait;
    }

    /// That wait is over.
    fn unpark(&self, wait: &Unparked) {
        let _ = wait;
    }

    /// A process is about to start.
    fn spawn(&self, spawned: &Spawned<'_>) {
        let _ = spawned;
    }

    /// A process has ended: its future or closure has been dropped, and whoever joins it learns of it after this call.
    fn exit(&self, process: &Process, how: Exit) {
        let _ = (process, how);
    }
}

macro_rules! through {
    ($($pointer:ty),*) => {
        $(impl<P: Probe + ?Sized> Probe for $pointer {
            fn attach(&self, thing: &Attached<'_>) {
                (**self).attach(thing);
            }
            fn finish(&self, channel: &Finished<'_>) {
                (**self).finish(channel);
            }
            fn detach(&self, thing: ResourceId, name: &Name) {
                (**self).detach(thing, name);
            }
            fn park(&self, wait: &Parked<'_>) {
                (**self).park(wait);
            }
            fn unpark(&self, wait: &Unparked) {
                (**self).unpark(wait);
            }
            fn spawn(&self, spawned: &Spawned<'_>) {
                (**self).spawn(spawned);
            }
            fn exit(&self, process: &Process, how: Exit) {
                (**self).exit(process, how);
            }
        })*
    };
}

through!(&P, Box<P>, std::sync::Arc<P>);

/// A channel or a lock that was given a name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attached<'a> {
    /// Its number, as in a [`Snapshot`](crate::waitfor::Snapshot).
    pub id: ResourceId,
    /// The name.
    pub name: &'a Name,
    /// What it is.
    pub thing: Thing,
    /// Of a channel, how many messages may be queued: 0 for a rendezvous, `None` if unbounded. `None` for all others.
    pub capacity: Option<usize>,
}

/// A channel whose last end has gone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finished<'a> {
    /// Its number, which may soon be that of another.
    pub id: ResourceId,
    /// Its name.
    pub name: &'a Name,
    /// Messages that went in.
    pub sent: u64,
    /// Messages that came out. Those that were dropped with the last receiver are among them.
    pub received: u64,
}

/// What can have a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Thing {
    /// A channel.
    Channel,
    /// A [`Mutex`](crate::sync::Mutex).
    Mutex,
    /// An [`RwLock`](crate::sync::RwLock).
    RwLock,
    /// A [`Semaphore`](crate::sync::Semaphore).
    Semaphore,
    /// A [`Notify`](crate::sync::Notify).
    Notify,
    /// A [`Barrier`](crate::sync::Barrier).
    Barrier,
    /// A [`WaitGroup`](crate::sync::WaitGroup).
    WaitGroup,
}

impl Thing {
    /// What somebody waits for who wants so many permits of it.
    pub(crate) fn arm(self, id: ResourceId, permits: usize) -> Arm {
        match self {
            Self::Channel => Arm::Foreign,
            Self::Mutex | Self::RwLock => Arm::Lock(id),
            Self::Semaphore => Arm::Acquire { semaphore: id, permits },
            Self::Notify => Arm::Notified(id),
            Self::Barrier | Self::WaitGroup => Arm::All(id),
        }
    }
}

/// Names a wait. While it lasts, no other has the same name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WaitId(u64);

/// What somebody waits in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Operation {
    /// A receive, also of several messages, or by a `Stream`.
    Recv,
    /// A send, also one of many.
    Send,
    /// A wait for a place, also by a `Sink`.
    Reserve,
    /// A select of any kind; also the wait for a context on a thread.
    Select,
    /// A wait for a mutex or a read-write lock.
    Lock,
    /// A wait for permits of a semaphore.
    Acquire,
    /// A wait for a notice.
    Notified,
    /// A wait at a barrier or for a wait group.
    All,
    /// A sender's wait for the end of the receivers.
    Closed,
}

/// An operation that is about to wait.
#[non_exhaustive]
pub struct Parked<'a> {
    /// Names the wait until its end.
    pub id: WaitId,
    /// What it is.
    pub operation: Operation,
    /// Where the program began it.
    pub at: &'static Location<'static>,
    /// Whose it is, if a scope, supervisor or network knows who runs here.
    pub process: Option<&'a Process>,
    arms: Each<'a>,
}

/// Names arms one after the other.
pub(crate) type Each<'a> = &'a dyn Fn(&mut dyn FnMut(Arm));

impl Parked<'_> {
    /// What it waits for; several things in a select. Channels and locks have the numbers of a
    /// [`Snapshot`](crate::waitfor::Snapshot), also those without a name (a lock without a name has another number when it
    /// has been moved). What is neither is [`Arm::Foreign`].
    ///
    /// Looked up when this is called, in time proportional to their number.
    pub fn arms(&self) -> Vec<Arm> {
        let mut arms = Vec::new();
        (self.arms)(&mut |arm| arms.push(arm));
        arms
    }

    /// The channel, if it is an operation on one and no select.
    pub fn channel(&self) -> Option<ResourceId> {
        let mut channel = None;
        if self.operation != Operation::Select {
            (self.arms)(&mut |arm| {
                if let Arm::Recv(id) | Arm::Send(id) | Arm::Reserve(id) = arm {
                    channel = Some(id);
                }
            });
        }
        channel
    }
}

impl fmt::Debug for Parked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parked")
            .field("id", &self.id)
            .field("operation", &self.operation)
            .field("at", &format_args!("{}", self.at))
            .field("process", &self.process)
            .field("arms", &self.arms())
            .finish()
    }
}

/// The end of a wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Unparked {
    /// As in [`Parked`].
    pub id: WaitId,
    /// As in [`Parked`].
    pub operation: Operation,
    /// As in [`Parked`].
    pub at: &'static Location<'static>,
    /// What has become of it.
    pub how: Unpark,
}

/// How a wait ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Unpark {
    /// The operation is done. So it is when it has failed because the channel is closed.
    Done,
    /// It was dropped, or goes on as an arm of a select: by itself it did nothing.
    TakenBack,
}

/// A process that is about to start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Spawned<'a> {
    /// The process.
    pub process: &'a Process,
    /// Who starts it, if that is a process.
    pub by: Option<&'a Process>,
    /// It has a thread of its own.
    pub thread: bool,
    /// A supervisor starts it again, under the same name and with a number of its own.
    pub again: bool,
}

/// How a process ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Exit {
    /// It returned a value.
    Done,
    /// It returned an error.
    Failed,
    /// It gave up with an error that only says that its context has ended, or that another process has failed.
    Cancelled,
    /// It panicked, or its drop did.
    Panicked,
    /// Its scope was dropped, or had ended before, or its runtime was shut down.
    Dropped,
}

/// Has the program told `probe` from here on, to its end.
///
/// # Errors
/// [`InstallError`] gives the probe back when there is one already. Two that want to know are parts of one that tells both.
pub fn install<P: Probe + 'static>(probe: P) -> Result<(), InstallError<P>> {
    let mut probe = Some(probe);
    PROBE.get_or_init(|| {
        // The only one who takes it.
        let probe = probe.take().map(|probe| Box::new(probe) as Box<dyn Probe>);
        probe.unwrap_or_else(|| unreachable!("a cell is filled once"))
    });
    match probe {
        None => {
            // Release: the cell is full for whoever sees this.
            ON.store(true, Ordering::Release);
            Ok(())
        }
        Some(probe) => Err(InstallError(probe)),
    }
}

/// The next `waits` waits that begin on this thread are not told. For a probe that counts one wait for many where there are
/// millions a second: it calls this from [`park`](Probe::park). A wait that began before is told when it ends.
///
/// A task that is polled while it waits begins that wait anew as far as this counts; so `waits` is how many are skipped at most,
/// and one that was skipped may be told from a later moment on. The recorder of a simulation is told of all.
pub fn skip_waits(waits: u32) {
    SKIP.set(waits);
}

/// There is a probe already; this one comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InstallError<P>(pub P);

impl<P> fmt::Debug for InstallError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstallError(..)")
    }
}

impl<P> fmt::Display for InstallError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a probe is installed already, and a program has one; let one probe tell both")
    }
}

impl<P> error::Error for InstallError<P> {}

// ---- for the rest of the crate -------------------------------------------------------------------------------------

static ON: AtomicBool = AtomicBool::new(false);
static PROBE: OnceLock<Box<dyn Probe>> = OnceLock::new();

thread_local! {
    /// This thread runs the probe.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// Waits that begin on this thread and are told to nobody.
    static SKIP: Cell<u32> = const { Cell::new(0) };
}

/// Whether somebody wants to know of a wait that is about to begin here.
#[inline]
pub(crate) fn wants_wait() -> bool {
    if ON.load(Ordering::Relaxed) {
        let left = SKIP.get();
        if left == 0 {
            return true;
        }
        SKIP.set(left - 1);
    }
    // A simulation writes everything down.
    sim::is_active() && sim::recorder().is_some()
}

/// Whether somebody wants to know.
#[inline]
pub(crate) fn is_on() -> bool {
    // Relaxed: who begins to wait at the moment of the installation is told of or not.
    ON.load(Ordering::Relaxed) || sim::is_active() && sim::recorder().is_some()
}

/// Tells of a beginning, unless the probe itself began it. True: it was told, so its end is to be told too.
fn begin(f: impl Fn(&dyn Probe)) -> bool {
    !INSIDE.get() && tell(f)
}

/// False: nobody was told, or the probe panicked before.
fn tell(f: impl Fn(&dyn Probe)) -> bool {
    let recorder = sim::recorder();
    if let Some(recorder) = &recorder {
        f(&**recorder);
    }
    tell_installed(f) || recorder.is_some()
}

fn tell_installed(f: impl Fn(&dyn Probe)) -> bool {
    if !ON.load(Ordering::Acquire) {
        return false;
    }
    let Some(probe) = PROBE.get() else { return false };
    let inside = INSIDE.replace(true);
    let told = process::aside(|| catch_unwind(AssertUnwindSafe(|| f(&**probe))));
    INSIDE.set(inside);
    if let Err(panic) = told {
        ON.store(false, Ordering::Relaxed);
        // Never dropped: that is the user's and may panic again. It happens once or a few times.
        let _kept = ManuallyDrop::new(panic);
    }
    true
}

/// A wait, for those who tell of it.
#[derive(Clone, Copy)]
pub(crate) struct Waiting {
    /// Something of it that stays where it is while it waits, and is nobody else's.
    pub(crate) address: usize,
    pub(crate) operation: Operation,
    pub(crate) at: &'static Location<'static>,
}

/// Begins a wait. True: `unpark` is to be called once.
#[cold]
#[must_use]
pub(crate) fn park(wait: Waiting, arms: Each<'_>) -> bool {
    begin(|probe| {
        let process = process::current();
        let Waiting { address, operation, at } = wait;
        let id = WaitId(address as u64);
        probe.park(&Parked { id, operation, at, process: process.as_ref(), arms });
    })
}

/// Ends a wait that was told.
#[cold]
pub(crate) fn unpark(wait: Waiting, how: Unpark) {
    let Waiting { address, operation, at } = wait;
    tell(|probe| probe.unpark(&Unparked { id: WaitId(address as u64), operation, at, how }));
}

/// True: `detach` is to be called once.
#[cold]
#[must_use]
pub(crate) fn attach(id: ResourceId, name: &Name, thing: Thing, capacity: Option<usize>) -> bool {
    begin(|probe| probe.attach(&Attached { id, name, thing, capacity }))
}

#[cfg(not(towpath_loom))]
#[cold]
pub(crate) fn finish(id: ResourceId, name: &Name, sent: u64, received: u64) {
    tell(|probe| probe.finish(&Finished { id, name, sent, received }));
}

#[cfg(not(towpath_loom))]
#[cold]
pub(crate) fn detach(id: ResourceId, name: &Name) {
    tell(|probe| probe.detach(id, name));
}

/// True: `exit` is to be called once.
#[cold]
#[must_use]
pub(crate) fn spawn(process: &Process, thread: bool, again: bool) -> bool {
    begin(|probe| {
        let by = process::current();
        probe.spawn(&Spawned { process, by: by.as_ref(), thread, again });
    })
}

#[cold]
pub(crate) fn exit(process: &Process, how: Exit) {
    tell(|probe| probe.exit(process, how));
}
