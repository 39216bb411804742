//! Every operation against an oracle: a `VecDeque` of what was sent, and two lines of those who wait.
//!
//! The oracle knows what must happen and what may. Somebody who does not have to wait may be faster than one who is
//! just being woken, and a waiting receiver's hands may serve as one more place; within that the answers are fixed:
//! - Messages come out in the order in which they went in, but for those in the hands of other receivers.
//! - Queued messages and kept places never exceed the capacity and the waiting receivers.
//! - Who could go on has been woken, the first in line first. (That is checked after each operation, so that a lost
//!   wake-up shows at once.)
//! - A failed send gives its value back; at the end every value was dropped once.

mod receiving;
mod sending;
mod world;

use proptest::prelude::*;
use world::{Ends, World};

use crate::harness::{CAPACITIES, watchdog};

/// Up to this capacity a message may pass straight into a waiting receiver's hands, which so are one more place.
const HANDS_COUNT_BELOW: usize = 4;

#[derive(Clone, Debug)]
enum Operation {
    TrySend,
    Send {
        by_select: bool,
    },
    SendAll(u8),
    Reserve {
        by_select: bool,
    },
    TryReserve,
    PollSender(u8),
    DropSender(u8),
    UsePermit(u8),
    DropPermit(u8),
    TryRecv,
    Recv {
        by_select: bool,
    },
    RecvMany(u8),
    PollNext,
    PollReceiver(u8),
    DropReceiver(u8),
    /// Polls everybody who was woken, until nobody is.
    Settle,
    DropIdleSender,
    CloneSender,
    Share,
    Close,
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let i = || any::<u8>();
    prop_oneof![
        5 => Just(TrySend),
        6 => any::<bool>().prop_map(|by_select| Send { by_select }),
        2 => (1..6_u8).prop_map(SendAll),
        3 => any::<bool>().prop_map(|by_select| Reserve { by_select }),
        2 => Just(TryReserve),
        5 => i().prop_map(PollSender),
        3 => i().prop_map(DropSender),
        3 => i().prop_map(UsePermit),
        2 => i().prop_map(DropPermit),
        6 => Just(TryRecv),
        6 => any::<bool>().prop_map(|by_select| Recv { by_select }),
        2 => (1..6_u8).prop_map(RecvMany),
        2 => Just(PollNext),
        5 => i().prop_map(PollReceiver),
        4 => i().prop_map(DropReceiver),
        3 => Just(Settle),
        1 => Just(DropIdleSender),
        1 => Just(CloneSender),
        1 => Just(Share),
        1 => prop::bool::weighted(0.2).prop_map(|close| if close { Close } else { Settle }),
    ]
}

impl World {
    fn run(&mut self, operation: &Operation) {
        let pick = |i: &u8, n: usize| usize::from(*i) % n;
        match operation {
            Operation::TrySend => self.try_send(),
            Operation::Send { by_select } if !self.idle.is_empty() => self.send(*by_select),
            Operation::SendAll(count) if !self.idle.is_empty() => self.send_all(*count),
            Operation::Reserve { by_select } => self.reserve(*by_select),
            Operation::TryReserve => self.try_reserve(),
            Operation::PollSender(i) if !self.sends.is_empty() => {
                self.poll_sender(pick(i, self.sends.len()))
            }
            Operation::DropSender(i) if !self.sends.is_empty() => {
                drop(self.sends.remove(pick(i, self.sends.len())))
            }
            Operation::UsePermit(i) if !self.permits.is_empty() => {
                self.use_permit(pick(i, self.permits.len()), true)
            }
            Operation::DropPermit(i) if !self.permits.is_empty() => {
                self.use_permit(pick(i, self.permits.len()), false)
            }
            Operation::TryRecv => self.try_recv(),
            Operation::Recv { by_select } => self.recv(0, *by_select, false),
            Operation::RecvMany(limit) => self.recv(usize::from(*limit), false, false),
            Operation::PollNext if matches!(self.ends, Ends::One(_)) => self.recv(0, false, true),
            Operation::PollReceiver(i) if !self.receives.is_empty() => {
                self.poll_receiver(pick(i, self.receives.len()))
            }
            Operation::DropReceiver(i) if !self.receives.is_empty() => {
                let receive = self.receives.remove(pick(i, self.receives.len()));
                self.drop_receive(receive);
            }
            Operation::Settle => self.settle(),
            Operation::DropIdleSender => drop(self.idle.pop()),
            Operation::CloneSender => self.idle.extend(self.idle.first().cloned()),
            Operation::Share => self.share(),
            Operation::Close => self.close(),
            _ => {}
        }
        self.check();
    }
}

fn check(capacity: Option<usize>, shared: bool, operations: &[Operation]) {
    let mut world = World::new(capacity);
    if shared {
        world.share();
    }
    operations.iter().for_each(|operation| world.run(operation));
    world.end();
}

fn explore(shared: bool) {
    for capacity in CAPACITIES {
        let config =
            ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() };
        let mut runner = prop::test_runner::TestRunner::new(config);
        let operations = prop::collection::vec(operation(), 1..80);
        let found = watchdog(300, || {
            runner.run(&operations, |operations| {
                check(capacity, shared, &operations);
                Ok(())
            })
        });
        if let Err(error) = found {
            panic!("capacity {capacity:?}, shared {shared}: {error}");
        }
    }
}

#[test]
fn one_receiver_agrees_with_the_oracle() {
    explore(false);
}

#[test]
fn shared_receivers_agree_with_the_oracle() {
    explore(true);
}
