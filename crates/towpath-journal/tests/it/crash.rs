//! Power cuts, kills and failing operations on the simulator's disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use towpath_journal::{Error, ErrorKind, Lsn, Options, Writer};
use towpath_sim::disk::{Disk, Faults};

use crate::points::{self, What};
use crate::sim_disk::sim_disk;
use crate::truth::{Truth, small};

const DIR: &str = "/data/journal";

fn open(disk: &Disk, options: &Options) -> Result<Writer, Error> {
    options.open_on(sim_disk(&disk.until_crash()), DIR)
}

/// All a journal can be asked for, through several segments.
fn script(disk: &Disk, truth: &mut Truth) -> Result<(), Error> {
    script_on(disk, truth, &|| open(disk, &small()))
}

fn script_on(
    disk: &Disk,
    truth: &mut Truth,
    open: &dyn Fn() -> Result<Writer, Error>,
) -> Result<(), Error> {
    let mut writer = open()?;
    truth.check(&writer, sim_disk(disk), Path::new(DIR));
    for round in 0..3 {
        truth.append(&mut writer, 1, 10 * round)?;
        truth.append(&mut writer, 3, 40)?;
        truth.commit(&mut writer)?;
        truth.append(&mut writer, 2, 150)?;
        truth.append(&mut writer, 4, 90)?;
        truth.append(&mut writer, 1, 199)?;
        truth.commit(&mut writer)?;
        truth.checkpoint(&mut writer)?;
        let half = Lsn(truth.len() / 2 + 1);
        truth.retain(&mut writer, half)?;
        drop(writer);
        writer = open()?;
        truth.check(&writer, sim_disk(disk), Path::new(DIR));
    }
    truth.append(&mut writer, 2, 7)?;
    truth.commit(&mut writer)
}

#[test]
fn a_power_cut_at_any_operation_loses_and_invents_nothing() {
    let whole = Disk::seeded(Faults::default(), 0);
    script(&whole, &mut Truth::default()).unwrap();
    let operations = whole.operations();
    assert!(operations > 100, "{operations}");
    for operation in 1..=operations {
        for seed in 0..10 {
            let disk = Disk::seeded(Faults::power_cuts(), seed);
            disk.crash_during(operation);
            let mut truth = Truth::default();
            // The last is a mark that nobody waits for.
            let cut = script(&disk, &mut truth).is_err();
            assert!(cut || operation == operations, "operation {operation}");
            // Recovery is cut off too, at each of its operations in turn, until it comes through.
            for step in 1.. {
                disk.crash_during(disk.operations() + step);
                if let Ok(writer) = open(&disk, &small()) {
                    disk.crash_during(u64::MAX);
                    truth.check(&writer, sim_disk(&disk), Path::new(DIR));
                    break;
                }
            }
            script(&disk, &mut truth).unwrap_or_else(|error| panic!("{operation} {seed}: {error}"));
        }
    }
}

/// Something happens at an operation of the script and then, in turn, at each operation of the opening after it. What the
/// journal says then must still be so when the power goes.
fn at_every_point(what: What) {
    let open_on = |disk: &dyn Fn() -> Arc<dyn towpath_journal::Disk>| small().open_on(disk(), DIR);
    let whole = Disk::seeded(Faults::power_cuts(), 0);
    let (counted, operations) = points::at(&whole, u64::MAX, what);
    script_on(&whole, &mut Truth::default(), &|| open_on(&|| counted.clone())).unwrap();
    let operations = operations.load(Ordering::Relaxed);
    for operation in 1..=operations {
        for step in 1..100 {
            let disk = Disk::seeded(Faults::power_cuts(), operation * 100 + step);
            let mut truth = Truth::default();
            let (bad, _) = points::at(&disk, operation, what);
            // An error that need not be told is one of those that change nothing.
            drop(script_on(&disk, &mut truth, &|| open_on(&|| bad.clone())));
            disk.kill();
            let (bad, count) = points::at(&disk, step, what);
            drop(small().open_on(bad, DIR));
            let through = count.load(Ordering::Relaxed) < step;
            disk.kill();

            let mut writer = open(&disk, &small()).unwrap();
            truth.check(&writer, sim_disk(&disk), Path::new(DIR));
            if operation % 2 == 0 {
                truth.append(&mut writer, 2, 50).unwrap();
                truth.commit(&mut writer).unwrap();
            }
            disk.crash();
            drop(writer);
            truth.check(&open(&disk, &small()).unwrap(), sim_disk(&disk), Path::new(DIR));
            if through {
                break;
            }
        }
    }
}

#[test]
fn a_kill_at_any_operation_and_then_a_power_cut_loses_nothing() {
    at_every_point(What::Killed);
}

#[test]
fn a_failure_of_any_operation_and_then_a_power_cut_loses_nothing() {
    at_every_point(What::Fails);
}

#[test]
fn a_killed_process_leaves_what_it_wrote() {
    for seed in 0..300 {
        let disk = Disk::seeded(Faults::default(), seed);
        let mut truth = Truth::default();
        let mut writer = open(&disk, &small()).unwrap();
        for round in 0..(seed % 7) {
            truth.append(&mut writer, 2, 30 * round as usize).unwrap();
            truth.commit(&mut writer).unwrap();
        }
        truth.append(&mut writer, 3, seed as usize).unwrap();
        disk.kill();
        assert!(writer.commit().is_err());
        let writer = open(&disk, &small()).unwrap();
        truth.check(&writer, sim_disk(&disk), Path::new(DIR));
        drop(writer);
        script(&disk, &mut truth).unwrap();
    }
}

/// Runs a script whose disk does not do all it is told, opens again, with and without a power cut, and compares.
fn on_a_bad_disk(faults: Faults, allowed: &[ErrorKind]) -> usize {
    let mut errors = 0;
    for seed in 0..150 {
        let disk =
            Disk::seeded(Faults { lost: 500, torn: 500, reordered: 500, ..faults.clone() }, seed);
        let mut truth = Truth::default();
        for life in 0..6 {
            match script(&disk, &mut truth) {
                Ok(()) => {}
                Err(error) => {
                    assert!(allowed.contains(&error.kind()), "seed {seed}: {error}");
                    errors += 1;
                }
            }
            if (seed + life) % 3 == 0 {
                disk.crash();
            }
        }
        disk.set_faults(Faults::default());
        script(&disk, &mut truth).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    errors
}

#[test]
fn a_write_that_fails_loses_nothing() {
    let faults = Faults { write_error: 10, ..Faults::default() };
    assert!(on_a_bad_disk(faults, &[ErrorKind::Io, ErrorKind::Poisoned]) > 40);
}

#[test]
fn a_sync_that_fails_is_never_believed_afterwards() {
    let faults = Faults { sync_error: 20, ..Faults::default() };
    assert!(on_a_bad_disk(faults, &[ErrorKind::Io, ErrorKind::Poisoned]) > 40);
}

#[test]
fn a_full_disk_says_so_and_loses_nothing() {
    for capacity in [512, 2048, 2500, 4096, 5000, 6000, 7000] {
        let faults = Faults { capacity: Some(capacity), ..Faults::default() };
        let errors = on_a_bad_disk(faults, &[ErrorKind::Full]);
        assert!(errors > 0, "{capacity}");
    }
}

#[test]
fn short_reads_and_writes_change_nothing() {
    let faults = Faults { short_read: 300, short_write: 300, ..Faults::default() };
    assert_eq!(on_a_bad_disk(faults, &[]), 0);
}

#[test]
fn after_a_failed_write_everything_is_refused() {
    let disk = Disk::seeded(Faults::default(), 0);
    let mut writer = open(&disk, &small()).unwrap();
    let mut truth = Truth::default();
    truth.append(&mut writer, 1, 1).unwrap();
    disk.set_faults(Faults { sync_error: 1_000, ..Faults::default() });
    assert_eq!(writer.commit().unwrap_err().kind(), ErrorKind::Io);
    disk.set_faults(Faults::default());
    assert_eq!(writer.commit().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(truth.append(&mut writer, 1, 1).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(writer.checkpoint(Lsn::ZERO, b"").unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(writer.retain(Lsn(1)).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(writer.durable(), Lsn::ZERO);
}

#[test]
fn a_full_disk_is_no_poison() {
    let disk = Disk::seeded(Faults { capacity: Some(3000), ..Faults::default() }, 0);
    let mut writer = open(&disk, &small()).unwrap();
    let mut truth = Truth::default();
    let full = loop {
        truth.append(&mut writer, 2, 90).unwrap();
        if let Err(error) = truth.commit(&mut writer) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::Full);
    assert!(full.is_retryable() && full.to_string().contains("make room"), "{full}");
    assert!(writer.durable() < Lsn(truth.len()));
    disk.set_faults(Faults::default());
    truth.append(&mut writer, 1, 3).unwrap();
    truth.commit(&mut writer).unwrap();
    drop(writer);
    truth.check(&open(&disk, &small()).unwrap(), sim_disk(&disk), Path::new(DIR));
}
