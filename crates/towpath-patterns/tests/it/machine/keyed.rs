//! A machine for many keys on the machine's own threads: order, duplicates, recovery, and what an instance takes.

use std::time::{Duration, SystemTime};

use towpath::{Ctx, bounded, scope, unbounded};
use towpath_journal::{Lsn, Options, Writer};
use towpath_patterns::machine::keyed::{Applied, ErrorKind, Input, Output, Rejected, Store};
use towpath_patterns::machine::order::{Data, Decision, Event, Order, State, YAML};
use towpath_patterns::machine::{Keyed, Table};
use towpath_sim::disk::{Disk, Faults};

use crate::sim_disk::sim_disk;

/// Everything that a test sends fits, so that nothing in it waits.
const ROOM: usize = 1 << 12;

type Told = Output<u32, Order>;

/// A walk over some keys in which most is handled and some is refused.
fn story(length: usize) -> Vec<Input<u32, Event>> {
    let words = [
        Event::Create { price_cents: 100 },
        Event::Pay { cents: 130 },
        Event::Confirm,
        Event::Deliver,
        Event::Ship { parcel: 9 },
        Event::Cancel,
        Event::Deliver,
        Event::Archive,
    ];
    let mut random = 12345_u64;
    let mut progress = [0_usize; 5];
    (0..length)
        .map(|index| {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let key = (random >> 33) as usize % progress.len();
            let event = words[progress[key] % words.len()].clone();
            progress[key] += 1;
            Input { key: key as u32, id: Some(index as u64), event }
        })
        .collect()
}

/// Runs a story without a journal and says what was told.
fn told_of(keyed: Keyed<u32, Order>, inputs: Vec<Input<u32, Event>>) -> Vec<Told> {
    towpath::block_on(scope(&Ctx::root(), |s| async move {
        let (mailbox_tx, mailbox) = unbounded();
        let (outputs, mut told) = unbounded();
        for input in inputs {
            mailbox_tx.send(input).await?;
        }
        drop(mailbox_tx);
        s.spawn("orders", move |ctx| keyed.run(ctx, mailbox, outputs));
        let mut all = Vec::new();
        while let Some(output) = told.recv().await {
            all.push(output);
        }
        Ok(all)
    }))
    .unwrap()
}

/// What a store would say of the same.
fn by_hand(inputs: &[Input<u32, Event>]) -> (Store<u32, Order>, Vec<bool>) {
    let mut store = Store::new(Order).remember(ROOM);
    let mut handled = Vec::new();
    for Input { key, id, event } in inputs {
        let applied = store.apply(key, *id, event, SystemTime::UNIX_EPOCH);
        handled.push(matches!(applied, Applied::Moved { .. }));
    }
    (store, handled)
}

fn contents(store: &Store<u32, Order>) -> Vec<(u32, State, Data)> {
    store.iter().map(|(key, state, data)| (*key, state, data.clone())).collect()
}

#[test]
fn everything_is_handled_or_comes_back_in_order() {
    let inputs = story(500);
    let (_, handled) = by_hand(&inputs);
    let told = told_of(Keyed::new(Order).report_all(), inputs.clone());
    assert_eq!(told.len(), inputs.len());
    for ((output, input), handled) in told.iter().zip(&inputs).zip(&handled) {
        assert_eq!((output.key, output.id), (input.key, input.id));
        assert_eq!(output.outcome.is_ok(), *handled);
        assert_eq!(output.lsn, Lsn::ZERO);
        if let Err(Rejected::Refused { event, .. }) = &output.outcome {
            assert_eq!(*event, input.event, "what is refused comes back");
        }
    }
    let quiet = told_of(Keyed::new(Order), inputs);
    let loud = told.iter().filter(|output| match &output.outcome {
        Ok(transition) => !transition.decisions.is_empty(),
        Err(_) => true,
    });
    assert_eq!(format!("{quiet:?}"), format!("{:?}", loud.collect::<Vec<_>>()));
}

#[test]
fn what_comes_twice_is_a_duplicate_as_long_as_it_is_remembered() {
    let create = |key, id| Input { key, id: Some(id), event: Event::Create { price_cents: 1 } };
    let inputs = vec![create(1, 7), create(1, 7), create(2, 7), create(3, 8), create(1, 7)];
    let told = told_of(Keyed::new(Order).remember(2).report_all(), inputs);
    let said: Vec<_> = told
        .iter()
        .map(|output| output.outcome.as_ref().map(|t| t.to).map_err(ToString::to_string))
        .collect();
    let again = "an event with this id has been handled already".to_owned();
    let forgotten = "Create is refused in state Created: the order exists already".to_owned();
    assert_eq!(
        said,
        [Ok(State::Created), Err(again), Ok(State::Created), Ok(State::Created), Err(forgotten)]
    );
}

#[test]
fn a_refused_event_makes_no_instance() {
    let mut store: Store<u32, Order> = Store::new(Order);
    let applied = store.apply(&1, None, &Event::Confirm, SystemTime::UNIX_EPOCH);
    assert!(matches!(applied, Applied::Refused(_)));
    assert!(store.is_empty() && store.next_due().is_none());
}

#[test]
fn timeouts_come_when_they_are_due_and_stale_ones_do_not() {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut store: Store<u32, Order> = Store::new(Order);
    let start = SystemTime::UNIX_EPOCH;
    for key in 0..2000 {
        store.apply(
            &key,
            None,
            &Event::Create { price_cents: 5 },
            start + key * Duration::from_secs(1),
        );
    }
    // All but one in a hundred are paid; their alarms are stale.
    for key in (0..2000).filter(|key| key % 100 != 0) {
        store.apply(&key, None, &Event::Pay { cents: 5 }, start + DAY);
    }
    assert_eq!(store.next_due(), Some(start + 30 * DAY));
    assert!(store.next_timeout(start + 30 * DAY - Duration::from_micros(1)).is_none());
    let mut expired = Vec::new();
    while let Some((key, event)) = store.next_timeout(start + 31 * DAY) {
        assert_eq!(event, Event::Expire);
        assert!(matches!(store.apply(&key, None, &event, start + 31 * DAY), Applied::Moved { .. }));
        expired.push(key);
    }
    assert_eq!(
        expired,
        (0..20).map(|n| n * 100).collect::<Vec<_>>(),
        "in the order in which they were due"
    );
    assert_eq!(
        store.next_due(),
        Some(start + (31 + 90) * DAY),
        "then what is cancelled is put away"
    );
}

/// One life of a journalled process: sends `inputs`, takes outputs until there are no more, confirms some.
fn life(
    keyed: Keyed<u32, Order>,
    writer: Writer,
    inputs: &[Input<u32, Event>],
    confirm: impl Fn(&Told) -> bool + Send + 'static,
) -> (Vec<Told>, bool) {
    let inputs = inputs.to_vec();
    let (journalled, outbox) = keyed.journalled(writer).unwrap();
    let journalled = journalled.snapshot_every(16);
    let (told_tx, told_rx) = std::sync::mpsc::channel();
    let ended = towpath::block_on(scope(&Ctx::root(), |s| async move {
        let (mailbox_tx, mailbox) = bounded(ROOM);
        let (outputs, mut told) = bounded(ROOM);
        for input in inputs {
            mailbox_tx.send(input).await?;
        }
        drop(mailbox_tx);
        s.spawn_blocking("orders", move |ctx| journalled.run(ctx, mailbox, outputs));
        while let Some(output) = told.recv().await {
            if output.lsn > Lsn::ZERO && confirm(&output) {
                outbox.confirm(output.lsn);
            }
            told_tx.send(output).map_err(|_| "the test has ended")?;
        }
        Ok(())
    }));
    (told_rx.try_iter().collect(), ended.is_ok())
}

fn keyed() -> Keyed<u32, Order> {
    Keyed::new(Order).remember(ROOM).report_all().batch_max(4)
}

#[test]
fn after_a_start_everything_is_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = story(200);
    let (expected, _) = by_hand(&inputs);
    for part in inputs.chunks(70) {
        let (told, well) = life(keyed(), Writer::open(dir.path()).unwrap(), part, |_| true);
        assert!(well && told.len() >= part.len());
    }
    let (found, _) = keyed().journalled(Writer::open(dir.path()).unwrap()).unwrap();
    assert_eq!(contents(found.store()), contents(&expected));
    let recovery = found.recovery();
    assert!(recovery.snapshot.is_some() && recovery.events < 32, "{recovery:?}");
    // What was handled is known again by its id, also from before the snapshot.
    drop(found);
    let (told, _) = life(keyed(), Writer::open(dir.path()).unwrap(), &inputs, |_| true);
    let handled = |output: &&Told| output.outcome.is_ok() && output.id.is_some();
    assert_eq!(told.iter().filter(handled).filter(|t| t.lsn == Lsn::ZERO).count(), 0);
    assert!(told.iter().any(|output| matches!(output.outcome, Err(Rejected::Duplicate { .. }))));
}

/// Cuts the power during each operation of the disk in turn.
#[test]
fn after_a_power_cut_nothing_that_was_told_is_gone_and_nothing_decided_is_forgotten() {
    let inputs = story(60);
    let mut cuts = 0;
    for seed in 0..4 {
        for operation in 1.. {
            let disk = Disk::seeded(Faults::power_cuts(), seed);
            let open = || Options::new().segment_bytes(4096).open_on(sim_disk(&disk), "/orders");
            let Ok(writer) = open() else { panic!("a new disk has a journal") };
            let before = disk.operations();
            disk.crash_during(before + operation);
            // Confirms what has an odd number, so that something is always left.
            let confirmed = |told: &Told| told.lsn.0 % 2 == 1 && told.lsn.0 < 20;
            let (told, well) = life(keyed(), writer, &inputs, confirmed);
            if well {
                break;
            }
            cuts += 1;
            check_after_a_cut(&inputs, &told, open().unwrap(), seed, operation);
        }
    }
    assert!(cuts > 100, "{cuts}");
}

fn check_after_a_cut(
    inputs: &[Input<u32, Event>],
    told: &[Told],
    writer: Writer,
    seed: u64,
    operation: u64,
) {
    let at = format!("seed {seed}, operation {operation}");
    let (found, _) = keyed().journalled(writer).unwrap_or_else(|e| panic!("{at}: {e}: {e:?}"));
    let found_contents = contents(found.store());
    // As many events as explain what was found; at least those that were told.
    let survived = (told.len()..=inputs.len())
        .find(|count| contents(&by_hand(&inputs[..*count]).0) == found_contents)
        .unwrap_or_else(|| {
            panic!("{at}: what was told is gone, or something is there that never was")
        });
    // The second life tells again what was not confirmed, then handles the rest.
    let (journalled, _outbox) = (found, ());
    let rest = inputs[survived..].to_vec();
    let second = towpath::block_on(scope(&Ctx::root(), |s| async move {
        let (mailbox_tx, mailbox) = bounded(ROOM);
        let (outputs, mut told) = bounded(ROOM);
        for input in rest {
            mailbox_tx.send(input).await?;
        }
        drop(mailbox_tx);
        s.spawn_blocking("orders", move |ctx| journalled.run(ctx, mailbox, outputs));
        let mut all = Vec::new();
        while let Some(output) = told.recv().await {
            all.push(output);
        }
        Ok(all)
    }))
    .unwrap_or_else(|error| panic!("{at}: {error}: {error:?}"));
    let decided = |told: &[Told]| -> Vec<(Lsn, u32, Vec<Decision>)> {
        let decided = told.iter().filter_map(|output| {
            let transition = output.outcome.as_ref().ok()?;
            let some = !transition.decisions.is_empty();
            some.then(|| (output.lsn, output.key, transition.decisions.clone()))
        });
        decided.collect()
    };
    let (first, again) = (decided(told), decided(&second));
    for told in &first {
        let unconfirmed = told.0.0 >= 20;
        let (lsn, ..) = told;
        match again.iter().find(|other| other.0 == *lsn) {
            Some(other) => assert_eq!(told, other, "{at}: a decision keeps its number"),
            None => assert!(!unconfirmed, "{at}: {told:?} was not confirmed and is forgotten"),
        }
    }
    // Together, each decision of an undisturbed run is told, and no other.
    let mut all: Vec<_> = first.into_iter().chain(again).collect();
    all.sort_by_key(|(lsn, ..)| *lsn);
    all.dedup();
    let undisturbed = told_of(keyed(), inputs.to_vec());
    let expected: Vec<_> =
        decided(&undisturbed).into_iter().map(|(_, key, what)| (key, what)).collect();
    assert_eq!(
        all.into_iter().map(|(_, key, what)| (key, what)).collect::<Vec<_>>(),
        expected,
        "{at}"
    );
}

#[test]
fn more_may_be_remembered_than_before() {
    let dir = tempfile::tempdir().unwrap();
    let pay = |id| Input { key: 1, id: Some(id), event: Event::Pay { cents: 5 } };
    let create = Input { key: 1, id: Some(1), event: Event::Create { price_cents: 5 } };
    let inputs = [create, pay(2), pay(3), pay(2)];
    let short = Keyed::new(Order).remember(1).report_all();
    let (told, _) = life(short, Writer::open(dir.path()).unwrap(), &inputs, |_| true);
    assert!(told.iter().all(|output| output.outcome.is_ok()), "forgotten, and so handled again");
    let (told, well) = life(keyed(), Writer::open(dir.path()).unwrap(), &[pay(2)], |_| true);
    assert!(well && matches!(told[0].outcome, Err(Rejected::Duplicate { .. })), "{told:?}");
}

#[test]
fn a_journal_of_another_table_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    life(keyed(), Writer::open(dir.path()).unwrap(), &story(10), |_| true);
    for (from, to, expected) in [
        (
            "version: 1",
            "version: 2",
            "written by machine Order version 1, and this is Order version 2",
        ),
        (
            "is unpaid",
            "is not paid yet",
            "another table that is called machine Order version 1 too",
        ),
    ] {
        let text = YAML.replace("the order is not paid", "the order is unpaid").replace(from, to);
        let table = Table::from_yaml("order", &text).unwrap();
        let bound = Order::bindings().bind(table).unwrap();
        let keyed: Keyed<u32, _> = Keyed::new(bound);
        let error = keyed.journalled(Writer::open(dir.path()).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OtherTable);
        assert!(error.to_string().contains(expected), "{error}");
    }
    // The same table from a file is the same machine.
    let bound = Order::bindings().bind(Table::from_yaml("order", YAML).unwrap()).unwrap();
    let keyed: Keyed<u32, _> = Keyed::new(bound).remember(ROOM);
    assert_eq!(keyed.journalled(Writer::open(dir.path()).unwrap()).unwrap().0.store().len(), 5);
}

#[test]
fn damaged_bytes_are_refused_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    let entry = |kind, payload| towpath_journal::Entry { kind, key: b"\x01", payload };
    writer.append(entry(2, b"\x00\x00\x07")).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let error = keyed().journalled(Writer::open(dir.path()).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error.to_string().starts_with("record 1 of the journal does not name a table"),
        "{error}"
    );
}

#[test]
fn a_full_outbox_rests_until_somebody_confirms() {
    let dir = tempfile::tempdir().unwrap();
    // Each pays too much, so each decides something; more than the outbox holds.
    const ORDERS: u32 = 70_000;
    let (journalled, outbox) =
        Keyed::new(Order).journalled(Writer::open(dir.path()).unwrap()).unwrap();
    let counted = towpath::block_on(scope(&Ctx::root(), |s| async move {
        let (mailbox_tx, mailbox) = bounded(ROOM);
        let (outputs, mut told) = bounded::<Output<u32, Order>>(ROOM);
        s.spawn_blocking("orders", move |ctx| journalled.run(ctx, mailbox, outputs));
        s.spawn("shop", move |_| async move {
            for key in 0..ORDERS {
                for event in [Event::Create { price_cents: 1 }, Event::Pay { cents: 2 }] {
                    let Ok(()) = mailbox_tx.send((key, event).into()).await else { return };
                }
            }
        });
        let (mut count, mut last) = (0, Lsn::ZERO);
        while let Some(output) = told.recv().await {
            assert!(output.lsn > last, "in order");
            (count, last) = (count + 1, output.lsn);
            if count % 60_000 == 0 {
                outbox.confirm(last);
            }
        }
        Ok(count)
    }));
    assert_eq!(counted.unwrap(), ORDERS);
}

#[test]
fn an_idle_instance_takes_less_than_two_hundred_bytes() {
    /// As many as make the page-sized noise of a process small.
    const INSTANCES: u64 = 400_000;
    let Some(before) = resident_bytes() else {
        println!("skipped: /proc/self/statm is not there to say what is used");
        return;
    };
    let mut store: Store<u64, Order> = Store::new(Order);
    for key in 0..INSTANCES {
        // With a timeout each, which is the most an instance of this machine takes.
        store.apply(&key, None, &Event::Create { price_cents: 5 }, SystemTime::UNIX_EPOCH);
    }
    let bytes = resident_bytes().unwrap().saturating_sub(before) / INSTANCES;
    assert_eq!(store.len() as u64, INSTANCES);
    println!("{bytes} bytes for each instance");
    assert!(bytes <= 200, "{bytes} bytes for each instance");
}

/// Memory of this process that is really there.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}
