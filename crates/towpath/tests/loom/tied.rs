//! What is tied to a channel: each once, whoever goes first.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use loom::thread;

use super::{channel, model};

/// One queue each that meets, is a ring, is a list.
const KINDS: [Option<usize>; 3] = [Some(1), Some(2), None];

/// Counts drops. Of std: it is asked when all is over.
#[derive(Clone)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn now(&self) -> usize {
        self.0.load(SeqCst)
    }

    fn resource(&self) -> Resource {
        Resource { dropped: self.clone(), after: None }
    }
}

struct Resource {
    dropped: Count,
    /// Must have been dropped so often before.
    after: Option<(Count, usize)>,
}

impl Drop for Resource {
    fn drop(&mut self) {
        if let Some((other, least)) = &self.after {
            assert!(other.now() >= *least, "too early");
        }
        self.dropped.0.fetch_add(1, SeqCst);
    }
}

/// Both sides go at once: each resource is dropped once, and that which is tied to the end after the message.
#[test]
fn tied_to_both_sides() {
    for kind in KINDS {
        model(move || {
            let (tx, rx) = channel::<Resource>(kind);
            let (message, open, end) = (Count::new(), Count::new(), Count::new());
            let _ = tx.try_send(message.resource());
            let _ = tx.tie_while_open(open.resource());
            tx.tie(Resource { dropped: end.clone(), after: Some((message.clone(), 1)) });
            let other = thread::spawn(move || drop(rx));
            drop(tx);
            other.join().unwrap();
            assert_eq!((message.now(), open.now(), end.now()), (1, 1, 1), "{kind:?}");
        });
    }
}

/// A resource is tied while a side goes: it is released, or given back, and never both or neither.
#[test]
fn tied_or_given_back() {
    for kind in KINDS {
        for receivers_go in [false, true] {
            model(move || {
                let (tx, rx) = channel::<Resource>(kind);
                let (open, end) = (Count::new(), Count::new());
                let given_back = if receivers_go {
                    let goes = thread::spawn(move || drop(rx));
                    let refused = tx.tie_while_open(open.resource()).err();
                    tx.tie(end.resource());
                    goes.join().unwrap();
                    assert_eq!(end.now(), 0);
                    drop(tx);
                    refused
                } else {
                    let goes = thread::spawn(move || drop(tx));
                    let refused = rx.tie_while_open(open.resource()).err();
                    rx.tie(end.resource());
                    goes.join().unwrap();
                    assert_eq!(end.now(), 0);
                    drop(rx);
                    refused
                };
                assert_eq!(open.now(), usize::from(given_back.is_none()));
                drop(given_back);
                assert_eq!((open.now(), end.now()), (1, 1));
            });
        }
    }
}

/// A network shuts the senders out while they go.
#[test]
fn tied_and_sealed() {
    for kind in KINDS {
        model(move || {
            let (tx, rx) = channel::<Resource>(kind);
            let (open, end) = (Count::new(), Count::new());
            let _ = tx.tie_while_open(open.resource());
            tx.tie(end.resource());
            let seal = rx.sealer();
            let goes = thread::spawn(move || drop(tx));
            seal();
            drop(rx);
            goes.join().unwrap();
            assert_eq!((open.now(), end.now()), (1, 1));
        });
    }
}
