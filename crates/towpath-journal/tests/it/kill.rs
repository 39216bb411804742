//! A real process, killed with signal 9 at a random moment, again and again on the same journal.
//!
//! The child is this test binary, told by the environment to append numbered records and to say on a pipe what was
//! acknowledged. CI kills 50 children; `TOWPATH_KILLS=1000` makes it more.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use towpath_journal::{Entry, Lsn, Options, Reader, Writer};

const DIR: &str = "TOWPATH_JOURNAL_KILL";
const KILLS: &str = "TOWPATH_KILLS";

/// Kills in CI, about five seconds.
const KILLS_DEFAULT: u64 = 50;

fn options() -> Options {
    // Children go through several segments.
    Options::new().segment_bytes(1 << 20)
}

/// A record says its own number, and how long it is follows from that.
fn payload(lsn: u64) -> Vec<u8> {
    lsn.to_le_bytes().repeat(1 + lsn as usize % 60)
}

/// Appends until it is killed, in groups and batches of changing sizes, with checkpoints and retention.
fn child(dir: &Path) -> ! {
    let mut writer = options().open(dir).expect("a journal");
    let mut out = std::io::stdout().lock();
    writeln!(out, "opened {}", writer.durable()).expect("a pipe");
    for round in 0_u64.. {
        for group in 0..1 + round % 7 {
            let first = writer.next().0;
            let payloads: Vec<_> = (first..=first + group).map(payload).collect();
            let entries: Vec<_> = payloads
                .iter()
                .map(|payload| Entry { kind: group as u16, key: b"k", payload })
                .collect();
            writer.append_group(&entries).expect("appended");
        }
        let durable = writer.commit().expect("committed");
        writeln!(out, "acknowledged {durable}").expect("a pipe");
        if round % 200 == 199 {
            writer.checkpoint(durable, &durable.0.to_le_bytes()).expect("a checkpoint");
            writer.retain(Lsn(durable.0.saturating_sub(5_000))).expect("retained");
        }
    }
    unreachable!()
}

#[test]
fn a_killed_process_loses_nothing_it_acknowledged_and_nothing_is_doubled() {
    if let Some(dir) = std::env::var_os(DIR) {
        child(Path::new(&dir));
    }
    let kills = std::env::var(KILLS).map_or(KILLS_DEFAULT, |kills| kills.parse().expect(KILLS));
    let dir = tempfile::tempdir().unwrap();
    let mut chance = 0x5eed_u64;
    let (mut acknowledged, mut appended) = (0, 0);
    for kill in 0..kills {
        let test = "kill::a_killed_process_loses_nothing_it_acknowledged_and_nothing_is_doubled";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        // The clock starts when the child lives; some are killed while they open.
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let delay = Duration::from_micros((chance >> 33) % 40_000);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        if kill % 5 != 0 {
            let opened = lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("opened"));
            assert!(opened.is_some(), "the child could not open");
        }
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            let number = line.strip_prefix("acknowledged ").or(line.strip_prefix("opened "));
            // The last line may be cut.
            if let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) {
                acknowledged = acknowledged.max(number);
            }
        }
        appended = check(dir.path(), acknowledged, kill);
        acknowledged = appended;
    }
    println!("{kills} kills, {appended} records");
    assert!(appended > kills, "the children did nothing");
}

/// Every record from the oldest on is there once and is what it was; gives the last.
fn check(dir: &Path, acknowledged: u64, kill: u64) -> u64 {
    // As another process sees it, before anything is repaired.
    let mut seen = 0;
    if let Ok(mut reader) = Reader::open(dir, Lsn::ZERO) {
        while let Some(record) = reader.next().unwrap() {
            assert_eq!(record.payload, payload(record.lsn.0));
            seen = record.lsn.0;
        }
        assert!(
            seen + 28 >= acknowledged,
            "kill {kill}: at most the mark of one batch is not there"
        );
    }
    let writer: Writer = options().open(dir).unwrap();
    assert!(
        writer.durable().0 >= acknowledged.max(seen),
        "kill {kill}: an acknowledged record is gone"
    );
    let mut reader = writer.reader(Lsn::ZERO).unwrap();
    let mut next = writer.oldest();
    while let Some(record) = reader.next().unwrap() {
        assert_eq!(record.lsn, next, "kill {kill}");
        assert_eq!(record.payload, payload(next.0), "kill {kill}");
        next = next.next();
    }
    assert_eq!(next, writer.next());
    if let Some(checkpoint) = writer.latest_checkpoint().unwrap() {
        assert_eq!(checkpoint.state, checkpoint.lsn.0.to_le_bytes());
        assert!(writer.oldest() <= checkpoint.lsn.next());
    }
    writer.durable().0
}
