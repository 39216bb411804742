//! A journal as a process, in the simulator: every order of its callers, its thread and its tails, and crashes in the middle.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use towpath::{BoxError, Ctx, scope};
use towpath_journal::{ErrorKind, Lsn, Options, Writer};
use towpath_patterns::log::{Append, Error, Log};
use towpath_sim::choose;
use towpath_sim::disk::{Disk, Faults};

use crate::sim_disk::sim_disk;

fn record(number: u64) -> Append {
    Append { kind: 7, key: vec![], payload: number.to_le_bytes().to_vec() }
}

fn open(disk: &Disk) -> Result<Writer, towpath_journal::Error> {
    Options::new().segment_bytes(512).open_on(sim_disk(&disk.until_crash()), "/journal")
}

/// What was acknowledged: the number of each record, by what it says.
type Acknowledged = Arc<Mutex<BTreeMap<u64, Lsn>>>;

/// Three tasks append, one of them groups, until the disk fails them.
async fn life(writer: Writer, acknowledged: Acknowledged) -> Result<(), BoxError> {
    scope(&Ctx::root(), |s| {
        let log = Log::start(&s, "journal", writer);
        async move {
            for task in 1..=3_u64 {
                let (log, acknowledged) = (log.clone(), Arc::clone(&acknowledged));
                s.spawn("writer", async move |_ctx: Ctx| {
                    for turn in 0..3 {
                        let number = task * 100 + turn * 10;
                        let appended = if task == 3 {
                            log.append_group(vec![record(number), record(number + 1)]).await
                        } else {
                            log.append(record(number)).await
                        };
                        match appended {
                            Ok(lsn) => {
                                let last = if task == 3 { number + 1 } else { number };
                                acknowledged.lock().unwrap().insert(last, lsn);
                            }
                            // Then everything fails from now on.
                            Err(_) => assert!(log.append(record(0)).await.is_err()),
                        }
                    }
                });
            }
            Ok(())
        }
    })
    .await
    .map_err(BoxError::from)
}

#[towpath::test]
async fn what_was_acknowledged_is_there_after_a_crash_at_any_moment() {
    let disk = Disk::new(Faults::power_cuts());
    let acknowledged = Acknowledged::default();
    let writer = open(&disk).unwrap();
    disk.crash_during(disk.operations() + 1 + choose(40));
    life(writer, Arc::clone(&acknowledged)).await.unwrap();
    // Also when the power stayed on until now.
    disk.crash_during(u64::MAX);
    disk.crash();

    let writer = open(&disk).unwrap();
    let mut found = BTreeMap::new();
    let mut reader = writer.reader(Lsn::ZERO).unwrap();
    while let Some(record) = reader.next().unwrap() {
        let number = u64::from_le_bytes(record.payload.try_into().unwrap());
        assert_eq!(found.insert(number, record.lsn), None, "{number} twice");
    }
    for (number, lsn) in acknowledged.lock().unwrap().iter() {
        assert_eq!(found.get(number), Some(lsn), "{number} was acknowledged");
    }
    for number in [300, 310, 320] {
        assert_eq!(found.contains_key(&number), found.contains_key(&(number + 1)), "half a group");
    }
}

#[towpath::test]
async fn a_disk_that_fails_fails_everybody_from_then_on() {
    let faults = Faults { write_error: 50, sync_error: 50, ..Faults::power_cuts() };
    let disk = Disk::new(Faults::power_cuts());
    let acknowledged = Acknowledged::default();
    let writer = open(&disk).unwrap();
    disk.set_faults(faults);
    life(writer, Arc::clone(&acknowledged)).await.unwrap();
    disk.set_faults(Faults::power_cuts());
    disk.crash();
    let durable = open(&disk).unwrap().durable();
    assert!(acknowledged.lock().unwrap().values().all(|lsn| *lsn <= durable));
}

#[towpath::test]
async fn a_tail_gives_each_record_once_and_ends_with_the_log() {
    let disk = Disk::new(Faults::default());
    let writer = open(&disk).unwrap();
    scope(&Ctx::root(), |s| {
        let log = Log::start(&s, "journal", writer);
        let mut tail = log.tail(&s, "tail", Lsn::ZERO);
        async move {
            s.spawn("writer", async move |_ctx: Ctx| {
                for number in 1..=4 {
                    log.append(record(number)).await?;
                }
                Ok::<_, Error>(())
            });
            let mut next = 1;
            while let Some(appended) = tail.recv().await {
                assert_eq!(appended?.lsn, Lsn(next));
                next += 1;
            }
            assert_eq!(next, 5);
            Ok(())
        }
    })
    .await
    .unwrap();
}

#[towpath::test]
async fn a_full_disk_is_the_end_for_a_log() {
    let disk = Disk::new(Faults { capacity: Some(1500), ..Faults::default() });
    let writer = open(&disk).unwrap();
    scope(&Ctx::root(), |s| {
        let log = Log::start(&s, "journal", writer);
        async move {
            let mut number = 0;
            let error = loop {
                number += 1;
                match log.append(record(number)).await {
                    Ok(lsn) => assert_eq!(lsn, Lsn(number)),
                    Err(error) => break error,
                }
            };
            assert!(matches!(&error, Error::Journal(error) if error.kind() == ErrorKind::Full));
            disk.set_faults(Faults::default());
            // What failed must not be found there later, so nothing is appended any more.
            assert!(log.append(record(number + 1)).await.is_err());
            assert_eq!(log.durable(), Lsn(number - 1));
            Ok(())
        }
    })
    .await
    .unwrap();
}
