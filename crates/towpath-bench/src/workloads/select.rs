//! Select: one peer works on a random one of many channels, the other side selects over all of them.
//!
//! `recv`: the peer sends, the select has receive arms only. `mixed`: the first half of the channels lead to the
//! select, the second half lead away from it, and the select has an arm for each.
//!
//! What always holds:
//! - Which channel the peer picks comes from a seed that both sides know; so both know every channel's share.
//! - Each channel carries its own numbers 1, 2, 3 and both sides demand exactly that order. A message that a losing
//!   send arm delivered anyway, or a losing receive arm took, breaks the sequence and fails the sample.
//! - The select ends in `mixed` when the peer says so: only the peer knows that it has received its share, since
//!   what the select has put into a buffer nobody may want. The word is message `STOP` on channel 0. What the
//!   other channels still hold is then received one by one, outside the measured time, and must be complete.

use crate::cells::Arms;
use crate::link::{BlockRx, BlockTx, Cap, Ends, Link, P8, Payload, TaskRx, TaskTx};
use crate::workloads::arms::{numbered, numbered_pairs};
use crate::workloads::{Gate, Outcome, Part, Tally, per_op, runtime};

/// Why this number: larger than any message number, smaller than the poison of a torn payload.
const STOP: u64 = 1 << 60;

/// Where a message's channel stands in its number, so that a merged stream can be checked too.
const CHANNEL_BIT: u32 = 40;

/// Message `nth` of channel `at`.
fn message(at: usize, nth: u64) -> P8 {
    P8::new((at as u64) << CHANNEL_BIT | nth)
}

/// The channels the peer works on, in order.
pub(crate) struct Picks {
    state: u64,
    width: u64,
    left: usize,
}

impl Picks {
    fn new(width: usize, ops: usize) -> Picks {
        Picks { state: 0x9e37_79b9_7f4a_7c15, width: width as u64, left: ops }
    }
}

impl Iterator for Picks {
    type Item = usize;
    #[inline]
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        // The high bits, scaled: no division in the measured loop.
        Some(((u128::from(self.state) * u128::from(self.width)) >> 64) as usize)
    }
}

/// How many messages each channel carries.
fn shares(width: usize, ops: usize) -> Vec<u64> {
    let mut shares = vec![0; width];
    Picks::new(width, ops).for_each(|at| shares[at] += 1);
    shares
}

/// The selecting side's books.
pub(crate) struct Ledger {
    /// Last number received from each channel.
    got: Vec<u64>,
    /// Last number sent into each channel.
    put: Vec<u64>,
    left: usize,
    error: Option<String>,
}

impl Ledger {
    fn new(receives: usize, sends: usize, left: usize) -> Ledger {
        Ledger { got: vec![0; receives], put: vec![0; sends], left, error: None }
    }

    /// Notes what arrived from channel `at`; `true` while more is wanted.
    #[inline]
    pub(crate) fn got(&mut self, at: usize, msg: Option<P8>) -> bool {
        let nth = self.got[at] + 1;
        match msg.map(|msg| msg.seq()) {
            Some(seq) if seq == (at as u64) << CHANNEL_BIT | nth => {
                self.got[at] = nth;
                self.left -= 1;
                self.left > 0
            }
            Some(STOP) => false,
            other => {
                self.error = Some(format!("channel {at} gave {other:x?}, not its number {nth}"));
                false
            }
        }
    }

    /// The same for a select that does not say which channel it was: the message knows.
    #[inline]
    pub(crate) fn got_any(&mut self, msg: Option<P8>) -> bool {
        let at = msg.as_ref().map_or(0, |msg| (msg.seq() >> CHANNEL_BIT) as usize);
        self.got(at.min(self.got.len() - 1), msg)
    }

    /// The message a send arm of channel `at` offers; it stays the same until taken.
    #[inline]
    pub(crate) fn offer(&self, at: usize) -> P8 {
        message(at, self.put[at] + 1)
    }

    /// Notes that channel `at` took its message; `true` while more is wanted.
    #[inline]
    pub(crate) fn sent(&mut self, at: usize, taken: bool) -> bool {
        self.put[at] += 1;
        if !taken {
            self.error = Some(format!("channel {at} closed early"));
        }
        taken
    }

    /// Whether a message of channel `at` is still to come, be it in a buffer.
    fn misses(&self, at: usize, shares: &[u64]) -> bool {
        self.error.is_none() && self.got[at] < shares[at]
    }

    /// Whether everything that the peer sent has arrived.
    fn check(self, shares: &[u64]) -> Result<(), String> {
        match self.error {
            Some(error) => Err(error),
            None if self.got[..] == shares[..self.got.len()] => Ok(()),
            None => Err(format!("received {:?} of {shares:?}", self.got)),
        }
    }
}

/// Turns the two sides' reports into a figure.
fn settle(parts: [Part; 2], check: Result<(), String>, ops: usize) -> Outcome {
    match check {
        Ok(()) => per_op(&parts, ops),
        Err(why) => Outcome::Wrong(why),
    }
}

/// Leaves the senders to the caller: closing a channel while others still hold messages is another workload.
fn peer_send_blocking(txs: &mut [impl BlockTx<P8>], ops: usize) {
    let mut seqs = vec![0; txs.len()];
    for at in Picks::new(txs.len(), ops) {
        seqs[at] += 1;
        txs[at].send_blocking(message(at, seqs[at]));
    }
}

async fn peer_send_task(txs: &mut [impl TaskTx<P8>], ops: usize) {
    let mut seqs = vec![0; txs.len()];
    for at in Picks::new(txs.len(), ops) {
        seqs[at] += 1;
        txs[at].send_task(message(at, seqs[at])).await;
    }
}

/// Threads, receive arms: `select` receives through what `make` built beside the senders.
pub(crate) fn block_recv<X, S>(
    width: usize,
    ops: usize,
    ends: Option<(Vec<X>, S)>,
    select: impl FnOnce(S, &mut Ledger) + Send + 'static,
) -> Outcome
where
    X: BlockTx<P8>,
    S: Send + 'static,
{
    let Some((mut txs, selecting)) = ends else { return Outcome::Unsupported };
    let gate = Gate::new(2);
    let peer_gate = gate.clone();
    let peer = std::thread::spawn(move || {
        peer_gate.pass();
        let part = Part::of(|| {
            peer_send_blocking(&mut txs, ops);
            Tally::default()
        });
        (part, txs)
    });
    let mut ledger = Ledger::new(width, 0, ops);
    gate.pass();
    let part = Part::of(|| {
        select(selecting, &mut ledger);
        Tally::default()
    });
    if let Err(why) = ledger.check(&shares(width, ops)) {
        return Outcome::Wrong(why); // the peer may wait for ever now
    }
    let (peer_part, _open) = peer.join().expect("the peer does not panic");
    per_op(&[peer_part, part], ops)
}

/// Threads, receive and send arms.
pub(crate) fn block_mixed<L>(
    width: usize,
    cap: Cap,
    ops: usize,
    select: impl FnOnce(&mut [L::Rx], &mut [L::Tx], &mut Ledger),
) -> Outcome
where
    L: Link<P8, Tx: BlockTx<P8>, Rx: BlockRx<P8>>,
{
    let half = width / 2;
    let (Some((mut peer_txs, mut rxs)), Some((mut txs, mut peer_rxs))) =
        (many::<L>(half, cap), many::<L>(half, cap))
    else {
        return Outcome::Unsupported;
    };
    let gate = Gate::new(2);
    let peer_gate = gate.clone();
    let peer = std::thread::spawn(move || {
        peer_gate.pass();
        let mut check = Ok(());
        let part = Part::of(|| {
            let mut seqs = vec![0; width];
            for at in Picks::new(width, ops) {
                seqs[at] += 1;
                if at < half {
                    peer_txs[at].send_blocking(message(at, seqs[at]));
                } else if peer_rxs[at - half].recv_blocking().map(|msg| msg.seq())
                    != Some(message(at - half, seqs[at]).seq())
                {
                    check = Err(format!("channel {at} did not give {} in turn", seqs[at]));
                    break;
                }
            }
            peer_txs[0].send_blocking(P8::new(STOP));
            Tally::default()
        });
        // Its ends go back alive: closing them now would race with the last selects.
        (part, check, peer_txs, peer_rxs)
    });
    let mut ledger = Ledger::new(half, half, usize::MAX);
    gate.pass();
    let part = Part::of(|| {
        select(&mut rxs, &mut txs, &mut ledger);
        Tally::default()
    });
    let shares = shares(width, ops);
    for (at, rx) in rxs.iter_mut().enumerate() {
        while ledger.misses(at, &shares) && ledger.got(at, rx.recv_blocking()) {}
    }
    if let Err(why) = ledger.check(&shares) {
        return Outcome::Wrong(why); // the peer may wait for ever now
    }
    let (peer_part, check, ..) = peer.join().expect("the peer does not panic");
    settle([peer_part, part], check, ops)
}

/// `width` channels with one end each.
pub(crate) fn many<L: Link<P8>>(width: usize, cap: Cap) -> Option<Ends<L::Tx, L::Rx>> {
    let (mut txs, mut rxs) = (Vec::new(), Vec::new());
    for _ in 0..width {
        let (tx, rx) = L::make(cap, 1, 1)?;
        txs.extend(tx);
        rxs.extend(rx);
    }
    Some((txs, rxs))
}

/// Tasks, receive arms.
pub(crate) fn task_recv<X, S, F>(
    width: usize,
    ops: usize,
    ends: Option<(Vec<X>, S)>,
    select: impl FnOnce(S, Ledger) -> F,
) -> Outcome
where
    X: TaskTx<P8>,
    F: Future<Output = Ledger> + Send + 'static,
{
    let Some((mut txs, selecting)) = ends else { return Outcome::Unsupported };
    let select = select(selecting, Ledger::new(width, 0, ops));
    runtime().block_on(async {
        let peer = tokio::spawn(async move {
            let part = Part::of_task(async {
                peer_send_task(&mut txs, ops).await;
                Tally::default()
            });
            (part.await, txs)
        });
        let (part, ledger) = tokio::spawn(timed(select)).await.expect("the select does not panic");
        if let Err(why) = ledger.check(&shares(width, ops)) {
            peer.abort();
            return Outcome::Wrong(why);
        }
        let (peer_part, _open) = peer.await.expect("the peer does not panic");
        per_op(&[peer_part, part], ops)
    })
}

/// Tasks, receive and send arms.
pub(crate) fn task_mixed<L, F>(
    width: usize,
    cap: Cap,
    ops: usize,
    select: impl FnOnce(Vec<L::Rx>, Vec<L::Tx>, Ledger) -> F,
) -> Outcome
where
    L: Link<P8, Tx: TaskTx<P8>, Rx: TaskRx<P8>>,
    F: Future<Output = (Ledger, Vec<L::Rx>, Vec<L::Tx>)> + Send + 'static,
{
    let half = width / 2;
    let (Some((mut peer_txs, rxs)), Some((txs, mut peer_rxs))) =
        (many::<L>(half, cap), many::<L>(half, cap))
    else {
        return Outcome::Unsupported;
    };
    let select = select(rxs, txs, Ledger::new(half, half, usize::MAX));
    runtime().block_on(async {
        let peer = tokio::spawn(async move {
            let mut check = Ok(());
            let part = Part::of_task(async {
                let mut seqs = vec![0; width];
                for at in Picks::new(width, ops) {
                    seqs[at] += 1;
                    if at < half {
                        peer_txs[at].send_task(message(at, seqs[at])).await;
                    } else if peer_rxs[at - half].recv_task().await.map(|msg| msg.seq())
                        != Some(message(at - half, seqs[at]).seq())
                    {
                        check = Err(format!("channel {at} did not give {} in turn", seqs[at]));
                        break;
                    }
                }
                peer_txs[0].send_task(P8::new(STOP)).await;
                Tally::default()
            })
            .await;
            (part, check, peer_txs, peer_rxs)
        });
        let (part, (mut ledger, mut rxs, txs)) =
            tokio::spawn(timed(select)).await.expect("the select does not panic");
        let shares = shares(width, ops);
        for (at, rx) in rxs.iter_mut().enumerate() {
            while ledger.misses(at, &shares) && ledger.got(at, rx.recv_task().await) {}
        }
        if let Err(why) = ledger.check(&shares) {
            peer.abort();
            return Outcome::Wrong(why);
        }
        drop(txs);
        let (peer_part, check, ..) = peer.await.expect("the peer does not panic");
        settle([peer_part, part], check, ops)
    })
}

async fn timed<R>(select: impl Future<Output = R>) -> (Part, R) {
    let mut result = None;
    let part = Part::of_task(async {
        result = Some(select.await);
        Tally::default()
    })
    .await;
    (part, result.expect("the select has ended"))
}

/// `tokio::select!` over a peer's own `send` and `recv`, for 2, 8 and 64 channels.
pub(crate) fn tokio_select<L>(arms: Arms, width: usize, cap: Cap, ops: usize) -> Outcome
where
    L: Link<P8, Tx: TaskTx<P8>, Rx: TaskRx<P8>>,
{
    type Rx<L> = <L as Link<P8>>::Rx;
    type Tx<L> = <L as Link<P8>>::Tx;
    let ends = |width| many::<L>(width, cap);
    match (arms, width) {
        (Arms::Recv, 2) => task_recv(2, ops, ends(2), recv_2::<Rx<L>>),
        (Arms::Recv, 8) => task_recv(8, ops, ends(8), recv_8::<Rx<L>>),
        (Arms::Recv, 64) => task_recv(64, ops, ends(64), recv_64::<Rx<L>>),
        (Arms::Mixed, 2) => task_mixed::<L, _>(2, cap, ops, mixed_2::<Rx<L>, Tx<L>>),
        (Arms::Mixed, 8) => task_mixed::<L, _>(8, cap, ops, mixed_8::<Rx<L>, Tx<L>>),
        (Arms::Mixed, 64) => task_mixed::<L, _>(64, cap, ops, mixed_64::<Rx<L>, Tx<L>>),
        _ => Outcome::Unsupported,
    }
}

macro_rules! tokio_recv {
    ($name:ident; $($at:literal $rx:ident),*) => {
        async fn $name<R: TaskRx<P8>>(mut rxs: Vec<R>, mut ledger: Ledger) -> Ledger {
            let [$($rx),*] = &mut rxs[..] else { unreachable!("made with this width") };
            loop {
                let more = tokio::select! {
                    $(msg = $rx.recv_task() => ledger.got($at, msg),)*
                };
                if !more {
                    break;
                }
            }
            ledger
        }
    };
}

numbered!(2, tokio_recv, recv_2);
numbered!(8, tokio_recv, recv_8);
numbered!(64, tokio_recv, recv_64);

macro_rules! tokio_mixed {
    ($name:ident; $($at:literal $rx:ident $tx:ident),*) => {
        async fn $name<R: TaskRx<P8>, X: TaskTx<P8>>(
            mut rxs: Vec<R>,
            mut txs: Vec<X>,
            mut ledger: Ledger,
        ) -> (Ledger, Vec<R>, Vec<X>) {
            {
                let [$($rx),*] = &mut rxs[..] else { unreachable!("made with this width") };
                let [$($tx),*] = &mut txs[..] else { unreachable!("made with this width") };
                loop {
                    let more = tokio::select! {
                        $(msg = $rx.recv_task() => ledger.got($at, msg),)*
                        $(taken = $tx.send_task(ledger.offer($at)) => ledger.sent($at, taken),)*
                    };
                    if !more {
                        break;
                    }
                }
            }
            (ledger, rxs, txs)
        }
    };
}

numbered_pairs!(1, tokio_mixed, mixed_2);
numbered_pairs!(4, tokio_mixed, mixed_8);
numbered_pairs!(32, tokio_mixed, mixed_64);
