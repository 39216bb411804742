//! A machine for many keys in the simulator: every order of steps, virtual time, threads that are simulated.

use std::collections::BTreeMap;
use std::time::Duration;

use towpath::{Ctx, after, bounded, scope};
use towpath_journal::{Lsn, Options};
use towpath_patterns::machine::Keyed;
use towpath_patterns::machine::keyed::{ErrorKind, Output};
use towpath_patterns::machine::order::{Event, Order, State};
use towpath_sim::disk::{Disk, Faults};

use crate::sim_disk::sim_disk;

/// Small segments: the simulator's disk keeps every byte.
fn options() -> Options {
    Options::new().segment_bytes(4096)
}

/// Small, so that everybody waits for everybody.
const ROOM: usize = 2;

/// More than a short story tells.
const LISTENED_LATE: usize = 16;

/// Two senders with two keys each; each key's events come out in the order in which they went in.
#[towpath::test(schedules = 300)]
async fn each_key_keeps_its_order() {
    let told = scope(&Ctx::root(), |s| async move {
        let (mailbox_tx, mailbox) = bounded(ROOM);
        let (outputs, mut told) = bounded(ROOM);
        let keyed = Keyed::new(Order).report_all().batch_max(3);
        s.spawn("orders", move |ctx| keyed.run(ctx, mailbox, outputs));
        for sender in 0..2_u32 {
            let mailbox_tx = mailbox_tx.clone();
            s.spawn("sender", move |_| async move {
                let events =
                    [Event::Create { price_cents: 5 }, Event::Pay { cents: 5 }, Event::Confirm];
                for event in events {
                    for key in [sender * 2, sender * 2 + 1] {
                        let Ok(()) = mailbox_tx.send((key, event.clone()).into()).await else {
                            return;
                        };
                    }
                }
            });
        }
        drop(mailbox_tx);
        let mut by_key: BTreeMap<u32, Vec<State>> = BTreeMap::new();
        while let Some(output) = told.recv().await {
            by_key.entry(output.key).or_default().push(output.outcome?.to);
        }
        Ok(by_key)
    });
    let told = told.await.unwrap();
    assert_eq!(told.len(), 4);
    for states in told.values() {
        assert_eq!(*states, [State::Created, State::Paid, State::Confirmed]);
    }
}

/// Time passes for an order that nobody pays, with and without a journal.
#[towpath::test(schedules = 50)]
async fn an_unpaid_order_expires_and_is_put_away() {
    const DAY: Duration = Duration::from_secs(86_400);
    for journalled in [false, true] {
        let story = scope(&Ctx::root(), |s| async move {
            let (mailbox_tx, mailbox) = bounded(ROOM);
            // All that is told fits: nobody listens for a third of a year.
            let (outputs, mut told) = bounded::<Output<u32, Order>>(LISTENED_LATE);
            let keyed = Keyed::new(Order).report_all();
            let _outbox = if journalled {
                let disk = Disk::new(Faults::default());
                let (journalled, outbox) =
                    keyed.journalled(options().open_on(sim_disk(&disk), "/orders")?)?;
                s.spawn_blocking("orders", move |ctx| journalled.run(ctx, mailbox, outputs));
                Some(outbox)
            } else {
                s.spawn("orders", move |ctx| keyed.run(ctx, mailbox, outputs));
                None
            };
            mailbox_tx.send((1, Event::Create { price_cents: 5 }).into()).await?;
            mailbox_tx.send((2, Event::Create { price_cents: 5 }).into()).await?;
            mailbox_tx.send((2, Event::Pay { cents: 5 }).into()).await?;
            after(121 * DAY).await;
            drop(mailbox_tx);
            let mut states = Vec::new();
            while let Some(output) = told.recv().await {
                states.push((output.key, output.outcome?.to));
            }
            Ok(states)
        });
        let states = story.await.unwrap();
        let of =
            |key| states.iter().filter(|(k, _)| *k == key).map(|(_, s)| *s).collect::<Vec<_>>();
        assert_eq!(of(1), [State::Created, State::Cancelled, State::Archived]);
        assert_eq!(of(2), [State::Created, State::Paid], "who has paid waits for ever");
    }
}

/// The power goes at any operation of the disk, under any schedule of senders, process and consumer.
#[towpath::test(schedules = 200)]
async fn what_was_told_survives_a_power_cut() {
    let disk = Disk::new(Faults::power_cuts());
    let open = |disk: &Disk| options().open_on(sim_disk(disk), "/orders");
    let writer = open(&disk).unwrap();
    disk.crash_during(disk.operations() + 1 + towpath::rt::random() % 24);
    let (journalled, outbox) =
        Keyed::new(Order).batch_max(2).report_all().journalled(writer).unwrap();
    let (told_tx, mut told_rx) = towpath::unbounded();
    let ended = scope(&Ctx::root(), |s| async move {
        let (mailbox_tx, mailbox) = bounded(ROOM);
        let (outputs, mut told) = bounded::<Output<u32, Order>>(ROOM);
        s.spawn_blocking("orders", move |ctx| {
            journalled.snapshot_every(5).run(ctx, mailbox, outputs)
        });
        s.spawn("shop", move |_| async move {
            for event in [Event::Create { price_cents: 5 }, Event::Pay { cents: 7 }, Event::Confirm]
            {
                for key in 0..3 {
                    let Ok(()) = mailbox_tx.send((key, event.clone()).into()).await else { return };
                }
            }
        });
        while let Some(output) = told.recv().await {
            let (lsn, to) = (output.lsn, output.outcome?.to);
            if lsn.0 % 3 == 0 {
                outbox.confirm(lsn);
            }
            told_tx.send((output.key, to, lsn)).await?;
        }
        Ok(())
    });
    let ended = ended.await;
    if let Err(error) = &ended {
        let cause = std::error::Error::source(error)
            .and_then(|e| e.downcast_ref::<towpath_patterns::machine::keyed::Error>());
        assert_eq!(cause.map(|error| error.kind()), Some(ErrorKind::Journal), "{error}");
    }
    // If it has not gone yet, it goes now.
    disk.crash_during(u64::MAX);
    disk.crash();
    let (found, _) = Keyed::<u32, _>::new(Order)
        .journalled(open(&disk).unwrap())
        .unwrap_or_else(|e| panic!("{e}: {e:?}"));
    let mut last = Lsn::ZERO;
    while let Ok((key, to, lsn)) = told_rx.try_recv() {
        assert!(lsn > last, "in order");
        last = lsn;
        // It may have gone on after that, never back: the states of this story are in order.
        assert!(found.store().state(&key) >= Some(to), "{key} was told to be {to}");
    }
    if ended.is_ok() {
        assert!((0..3).all(|key| found.store().state(&key) == Some(State::Confirmed)));
    }
}

#[towpath::test(schedules = 100)]
async fn a_process_ends_with_its_context_and_when_nobody_listens() {
    for gone in [true, false] {
        let ended = scope(&Ctx::root(), |s| async move {
            let (mailbox_tx, mailbox) = bounded(ROOM);
            let (outputs, told) = bounded::<Output<u32, Order>>(ROOM);
            let keyed = Keyed::new(Order).report_all();
            let process = s.spawn("orders", move |ctx| async move {
                Ok::<_, towpath::BoxError>(
                    keyed.run(ctx, mailbox, outputs).await.map_err(|e| e.kind()),
                )
            });
            if gone {
                drop(told);
            } else {
                s.cancel("enough");
            }
            // It may have gone already.
            let _ = mailbox_tx.send((1, Event::Create { price_cents: 5 }).into()).await;
            Ok(process.await?)
        });
        let expected = if gone { ErrorKind::OutputsGone } else { ErrorKind::Ended };
        assert_eq!(ended.await.unwrap(), Err(expected));
    }
}
