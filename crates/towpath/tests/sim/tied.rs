//! What is tied to a channel, with its ends in tasks and threads that go at any moment.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use towpath::rt::{spawn, spawn_blocking};
use towpath_sim::choose;

use super::tools::{maybe_dropped, some_bounded, some_channel};

#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn now(&self) -> usize {
        self.0.load(SeqCst)
    }
}

struct Tied {
    count: Count,
    /// Messages that must have been dropped by then, of those that were sent.
    after: Option<(Count, Count)>,
}

impl Drop for Tied {
    fn drop(&mut self) {
        if let Some((dropped, sent)) = &self.after {
            assert_eq!(dropped.now(), sent.now(), "a message is left");
        }
        self.count.0.fetch_add(1, SeqCst);
    }
}

/// Counts that it was made, and that it was dropped.
struct Message(Count);

impl Message {
    fn new(made: &Count, dropped: &Count) -> Self {
        made.0.fetch_add(1, SeqCst);
        Self(dropped.clone())
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, SeqCst);
    }
}

/// Ends in two tasks and two threads, operations that are cut short, resources tied by everybody: each is released once.
#[towpath::test]
async fn each_is_released_once_whoever_goes_when() {
    let (made, dropped, open, end) =
        (Count::default(), Count::default(), Count::default(), Count::default());
    let (tx, rx) = some_channel::<Message>();
    let rx = rx.into_shared();
    let tied_open = Count::default();
    let mut tasks = Vec::new();
    for thread in [false, true] {
        let (tx, mut rx) = (tx.clone(), rx.clone());
        let (made, dropped) = (made.clone(), dropped.clone());
        let (open, tied_open, end) = (open.clone(), tied_open.clone(), end.clone());
        let tie = move |tx: &towpath::Sender<Message>| {
            if choose(2) == 1 {
                tied_open.0.fetch_add(1, SeqCst);
                // Given back or released later: dropped once in either case.
                let _ = tx.tie_while_open(Tied { count: open.clone(), after: None });
            }
            tx.tie(Tied { count: end.clone(), after: Some((dropped.clone(), made.clone())) });
            Message::new(&made, &dropped)
        };
        if thread {
            tasks.push(spawn_blocking(move || {
                let _ = tx.try_send(tie(&tx));
                drop(tx);
            }));
            tasks.push(spawn_blocking(move || drop(rx.try_recv())));
        } else {
            tasks.push(spawn(async move {
                let message = tie(&tx);
                drop(maybe_dropped(tx.send(message)).await);
            }));
            tasks.push(spawn(async move { drop(maybe_dropped(rx.recv()).await) }));
        }
    }
    drop((tx, rx));
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((open.now(), end.now()), (tied_open.now(), 2));
    assert_eq!(made.now(), dropped.now());
}

/// Somebody ties while the other side goes: released or given back, not both and not neither.
#[towpath::test]
async fn tied_or_given_back() {
    let (tx, rx) = some_bounded::<u8>();
    let open = Count::default();
    let goes = spawn_blocking(move || drop(rx));
    let refused = tx.tie_while_open(Tied { count: open.clone(), after: None }).err();
    goes.await.unwrap();
    assert_eq!(open.now(), usize::from(refused.is_none()));
    drop(tx);
    drop(refused);
    assert_eq!(open.now(), 1);
}
