//! What only futures can do: they stop being polled, are dropped half way, or go on under another task.
//!
//! | kernel | the bug | with Towpath's own operations | the twin |
//! |---|---|---|---|
//! | `futurelock` | an arm kept by `&mut` is given a lock while its task waits for the same lock | detected | the arm is dropped when it loses |
//! | `cancelled_receive` | an arm that had received, and waits for more, loses: the message is gone | a receive that loses took nothing | what was received is kept outside the arm |
//! | `lost_waker` | a future is polled by one task and then awaited by another; the first is woken | the last who polled is woken | the same, by `Notify` |

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
};

use towpath::{
    BoxError, Ctx, Receiver, Sender, rendezvous, rt, scope, select,
    select::future,
    sync::{Mutex, Notify, OwnedMutexGuard},
};

use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "futurelock",
        class: Class::Rust,
        shape: "a select's losing arm, kept by `&mut`, is next in line for a lock; its task awaits the same lock and \
                does not poll it",
        fate: Fate::Detect,
        owned: Some(program!(futurelock::owned)),
        shared: None,
        fixed: program!(futurelock::fixed),
        symptom: Symptom::NeverPolled,
        stuck: &[Stuck { process: "driver", object: None }],
        timers: false,
        go_of_100: None,
        note: "an operation that is an arm itself leaves the line when it loses; only a foreign future, by \
               `select::future(&mut ..)`, stays in it",
        source: include_str!("futures.rs"),
    },
    Kernel {
        name: "cancelled_receive",
        class: Class::Rust,
        shape: "a losing arm had already taken the message",
        fate: Fate::Value,
        owned: Some(program!(cancelled_receive::owned)),
        shared: Some(program!(cancelled_receive::shared)),
        fixed: program!(cancelled_receive::fixed),
        symptom: Symptom::Panic,
        stuck: &[],
        timers: false,
        go_of_100: None,
        note: "`recv()` as an arm takes nothing unless it wins; the bug needs a future of two steps, by \
               `select::future(..)`. Its ends are owned as well: sharing has no part in this one",
        source: include_str!("futures.rs"),
    },
    Kernel {
        name: "lost_waker",
        class: Class::Rust,
        shape: "a future polled by one task is moved to another; the first task's waker is woken",
        fate: Fate::Value,
        owned: Some(program!(lost_waker::owned)),
        shared: Some(program!(lost_waker::shared)),
        fixed: program!(lost_waker::fixed),
        symptom: Symptom::LostWakeup,
        stuck: &[
            Stuck { process: "spawned", object: None },
            Stuck { process: "main", object: None },
        ],
        timers: false,
        go_of_100: None,
        note: "every wait of Towpath's own keeps the waker of its last poll; the bug needs a future written by hand",
        source: include_str!("futures.rs"),
    },
];

mod futurelock {
    use super::*;

    /// Has the journal from before the driver begins; tells the driver something, and lets go.
    async fn hold(journal: OwnedMutexGuard<u32>, told: Sender<()>) -> Result<(), BoxError> {
        told.send(()).await?;
        drop(journal);
        Ok(())
    }

    pub(super) async fn owned() {
        let journal = Arc::new(Mutex::new(0));
        let (tell, mut told) = rendezvous();
        let run = scope(&Ctx::root(), |s| async move {
            let held = journal.clone().lock_owned().await;
            s.spawn("holder", |_| hold(held, tell));
            s.spawn("driver", |_| async move {
                let mut entry = pin!(async { *journal.lock().await += 1 });
                select! {
                    () = future(entry.as_mut()) => {}
                    _ = told.recv() => {
                        // `entry` may stand in line before this one, and nobody polls it.
                        let mut journal = journal.lock().await; // stuck: driver
                        *journal += 10;
                    }
                }
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let journal = Arc::new(Mutex::new(0));
        let (tell, mut told) = rendezvous();
        let run = scope(&Ctx::root(), |s| async move {
            let held = journal.clone().lock_owned().await;
            s.spawn("holder", |_| hold(held, tell));
            s.spawn("driver", |_| async move {
                select! {
                    mut entry = journal.lock() => *entry += 1,
                    _ = told.recv() => {
                        let mut journal = journal.lock().await;
                        *journal += 10;
                    }
                }
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod cancelled_receive {
    use super::*;

    const JOBS: u32 = 3;
    const NUDGES: u32 = 2;

    /// What the collector works with.
    struct Inputs {
        jobs: Receiver<u32>,
        stamps: Receiver<u32>,
        /// `None` when they have ended.
        nudges: Option<Receiver<()>>,
    }

    /// Starts those who produce the inputs. Whoever makes stamps does so until nobody wants them.
    fn start(s: &towpath::Scope) -> Inputs {
        let ((job, jobs), (stamp, stamps)) = (rendezvous(), rendezvous());
        let (nudge, nudges) = rendezvous();
        s.spawn("producer", |_| async move { job.send_all(0..JOBS).await });
        s.spawn("nudger", |_| async move {
            // The collector may have left: it does not wait for nudges.
            nudge.send_all((0..NUDGES).map(|_| ())).await.ok();
        });
        s.spawn("stamper", |_| async move {
            for number in 0.. {
                if stamp.send(number).await.is_err() {
                    return;
                }
            }
        });
        Inputs { jobs, stamps, nudges: Some(nudges) }
    }

    fn check(filed: &[(u32, u32)]) {
        let jobs: Vec<_> = filed.iter().map(|(_, job)| *job).collect();
        assert!(jobs.iter().copied().eq(0..JOBS), "jobs were lost: only {jobs:?} are left");
    }

    pub(super) async fn owned() {
        let run = scope(&Ctx::root(), |s| async move {
            let Inputs { mut jobs, mut stamps, mut nudges } = start(&s);
            let mut filed = Vec::new();
            loop {
                select! {
                    job = jobs.recv() => {
                        let Some(job) = job else { break };
                        let stamp = stamps.recv().await.ok_or("no more stamps")?;
                        filed.push((stamp, job));
                    }
                    nudge = nudges.recv() => if nudge.is_none() { nudges = None },
                }
            }
            Ok(filed)
        });
        check(&run.await.expect("nobody fails"));
    }

    pub(super) async fn shared() {
        /// The next job, with a stamp. Dropped while it waits for the stamp, it takes the job along.
        async fn next(jobs: &mut Receiver<u32>, stamps: &mut Receiver<u32>) -> Option<(u32, u32)> {
            let job = jobs.recv().await?;
            let stamp = stamps.recv().await?;
            Some((stamp, job))
        }

        let run = scope(&Ctx::root(), |s| async move {
            let Inputs { mut jobs, mut stamps, mut nudges } = start(&s);
            let mut filed = Vec::new();
            loop {
                select! {
                    job = future(next(&mut jobs, &mut stamps)) => match job {
                        Some(stamped) => filed.push(stamped),
                        None => break,
                    },
                    nudge = nudges.recv() => if nudge.is_none() { nudges = None },
                }
            }
            Ok(filed)
        });
        check(&run.await.expect("nobody fails"));
    }

    pub(super) async fn fixed() {
        /// Files what comes. What it has received, and what it has filed, is not in the future, so dropping it loses
        /// neither.
        #[derive(Default)]
        struct Desk {
            received: Option<u32>,
            filed: Vec<(u32, u32)>,
        }

        impl Desk {
            /// Files the next job. False: there are no more.
            async fn file(&mut self, jobs: &mut Receiver<u32>, stamps: &mut Receiver<u32>) -> bool {
                if self.received.is_none() {
                    self.received = jobs.recv().await;
                }
                let Some(job) = self.received else { return false };
                let Some(stamp) = stamps.recv().await else { return false };
                self.filed.push((stamp, job));
                self.received = None;
                true
            }
        }

        let run = scope(&Ctx::root(), |s| async move {
            let Inputs { mut jobs, mut stamps, mut nudges } = start(&s);
            let mut desk = Desk::default();
            loop {
                select! {
                    more = future(desk.file(&mut jobs, &mut stamps)) => if !more { break },
                    nudge = nudges.recv() => if nudge.is_none() { nudges = None },
                }
            }
            Ok(desk.filed)
        });
        check(&run.await.expect("nobody fails"));
    }
}

mod lost_waker {
    use super::*;

    type Waiting<T> = Pin<Box<dyn Future<Output = T> + Send>>;

    /// Polls once, under the task that calls.
    async fn glance<T>(waiting: &mut Waiting<T>) -> Poll<T> {
        poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx))).await
    }

    pub(super) async fn owned() {
        let (tx, mut rx) = rendezvous();
        let run = scope(&Ctx::root(), |s| async move {
            let mut waiting: Waiting<_> = Box::pin(async move { rx.recv().await });
            assert!(glance(&mut waiting).await.is_pending());
            let second = s.spawn("second", |_| async move { Ok::<_, BoxError>(waiting.await) });
            s.spawn("caller", |_| async move { tx.send(7).await });
            Ok(second.await?)
        });
        assert_eq!(run.await.expect("nobody fails"), Some(7));
    }

    /// A wait for one event, wrong in one line.
    #[derive(Default)]
    struct Signal {
        fired: AtomicBool,
        waker: OnceLock<Waker>,
    }

    impl Signal {
        fn fire(&self) {
            self.fired.store(true, Ordering::SeqCst);
            if let Some(waker) = self.waker.get() {
                waker.wake_by_ref();
            }
        }

        async fn wait(&self) {
            let told = poll_fn(|cx| {
                // Here it is: the waker of a later poll may be another.
                self.waker.get_or_init(|| cx.waker().clone());
                if self.fired.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
            });
            told.await; // stuck: spawned
        }
    }

    pub(super) async fn shared() {
        let signal = Arc::new(Signal::default());
        let awaited = signal.clone();
        let mut waiting: Waiting<()> = Box::pin(async move { awaited.wait().await });
        assert!(glance(&mut waiting).await.is_pending());
        let second = rt::spawn(waiting);
        let caller = rt::spawn(async move { signal.fire() });
        caller.await.expect("nobody fails");
        second.await.expect("nobody fails"); // stuck: main
    }

    /// The same without the mistake.
    #[derive(Default)]
    struct Event {
        fired: AtomicBool,
        changed: Notify,
    }

    impl Event {
        fn fire(&self) {
            self.fired.store(true, Ordering::Release);
            self.changed.notify_waiters();
        }

        async fn wait(&self) {
            loop {
                let told = self.changed.notified();
                if self.fired.load(Ordering::Acquire) {
                    return;
                }
                told.await;
            }
        }
    }

    pub(super) async fn fixed() {
        let event = Arc::new(Event::default());
        let awaited = event.clone();
        let mut waiting: Waiting<()> = Box::pin(async move { awaited.wait().await });
        assert!(glance(&mut waiting).await.is_pending());
        let second = rt::spawn(waiting);
        let caller = rt::spawn(async move { event.fire() });
        caller.await.expect("nobody fails");
        second.await.expect("nobody fails");
    }
}
