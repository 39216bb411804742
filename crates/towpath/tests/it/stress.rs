//! Many parties at once, at random; clean under ThreadSanitizer. Every name starts with `stress_`, for
//! `cargo test -- stress`.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    task::Poll,
    thread,
};

use towpath::{Sender, SharedReceiver, select, select_blocking};

use crate::harness::{
    CAPACITIES, Census, Counted, Job, Rng, Task, channel, impatiently, run_tasks, watchdog,
    yield_now,
};

/// Rounds are fewer where each instruction is watched.
const ROUNDS: u64 = if cfg!(debug_assertions) { 1 } else { 5 };

/// What all parties of one run have done.
#[derive(Default)]
struct Books {
    next: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    checksum_sent: AtomicU64,
    checksum_received: AtomicU64,
}

impl Books {
    fn value(&self, census: &Census) -> Counted {
        census.value(self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn sent(&self, id: u64) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.checksum_sent.fetch_add(id, Ordering::Relaxed);
    }

    fn received(&self, value: Counted) {
        self.received.fetch_add(1, Ordering::Relaxed);
        self.checksum_received.fetch_add(value.id, Ordering::Relaxed);
    }

    #[track_caller]
    fn balance(&self, what: &str) {
        let sent = (self.sent.load(Ordering::SeqCst), self.checksum_sent.load(Ordering::SeqCst));
        let received =
            (self.received.load(Ordering::SeqCst), self.checksum_received.load(Ordering::SeqCst));
        assert_eq!(sent, received, "(count, checksum) sent and received: {what}");
    }
}

async fn sender_task(
    tx: Sender<Counted>,
    books: &'static Books,
    census: Census,
    mut rng: Rng,
    steps: u64,
) {
    for _ in 0..steps {
        let value = books.value(&census);
        let id = value.id;
        let times = rng.below(4);
        match rng.below(7) {
            0 | 1 => {
                tx.send(value).await.unwrap();
                books.sent(id);
            }
            2 => {
                if let Some(sent) = impatiently(tx.send(value), times).await {
                    sent.unwrap();
                    books.sent(id);
                }
            }
            3 => {
                if let Some(permit) = impatiently(tx.reserve(), times).await {
                    let permit = permit.unwrap();
                    if !rng.one_in(3) {
                        permit.send(value);
                        books.sent(id);
                    }
                }
            }
            4 => {
                if tx.try_send(value).is_ok() {
                    books.sent(id);
                }
            }
            5 => {
                let mut slot = Some(value);
                let sent = impatiently(
                    async {
                        select! { sent = tx.send_from(&mut slot) => sent.unwrap() }
                    },
                    times,
                )
                .await;
                assert_eq!(
                    slot.is_none(),
                    sent.is_some(),
                    "the slot is empty if, and only if, it was sent"
                );
                if sent.is_some() {
                    books.sent(id);
                }
            }
            _ => {
                let mut values = [value].into_iter();
                tx.send_all(&mut values).await.unwrap();
                books.sent(id);
            }
        }
    }
}

fn sender_thread(
    tx: &Sender<Counted>,
    books: &'static Books,
    census: &Census,
    mut rng: Rng,
    steps: u64,
) {
    for _ in 0..steps {
        let value = books.value(census);
        let id = value.id;
        let done = match rng.below(5) {
            0 | 1 => tx.send_blocking(value).is_ok(),
            2 => tx.try_send(value).is_ok(),
            3 => {
                let permit = tx.reserve_blocking().unwrap();
                if rng.one_in(3) {
                    false
                } else {
                    permit.send(value);
                    true
                }
            }
            _ => {
                select_blocking! { sent = tx.send(value) => sent.is_ok(), _ = towpath::never() => unreachable!() }
            }
        };
        if done {
            books.sent(id);
        }
    }
}

async fn receiver_task(mut rx: SharedReceiver<Counted>, books: &'static Books, mut rng: Rng) {
    loop {
        let times = rng.below(4);
        let got = match rng.below(5) {
            0 => rx.recv().await,
            1 => match impatiently(rx.recv(), times).await {
                Some(got) => got,
                None => continue,
            },
            2 => {
                let mut batch = Vec::new();
                match impatiently(rx.recv_many(&mut batch, 3), times).await {
                    Some(0) => None,
                    None => {
                        assert!(batch.is_empty());
                        continue;
                    }
                    Some(n) => {
                        assert_eq!(batch.len(), n);
                        batch.into_iter().for_each(|value| books.received(value));
                        continue;
                    }
                }
            }
            3 => match rx.try_recv() {
                Ok(value) => Some(value),
                Err(towpath::TryRecvError::Empty) => {
                    yield_now().await;
                    continue;
                }
                Err(towpath::TryRecvError::Closed) => None,
            },
            _ => match impatiently(
                async {
                    select! { got = rx.recv() => got, _ = towpath::never() => None }
                },
                times,
            )
            .await
            {
                Some(got) => got,
                None => continue,
            },
        };
        let Some(value) = got else { break };
        books.received(value);
    }
}

fn receiver_thread(mut rx: SharedReceiver<Counted>, books: &'static Books, mut rng: Rng) {
    loop {
        let got = match rng.below(4) {
            0 | 1 => rx.recv_blocking(),
            2 => match rx.try_recv() {
                Ok(value) => Some(value),
                Err(towpath::TryRecvError::Empty) => {
                    thread::yield_now();
                    continue;
                }
                Err(towpath::TryRecvError::Closed) => None,
            },
            _ => {
                select_blocking! { got = rx.recv() => got, _ = towpath::never() => unreachable!() }
            }
        };
        let Some(value) = got else { break };
        books.received(value);
    }
}

#[test]
fn stress_everybody_at_once() {
    let mut rng = Rng::announced();
    watchdog(240, || {
        for round in 0..2 * ROUNDS {
            for capacity in CAPACITIES {
                let books: &'static Books = Box::leak(Box::default());
                let census = Census::default();
                let (tx, rx) = channel(capacity);
                let rx = rx.into_shared();
                let steps = 150;
                thread::scope(|s| {
                    // Two threads that run tasks, and some that are what they are.
                    for _ in 0..2 {
                        let mut jobs: Vec<Job<'_>> = Vec::new();
                        for _ in 0..1 + rng.below(2) {
                            jobs.push(Box::pin(sender_task(
                                tx.clone(),
                                books,
                                census.clone(),
                                rng.fork(),
                                steps,
                            )));
                        }
                        for _ in 0..1 + rng.below(2) {
                            jobs.push(Box::pin(receiver_task(rx.clone(), books, rng.fork())));
                        }
                        s.spawn(move || run_tasks(jobs));
                    }
                    for _ in 0..rng.below(3) {
                        let (tx, census, rng) = (tx.clone(), census.clone(), rng.fork());
                        s.spawn(move || sender_thread(&tx, books, &census, rng, steps));
                    }
                    for _ in 0..rng.below(3) {
                        let (rx, rng) = (rx.clone(), rng.fork());
                        s.spawn(move || receiver_thread(rx, books, rng));
                    }
                    drop((tx, rx));
                });
                books.balance(&format!("capacity {capacity:?}, round {round}"));
                census.all_dropped_once();
            }
        }
    });
}

#[test]
fn stress_receiver_dies_in_the_middle() {
    let mut rng = Rng::announced();
    watchdog(240, || {
        for _ in 0..4 * ROUNDS {
            for capacity in CAPACITIES {
                let census = Census::default();
                let (tx, mut rx) = channel(capacity);
                thread::scope(|s| {
                    for party in 1..3 {
                        let (tx, census) = (tx.clone(), census.clone());
                        s.spawn(move || {
                            for id in (party << 40).. {
                                if let Err(back) = tx.send_blocking(census.value(id)) {
                                    assert_eq!(back.into_inner().id, id);
                                    break;
                                }
                                thread::yield_now();
                            }
                        });
                    }
                    let mut jobs: Vec<Job<'_>> = Vec::new();
                    for party in 3..5 {
                        let (tx, census, mut rng) = (tx.clone(), census.clone(), rng.fork());
                        jobs.push(Box::pin(async move {
                            for id in (party << 40).. {
                                let value = census.value(id);
                                if let Some(Err(back)) =
                                    impatiently(tx.send(value), rng.below(3)).await
                                {
                                    assert_eq!(back.into_inner().id, id);
                                    break;
                                }
                                yield_now().await;
                            }
                        }));
                    }
                    s.spawn(|| run_tasks(jobs));
                    drop(tx);
                    for _ in 0..rng.below(100) {
                        assert!(rx.recv_blocking().is_some());
                    }
                    drop(rx);
                });
                census.all_dropped_once();
            }
        }
    });
}

/// Threads and tasks round a ring of channels: each gives to the right and takes from the left, whichever is possible.
#[test]
fn stress_cyclic_mixed_selects() {
    const PARTIES: usize = 8;
    let steps = 400 * ROUNDS;
    let mut rng = Rng::announced();
    watchdog(240, || {
        for capacity in [0, 1, 2, 4] {
            let (mut txs, rxs): (Vec<_>, Vec<_>) =
                (0..PARTIES).map(|_| towpath::bounded(capacity)).unzip();
            txs.rotate_left(1);
            thread::scope(|s| {
                let mut jobs: Vec<Job<'_>> = Vec::new();
                for (party, (tx, mut rx)) in txs.into_iter().zip(rxs).enumerate() {
                    let mut rng = rng.fork();
                    let (mut gave, mut took) = (0, 0);
                    if party % 4 == 0 {
                        s.spawn(move || {
                            while gave < steps || took < steps {
                                select_blocking! {
                                    sent = tx.send(gave), if gave < steps => { sent.unwrap(); gave += 1 }
                                    got = rx.recv(), if took < steps => { assert_eq!(got, Some(took)); took += 1 }
                                }
                            }
                        });
                        continue;
                    }
                    jobs.push(Box::pin(async move {
                        while gave < steps || took < steps {
                            let select = async {
                                select! {
                                    sent = tx.send(gave), if gave < steps => { sent.unwrap(); gave += 1 }
                                    got = rx.recv(), if took < steps => { assert_eq!(got, Some(took)); took += 1 }
                                }
                            };
                            if rng.one_in(2) {
                                select.await;
                            } else {
                                impatiently(select, rng.below(4)).await;
                            }
                        }
                    }));
                }
                let more = jobs.split_off(jobs.len() / 2);
                s.spawn(|| run_tasks(jobs));
                s.spawn(|| run_tasks(more));
            });
        }
    });
}

#[test]
fn stress_select_polled_while_it_is_told() {
    // Polled again and again, so that it looks at an arm in the very moment in which a sender tells it to; its memory
    // is gone right after.
    let mut rng = Rng::announced();
    watchdog(240, || {
        for capacity in CAPACITIES {
            let (tx, mut rx) = channel::<u64>(capacity);
            let (tx2, mut rx2) = channel::<u64>(capacity);
            let (gone, _unused) = towpath::bounded::<u64>(4);
            let rounds = 3_000 * ROUNDS;
            let mut rng = rng.fork();
            thread::scope(|s| {
                for tx in [tx, tx2] {
                    s.spawn(move || {
                        for i in 0..rounds {
                            tx.send_blocking(i).unwrap();
                            if i % 4 == 0 {
                                thread::yield_now();
                            }
                        }
                    });
                }
                let task = Task::new();
                let (mut got, mut ended) = (0, 0);
                while ended < 2 {
                    (got, ended) = (got, 0);
                    let mut select = Box::pin(async {
                        select! {
                            value = rx.recv() => value,
                            value = rx2.recv() => value,
                            place = gone.reserve(), if false => { drop(place); None }
                        }
                    });
                    let patience = rng.below(50);
                    let polled = (0..=patience).find_map(|_| match task.poll(select.as_mut()) {
                        Poll::Ready(value) => Some(value),
                        Poll::Pending => None,
                    });
                    drop(select);
                    match polled {
                        None => {}
                        Some(Some(_)) => got += 1,
                        Some(None) => {
                            ended = usize::from(rx.is_closed() && rx.is_empty())
                                + usize::from(rx2.is_closed() && rx2.is_empty())
                        }
                    }
                }
                while rx.recv_blocking().is_some() {
                    got += 1;
                }
                while rx2.recv_blocking().is_some() {
                    got += 1;
                }
                assert_eq!(got, 2 * rounds, "capacity {capacity:?}");
            });
        }
    });
}
