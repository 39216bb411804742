//! The scheduler by itself.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use super::*;
use crate::choice::{Choices, Mix, Portfolio};

fn explore(schedules: u64, main: impl Fn() -> BoxMain) -> (Vec<Outcome>, Option<Outcome>) {
    let engine = Engine::new(Config::default());
    let mut choices = Choices::new(Portfolio::new(Mix::Portfolio));
    let mut all = Vec::new();
    for seed in 0..schedules {
        assert!(choices.begin(seed), "strategies do not run out");
        let outcome = engine.run(&mut choices, &main, false);
        choices.end();
        if outcome.failure.is_some() {
            return (all, Some(outcome));
        }
        all.push(outcome);
    }
    (all, None)
}

#[test]
fn a_program_ends() {
    let (all, failure) = explore(100, || {
        Box::pin(async {
            let (tx, mut rx) = towpath::bounded(2);
            let sender = towpath::rt::spawn(async move {
                for i in 0..3 {
                    tx.send(i).await.unwrap();
                }
            });
            let mut got = Vec::new();
            while let Some(i) = rx.recv().await {
                got.push(i);
            }
            assert_eq!(got, [0, 1, 2]);
            sender.await.unwrap();
        })
    });
    assert!(failure.is_none(), "{failure:?}");
    let distinct: BTreeSet<_> = all.iter().map(|outcome| outcome.hash).collect();
    // Each side waits for the other after a message or two, so there are few orders.
    assert!(distinct.len() > 5, "{}", distinct.len());
}

#[test]
fn orders_differ() {
    let seen = Rc::new(RefCell::new(BTreeSet::new()));
    let noted = seen.clone();
    let (_, failure) = explore(200, move || {
        let seen = noted.clone();
        Box::pin(async move {
            let (tx, mut rx) = towpath::unbounded();
            for name in ["a", "b", "c"] {
                let tx = tx.clone();
                drop(towpath::rt::spawn(async move { tx.send(name).await.unwrap() }));
            }
            drop(tx);
            let mut order = String::new();
            while let Some(name) = rx.recv().await {
                order += name;
            }
            seen.borrow_mut().insert(order);
        })
    });
    assert!(failure.is_none(), "{failure:?}");
    assert_eq!(seen.borrow().len(), 6, "{seen:?}");
}

#[test]
fn a_deadlock_is_found() {
    let (_, failure) = explore(1, || {
        Box::pin(async {
            let (tx, mut rx) = towpath::rendezvous::<u8>();
            rx.recv().await;
            drop(tx);
        })
    });
    assert_eq!(failure.unwrap().failure.unwrap().fault, Fault::Deadlock);
}

#[test]
fn a_leak_is_found() {
    let (_, failure) = explore(1, || {
        Box::pin(async {
            let (tx, mut rx) = towpath::rendezvous::<u8>();
            drop(towpath::rt::spawn(async move {
                let _keeps = tx;
                rx.recv().await;
            }));
        })
    });
    assert_eq!(failure.unwrap().failure.unwrap().fault, Fault::Leak);
}

#[test]
fn threads_and_tasks_meet() {
    let (_, failure) = explore(300, || {
        Box::pin(async {
            let (tx, mut rx) = towpath::rendezvous::<u8>();
            let thread = towpath::rt::spawn_blocking(move || {
                for i in 0..3 {
                    tx.send_blocking(i).unwrap();
                }
            });
            for i in 0..3 {
                assert_eq!(rx.recv().await, Some(i));
            }
            thread.await.unwrap();
        })
    });
    assert!(failure.is_none(), "{failure:?}");
}

#[test]
fn time_is_virtual() {
    let (all, failure) = explore(20, || {
        Box::pin(async {
            let began = towpath::rt::now();
            towpath::rt::sleep(Duration::from_secs(3600)).await;
            assert!(towpath::rt::now() - began >= Duration::from_secs(3600));
        })
    });
    assert!(failure.is_none(), "{failure:?}");
    assert!(all.iter().all(|outcome| outcome.time >= Duration::from_secs(3600)));
}

#[test]
fn a_panic_is_a_failure_with_its_place() {
    let (_, failure) = explore(1, || Box::pin(async { panic!("seven") }));
    let Fault::Panic { message, at } = failure.unwrap().failure.unwrap().fault else {
        panic!("another fault")
    };
    assert_eq!(message, "seven");
    assert!(at.unwrap().contains("tests.rs"));
}

/// Between looking and sending somebody else may send: only an interruption at an operation that is not awaited shows it.
#[test]
fn sync_operations_are_interrupted() {
    const ONE: usize = 1;
    let (_, failure) = explore(1000, || {
        Box::pin(async {
            let (tx, _rx) = towpath::bounded::<u8>(ONE);
            let other = tx.clone();
            let task = towpath::rt::spawn(async move {
                if other.is_empty() {
                    other.try_send(1).unwrap();
                }
            });
            if tx.is_empty() {
                tx.try_send(2).unwrap();
            }
            task.await.unwrap();
        })
    });
    assert!(matches!(failure.unwrap().failure.unwrap().fault, Fault::Panic { .. }));
}

#[test]
fn scopes_and_threads_that_hang_are_cleared_away() {
    for _ in 0..3 {
        let (_, failure) = explore(20, || {
            Box::pin(async {
                let (tx, mut rx) = towpath::rendezvous::<u8>();
                let keep = tx.clone();
                let scope = towpath::scope(&towpath::Ctx::root(), |s| async move {
                    s.spawn_blocking("stuck", move |_| {
                        rx.recv_blocking().map(drop).ok_or(towpath::SendError(1))
                    });
                    s.spawn("also", move |_| async move { keep.send(1).await });
                    s.spawn("third", move |_| async move { tx.send(1).await });
                    Ok(())
                });
                scope.await.unwrap();
            })
        });
        assert!(failure.is_some());
    }
}
