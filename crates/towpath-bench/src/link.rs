//! What a workload asks of a channel: two ends that send and receive, on threads, in tasks or both.
//!
//! What always holds:
//! - Everything here is monomorphised: a measured loop calls the peer's own function and nothing else.
//! - Ends take `&mut self`, the stricter form; a peer that wants only `&self` is served by it as well.
//! - `make` answers `None` for what a peer does not offer, and the table then shows `-`.

use std::future::Future;

/// How many messages a channel holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Cap {
    /// Exactly this many; 0 is a rendezvous.
    Bounded(usize),
    /// As many as memory allows.
    Unbounded,
}

/// A message: `seq` numbers it, the rest is weight.
///
/// `Default + Clone` is there only because thingbuf demands it.
pub(crate) trait Payload: Default + Clone + Send + Sync + Unpin + 'static {
    /// Message number `seq`.
    fn new(seq: u64) -> Self;
    /// The number it was made with, or a poison value when its words disagree.
    fn seq(&self) -> u64;
}

macro_rules! payload {
    ($name:ident, $words:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Default)]
        pub(crate) struct $name([u64; $words]);

        impl Payload for $name {
            #[inline]
            fn new(seq: u64) -> Self {
                let mut words = [0; $words];
                words[0] = seq;
                // The last word as well, so that a message torn in two cannot pass the checksum.
                words[$words - 1] = seq;
                $name(words)
            }

            #[inline]
            fn seq(&self) -> u64 {
                let words = std::hint::black_box(&self.0);
                if words[0] == words[$words - 1] { words[0] } else { u64::MAX }
            }
        }
    };
}

payload!(P8, 1, "Eight bytes.");
payload!(P256, 32, "Two hundred and fifty-six bytes.");

/// A sending end on a thread.
pub(crate) trait BlockTx<T>: Send + 'static {
    /// Waits until the message is taken; `false` when the receivers are gone.
    fn send_blocking(&mut self, msg: T) -> bool;
}

/// A receiving end on a thread.
pub(crate) trait BlockRx<T>: Send + 'static {
    /// Waits for a message; `None` when the senders are gone and nothing is left.
    fn recv_blocking(&mut self) -> Option<T>;
}

/// A sending end in a task.
pub(crate) trait TaskTx<T>: Send + 'static {
    /// Waits until the message is taken; `false` when the receivers are gone.
    fn send_task(&mut self, msg: T) -> impl Future<Output = bool> + Send;
}

/// A receiving end in a task.
pub(crate) trait TaskRx<T>: Send + 'static {
    /// Waits for a message; `None` when the senders are gone and nothing is left.
    fn recv_task(&mut self) -> impl Future<Output = Option<T>> + Send;
}

/// The sending and the receiving ends of one channel.
pub(crate) type Ends<X, R> = (Vec<X>, Vec<R>);

/// A way to make a channel.
pub(crate) trait Link<T>: 'static {
    /// Its sending end.
    type Tx: Send + 'static;
    /// Its receiving end.
    type Rx: Send + 'static;
    /// One channel with so many ends on each side, or `None` when the peer has no such channel.
    fn make(cap: Cap, txs: usize, rxs: usize) -> Option<Ends<Self::Tx, Self::Rx>>;
}

/// `n` handles to the same end.
pub(crate) fn copies<C: Clone>(one: C, n: usize) -> Vec<C> {
    let mut all = vec![one; n];
    all.shrink_to_fit();
    all
}

/// The ends of a channel whose receiver cannot be cloned.
pub(crate) fn many_to_one<X: Clone, R>(
    (tx, rx): (X, R),
    txs: usize,
    rxs: usize,
) -> Option<Ends<X, R>> {
    (rxs == 1).then(|| (copies(tx, txs), vec![rx]))
}

/// The ends of a channel that clones on both sides.
pub(crate) fn many_to_many<X: Clone, R: Clone>(
    (tx, rx): (X, R),
    txs: usize,
    rxs: usize,
) -> Option<Ends<X, R>> {
    Some((copies(tx, txs), copies(rx, rxs)))
}

/// A link for threads, with messages of 8 and 256 bytes.
pub(crate) trait BlockLink:
    Link<P8, Tx: BlockTx<P8>, Rx: BlockRx<P8>> + Link<P256, Tx: BlockTx<P256>, Rx: BlockRx<P256>>
{
}

impl<L> BlockLink for L where
    L: Link<P8, Tx: BlockTx<P8>, Rx: BlockRx<P8>>
        + Link<P256, Tx: BlockTx<P256>, Rx: BlockRx<P256>>
{
}

/// A link for tasks.
pub(crate) trait TaskLink:
    Link<P8, Tx: TaskTx<P8>, Rx: TaskRx<P8>> + Link<P256, Tx: TaskTx<P256>, Rx: TaskRx<P256>>
{
}

impl<L> TaskLink for L where
    L: Link<P8, Tx: TaskTx<P8>, Rx: TaskRx<P8>> + Link<P256, Tx: TaskTx<P256>, Rx: TaskRx<P256>>
{
}

/// A link from threads to tasks.
pub(crate) trait ThreadToTask: Link<P8, Tx: BlockTx<P8>, Rx: TaskRx<P8>> {}
impl<L> ThreadToTask for L where L: Link<P8, Tx: BlockTx<P8>, Rx: TaskRx<P8>> {}

/// A link from tasks to threads.
pub(crate) trait TaskToThread: Link<P8, Tx: TaskTx<P8>, Rx: BlockRx<P8>> {}
impl<L> TaskToThread for L where L: Link<P8, Tx: TaskTx<P8>, Rx: BlockRx<P8>> {}
