//! A coordinator at work. In the simulator, where a day passes in no time.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use towpath::{
    BoxError, Ctx, Headers, Receiver, Scope, Sender, bounded, rt, scope, select, unbounded,
};
use towpath_journal::{ErrorKind, Options, Writer};
use towpath_patterns::saga::{
    Accepted, Action, Alert, Backoff, Call, Coordinator, Effect, Error, Filter, Handle, Keys,
    Orphans, Outcome, PAYLOAD_BYTES_MAX, Record, Saga, Status, What,
};
use towpath_sim::{Sim, disk::Disk, disk::Faults};

use crate::sim_disk::sim_disk;

const PLACES: usize = 8;
/// Small, since a simulated disk is memory.
const SEGMENT: u64 = 1 << 14;
const SECOND: Duration = Duration::from_secs(1);
const BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(10), factor: 2, max: SECOND, attempts: 4 };

fn check<F: Future<Output = Result<(), BoxError>> + 'static>(name: &str, program: fn(Disk) -> F) {
    Sim::new()
        .schedules(30)
        .max_steps(200_000)
        .test(name, move || program(Disk::new(Faults::default())));
}

fn open(disk: &Disk) -> Result<Writer, towpath_journal::Error> {
    Options::new().segment_bytes(SEGMENT).open_on(sim_disk(disk), "journal")
}

/// One life of a coordinator, until the body has what it wanted.
async fn life<V, F, Fut>(disk: &Disk, coordinator: Coordinator, body: F) -> Result<V, BoxError>
where
    F: FnOnce(Handle, Scope) -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, BoxError>>,
{
    let writer = open(disk)?;
    let lived = scope(&Ctx::root(), |s| async move {
        let sagas = coordinator.start(&s, "sagas", writer).await?;
        let value = body(sagas, s.clone()).await?;
        s.cancel("that is all");
        Ok(value)
    });
    Ok(lived.await?)
}

/// A process that does with each call what it is told, until the scope ends.
fn worker(s: &Scope, mut calls: Receiver<Call>, mut work: impl FnMut(Call) + Send + 'static) {
    s.spawn("worker", move |ctx| async move {
        loop {
            let call = select! { call = calls.recv() => call, _ = ctx.done() => None };
            let Some(call) = call else { return };
            work(call);
        }
    });
}

fn action(name: &str, to: &Sender<Call>) -> Action {
    // Longer than a schedule may let a timer ring early.
    Action::new(name, to).retry(BACKOFF).timeout(60 * SECOND)
}

fn completed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Completed { .. })
}

#[test]
fn a_start_that_comes_twice_is_one_also_after_a_restart() {
    check("saga::live::a_start_that_comes_twice_is_one_also_after_a_restart", |disk| async move {
        let called = Arc::new(Mutex::new(0));
        for accepted in [Accepted::New, Accepted::Before] {
            let (tx, rx) = bounded(PLACES);
            let coordinator =
                Coordinator::new().define(Saga::new("order").action(action("pay", &tx)));
            let counts = Arc::clone(&called);
            life(&disk, coordinator, move |sagas, s| async move {
                worker(&s, rx, move |call| {
                    *counts.lock().unwrap() += 1;
                    call.done(*b"paid");
                });
                assert_eq!(sagas.start("order", "7", *b"").await?, accepted);
                assert_eq!(sagas.start("order", "7", *b"").await?, Accepted::Before);
                let output = Arc::from(*b"paid");
                assert_eq!(sagas.outcome("7").await?, Outcome::Completed { output });
                assert!(matches!(sagas.outcome("8").await, Err(Error::Unknown { .. })));
                assert!(matches!(
                    sagas.start("other", "8", *b"").await,
                    Err(Error::NoDefinition { .. })
                ));
                assert!(matches!(
                    sagas.start("order", "", *b"").await,
                    Err(Error::Id { bytes: 0 })
                ));
                let large = sagas.start("order", "8", vec![0; PAYLOAD_BYTES_MAX + 1]).await;
                assert!(matches!(large, Err(Error::Large { .. })));
                Ok(())
            })
            .await?;
        }
        assert_eq!(*called.lock().unwrap(), 1);
        Ok(())
    });
}

#[test]
fn signals_that_come_early_and_days_that_pass_survive_restarts() {
    check(
        "saga::live::signals_that_come_early_and_days_that_pass_survive_restarts",
        |disk| async move {
            let day = Duration::from_secs(24 * 3600);
            let began = rt::now();
            for life_number in 0..3 {
                let (tx, rx) = bounded(PLACES);
                let saga = Saga::new("trip")
                    .sleep("a day", day)
                    .signal("approved", Some(day))
                    .action(action("go", &tx));
                life(&disk, Coordinator::new().define(saga), move |sagas, s| async move {
                    worker(&s, rx, |call| {
                        assert_eq!(call.output_of("approved"), Some(&b"yes"[..]));
                        assert_eq!(call.output_of("go"), None);
                        call.done(*b"gone");
                    });
                    sagas.start("trip", "7", *b"").await?;
                    // Long before anybody waits for it, and in each life.
                    let told = sagas.signal("7", "approved", "mail 1", *b"yes").await?;
                    assert_eq!(told == Accepted::New, life_number == 0);
                    if life_number < 2 {
                        rt::sleep(day / 3).await;
                        return Ok(());
                    }
                    assert!(completed(&sagas.outcome("7").await?));
                    Ok(())
                })
                .await?;
            }
            let passed = rt::now() - began;
            assert!(passed >= day && passed < day + 10 * SECOND, "{passed:?}");
            Ok(())
        },
    );
}

#[test]
fn a_context_is_carried_and_its_end_turns_the_saga_back() {
    check("saga::live::a_context_is_carried_and_its_end_turns_the_saga_back", |disk| async move {
        let (tx, rx) = bounded(PLACES);
        let saga = Saga::new("trip")
            .step(action("book", &tx), action("cancel", &tx))
            .signal("never", None);
        let coordinator = Coordinator::new().define(saga);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sees = Arc::clone(&seen);
        let outcome = life(&disk, coordinator, move |sagas, s| async move {
            let own = s.ctx().clone();
            let (booked, mut is_booked) = unbounded();
            worker(&s, rx, move |call| {
                let ctx = call.under(&own);
                assert!(ctx.deadline().is_some());
                let headers = String::from_utf8_lossy(ctx.headers().as_bytes()).into_owned();
                sees.lock().unwrap().push(format!("{} {} {headers}", call.key(), call.action()));
                let _ = booked.try_send(());
                call.done(*b"");
            });
            let (ctx, canceller) =
                Ctx::root().with_headers(Headers::new(*b"trace 1")).with_cancel();
            sagas.start_under(&ctx, "trip", "7", *b"").await?;
            is_booked.recv().await;
            canceller.cancel("the guest left");
            Ok(sagas.outcome("7").await?)
        })
        .await?;
        let Outcome::Compensated { reason, .. } = outcome else { return Err("not turned".into()) };
        assert_eq!(reason, "cancelled: the guest left");
        assert_eq!(*seen.lock().unwrap(), ["7/book book trace 1", "7/book/undo cancel trace 1"]);
        Ok(())
    });
}

#[test]
fn a_deadline_outlives_the_process() {
    check("saga::live::a_deadline_outlives_the_process", |disk| async move {
        for last in [false, true] {
            let (tx, rx) = bounded(PLACES);
            let saga = Saga::new("trip")
                .step(action("book", &tx), action("cancel", &tx))
                .signal("never", None);
            life(&disk, Coordinator::new().define(saga), move |sagas, s| async move {
                worker(&s, rx, |call| call.done(*b""));
                let ctx = Ctx::root().with_timeout(600 * SECOND);
                sagas.start_under(&ctx, "trip", "7", *b"").await?;
                if last {
                    let outcome = sagas.outcome("7").await?;
                    let reason = "the deadline has passed".to_owned();
                    assert_eq!(outcome, Outcome::Compensated { step: 1, reason });
                } else {
                    rt::sleep(SECOND).await;
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    });
}

#[test]
fn a_pause_gives_notice_and_many_are_resumed_at_a_pace() {
    check("saga::live::a_pause_gives_notice_and_many_are_resumed_at_a_pace", |disk| async move {
        let (tx, rx) = bounded(PLACES);
        let (alerts, mut told) = bounded::<Alert>(1);
        let saga = Saga::new("order").signal("go", None).action(action("pay", &tx));
        let coordinator = Coordinator::new().define(saga).alerts(alerts).resume_per_second(10);
        life(&disk, coordinator, move |sagas, s| async move {
            let times = Arc::new(Mutex::new(Vec::new()));
            let notes = Arc::clone(&times);
            worker(&s, rx, move |call| {
                notes.lock().unwrap().push(rt::now());
                call.done(*b"");
            });
            for number in 0..6 {
                sagas.start("order", &format!("{number}"), *b"").await?;
            }
            assert_eq!(sagas.pause(Filter::all().saga("order"), "the bank is closed").await?, 6);
            for number in 0..6 {
                let alert = told.recv().await.ok_or("no alert")?;
                assert_eq!((&*alert.id, alert.what), (format!("{number}").as_str(), What::Paused));
                assert_eq!(alert.reason, "the bank is closed");
                sagas.signal(&alert.id, "go", "1", *b"").await?;
            }
            assert_eq!(times.lock().unwrap().len(), 0);
            let paused = sagas.list(Filter::all().status(Status::Paused).reason("bank")).await?;
            assert_eq!(paused.len(), 6);
            let began = rt::now();
            assert_eq!(sagas.resume(Filter::all().status(Status::Paused)).await?, 6);
            for number in 0..6 {
                assert!(completed(&sagas.outcome(&format!("{number}")).await?));
            }
            // One at once, five at ten a second; what a slow clock rounds off is less than one of them.
            let took = rt::now() - began;
            assert!(took >= Duration::from_millis(400), "not at a pace: {took:?}");
            Ok(())
        })
        .await
    });
}

/// Poison kills whoever has it in hand, and everything that waited there dies too. In the end the poison is in quarantine
/// and nobody else is.
#[test]
fn poison_goes_to_quarantine_and_its_neighbours_do_not() {
    check("saga::live::poison_goes_to_quarantine_and_its_neighbours_do_not", |disk| async move {
        let (tx, mut rx) = bounded::<Call>(PLACES);
        let (alerts, mut told) = bounded::<Alert>(PLACES);
        let saga = Saga::new("order").action(action("cook", &tx));
        let coordinator = Coordinator::new().define(saga).alerts(alerts);
        life(&disk, coordinator, move |sagas, s| async move {
            s.spawn("kitchen", move |ctx| async move {
                loop {
                    let call = select! { call = rx.recv() => call, _ = ctx.done() => None };
                    let Some(call) = call else { return };
                    if call.saga() == "poison" {
                        drop(call);
                        while let Ok(other) = rx.try_recv() {
                            drop(other);
                        }
                        continue;
                    }
                    call.done(*b"");
                }
            });
            let all = ["soup", "poison", "rice", "tea"];
            for id in all {
                sagas.start("order", id, *b"").await?;
            }
            for id in all.into_iter().filter(|id| *id != "poison") {
                assert!(completed(&sagas.outcome(id).await?));
            }
            let alert = told.recv().await.ok_or("no alert")?;
            assert_eq!((&*alert.id, alert.what), ("poison", What::Quarantined), "{alert:?}");
            assert!(alert.reason.contains("3 processes died with `cook` in hand"), "{alert:?}");
            let shown = sagas.show("poison").await?;
            assert_eq!(shown.summary.status, Status::Quarantined);
            let deaths = shown.records.iter().filter(|it| matches!(it, Record::StepFailed { .. }));
            assert_eq!(deaths.count(), 3);
            assert!(told.try_recv().is_err());
            Ok(())
        })
        .await
    });
}

/// A saga hears a signal at once, and what follows from it waits: who has one death left is called while no other suspect is.
#[test]
fn a_signal_does_not_lead_a_suspect_past_the_others() {
    check("saga::live::a_signal_does_not_lead_a_suspect_past_the_others", |disk| async move {
        let (tx, mut rx) = bounded::<Call>(PLACES);
        let (cooking, mut in_hand) = bounded::<()>(PLACES);
        let saga = Saga::new("order").quarantine_after(2).action(action("cook", &tx));
        life(&disk, Coordinator::new().define(saga), move |sagas, s| async move {
            s.spawn("kitchen", move |ctx| async move {
                loop {
                    let call = select! { call = rx.recv() => call, _ = ctx.done() => None };
                    let Some(call) = call else { return };
                    if call.attempt() == 1 {
                        drop(call);
                        continue;
                    }
                    let _ = cooking.send(()).await;
                    rt::sleep(SECOND).await;
                    while let Ok(other) = rx.try_recv() {
                        assert_eq!(other.attempt(), 1, "{other:?} beside {call:?}");
                    }
                    call.done(*b"");
                }
            });
            for id in ["soup", "rice"] {
                sagas.start("order", id, *b"").await?;
            }
            for dedup in ["1", "2"] {
                in_hand.recv().await.ok_or("nobody cooks")?;
                for id in ["soup", "rice"] {
                    sagas.signal(id, "hurry", dedup, *b"").await?;
                }
            }
            for id in ["soup", "rice"] {
                assert!(completed(&sagas.outcome(id).await?));
            }
            Ok(())
        })
        .await
    });
}

#[test]
fn a_dead_letter_is_told_kept_and_resumed_by_hand() {
    check("saga::live::a_dead_letter_is_told_kept_and_resumed_by_hand", |disk| async move {
        for mended in [false, true] {
            let (tx, rx) = bounded(PLACES);
            let (alerts, mut told) = bounded::<Alert>(PLACES);
            let saga = Saga::new("order")
                .step(action("pay", &tx), action("refund", &tx))
                .action(action("ship", &tx));
            let coordinator = Coordinator::new().define(saga).alerts(alerts);
            life(&disk, coordinator, move |sagas, s| async move {
                worker(&s, rx, move |call| match call.action() {
                    "pay" => call.done(*b""),
                    "refund" if mended => call.done(*b""),
                    "refund" => call.retry("the bank is closed"),
                    _ => call.refuse("out of stock"),
                });
                sagas.start("order", "7", *b"").await?;
                // Also when it was so before the restart.
                let alert = told.recv().await.ok_or("no alert")?;
                assert_eq!(alert.what, What::DeadLettered);
                assert_eq!(alert.reason, "`pay` cannot be taken back: the bank is closed");
                let dead = Outcome::DeadLettered { step: 0, reason: alert.reason };
                assert_eq!(sagas.outcome("7").await?, dead);
                assert_eq!(
                    sagas
                        .list(Filter::all().status(Status::DeadLettered).at_step("pay"))
                        .await?
                        .len(),
                    1
                );
                if mended {
                    assert_eq!(sagas.resume(Filter::all().id("7")).await?, 1);
                    assert!(matches!(sagas.outcome("7").await?, Outcome::Compensated { .. }));
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    });
}

#[test]
fn sagas_go_on_in_the_version_they_were_started_in() {
    check("saga::live::sagas_go_on_in_the_version_they_were_started_in", |disk| async move {
        let (tx, rx) = bounded(PLACES);
        let old = |tx| Saga::new("order").signal("go", None).action(action("pay", tx));
        let new = |tx| Saga::new("order").version(2).action(action("charge", tx));
        let changed = Saga::new("order").signal("go", None).action(action("charge", &tx));
        life(&disk, Coordinator::new().define(old(&tx)), |sagas, _| async move {
            sagas.start("order", "7", *b"").await?;
            Ok(())
        })
        .await?;
        let refused = |saga: Saga| {
            let disk = disk.clone();
            async move {
                let lived = life(&disk, Coordinator::new().define(saga), |_, _| async { Ok(()) });
                format!("{:?}", lived.await.err())
            }
        };
        let error = refused(new(&tx)).await;
        assert!(
            error.contains("Version { id: \"7\", saga: \"order\", journal: 1, code: [2] }"),
            "{error}"
        );
        let error = refused(changed).await;
        assert!(error.contains("Changed { id: \"7\", saga: \"order\", version: 1 }"), "{error}");
        // Kept as it is, with notice, and others go on.
        let (alerts, mut told) = bounded::<Alert>(PLACES);
        let held = Coordinator::new().define(new(&tx)).orphans(Orphans::Hold).alerts(alerts);
        life(&disk, held, move |sagas, s| async move {
            let alert = told.recv().await.ok_or("no alert")?;
            assert_eq!((&*alert.id, alert.what), ("7", What::Orphaned));
            assert_eq!(sagas.list(Filter::all().status(Status::Orphaned)).await?.len(), 1);
            worker(&s, rx, |call| {
                assert_eq!(call.key(), "8/charge");
                call.done(*b"");
            });
            sagas.start("order", "8", *b"").await?;
            assert!(completed(&sagas.outcome("8").await?));
            Ok(())
        })
        .await?;
        // Both side by side: the old one ends as it began.
        let (tx, rx) = bounded(PLACES);
        life(
            &disk,
            Coordinator::new().define(new(&tx)).define(old(&tx)),
            move |sagas, s| async move {
                worker(&s, rx, |call| {
                    assert_eq!(call.key(), "7/pay");
                    call.done(*b"");
                });
                sagas.signal("7", "go", "1", *b"").await?;
                assert!(completed(&sagas.outcome("7").await?));
                Ok(())
            },
        )
        .await
    });
}

#[test]
fn after_a_restart_sagas_go_on_at_a_pace() {
    check("saga::live::after_a_restart_sagas_go_on_at_a_pace", |disk| async move {
        for last in [false, true] {
            let (tx, rx) = bounded(PLACES);
            let began = rt::now();
            let coordinator = Coordinator::new()
                .define(Saga::new("order").action(Action::new("pay", &tx)))
                .resume_per_second(10);
            life(&disk, coordinator, move |sagas, s| async move {
                let mut silent = Vec::new();
                worker(&s, rx, move |call| {
                    if last {
                        call.done(*b"");
                    } else {
                        silent.push(call);
                    }
                });
                for number in 0..6 {
                    sagas.start("order", &format!("{number}"), *b"").await?;
                }
                if last {
                    for number in 0..6 {
                        assert!(completed(&sagas.outcome(&format!("{number}")).await?));
                    }
                    let took = rt::now() - began;
                    assert!(took >= Duration::from_millis(400), "not at a pace: {took:?}");
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    });
}

#[test]
fn a_process_that_takes_one_call_at_a_time_gets_all_of_them() {
    check(
        "saga::live::a_process_that_takes_one_call_at_a_time_gets_all_of_them",
        |disk| async move {
            let (tx, rx) = towpath::rendezvous();
            let saga = Saga::new("order").step(action("pay", &tx), action("refund", &tx));
            life(&disk, Coordinator::new().define(saga), move |sagas, s| async move {
                worker(&s, rx, |call| call.done(*b""));
                for number in 0..5 {
                    sagas.start("order", &format!("{number}"), *b"").await?;
                }
                for number in 0..5 {
                    assert!(completed(&sagas.outcome(&format!("{number}")).await?));
                }
                Ok(())
            })
            .await
        },
    );
}

#[test]
fn a_process_that_is_gone_turns_the_saga_back() {
    check("saga::live::a_process_that_is_gone_turns_the_saga_back", |disk| async move {
        let (tx, rx) = bounded(PLACES);
        let (gone, _) = bounded(PLACES);
        let saga = Saga::new("order")
            .step(action("pay", &tx), action("refund", &tx))
            .action(action("ship", &gone));
        life(&disk, Coordinator::new().define(saga), move |sagas, s| async move {
            worker(&s, rx, |call| call.done(*b""));
            sagas.start("order", "7", *b"").await?;
            let reason = "nobody receives `ship` any more".to_owned();
            assert_eq!(sagas.outcome("7").await?, Outcome::Compensated { step: 1, reason });
            Ok(())
        })
        .await
    });
}

#[test]
fn an_effect_with_a_kind_of_ours_is_refused() {
    check("saga::live::an_effect_with_a_kind_of_ours_is_refused", |disk| async move {
        let (tx, rx) = bounded(PLACES);
        let saga = Saga::new("order").action(action("pay", &tx));
        life(&disk, Coordinator::new().define(saga), move |sagas, s| async move {
            worker(&s, rx, |call| {
                let effect = Effect { kind: 0x7303, key: vec![], payload: vec![] };
                call.done_with(*b"", vec![effect]);
            });
            sagas.start("order", "7", *b"").await?;
            let Outcome::Compensated { reason, .. } = sagas.outcome("7").await? else {
                return Err("not turned".into());
            };
            assert_eq!(reason, "an effect has kind 0x7303, which is a saga's own");
            Ok(())
        })
        .await
    });
}

#[test]
fn a_failing_journal_ends_the_coordinator_and_whoever_waits_hears_of_it() {
    check(
        "saga::live::a_failing_journal_ends_the_coordinator_and_whoever_waits_hears_of_it",
        |disk| async move {
            let (tx, rx) = bounded(PLACES);
            let saga = Saga::new("order").action(action("pay", &tx));
            let breaking = disk.clone();
            let error = life(&disk, Coordinator::new().define(saga), move |sagas, s| async move {
                worker(&s, rx, |call| call.done(*b""));
                breaking.set_faults(Faults {
                    write_error: 1_000,
                    sync_error: 1_000,
                    ..Faults::default()
                });
                assert!(matches!(sagas.start("order", "7", *b"").await, Err(Error::Gone)));
                Ok(())
            })
            .await;
            let error = error.err().ok_or("no error")?.to_string();
            assert!(error.contains("sagas"), "{error}");
            Ok(())
        },
    );
}

/// Finished sagas leave the journal, but for effects that nobody has released; what is unfinished goes on from a checkpoint.
#[test]
fn checkpoints_let_go_of_what_is_finished_and_released() {
    check("saga::live::checkpoints_let_go_of_what_is_finished_and_released", |disk| async move {
        for (number, effects) in [false, true, true].into_iter().enumerate() {
            let before = open(&disk)?;
            let (oldest, end) = (before.oldest(), before.durable());
            drop(before);
            let (tx, rx) = bounded(PLACES);
            let saga = Saga::new("order").action(action("pay", &tx)).signal("go", None);
            let coordinator = Coordinator::new().define(saga);
            life(&disk, coordinator, move |sagas, s| async move {
                worker(&s, rx, move |call| {
                    let effect = Effect { kind: 1, key: vec![], payload: vec![7; 100] };
                    call.done_with(vec![7; 500], if effects { vec![effect] } else { vec![] });
                });
                if number == 2 {
                    sagas.release(end).await?;
                }
                let life = |it: u32| format!("{number}-{it}");
                sagas.start("order", &life(1_000), *b"").await?;
                for it in 0..40 {
                    sagas.start("order", &life(it), *b"").await?;
                    sagas.signal(&life(it), "go", "1", *b"").await?;
                    assert!(completed(&sagas.outcome(&life(it)).await?));
                }
                sagas.checkpoint().await?;
                // Also those of the lives before.
                assert_eq!(sagas.list(Filter::all()).await?.len(), number + 1);
                for earlier in 0..=number {
                    assert!(completed(&sagas.outcome(&format!("{earlier}-7")).await?));
                }
                Ok(())
            })
            .await?;
            let after = open(&disk)?;
            match number {
                0 => assert!(after.oldest() > oldest, "nothing was let go"),
                1 => assert_eq!(after.oldest(), oldest, "effects were let go before their release"),
                _ => assert!(after.oldest() > oldest, "released effects were kept"),
            }
        }
        Ok(())
    });
}

/// The error says who has the journal and what to do, and the first goes on undisturbed.
#[test]
fn two_coordinators_of_one_journal_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let refused = towpath::block_on(scope(&Ctx::root(), |s| async move {
        let (tx, rx) = bounded(PLACES);
        let define = |tx| Coordinator::new().define(Saga::new("order").action(action("pay", tx)));
        let sagas = define(&tx).start(&s, "sagas", Writer::open(&path)?).await?;
        sagas.start("order", "7", *b"").await?;
        let second = Writer::open(&path).err().ok_or("two writers of one journal")?;
        worker(&s, rx, |call| call.done(*b""));
        assert!(completed(&sagas.outcome("7").await?));
        s.cancel("that is all");
        Ok(second)
    }))
    .unwrap();
    assert_eq!(refused.kind(), ErrorKind::Locked);
    assert!(Writer::open(dir.path()).is_ok(), "the first has ended");
    let words = Error::from(refused).to_string();
    assert!(words.contains("another writer") && words.contains("end it"), "{words}");
}

#[test]
fn what_is_wrong_with_a_definition_is_said_before_anything_starts() {
    let (tx, _rx) = bounded(PLACES);
    let act = |name: &str| Action::new(name, &tx);
    for (saga, expected) in [
        (Saga::new("order"), "it has 0 steps"),
        (Saga::new("order").action(act("pay")).action(act("pay")), "two steps are named `pay`"),
        (Saga::new("order").compensate(act("refund")), "`refund` must follow a step"),
        (Saga::new("order").pivot(act("pay")).compensate(act("refund")), "`refund` must follow"),
        (Saga::new("order").sleep("night", SECOND).compensate(act("wake")), "`wake` must follow"),
        (Saga::new("").action(act("pay")), "the name `` has 0 bytes"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let writer = Writer::open(dir.path()).unwrap();
        let started = towpath::block_on(scope(&Ctx::root(), |s| async move {
            let started = Coordinator::new().define(saga).start(&s, "sagas", writer).await;
            Ok(started.map(drop))
        }));
        let error = started.unwrap().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Keys, by a saga that is turned back while its first call is still under way.
#[test]
fn keys_answer_twice_and_never_after_they_were_voided() {
    check("saga::live::keys_answer_twice_and_never_after_they_were_voided", |disk| async move {
        let (tx, rx) = bounded(PLACES);
        let saga = Saga::new("order").step(
            action("pay", &tx).timeout(SECOND / 10).retry(BACKOFF.attempts(2)),
            action("refund", &tx),
        );
        life(&disk, Coordinator::new().define(saga), move |sagas, s| async move {
            let said = Arc::new(Mutex::new(Vec::new()));
            let says = Arc::clone(&said);
            let mut keys = Keys::new(16);
            let mut late = Vec::new();
            worker(&s, rx, move |call| {
                if !call.is_undo() && late.len() < 2 {
                    return late.push(call);
                }
                says.lock().unwrap().push(format!("{} {}", call.key(), call.attempt()));
                // What never came is taken back with success, and void from then on.
                assert!(keys.fresh(call).is_none());
                for call in late.drain(..) {
                    assert!(keys.fresh(call).is_none());
                }
                assert_eq!(keys.len(), 2);
            });
            sagas.start("order", "7/b", *b"").await?;
            assert!(matches!(sagas.outcome("7/b").await?, Outcome::Compensated { .. }));
            assert_eq!(*said.lock().unwrap(), ["7%2Fb/pay/undo 1"]);
            Ok(())
        })
        .await
    });
}
