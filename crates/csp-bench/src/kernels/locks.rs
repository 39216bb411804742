//! Locks alone.
//!
//! | kernel | who waits for whom | the twin |
//! |---|---|---|
//! | `ab_ba` | two processes take two locks in different orders | one order |
//! | `reader_writer_reader` | a reader reads again; a writer stands in line between its two reads | hands on what it has read |
//! | `double_lock` | a function locks what its caller has locked | gets the value from its caller |
//!
//! Ownership does not help here: a lock is there to be shared. The compiler only makes sure that it is released.

use std::sync::Arc;

use towpath::{
    Ctx, scope,
    sync::{Mutex, RwLock},
};

use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "ab_ba",
        class: Class::Lock,
        shape: "two processes take the same two locks in different orders",
        fate: Fate::Detect,
        owned: Some(program!(ab_ba::owned)),
        shared: None,
        fixed: program!(ab_ba::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "deposit", object: None },
            Stuck { process: "withdraw", object: None },
        ],
        timers: false,
        go_of_100: None,
        note: "",
        source: include_str!("locks.rs"),
    },
    Kernel {
        name: "reader_writer_reader",
        class: Class::Lock,
        shape: "a reader takes the read lock a second time while a writer waits between the two",
        fate: Fate::Detect,
        owned: Some(program!(reader_writer_reader::owned)),
        shared: None,
        fixed: program!(reader_writer_reader::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "reader", object: None },
            Stuck { process: "writer", object: None },
        ],
        timers: false,
        go_of_100: None,
        note: "",
        source: include_str!("locks.rs"),
    },
    Kernel {
        name: "double_lock",
        class: Class::Lock,
        shape: "a function takes a lock that its caller holds already",
        fate: Fate::Detect,
        owned: Some(program!(double_lock::owned)),
        shared: None,
        fixed: program!(double_lock::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[Stuck { process: "cashier", object: None }],
        timers: false,
        go_of_100: None,
        note: "",
        source: include_str!("locks.rs"),
    },
];

mod ab_ba {
    use super::*;

    /// Two accounts.
    #[derive(Default)]
    struct Bank {
        cash: Mutex<u32>,
        savings: Mutex<u32>,
    }

    pub(super) async fn owned() {
        let bank = Arc::new(Bank::default());
        let run = scope(&Ctx::root(), |s| async move {
            let other = bank.clone();
            s.spawn("deposit", |_| async move {
                let mut cash = bank.cash.lock().await;
                let mut savings = bank.savings.lock().await; // stuck: deposit
                (*cash, *savings) = (0, *savings + *cash);
            });
            s.spawn("withdraw", |_| async move {
                let mut savings = other.savings.lock().await;
                let mut cash = other.cash.lock().await; // stuck: withdraw
                (*cash, *savings) = (*cash + *savings, 0);
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let bank = Arc::new(Bank::default());
        let run = scope(&Ctx::root(), |s| async move {
            let other = bank.clone();
            s.spawn("deposit", |_| async move {
                let mut cash = bank.cash.lock().await;
                let mut savings = bank.savings.lock().await;
                (*cash, *savings) = (0, *savings + *cash);
            });
            s.spawn("withdraw", |_| async move {
                let mut cash = other.cash.lock().await;
                let mut savings = other.savings.lock().await;
                (*cash, *savings) = (*cash + *savings, 0);
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod reader_writer_reader {
    use super::*;

    type Levels = RwLock<[u32; 2]>;

    /// The sum of the levels.
    async fn sum(levels: &Levels) -> u32 {
        let levels = levels.read().await; // stuck: reader
        levels.iter().sum()
    }

    async fn raise(levels: Arc<Levels>) {
        let mut levels = levels.write().await; // stuck: writer
        levels[0] += 1;
    }

    pub(super) async fn owned() {
        let levels = Arc::new(Levels::new([3, 5]));
        let run = scope(&Ctx::root(), |s| async move {
            let read = levels.clone();
            s.spawn("reader", |_| async move {
                let levels = read.read().await;
                let sum = sum(&read).await;
                assert_eq!(sum, levels[0] + levels[1]);
            });
            s.spawn("writer", |_| raise(levels));
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let levels = Arc::new(Levels::new([3, 5]));
        let run = scope(&Ctx::root(), |s| async move {
            let read = levels.clone();
            s.spawn("reader", |_| async move {
                let levels = read.read().await;
                let sum: u32 = levels.iter().sum();
                assert_eq!(sum, levels[0] + levels[1]);
            });
            s.spawn("writer", |_| raise(levels));
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod double_lock {
    use super::*;

    /// What is in the till, after taking `amount` out of it.
    async fn take(till: &Mutex<u32>, amount: u32) -> u32 {
        let mut till = till.lock().await; // stuck: cashier
        *till -= amount;
        *till
    }

    pub(super) async fn owned() {
        let till = Arc::new(Mutex::new(10));
        let run = scope(&Ctx::root(), |s| async move {
            s.spawn("cashier", |_| async move {
                let full = till.lock().await;
                if *full >= 3 {
                    take(&till, 3).await;
                }
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        /// What is in the till, after taking `amount` out of it.
        fn take(till: &mut u32, amount: u32) -> u32 {
            *till -= amount;
            *till
        }

        let till = Arc::new(Mutex::new(10));
        let run = scope(&Ctx::root(), |s| async move {
            s.spawn("cashier", |_| async move {
                let mut full = till.lock().await;
                if *full >= 3 {
                    assert_eq!(take(&mut full, 3), 7);
                }
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}
