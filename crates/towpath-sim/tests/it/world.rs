//! Disk, network and nodes inside a simulation: their faults are part of the schedule, are found, shrunk and replayed.

use std::{cell::RefCell, collections::BTreeSet, io, rc::Rc, time::Duration};

use towpath::{BoxError, Ctx, Sender, scope, select};
use towpath_sim::{
    FindingKind, Sim, choose,
    disk::{self, Disk},
    net::{self, Latency, Net},
    node::{Cluster, Node},
};

use crate::disk::log::{Forgotten, Log};

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A machine writes records, the power goes during some operation or its process is killed, and it looks what is there.
async fn writes_and_loses_power(forgotten: Forgotten) {
    let disk = Disk::new(disk::Faults { sync_error: 50, ..disk::Faults::power_cuts() });
    let mut acknowledged = 0;
    let mut written: Vec<Vec<u8>> = Vec::new();
    for _life in 0..3 {
        let mounted = disk.until_crash();
        if choose(2) == 1 {
            disk.crash_during(disk.operations() + 1 + choose(12));
        }
        let mut life = || -> io::Result<()> {
            let (mut log, found) = Log::open(&mounted, forgotten)?;
            assert!(found.len() >= acknowledged, "{} of {acknowledged} records", found.len());
            assert!(written.starts_with(&found), "records that nobody wrote");
            written = found;
            acknowledged = written.len();
            for _ in 0..=choose(3) {
                let record = vec![written.len() as u8 + 1; 700];
                written.push(record.clone());
                log.append(&record)?;
                acknowledged = written.len();
            }
            Ok(())
        };
        drop(life());
        if choose(2) == 1 { disk.kill() } else { disk.crash() }
    }
}

#[test]
fn a_careful_log_survives_in_every_schedule() {
    let report = Sim::new().schedules(5000).explore(|| writes_and_loses_power(Forgotten::Nothing));
    assert!(report.failure.is_none(), "{}", report.finding().unwrap());
    assert!(report.distinct > 1000, "{} distinct schedules", report.distinct);
}

#[test]
fn what_a_careless_log_forgets_is_found_and_shrunk() {
    for forgotten in [Forgotten::Sync, Forgotten::Directory, Forgotten::Cached] {
        let program = move || writes_and_loses_power(forgotten);
        let failed = Sim::new().schedules(20_000).explore(program).failure;
        let failed = failed.unwrap_or_else(|| panic!("{forgotten:?} was not found"));
        assert_eq!(failed.finding.kind, FindingKind::Panic, "{}", failed.finding);
        let (before, now) = failed.forced;
        assert!(now <= 6 && now <= before, "{forgotten:?}: {before} made to {now} choices");
        let again = Sim::new().replay(&failed.token, program).failure.expect("it fails again");
        assert_eq!(again.finding, failed.finding, "{forgotten:?}");
    }
}

/// Records that a client stores.
const RECORDS: u8 = 3;

/// Answers a datagram with a number when the number is stored: one sector for each.
async fn store(node: Node, syncs: bool) -> Result<(), BoxError> {
    let disk = node.disk();
    let file = disk.open_or_create("records")?;
    // What a predecessor had written and not made safe; and the name.
    file.sync_data()?;
    disk.sync_dir("/")?;
    let socket = node.host().bind(80)?;
    loop {
        let (bytes, from) = socket.recv_from().await?;
        let [record] = bytes[..] else { continue };
        file.write_all_at(&[record; 512], 512 * u64::from(record))?;
        if syncs {
            file.sync_data()?;
        }
        socket.send_to(&[record], &from)?;
    }
}

/// Stores every record, each again until its answer has come: also one that was lost, doubled or late.
async fn client(node: Node, acknowledged: Sender<u8>) -> Result<(), BoxError> {
    let socket = node.host().bind(7)?;
    for record in 1..=RECORDS {
        // Longer each time: a store that is slow must not drown in repetitions.
        'stored: for attempt in 0.. {
            socket.send_to(&[record], "store:80")?;
            let too_late = towpath::rt::now() + millis(100 << attempt);
            loop {
                let answer = select! {
                    answer = select::future(socket.recv_from()) => answer?.0,
                    () = towpath::at(too_late) => break,
                };
                if answer == [record] {
                    break 'stored;
                }
            }
        }
        acknowledged.send(record).await?;
    }
    Ok(())
}

/// A client, a store, a network that does what it likes, and a power cut at some moment. Returns what was acknowledged.
async fn stores_over_a_bad_network(syncs: bool) -> Vec<u8> {
    let faults = net::Faults {
        latency: Latency::between(millis(1), millis(30)),
        drop: 100,
        duplicate: 100,
        ..net::Faults::hostile()
    };
    let story = scope(&Ctx::root(), |s| async move {
        let cluster = Cluster::new(&s, Net::new(faults), disk::Faults::power_cuts());
        cluster.start("store", move |node| store(node, syncs));
        let (tx, mut rx) = towpath::unbounded();
        cluster.start("client", move |node| client(node, tx.clone()));
        let mut acknowledged = Vec::new();
        let crash_after = choose(u64::from(RECORDS) + 1) as usize;
        while acknowledged.len() < usize::from(RECORDS) {
            acknowledged.extend(rx.recv().await);
            if acknowledged.len() == crash_after {
                towpath::rt::sleep(millis(choose(20))).await;
                if choose(2) == 1 {
                    cluster.kill("store").await
                } else {
                    cluster.crash("store").await
                }
                towpath::rt::sleep(millis(choose(200))).await;
                cluster.restart("store");
            }
        }
        cluster.crash("client").await;
        cluster.crash("store").await;
        let bytes = cluster.disk("store").open("records")?.read_to_end()?;
        for record in &acknowledged {
            let at = 512 * usize::from(*record);
            let there = bytes.get(at..at + 512).is_some_and(|sector| sector == [*record; 512]);
            assert!(there, "record {record} was acknowledged and is lost");
        }
        Ok(acknowledged)
    });
    story.await.unwrap()
}

#[test]
fn a_careful_store_keeps_its_word_over_a_bad_network() {
    let seen = Rc::new(RefCell::new(BTreeSet::new()));
    let report = Sim::new().schedules(1000).explore(|| {
        let seen = seen.clone();
        async move {
            assert_eq!(stores_over_a_bad_network(true).await, [1, 2, 3]);
            seen.borrow_mut().insert(towpath_sim::elapsed());
        }
    });
    assert!(report.failure.is_none(), "{}", report.finding().unwrap());
    assert!(seen.borrow().len() > 100, "{} different lengths of time", seen.borrow().len());
}

#[test]
fn a_forgotten_sync_is_found_and_shrunk() {
    let program = || async { drop(stores_over_a_bad_network(false).await) };
    let failed = Sim::new().schedules(1000).explore(program).failure.expect("it is found");
    let finding = &failed.finding;
    assert_eq!(finding.kind, FindingKind::Panic);
    assert!(finding.summary.contains("was acknowledged and is lost"), "{finding}");
    let (before, now) = failed.forced;
    // It takes a message that arrives, an answer, and a crash between the two: some choices are left whatever is tried.
    assert!(now * 10 <= before, "{before} choices were made to {now}: {}", failed.story.join("\n"));
    let again = Sim::new().replay(&failed.token, program).failure.expect("it fails again");
    assert_eq!((&again.finding, &again.story), (finding, &failed.story));
}
