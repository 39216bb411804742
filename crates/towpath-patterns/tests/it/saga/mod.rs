//! Sagas: the core alone, against a model, in the simulator, and with a real process that is killed.

#[path = "../../../../towpath-journal/tests/support/sim_disk.rs"]
mod sim_disk;

mod core;
mod killed;
mod live;
mod model;
mod records;
mod sim;

/// A record of each kind, some for each step: for those who try all of them.
fn records_of_all_kinds() -> Vec<towpath_patterns::saga::Record> {
    use towpath_patterns::saga::{How, Record, Then, Why};
    let mut records = vec![
        Record::Started {
            plan: "test".into(),
            version: 1,
            shape: 0,
            at: 0,
            deadline: None,
            headers: [].into(),
            input: [].into(),
        },
        Record::Signal { name: "s".into(), dedup: "1".into(), payload: [].into() },
        Record::Paused { why: Why::Asked, reason: String::new() },
        Record::Resumed,
        Record::Cancelled { reason: String::new() },
        Record::Completed,
        Record::Compensated,
    ];
    for step in 0..2 {
        for attempt in 1..3 {
            records.push(Record::StepIntent { step, attempt });
            records.push(Record::CompIntent { step, attempt });
            for (how, then) in [(How::Refused, Then::GiveUp), (How::Lost, Then::Retry(9))] {
                let reason = String::new();
                let failed = Record::StepFailed { step, attempt, how, then, reason };
                let reason = String::new();
                records.extend([failed, Record::CompFailed { step, attempt, how, then, reason }]);
            }
        }
        records.push(Record::StepDone { step, output: [].into() });
        records.push(Record::CompDone { step });
        records.push(Record::TimerSet { step, due: 9, signal: None });
        records.push(Record::TimerSet { step, due: 9, signal: Some("s".into()) });
        records.push(Record::TimerFired { step });
        records.push(Record::DeadLettered { step, reason: String::new() });
    }
    records
}
