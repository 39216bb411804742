//! The words of each kind of finding, whole: what a tired person reads at night.
//!
//! Places are shown without their line, and the number of steps is left out; all else is compared as it is.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex as StdMutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Poll, Waker},
    time::Duration,
};

use towpath::{
    Ctx, rendezvous, rt, scope, select,
    select::future,
    sync::{Mutex, Notify},
};
use towpath_sim::{FindingKind, Ledger, Sim, yield_point};

/// The text of the finding, with `file.rs:_` for places and without the line that counts steps.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for line in text.lines().filter(|line| !line.ends_with("of virtual time)")) {
        let words: Vec<_> = line.split(' ').map(without_place).collect();
        plain += &words.join(" ");
        plain.push('\n');
    }
    plain.trim_end().to_owned()
}

fn without_place(word: &str) -> String {
    let bare = word.trim_end_matches([',', ';', ':', '.', ')']);
    let mut parts = bare.rsplit(':');
    let number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u32>().is_ok());
    if !number(parts.next()) || !number(parts.next()) {
        return word.to_owned();
    }
    let file = parts.next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    format!("{file}:_{}", &word[bare.len()..])
}

/// Runs it until it fails, and compares.
#[track_caller]
fn says<F: Future<Output = ()> + 'static>(
    sim: Sim,
    program: impl Fn() -> F,
    kind: FindingKind,
    expected: &str,
) {
    let failed = sim.shrink(Duration::from_secs(1)).explore(program).failure.expect("it fails");
    let text = plain(&failed.finding.to_string());
    assert_eq!(text, expected.trim(), "\n{text}\n\n{}", failed.story.join("\n"));
    assert_eq!(failed.finding.kind, kind);
}

#[test]
fn two_locks_in_two_orders() {
    let program = || async {
        let accounts = ["alice", "bob"].map(|name| Arc::new(Mutex::new(()).named(name)));
        let done = scope(&Ctx::root(), |s| async move {
            for (name, from, to) in [("there", 0, 1), ("back", 1, 0)] {
                let (from, to) = (accounts[from].clone(), accounts[to].clone());
                s.spawn(name, move |_| async move {
                    let _from = from.lock().await;
                    let _to = to.lock().await;
                });
            }
            Ok(())
        });
        done.await.unwrap();
    };
    says(Sim::new(), program, FindingKind::Deadlock,
        "
deadlock: nobody can go on, and the main process has not ended

who has not ended
  `main`, a task started at words.rs:_
      waits for all processes of its scope; could be freed by `there`, which waits itself at words.rs:_, or `back`, which waits itself at words.rs:_
  `there`, a task started at words.rs:_
      waits for its turn at `bob` (mutex), at words.rs:_; could be freed by `back`, which waits itself at words.rs:_
  `back`, a task started at words.rs:_
      waits for its turn at `alice` (mutex), at words.rs:_; could be freed by `there`, which waits itself at words.rs:_

a circle: there → back → there
",
    );
}

/// Whoever has the lock waits for the other one, who wants the lock.
#[test]
fn a_channel_and_a_lock() {
    let program = || async {
        let done = scope(&Ctx::root(), |s| async move {
            let books = Arc::new(Mutex::new(0).named("books"));
            let (tx, mut rx) = rendezvous();
            let tx = tx.named("orders");
            let theirs = books.clone();
            s.spawn("seller", move |_| async move {
                for order in 0..2 {
                    let _books = theirs.lock().await;
                    tx.try_send(order).ok();
                    if order == 1 {
                        tx.send(order).await.unwrap();
                    }
                }
            });
            s.spawn("cook", move |_| async move {
                let mut sum = 0;
                while let Some(order) = rx.recv().await {
                    sum += order;
                    *books.lock().await = sum;
                    if sum == 0 {
                        let _books = books.lock().await;
                        rx.recv().await;
                    }
                }
            });
            Ok(())
        });
        done.await.unwrap();
    };
    says(Sim::new(), program, FindingKind::Deadlock,
        "
deadlock: nobody can go on, and the main process has not ended

who has not ended
  `main`, a task started at words.rs:_
      waits for all processes of its scope; could be freed by `seller`, which waits itself at words.rs:_, or `cook`, which waits itself at words.rs:_
  `seller`, a task started at words.rs:_
      waits to send on `orders` (rendezvous), at words.rs:_; could be freed by `cook`, which waits itself at words.rs:_
  `cook`, a task started at words.rs:_
      waits for its turn at `books` (mutex), at words.rs:_; could be freed by `seller`, which waits itself at words.rs:_

a circle: seller → cook → seller
",
    );
}

/// The main process is done and has forgotten two who wait for each other.
#[test]
fn a_deadlock_of_some() {
    let program = || async {
        let (ask, mut asked) = rendezvous::<u8>();
        let (answer, mut answered) = rendezvous::<u8>();
        let (ask, answer) = (ask.named("questions"), answer.named("answers"));
        drop(rt::spawn(async move {
            let question = asked.recv().await;
            answer.send(question.unwrap_or_default()).await.unwrap();
        }));
        drop(rt::spawn(async move {
            let answer = answered.recv().await;
            ask.send(answer.unwrap_or_default()).await.unwrap();
        }));
    };
    says(Sim::new(), program, FindingKind::Leak,
        "
leak: the main process has ended, and 2 processes have not and will not

who has not ended
  `spawned`, a task started at words.rs:_
      waits to receive from `questions` (rendezvous), at words.rs:_; could be freed by nobody: no process has ever sent there
  `spawned`, a task started at words.rs:_
      waits to receive from `answers` (rendezvous), at words.rs:_; could be freed by nobody: no process has ever sent there
",
    );
}

#[test]
fn a_loop_that_nobody_ends() {
    let program = || async {
        let beat = Arc::new(AtomicU32::new(0));
        drop(rt::spawn(async move {
            let mut ticks = towpath::tick(Duration::from_secs(1));
            loop {
                ticks.recv().await;
                beat.fetch_add(1, Relaxed);
            }
        }));
    };
    says(
        Sim::new(),
        program,
        FindingKind::Leak,
        "
leak: the main process has ended, and 1 process has not and will not

who has not ended
  `spawned`, a task started at words.rs:_
      could go on
      waits for a timer
",
    );
}

/// A flag with a waker, written by hand; it looks, and then leaves its waker, and what comes between is not seen.
#[derive(Default)]
struct Flag {
    up: AtomicU32,
    waker: StdMutex<Option<Waker>>,
}

#[test]
fn a_waker_that_is_left_too_late() {
    let program = || async {
        let flag = Arc::new(Flag::default());
        let raised = flag.clone();
        let raiser = rt::spawn(async move {
            raised.up.store(1, Relaxed);
            yield_point();
            let waker = raised.waker.lock().unwrap().take();
            waker.into_iter().for_each(Waker::wake);
        });
        poll_fn(|cx| {
            if flag.up.load(Relaxed) == 1 {
                return Poll::Ready(());
            }
            yield_point();
            *flag.waker.lock().unwrap() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
        raiser.await.unwrap();
    };
    says(
        Sim::new(),
        program,
        FindingKind::LostWakeup,
        "
lost wake-up: `main` waits although it could go on; nobody woke it

who has not ended
  `main`, a task started at words.rs:_
      waits for something that Towpath does not see
",
    );
}

/// Its waker goes with the future that was dropped.
#[test]
fn a_waker_that_is_forgotten() {
    let program = || async {
        let flag = Arc::new(Flag::default());
        let raised = flag.clone();
        let (tx, mut rx) = rendezvous::<()>();
        let done = scope(&Ctx::root(), |s| async move {
            s.spawn("raises", move |_| async move {
                tx.send(()).await.unwrap();
                yield_point();
                raised.up.store(1, Relaxed);
            });
            s.spawn("waits", move |_| async move {
                rx.recv().await;
                poll_fn(|_| match flag.up.load(Relaxed) {
                    0 => Poll::Pending,
                    _ => Poll::Ready(()),
                })
                .await;
            });
            Ok(())
        });
        done.await.unwrap();
    };
    says(
        Sim::new(),
        program,
        FindingKind::LostWakeup,
        "
lost wake-up: `waits` waits although it could go on; nobody woke it

who has not ended
  `main`, a task started at words.rs:_
      waits for all processes of its scope; could be freed by `waits`, which waits itself
  `waits`, a task started at words.rs:_
      waits for something that Towpath does not see
",
    );
}

/// The arm that lost is kept, is given the lock, and is not polled again.
#[test]
fn an_arm_that_nobody_polls() {
    let program = || async {
        let done = scope(&Ctx::root(), |s| async move {
            let journal = Arc::new(Mutex::new(0).named("journal"));
            let held = journal.clone().lock_owned().await;
            let (tell, mut told) = rendezvous::<()>();
            s.spawn("holder", |_| async move {
                tell.send(()).await.unwrap();
                drop(held);
            });
            s.spawn("driver", |_| async move {
                let mut entry = pin!(async { *journal.lock().await += 1 });
                select! {
                    () = future(entry.as_mut()) => {}
                    _ = told.recv() => *journal.lock().await += 10,
                }
            });
            Ok(())
        });
        done.await.unwrap();
    };
    says(Sim::new(), program, FindingKind::NeverPolled,
        "
somebody waits for what stands reserved for a future that its own task does not poll

who has not ended
  `main`, a task started at words.rs:_
      waits for all processes of its scope; could be freed by `driver`, which waits itself at words.rs:_
  `driver`, a task started at words.rs:_
      waits for its turn at `journal` (mutex), at words.rs:_
      has in line, and does not poll, a wait for its turn at `journal` (mutex), at words.rs:_
",
    );
}

/// There is always a job, so the stop below it is never looked at.
#[test]
fn a_stop_that_is_never_seen() {
    let program = || async {
        let done = scope(&Ctx::root(), |s| async move {
            let (tx, mut jobs) = towpath::unbounded();
            let (stop, mut stops) = rendezvous::<()>();
            tx.send(0).await?;
            let again = tx.clone();
            s.spawn("worker", move |_| async move {
                loop {
                    select! { biased;
                        job = jobs.recv() => again.send(job.unwrap()).await.unwrap(),
                        _ = stops.recv() => return,
                    }
                }
            });
            s.spawn("boss", move |_| async move { stop.send(()).await.unwrap() });
            drop(tx);
            Ok(())
        });
        done.await.unwrap();
    };
    says(Sim::new().max_steps(2000), program, FindingKind::NoEnd,
        "
no end after 2001 steps: somebody is starved, or nobody gets anywhere

who has not ended
  `main`, a task started at words.rs:_
      waits for all processes of its scope; could be freed by `worker`, which goes on, or `boss`, which waits itself at words.rs:_
  `worker`, a task started at words.rs:_
      could go on
  `boss`, a task started at words.rs:_
      waits to send on the rendezvous made at words.rs:_, at words.rs:_; could be freed by nobody: no process has ever received there
",
    );
}

#[test]
fn a_task_that_panics_and_is_not_joined() {
    let program = || async {
        drop(rt::spawn(async {
            yield_point();
            let drivers: Vec<u8> = Vec::new();
            assert!(!drivers.is_empty(), "no driver");
        }));
        rt::sleep(Duration::from_secs(1)).await;
    };
    says(
        Sim::new(),
        program,
        FindingKind::Panic,
        "
`spawned` panicked at words.rs:_: no driver

who has not ended
  `main`, a task started at words.rs:_
      waits for a timer
",
    );
}

#[test]
fn a_law_that_is_broken() {
    let program = || async {
        let seats = Arc::new(AtomicU32::new(1));
        let watched = seats.clone();
        towpath_sim::always("no seat is sold twice", move || watched.load(Relaxed) < 2);
        let buyers = [0, 1].map(|_| {
            let seats = seats.clone();
            rt::spawn(async move {
                let free = seats.load(Relaxed) > 0;
                yield_point();
                if free && seats.fetch_sub(1, Relaxed) == 0 {
                    yield_point();
                }
            })
        });
        for buyer in buyers {
            buyer.await.unwrap();
        }
    };
    says(Sim::new(), program, FindingKind::Law,
        "
`no seat is sold twice` does not hold any more

who has not ended
  `main`, a task started at words.rs:_
      waits for the value of the task started at words.rs:_; could be freed by `spawned`, which goes on
  `spawned`, a task started at words.rs:_
      could go on
",
    );
}

#[test]
fn a_promise_that_is_not_kept() {
    let program = || async {
        let served = Arc::new(AtomicU32::new(0));
        let watched = served.clone();
        towpath_sim::eventually("somebody is served", move || watched.load(Relaxed) > 0);
        let (tx, mut rx) = rendezvous();
        let order = rt::spawn(async move {
            select! {
                sent = tx.send(1) => sent.unwrap(),
                () = towpath::after(Duration::from_secs(1)) => {} // and the order is forgotten
            }
        });
        rt::sleep(Duration::from_secs(1)).await;
        if rx.try_recv().is_ok() {
            served.fetch_add(1, Relaxed);
        }
        drop(rx);
        drop(order.await);
    };
    says(
        Sim::new(),
        program,
        FindingKind::Law,
        "
`somebody is served` has never come true
",
    );
}

#[test]
fn a_message_that_is_lost() {
    let program = || async {
        let orders = Ledger::new("orders");
        let (tx, mut rx) = rendezvous();
        let entered = orders.clone();
        let customer = rt::spawn(async move {
            entered.enter(7);
            select! {
                sent = tx.send(7) => sent.unwrap(),
                () = towpath::after(Duration::from_secs(1)) => {} // `send_from` would have kept it
            }
        });
        rt::sleep(Duration::from_secs(1)).await;
        if let Ok(order) = rx.try_recv() {
            orders.leave(order);
        }
        customer.await.unwrap();
    };
    says(
        Sim::new(),
        program,
        FindingKind::Law,
        "
`nothing of the orders is lost` does not hold at the end
",
    );
}

#[test]
fn a_message_that_comes_twice() {
    let program = || async {
        let orders = Ledger::new("orders");
        orders.enter(7);
        let seen = Arc::new(AtomicU32::new(0));
        for name in ["one", "other"] {
            let (orders, seen) = (orders.clone(), seen.clone());
            let done = scope(&Ctx::root(), |s| async move {
                s.spawn(name, move |_| async move {
                    let first = seen.load(Relaxed) < 2;
                    seen.fetch_add(1, Relaxed);
                    if first {
                        orders.leave(7);
                    }
                });
                Ok(())
            });
            done.await.unwrap();
        }
    };
    says(
        Sim::new(),
        program,
        FindingKind::Panic,
        r#"
`main` panicked at words.rs:_: called `Result::unwrap()` on an `Err` value: Panicked { process: "other", message: "7 of the orders has arrived twice", at: Some("crates/towpath-sim/src/laws.rs:127:34"), later: [] }
"#,
    );
}

/// A notice for which nobody waits yet, and `notify_waiters`, which does not keep it.
#[test]
fn a_notice_that_comes_too_early() {
    let program = || async {
        let done = scope(&Ctx::root(), |s| async move {
            let bell = Arc::new(Notify::new().named("bell"));
            let rung = bell.clone();
            s.spawn("rings", move |_| async move { rung.notify_waiters() });
            s.spawn_blocking("listens", move |_| bell.notified_blocking());
            Ok(())
        });
        done.await.unwrap();
    };
    says(Sim::new(), program, FindingKind::Deadlock,
        "
deadlock: nobody can go on, and the main process has not ended

who has not ended
  `main`, a task started at words.rs:_
      waits for all processes of its scope; could be freed by `listens`, which waits itself at words.rs:_
  `listens`, a thread started at words.rs:_
      waits for a notice from `bell` (notification), at words.rs:_; could be freed by `rings`, which has ended
",
    );
}
