//! Semaphore and Notify against an oracle: a number, a line of those who wait, and who has been given what.
//!
//! A mutex and the two sides of a reader-writer lock are semaphores that ask for one or for all, so the oracle speaks
//! for them too. It allows no choice: after each operation exactly those whom it names have been woken.

use std::{collections::VecDeque, pin::Pin, task::Poll};

use proptest::prelude::*;
use towpath::{
    select,
    sync::{AcquireError, Notify, Semaphore, SemaphorePermit, TryAcquireError},
};

use crate::harness::{Polled, watchdog};

#[derive(Clone, Debug)]
enum Operation {
    Acquire { want: usize, by_select: bool },
    TryAcquire(usize),
    Add(usize),
    Release(u8),
    Forget(u8),
    Poll(u8),
    Drop(u8),
    Close,
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let i = any::<u8>;
    prop_oneof![
        8 => (0..5_usize, any::<bool>()).prop_map(|(want, by_select)| Acquire { want, by_select }),
        3 => (0..5_usize).prop_map(TryAcquire),
        2 => (0..4_usize).prop_map(Add),
        6 => i().prop_map(Release),
        1 => i().prop_map(Forget),
        6 => i().prop_map(Poll),
        4 => i().prop_map(Drop),
        1 => prop::bool::weighted(0.1).prop_map(|close| if close { Close } else { Add(1) }),
    ]
}

type Acquired<'a> = Result<SemaphorePermit<'a>, AcquireError>;
type Wait<'a> = Polled<Pin<Box<dyn Future<Output = Acquired<'a>> + 'a>>>;

/// How the oracle sees a wait.
#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    Waits,
    Given,
    Closed,
}

struct Waiting<'a> {
    id: u64,
    want: usize,
    state: State,
    wait: Wait<'a>,
}

struct World<'a> {
    semaphore: &'a Semaphore,
    waits: Vec<Waiting<'a>>,
    held: Vec<SemaphorePermit<'a>>,
    next_id: u64,
    // The oracle: what is there, and who waits for it.
    there: usize,
    line: VecDeque<u64>,
    closed: bool,
}

impl<'a> World<'a> {
    fn new(semaphore: &'a Semaphore) -> Self {
        Self {
            semaphore,
            waits: Vec::new(),
            held: Vec::new(),
            next_id: 0,
            there: semaphore.available_permits(),
            line: VecDeque::new(),
            closed: false,
        }
    }

    fn may_take(&self, want: usize) -> bool {
        !self.closed && self.line.is_empty() && want <= self.there
    }

    fn take(&mut self, permit: SemaphorePermit<'a>) {
        assert!(self.may_take(permit.permits()), "not its turn");
        self.there -= permit.permits();
        self.held.push(permit);
    }

    fn waiting(&mut self, id: u64) -> &mut Waiting<'a> {
        self.waits.iter_mut().find(|waiting| waiting.id == id).unwrap()
    }

    /// The first in line get theirs, as far as it goes.
    fn hand_out(&mut self) {
        while let Some(&id) = self.line.front() {
            let want = self.waiting(id).want;
            if want > self.there {
                break;
            }
            self.there -= want;
            self.line.pop_front();
            self.waiting(id).state = State::Given;
        }
    }

    fn acquire(&mut self, want: usize, by_select: bool) {
        let semaphore = self.semaphore;
        let mut wait: Wait<'a> = Polled::new(if by_select {
            Box::pin(async move {
                select! { permit = semaphore.acquire(want) => permit, _ = towpath::never() => unreachable!() }
            })
        } else {
            Box::pin(semaphore.acquire(want))
        });
        match wait.poll() {
            Poll::Ready(Ok(permit)) => self.take(permit),
            Poll::Ready(Err(AcquireError)) => assert!(self.closed),
            Poll::Pending => {
                assert!(!self.closed && !self.may_take(want));
                let id = self.next_id;
                self.next_id += 1;
                self.line.push_back(id);
                self.waits.push(Waiting { id, want, state: State::Waits, wait });
            }
        }
    }

    fn poll(&mut self, i: usize) {
        let state = self.waits[i].state;
        match (self.waits[i].wait.poll(), state) {
            (Poll::Pending, State::Waits) => return,
            (Poll::Ready(Ok(permit)), State::Given) => self.held.push(permit),
            (Poll::Ready(Err(AcquireError)), State::Closed) => {}
            (polled, state) => panic!("{polled:?}, and the oracle says {state:?}"),
        }
        self.waits.swap_remove(i);
    }

    fn cancel(&mut self, i: usize) {
        let Waiting { id, want, state, wait } = self.waits.swap_remove(i);
        drop(wait);
        self.line.retain(|&waiting| waiting != id);
        if state == State::Given {
            self.there += want;
        }
    }

    fn run(&mut self, operation: &Operation) {
        let pick = |i: u8, n: usize| (n > 0).then(|| usize::from(i) % n);
        let (held, waits) = (self.held.len(), self.waits.len());
        match *operation {
            Operation::Acquire { want, by_select } => self.acquire(want, by_select),
            Operation::TryAcquire(want) => match self.semaphore.try_acquire(want) {
                Ok(permit) => self.take(permit),
                Err(TryAcquireError::Closed) => assert!(self.closed),
                Err(TryAcquireError::NoPermits) => assert!(!self.closed && !self.may_take(want)),
            },
            Operation::Add(count) => {
                self.semaphore.add_permits(count);
                self.there += count;
            }
            Operation::Release(i) => {
                if let Some(i) = pick(i, held) {
                    self.there += self.held.swap_remove(i).permits();
                }
            }
            Operation::Forget(i) => {
                if let Some(i) = pick(i, held) {
                    self.held.swap_remove(i).forget();
                }
            }
            Operation::Poll(i) => pick(i, waits).into_iter().for_each(|i| self.poll(i)),
            Operation::Drop(i) => pick(i, waits).into_iter().for_each(|i| self.cancel(i)),
            Operation::Close => {
                self.semaphore.close();
                self.closed = true;
                while let Some(id) = self.line.pop_front() {
                    self.waiting(id).state = State::Closed;
                }
            }
        }
        self.hand_out();
    }

    fn check(&self) {
        for Waiting { id, want, state, wait } in &self.waits {
            assert_eq!(wait.woken(), *state != State::Waits, "{id} wants {want} and is {state:?}");
        }
        assert_eq!(self.semaphore.available_permits(), self.there);
        assert_eq!(self.semaphore.is_closed(), self.closed);
    }
}

#[derive(Clone, Debug)]
enum Telling {
    One,
    All,
    Listen { by_select: bool },
    Poll(u8),
    Drop(u8),
}

fn telling() -> impl Strategy<Value = Telling> {
    prop_oneof![
        5 => Just(Telling::One),
        1 => Just(Telling::All),
        6 => any::<bool>().prop_map(|by_select| Telling::Listen { by_select }),
        6 => any::<u8>().prop_map(Telling::Poll),
        4 => any::<u8>().prop_map(Telling::Drop),
    ]
}

/// How the oracle sees one who listens: made and not polled yet, in line, told by one notice, told with all others.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Ear {
    Made,
    InLine,
    Told,
    Called,
}

type Listening<'a> = Polled<Pin<Box<dyn Future<Output = ()> + 'a>>>;

struct Listeners<'a> {
    notify: &'a Notify,
    /// In the order in which they came into line.
    all: Vec<(Ear, Listening<'a>)>,
    kept: bool,
}

impl Listeners<'_> {
    /// A notice for the first in line, or kept.
    fn tell_one(&mut self) {
        match self.all.iter_mut().find(|listener| listener.0 == Ear::InLine) {
            Some(first) => first.0 = Ear::Told,
            None => self.kept = true,
        }
    }

    fn run(&mut self, telling: &Telling) {
        let count = self.all.len();
        let pick = |i: u8| (count > 0).then(|| usize::from(i) % count);
        match *telling {
            Telling::One => {
                self.notify.notify_one();
                self.tell_one();
            }
            Telling::All => {
                self.notify.notify_waiters();
                let reached = |ear: &Ear| matches!(ear, Ear::Made | Ear::InLine);
                self.all.iter_mut().for_each(|(ear, _)| {
                    *ear = if reached(ear) { Ear::Called } else { *ear };
                });
            }
            Telling::Listen { by_select } => {
                let notified = self.notify.notified();
                self.all.push((
                    Ear::Made,
                    Polled::new(if by_select {
                        Box::pin(async move {
                            select! { () = notified => {}, _ = towpath::never() => {} }
                        })
                    } else {
                        Box::pin(notified)
                    }),
                ));
            }
            Telling::Poll(i) => {
                let Some(i) = pick(i) else { return };
                let (ear, mut wait) = self.all.remove(i);
                match (wait.poll(), ear) {
                    (Poll::Ready(()), Ear::Told | Ear::Called) => {}
                    (Poll::Ready(()), Ear::Made) => {
                        assert!(std::mem::take(&mut self.kept), "there was no notice");
                    }
                    (Poll::Pending, Ear::Made) => {
                        assert!(!self.kept, "a notice was kept for it");
                        self.all.push((Ear::InLine, wait));
                    }
                    (Poll::Pending, Ear::InLine) => self.all.insert(i, (ear, wait)),
                    (polled, ear) => panic!("{polled:?}, and the oracle says {ear:?}"),
                }
            }
            Telling::Drop(i) => {
                let Some(i) = pick(i) else { return };
                let (ear, wait) = self.all.remove(i);
                drop(wait);
                if ear == Ear::Told {
                    self.tell_one();
                }
            }
        }
    }

    fn check(&self) {
        for (i, (ear, wait)) in self.all.iter().enumerate() {
            // One who has not been polled yet has nobody to wake.
            let may_be_woken = matches!(ear, Ear::Told | Ear::Called);
            assert!(!wait.woken() || may_be_woken, "{i} was woken and is {ear:?}");
            assert!(wait.woken() || *ear != Ear::Told, "{i} was told and not woken");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_semaphore_does_what_the_oracle_says(
        permits in 0..5_usize,
        operations in prop::collection::vec(operation(), 0..120),
    ) {
        watchdog(60, || {
            let semaphore = Semaphore::new(permits);
            let mut world = World::new(&semaphore);
            for operation in &operations {
                world.run(operation);
                world.check();
            }
        });
    }

    #[test]
    fn a_notify_does_what_the_oracle_says(
        tellings in prop::collection::vec(telling(), 0..120),
    ) {
        watchdog(60, || {
            let notify = Notify::new();
            let mut listeners = Listeners { notify: &notify, all: Vec::new(), kept: false };
            for telling in &tellings {
                listeners.run(telling);
                listeners.check();
            }
        });
    }
}
