//! Instances that have ended are forgotten: by number, by time, after restarts with other rules, and whenever the power goes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use towpath::{Ctx, bounded, scope};
use towpath_journal::{Options, Writer};
use towpath_patterns::machine::Keyed;
use towpath_patterns::machine::keyed::{Applied, Input, Output, Store, Summary};
use towpath_patterns::machine::order::{Event, Order, State};
use towpath_sim::disk::{Disk, Faults};

use crate::sim_disk::sim_disk;

const FOR_EVER: Duration = Duration::MAX;

/// Everything that a test sends fits.
const ROOM: usize = 1 << 10;

/// From an order to its being put away.
fn whole_life() -> [Event; 3] {
    [Event::Create { price_cents: 5 }, Event::Cancel, Event::Archive]
}

fn ended(store: &Store<u32, Order>) -> Vec<u32> {
    store.iter().filter(|(_, state, _)| *state == State::Archived).map(|(key, ..)| *key).collect()
}

#[test]
fn the_latest_are_kept_and_none_for_too_long() {
    let hour = Duration::from_secs(3600);
    let mut store = Store::new(Order).keep_ended(2, hour);
    let mut now = SystemTime::UNIX_EPOCH;
    for key in 0..4_u32 {
        for event in whole_life() {
            assert!(matches!(store.apply(&key, None, &event, now), Applied::Moved { .. }));
        }
        now += hour / 4;
    }
    assert_eq!(
        [store.forget_ended(), store.forget_ended(), store.forget_ended()],
        [Some(0), Some(1), None],
        "those that ended first"
    );
    // Key 2 ended at half past; nothing happens by time alone.
    now = SystemTime::UNIX_EPOCH + hour + hour / 2;
    store.apply(&9, None, &Event::Create { price_cents: 5 }, now);
    assert_eq!(store.forget_ended(), None, "an hour, and not more");
    store.apply(&9, None, &Event::Create { price_cents: 5 }, now + Duration::from_micros(1));
    let refused = store.apply(&2, None, &Event::Cancel, now + Duration::from_micros(1));
    assert!(matches!(refused, Applied::Refused(_)), "it has ended, and is still known");
    assert_eq!((store.forget_ended(), store.forget_ended()), (Some(2), None));
    let again = store.apply(&2, None, &Event::Create { price_cents: 7 }, now);
    assert!(matches!(again, Applied::Moved { .. }), "another order of that number");
    assert_eq!(store.data(&2).unwrap().price_cents, 7);
    assert_eq!((store.len(), store.next_due().is_some()), (3, true));
}

#[test]
fn without_a_rule_all_are_kept() {
    let mut store = Store::new(Order);
    for key in 0..100_u32 {
        for event in whole_life() {
            store.apply(&key, None, &event, SystemTime::UNIX_EPOCH);
        }
        assert_eq!(store.forget_ended(), None);
    }
    assert_eq!(ended(&store).len(), 100);
}

/// Runs a machine until it has handled everything.
fn life(
    keyed: Keyed<u32, Order>,
    writer: Option<Writer>,
    inputs: Vec<Input<u32, Event>>,
) -> Option<Summary> {
    let ran = towpath::block_on(scope(&Ctx::root(), |s| async move {
        let (mailbox_tx, mailbox) = bounded(ROOM);
        let (outputs, mut told) = bounded::<Output<u32, Order>>(ROOM);
        for input in inputs {
            mailbox_tx.send(input).await?;
        }
        drop(mailbox_tx);
        let process = match writer {
            Some(writer) => {
                let (journalled, outbox) = keyed.journalled(writer)?;
                let journalled = journalled.snapshot_every(7);
                let process =
                    s.spawn_blocking("orders", move |ctx| journalled.run(ctx, mailbox, outputs));
                while let Some(output) = told.recv().await {
                    outbox.confirm(output.lsn);
                }
                process
            }
            None => s.spawn("orders", move |ctx| keyed.run(ctx, mailbox, outputs)),
        };
        while told.recv().await.is_some() {}
        Ok(process.await?)
    }));
    ran.ok()
}

fn inputs(keys: std::ops::Range<u32>) -> Vec<Input<u32, Event>> {
    keys.flat_map(|key| whole_life().map(|event| (key, event).into())).collect()
}

/// One that is not over, and stays.
fn open_order(key: u32) -> Input<u32, Event> {
    (key, Event::Create { price_cents: 5 }).into()
}

#[test]
fn whoever_asked_hears_whose_were_forgotten() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let tell = heard.clone();
    let keyed = Keyed::new(Order).keep_ended(3, FOR_EVER).batch_max(4);
    let keyed = keyed.on_forgotten(move |key| tell.lock().unwrap().push(*key));
    let summary = life(keyed, None, inputs(0..10)).unwrap();
    assert_eq!((summary.forgotten, summary.instances), (7, 3));
    assert_eq!(*heard.lock().unwrap(), (0..7).collect::<Vec<u32>>());
}

/// Each life has another rule; what an earlier one has forgotten stays so, also behind its snapshots.
#[test]
fn a_journal_forgets_too_whatever_the_rule_was() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Writer::open(dir.path()).unwrap();
    let keyed = |most| Keyed::new(Order).keep_ended(most, FOR_EVER).report_all().batch_max(4);
    let mut expected: Vec<u32> = Vec::new();
    for (number, most) in [4, 2, 0, 5, usize::MAX].into_iter().enumerate() {
        let first = number as u32 * 20;
        let mut sent = inputs(first..first + 10);
        sent.push(open_order(first + 10));
        let summary = life(keyed(most), Some(open()), sent).unwrap();
        expected.extend(first..first + 10);
        let gone = expected.len().saturating_sub(most);
        expected.drain(..gone);
        let live = number + 1;
        assert_eq!((summary.forgotten, summary.instances), (gone as u64, expected.len() + live));
        for looks_by in [keyed(most), keyed(usize::MAX)] {
            let (found, _) = looks_by.journalled(open()).unwrap();
            let mut kept = ended(found.store());
            kept.sort_unstable();
            assert_eq!(kept, expected, "after life {number}");
            assert!(
                (0..live)
                    .all(|it| found.store().state(&(it as u32 * 20 + 10)) == Some(State::Created))
            );
        }
    }
    // In which order they ended was of no interest to the last one. A batch of four forgets eight at most.
    for (key, forgotten, kept) in [(200, 8, 7), (201, 4, 3)] {
        let summary = life(keyed(3), Some(open()), vec![open_order(key)]).unwrap();
        let live = key as usize - 200 + 6;
        assert_eq!((summary.forgotten, summary.instances), (forgotten, kept + live));
    }
}

/// Cuts the power during each operation of the disk in turn. Keys come again, so some are forgotten and begin anew.
#[test]
fn after_a_power_cut_a_journal_is_read_with_what_it_forgot() {
    let sent: Vec<_> = (0..5).flat_map(|_| inputs(0..3)).chain([open_order(8)]).collect();
    let mut cuts = 0;
    for operation in 1.. {
        let disk = Disk::seeded(Faults::power_cuts(), operation);
        let open =
            || Options::new().segment_bytes(4096).open_on(sim_disk(&disk), "/orders").unwrap();
        let keyed = || Keyed::new(Order).keep_ended(1, FOR_EVER).batch_max(4);
        let writer = open();
        disk.crash_during(disk.operations() + operation);
        let ran = life(keyed(), Some(writer), sent.clone());
        disk.crash_during(u64::MAX);
        let (found, _) =
            keyed().journalled(open()).unwrap_or_else(|e| panic!("cut {operation}: {e}"));
        // A torn batch may have lost the record that forgets, and the one before may be an end that was alone.
        assert!(ended(found.store()).len() <= 1 + 4, "cut {operation}");
        if let Some(summary) = ran {
            assert!(summary.forgotten > 3, "{summary:?}");
            assert_eq!((ended(found.store()).len(), found.store().len()), (1, 2));
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 10, "{cuts}");
}

/// The clock of the simulator: what has ended is kept for a day, with and without a journal.
#[towpath::test(schedules = 50)]
async fn time_passes_and_what_has_ended_goes() {
    const DAY: Duration = Duration::from_secs(86_400);
    for journalled in [false, true] {
        let story = scope(&Ctx::root(), |s| async move {
            let (mailbox_tx, mailbox) = bounded(4);
            let (outputs, mut told) = bounded::<Output<u32, Order>>(ROOM);
            let keyed = Keyed::new(Order).report_all().keep_ended(usize::MAX, DAY);
            let disk = Disk::new(Faults::default());
            let process = if journalled {
                let writer =
                    Options::new().segment_bytes(4096).open_on(sim_disk(&disk), "/orders")?;
                let (journalled, _) = keyed.journalled(writer)?;
                s.spawn_blocking("orders", move |ctx| journalled.run(ctx, mailbox, outputs))
            } else {
                s.spawn("orders", move |ctx| keyed.run(ctx, mailbox, outputs))
            };
            for input in inputs(0..3) {
                mailbox_tx.send(input).await?;
            }
            towpath::after(DAY / 2).await;
            for input in inputs(3..5) {
                mailbox_tx.send(input).await?;
            }
            towpath::after(DAY * 2 / 3).await;
            mailbox_tx.send(open_order(9)).await?;
            drop(mailbox_tx);
            while told.recv().await.is_some() {}
            Ok(process.await?)
        });
        let summary = story.await.unwrap();
        assert_eq!((summary.forgotten, summary.instances), (3, 3));
    }
}
