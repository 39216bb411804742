//! Channels: typed, directional, one for tasks and threads alike.
//!
//! | made by | a send waits | holds |
//! |---|---|---|
//! | [`bounded(n)`](bounded) | while `n` messages are queued | up to `n` |
//! | [`rendezvous()`](rendezvous), `bounded(0)` | until a receiver takes over | nothing |
//! | [`unbounded()`](unbounded) | never | whatever comes |
//!
//! # Ordering
//!
//! With `C` the capacity:
//! 1. The k-th send happens before the k-th receive completes.
//! 2. The k-th receive happens before the (k+C)-th send completes.
//! 3. Rendezvous: the receive happens before the send completes, and the other way round.
//! 4. Dropping the last sender happens before a receive returns `None`; dropping the receiver before a send returns
//!    an error.
//! 5. Cancelling a [`Ctx`](crate::Ctx) happens before its `done()` completes.
//! 6. Messages of one sender arrive in order. Those who wait are served first come, first served on each side;
//!    somebody who does not have to wait may be faster than one who is just being woken, and with `C` of 1 to 3 may put a message
//!    into the place behind one that a receiver has not looked at yet.
//!
//! # Cancel safety
//!
//! Dropped before completion, an operation did nothing; `send` loses only the value that its future owns (use
//! [`reserve`](Sender::reserve) to keep it). A waiter that was woken and then dropped passes its wake-up on.
//!
//! Two consequences for a rendezvous with tasks. A message that was handed to a receive which is then dropped is
//! received next. And since only the sending task itself may let go of its message, [`try_recv`](Receiver::try_recv)
//! that finds a task waiting to send answers `Empty` once and has the message at a later call.
//!
//! # Resources
//!
//! What belongs to a conversation can be tied to its channel: a file, a sandbox, a temporary folder, a lease. It is a value that
//! releases itself when it is dropped, and the channel drops it, exactly once, in whatever order the ends go:
//!
//! | tied with | dropped when | messages in the queue |
//! |---|---|---|
//! | [`tie`](Sender::tie) | both sides have gone | have been received, or dropped, before |
//! | [`tie_while_open`](Sender::tie_while_open) | one side has gone, or a network shut the senders out | receivers went: dropped before; senders went: still to be received |
//!
//! - An end goes when its owner drops it: by returning, by a panic, by being cancelled. A permit, a waiting operation and an arm of
//!   a select borrow their end, and a [`SelectSet`](crate::SelectSet) owns its receivers, so none of them outlives it.
//! - It is dropped by whoever drops the last end of a side, inside that drop, after the other side has been told; the
//!   youngest first, those of `tie_while_open` before those of `tie`, all of them even when one panics. Who sees the end may see it
//!   a moment before the release. To wait for the release, let the resource say so: put a [`Sender`] into it.
//! - So its `drop` may wait for those on the other side of the channel, but not for whoever drops this end, and in a task not for long.
//!   What takes time is handed over to a process that has it.
//! - To use it meanwhile, tie an `Arc` and keep a `Weak`: nobody can hold on to it by mistake.
//!
//! Not released: what is tied to a channel whose end was leaked (`mem::forget`), or is kept by that very resource.

mod permit;
mod receiver;
mod sender;
#[cfg(feature = "futures")]
mod streams;
mod tied;

pub use permit::{Permit, Reserving};
pub use receiver::{Receiver, SharedReceiver};
pub use sender::Sender;

use crate::raw::ends::channel;
pub use crate::raw::{
    compose::{RecvMany, SendAll, SendingFrom},
    recv::Receiving,
    send::Sending,
    turns::Closed,
};

/// A channel in which up to `capacity` messages wait; a send into a full one waits. Capacity 0 is a rendezvous.
///
/// ```
/// # towpath::block_on(async {
/// /// Orders that wait for a cook.
/// const ORDERS: usize = 16;
/// let (tx, mut rx) = towpath::bounded(ORDERS);
/// tx.send("soup").await?;
/// assert_eq!(rx.recv().await, Some("soup"));
/// # Ok::<(), towpath::SendError<&str>>(()) }).unwrap();
/// ```
///
/// # Panics
/// When `capacity` is above 2^40: no machine can hold such a queue.
#[track_caller]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(
        capacity as u64 <= 1 << 40,
        "bounded({capacity}): more places than a machine can hold; use `unbounded()` if no bound is meant"
    );
    let (tx, rx) = channel(Some(capacity));
    (Sender::new(tx), Receiver::new(rx))
}

/// A channel that holds nothing: sender and receiver meet, and the message passes from hand to hand.
///
/// ```
/// let (tx, mut rx) = towpath::rendezvous();
/// let cook = std::thread::spawn(move || rx.recv_blocking());
/// tx.send_blocking("soup")?; // returns when the cook has it
/// assert_eq!(cook.join().unwrap(), Some("soup"));
/// # Ok::<(), towpath::SendError<&str>>(())
/// ```
#[track_caller]
pub fn rendezvous<T>() -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = channel(Some(0));
    (Sender::new(tx), Receiver::new(rx))
}

/// A channel whose sends never wait. For traffic that something else bounds; otherwise memory is the only bound.
///
/// Memory of messages that have been received is given back: a drained channel keeps at most two blocks of 31 slots.
#[track_caller]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = channel(None);
    (Sender::new(tx), Receiver::new(rx))
}
