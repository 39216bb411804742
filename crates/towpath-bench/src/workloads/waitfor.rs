//! Scans of who waits for whom. Nobody else offers that, so these figures stand alone; the goal is 500 ns per
//! process, 50 ms for 100,000.
//!
//! Building the snapshot is not measured: in a running program that is the work of whoever collects it.

use std::time::{Duration, Instant};

use towpath::waitfor::{
    Arm, Channel, Ends, Grade, Kind, Location, Options, ProcessId, ResourceId, Snapshot, State,
};

use crate::cells::Scan;
use crate::workloads::Outcome;

/// Scans in one sample.
const SCANS: u32 = 5;

/// Scans a program of `processes` processes.
pub(crate) fn scan(shape: Scan, processes: usize) -> Outcome {
    let n = processes as u64;
    let (mut snapshot, stuck) = match shape {
        Scan::Ring => (ring(n), processes),
        Scan::Crowd => (crowd(n), 0),
        Scan::Pairs => (pairs(n), processes),
        Scan::Random => (random(n), 0),
        Scan::Locks => (locks(n), processes),
    };
    let mut taken = Duration::ZERO;
    for _ in 0..SCANS {
        let start = Instant::now();
        let report = snapshot.analyse(&Options::new());
        let found = report.count(Grade::Proven);
        snapshot = report.into_snapshot();
        taken += start.elapsed();
        if found != stuck {
            return Outcome::Wrong(format!("{found} are stuck, and not {stuck}"));
        }
    }
    Outcome::Measured(taken.as_nanos() as f64 / f64::from(SCANS) / processes as f64)
}

/// Ids as in a program that has run for a while: growing, with gaps.
fn id(number: u64) -> u64 {
    1_000_000 + 37 * number
}

fn with_processes(n: u64, running: impl Fn(u64) -> bool) -> Snapshot {
    let mut snapshot = Snapshot::new();
    for number in 0..n {
        let state = if running(number) { State::Running } else { State::Parked };
        snapshot.process(id(number), format!("p{number}"), state);
    }
    snapshot
}

fn wait(snapshot: &mut Snapshot, number: u64, arms: impl Into<Vec<Arm>>) {
    let at = Location::new("bench.rs", number as u32, 1);
    snapshot.wait(id(number), Duration::from_secs(1), at, arms);
}

/// The only holder of an end.
fn held_by(number: u64) -> Ends {
    Ends::declared([ProcessId(id(number))])
}

fn resource(number: u64) -> ResourceId {
    ResourceId(id(number))
}

/// Each waits to hand over to the next, the last to the first.
fn ring(n: u64) -> Snapshot {
    let mut snapshot = with_processes(n, |_| false);
    for number in 0..n {
        let next = (number + 1) % n;
        let link = Channel::empty(Some(0), held_by(number), held_by(next));
        snapshot.resource(resource(number), format!("c{number}"), link);
        wait(&mut snapshot, number, [Arm::Send(resource(number))]);
    }
    snapshot
}

/// One producer at work, everybody else waits for it.
fn crowd(n: u64) -> Snapshot {
    let mut snapshot = with_processes(n, |number| number == 0);
    let workers = Ends::observed((1..n).map(|number| ProcessId(id(number))));
    snapshot.resource(resource(0), "jobs", Channel::empty(Some(64), held_by(0), workers));
    for number in 1..n {
        wait(&mut snapshot, number, [Arm::Recv(resource(0))]);
    }
    snapshot
}

/// Clients that wait for a reply, and their servers, which wait for a request.
fn pairs(n: u64) -> Snapshot {
    let mut snapshot = with_processes(n, |_| false);
    for client in (0..n).step_by(2) {
        let server = client + 1;
        let requests = Channel::empty(Some(1), held_by(client), held_by(server));
        snapshot.resource(resource(client), format!("requests{client}"), requests);
        let replies = Channel::empty(Some(1), held_by(server), held_by(client));
        snapshot.resource(resource(server), format!("replies{client}"), replies);
        wait(&mut snapshot, client, [Arm::Recv(resource(server))]);
        wait(&mut snapshot, server, [Arm::Recv(resource(client))]);
    }
    snapshot
}

/// Everybody selects over four channels that anybody may send on; one in a hundred runs, so nobody is stuck for sure.
fn random(n: u64) -> Snapshot {
    let mut snapshot = with_processes(n, |number| number % 100 == 0);
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    let mut any = || {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        chance % n
    };
    for number in 0..n {
        let link = Channel::empty(Some(1), held_by(any()).and(held_by(any())), held_by(number));
        snapshot.resource(resource(number), format!("c{number}"), link);
    }
    for number in (0..n).filter(|number| number % 100 != 0) {
        let arms = [(); 4].map(|()| Arm::Recv(resource(any())));
        wait(&mut snapshot, number, arms);
    }
    snapshot
}

/// Each holds a lock and waits for the next.
fn locks(n: u64) -> Snapshot {
    let mut snapshot = with_processes(n, |_| false);
    for number in 0..n {
        let lock = Kind::Lock { holders: held_by(number) };
        snapshot.resource(resource(number), format!("l{number}"), lock);
        wait(&mut snapshot, number, [Arm::Lock(resource((number + 1) % n))]);
    }
    snapshot
}
