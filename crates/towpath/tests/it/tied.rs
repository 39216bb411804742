//! What is tied to a channel goes with it: counted values in every order of events, then files, folders and child processes of
//! the real machine, and every way in which an end can go.

#[cfg(all(target_os = "linux", not(miri)))]
mod machine;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use towpath::{
    BoxError, Ctx, Receiver, Sender, SharedReceiver, TieError, scope, select, select::SelectSet,
};

use crate::harness::{CAPACITIES, Polled, channel};

/// Says its name when it is dropped.
struct Named(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Drop for Named {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// Counts its drop.
struct Counting(Arc<AtomicUsize>);

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// What can happen to a channel with two senders and two receivers.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Event {
    DropSender(usize),
    DropReceiver(usize),
    Send,
    Receive,
    Tie,
    TieWhileOpen,
}

const EVENTS: [Event; 8] = [
    Event::DropSender(0),
    Event::DropSender(1),
    Event::DropReceiver(0),
    Event::DropReceiver(1),
    Event::Send,
    Event::Receive,
    Event::Tie,
    Event::TieWhileOpen,
];

/// Calls `each` with every order of `items`.
fn orders<T: Copy>(items: &mut [T], from: usize, each: &mut impl FnMut(&[T])) {
    if from == items.len() {
        return each(items);
    }
    for other in from..items.len() {
        items.swap(from, other);
        orders(items, from + 1, each);
        items.swap(from, other);
    }
}

/// Ends that are still there, and what was tied.
struct World {
    senders: [Option<Sender<Counting>>; 2],
    receivers: [Option<SharedReceiver<Counting>>; 2],
    message: Arc<AtomicUsize>,
    end: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    /// What should be: how many were tied to the end, and while it is open; whether a message is queued.
    tied: (usize, usize),
    queued: usize,
}

impl World {
    fn new(capacity: Option<usize>) -> Self {
        let (tx, rx) = channel(capacity);
        let rx = rx.into_shared();
        Self {
            senders: [Some(tx.clone()), Some(tx)],
            receivers: [Some(rx.clone()), Some(rx)],
            message: Arc::default(),
            end: Arc::default(),
            open: Arc::default(),
            tied: (0, 0),
            queued: 0,
        }
    }

    fn is_closed(&self) -> bool {
        self.senders.iter().all(Option::is_none) || self.receivers.iter().all(Option::is_none)
    }

    fn has_ended(&self) -> bool {
        self.senders.iter().all(Option::is_none) && self.receivers.iter().all(Option::is_none)
    }

    /// Ties by whichever end is there.
    fn tie(&mut self, while_open: bool) {
        if self.has_ended() {
            return;
        }
        let counting = Counting(if while_open { self.open.clone() } else { self.end.clone() });
        let was_closed = self.is_closed();
        let tied =
            match (self.senders.iter().flatten().next(), self.receivers.iter().flatten().next()) {
                (Some(tx), _) if while_open => tx.tie_while_open(counting),
                (None, Some(rx)) if while_open => rx.tie_while_open(counting),
                (Some(tx), _) => {
                    tx.tie(counting);
                    Ok(())
                }
                (None, Some(rx)) => {
                    rx.tie(counting);
                    Ok(())
                }
                (None, None) => unreachable!("looked at before"),
            };
        assert_eq!(tied.is_err(), while_open && was_closed);
        match tied {
            Ok(()) if while_open => self.tied.1 += 1,
            Ok(()) => self.tied.0 += 1,
            // It is ours again; its drop counts, so it is taken back from the count.
            Err(TieError(resource)) => {
                let count = resource.0.clone();
                drop(resource);
                count.fetch_sub(1, SeqCst);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::DropSender(i) => drop(self.senders[i].take()),
            Event::DropReceiver(i) => {
                drop(self.receivers[i].take());
                if self.receivers.iter().all(Option::is_none) {
                    self.queued = 0;
                }
            }
            Event::Send => {
                if let Some(tx) = self.senders.iter().flatten().next() {
                    self.queued += usize::from(tx.try_send(Counting(self.message.clone())).is_ok());
                }
            }
            Event::Receive => {
                if let Some(rx) = self.receivers.iter_mut().flatten().next() {
                    self.queued -= usize::from(rx.try_recv().is_ok());
                }
            }
            Event::Tie => self.tie(false),
            Event::TieWhileOpen => self.tie(true),
        }
    }

    /// What is tied is there exactly as long as it should be.
    fn check(&self) {
        let expected_end = if self.has_ended() { self.tied.0 } else { 0 };
        let expected_open = if self.is_closed() { self.tied.1 } else { 0 };
        assert_eq!(self.end.load(SeqCst), expected_end, "tied to the end");
        assert_eq!(self.open.load(SeqCst), expected_open, "tied while open");
    }
}

#[test]
fn every_order_of_events() {
    // One capacity of each queue, and the hand-over; Miri takes its time.
    let capacities: &[_] = if cfg!(miri) { &[Some(1)] } else { &[Some(0), Some(1), Some(4), None] };
    let mut events = EVENTS;
    let events = if cfg!(miri) { &mut events[2..] } else { &mut events[..] };
    let mut count = 0_u32;
    for &capacity in capacities {
        orders(events, 0, &mut |order| {
            let mut world = World::new(capacity);
            for (at, event) in order.iter().enumerate() {
                world.happen(*event);
                let checked = catch_unwind(AssertUnwindSafe(|| world.check()));
                assert!(checked.is_ok(), "capacity {capacity:?}, after {:?}", &order[..=at]);
            }
            count += 1;
        });
    }
    println!("{count} orders");
}

/// Messages, then what was tied while it is open, then the rest; the youngest first.
#[test]
fn the_order_of_release() {
    let order = |receivers_first: bool| {
        let said = Arc::new(Mutex::new(Vec::new()));
        let named = |name| Named(name, said.clone());
        let (tx, rx) = towpath::bounded(4);
        tx.tie(named("end 1"));
        rx.tie(named("end 2"));
        tx.tie_while_open(named("open 1")).unwrap();
        rx.tie_while_open(named("open 2")).unwrap();
        tx.try_send(named("message")).unwrap();
        if receivers_first {
            drop(rx);
            drop(tx);
        } else {
            drop(tx);
            drop(rx);
        }
        Arc::into_inner(said).unwrap().into_inner().unwrap()
    };
    assert_eq!(order(true), ["message", "open 2", "open 1", "end 2", "end 1"]);
    assert_eq!(order(false), ["open 2", "open 1", "message", "end 2", "end 1"]);
}

#[test]
fn a_refused_resource_comes_back() {
    let (tx, rx) = towpath::bounded::<u32>(4);
    drop(rx);
    let TieError(back) = tx.tie_while_open("mine").unwrap_err();
    assert_eq!(back, "mine");
    assert_eq!(
        TieError(0).to_string(),
        "the channel is closed; release the resource, or tie it to another"
    );
}

/// A drop that panics takes nobody's turn: the others go too, the channel is closed, and the panic goes on.
#[test]
fn one_that_panics_does_not_keep_the_others() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(thread::panicking(), "boom");
        }
    }
    for capacity in CAPACITIES {
        let count = Arc::new(AtomicUsize::new(0));
        let (tx, mut rx) = channel::<u32>(capacity);
        for _ in 0..2 {
            tx.tie_while_open(Counting(count.clone())).unwrap();
        }
        tx.tie_while_open(Bomb).unwrap();
        tx.tie(Counting(count.clone()));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(tx))).is_err());
        assert_eq!(count.load(SeqCst), 2);
        assert_eq!(rx.recv_blocking(), None);
        drop(rx);
        assert_eq!(count.load(SeqCst), 3);
    }
}

#[test]
fn a_message_that_panics_keeps_nothing() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(thread::panicking(), "boom");
        }
    }
    for capacity in CAPACITIES.into_iter().filter(|capacity| *capacity != Some(0)) {
        let count = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = channel::<Bomb>(capacity);
        tx.try_send(Bomb).unwrap_or_else(|_| unreachable!("there is room"));
        tx.tie_while_open(Counting(count.clone())).unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
        assert_eq!(count.load(SeqCst), 1, "capacity {capacity:?}");
    }
}

/// A way in which a receiver goes.
type End = (&'static str, fn(Sender<u32>, Receiver<u32>));

/// Every way in which both ends of a channel can go; after each of them nothing is left.
pub(crate) const WAYS: &[End] = &[
    ("dropped", |tx, rx| drop((rx, tx))),
    ("the thread of the receiver panics", |tx, mut rx| {
        let receiving = thread::spawn(move || {
            rx.recv_blocking();
            panic!("expected by this test");
        });
        tx.send_blocking(1).unwrap();
        receiving.join().unwrap_err();
    }),
    ("the thread of the sender panics", |tx, rx| {
        thread::spawn(move || {
            let _tx = tx;
            panic!("expected by this test");
        })
        .join()
        .unwrap_err();
        drop(rx);
    }),
    ("the scope is cancelled", |tx, mut rx| {
        let done = scope(&Ctx::root(), |s| async move {
            s.spawn("sender", move |ctx| async move {
                ctx.done().await;
                drop(tx);
            });
            s.spawn("receiver", move |ctx| async move {
                while !ctx.is_done() {
                    select! { _ = rx.recv() => {}, _ = ctx.done() => {} }
                }
            });
            s.cancel("enough");
            Ok::<_, BoxError>(())
        });
        towpath::block_on(done).unwrap();
    }),
    ("the scope is dropped", |tx, mut rx| {
        drop(Polled::parked(scope(&Ctx::root(), |s| async move {
            s.spawn("sender", move |_| async move {
                let _tx = tx;
                std::future::pending::<()>().await;
            });
            s.spawn("receiver", move |_| async move { while rx.recv().await.is_some() {} });
            std::future::pending::<Result<(), BoxError>>().await
        })));
    }),
    ("a process fails", |tx, mut rx| {
        let done = scope(&Ctx::root(), |s| async move {
            s.spawn("receiver", move |_| async move {
                rx.recv().await;
                panic!("expected by this test");
            });
            s.spawn("sender", move |_| async move { while tx.send(1).await.is_ok() {} });
            Ok::<_, BoxError>(())
        });
        towpath::block_on(done).unwrap_err();
    }),
    ("the receiver is in a set", |tx, rx| {
        let mut set = SelectSet::new();
        set.recv(rx);
        drop(tx);
        drop(Polled::new(set.next()));
        drop(set);
    }),
    ("a set that waits is dropped", |tx, rx| {
        let mut set = SelectSet::new();
        set.recv(rx);
        {
            let next = Polled::parked(set.next());
            drop(next);
        }
        drop(set);
        drop(tx);
    }),
    ("with a permit that nobody uses", |tx, mut rx| {
        let permit = if tx.capacity() == Some(0) {
            drop(Polled::parked(rx.recv()));
            None
        } else {
            tx.try_reserve().ok()
        };
        drop(rx);
        drop(permit);
        drop(tx);
    }),
    ("with a permit that is used too late", |tx, rx| {
        if let Ok(permit) = tx.try_reserve() {
            drop(rx);
            permit.send(7);
        }
    }),
    ("a select that waits on both ends is dropped", |tx, mut rx| {
        drop(Polled::new(async {
            select! {
                _ = rx.recv() => {}
                _ = tx.send(1), if tx.capacity() == Some(0) => {}
            }
        }));
    }),
    ("a future owns both", |tx, mut rx| {
        drop(Polled::parked(async move {
            rx.recv().await;
            drop(tx);
        }));
    }),
    ("shared receivers", |tx, rx| {
        let rx = rx.into_shared();
        let others: Vec<_> = (0..3).map(|_| (rx.clone(), tx.clone())).collect();
        let threads = others.into_iter().map(|(mut rx, tx)| {
            thread::spawn(move || {
                drop(tx);
                while rx.recv_blocking().is_some() {}
            })
        });
        let threads: Vec<_> = threads.collect();
        let _ = tx.try_send(1);
        drop((rx, tx));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }),
];

#[test]
fn every_way_to_go() {
    for capacity in CAPACITIES {
        for (way, go) in WAYS {
            let (open, end) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (tx, rx) = channel(capacity);
            tx.tie_while_open(Counting(open.clone())).unwrap();
            rx.tie(Counting(end.clone()));
            go(tx, rx);
            assert_eq!(
                (open.load(SeqCst), end.load(SeqCst)),
                (1, 1),
                "{way}, capacity {capacity:?}"
            );
        }
    }
}

/// A channel in the queue of which its own sender waits: the receiver's end takes it along.
#[test]
fn a_sender_in_its_own_queue() {
    struct Ring(#[expect(dead_code, reason = "it is owned, which is all")] Sender<Ring>);
    let count = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = towpath::unbounded();
    tx.tie(Counting(count.clone()));
    let own = tx.clone();
    tx.try_send(Ring(own)).unwrap_or_else(|_| unreachable!("there is room"));
    drop(tx);
    assert_eq!(count.load(SeqCst), 0);
    drop(rx);
    assert_eq!(count.load(SeqCst), 1);
}

/// A resource may wait for those on the other side: they have been told.
#[test]
fn a_thread_is_joined_when_nobody_listens() {
    struct Joined(Option<thread::JoinHandle<()>>);
    impl Drop for Joined {
        fn drop(&mut self) {
            self.0.take().unwrap().join().unwrap();
        }
    }
    for capacity in CAPACITIES {
        let (tx, mut rx) = channel(capacity);
        let reader = thread::spawn(move || while tx.send_blocking(1).is_ok() {});
        rx.tie_while_open(Joined(Some(reader))).unwrap();
        rx.recv_blocking();
        drop(rx);
    }
}
