//! The bytes of the records: the same for ever, read back as written, and never a panic.

use std::fmt::Write as _;
use std::{fs, path::Path};

use proptest::prelude::*;
use towpath_patterns::saga::{How, KINDS, Malformed, Record, Then, Why};

fn samples() -> Vec<Record> {
    let reason = || "sold out".to_owned();
    vec![
        Record::Started {
            plan: "order".into(),
            version: 3,
            shape: 0x0123_4567_89ab_cdef,
            at: 1_767_225_600_000,
            deadline: Some(1_767_225_660_000),
            headers: (*b"00-4bf9").into(),
            input: (*b"two lamps").into(),
        },
        Record::StepIntent { step: 0, attempt: 1 },
        Record::StepDone { step: 300, output: (*b"seat 12").into() },
        Record::StepFailed {
            step: 1,
            attempt: 2,
            how: How::TimedOut,
            then: Then::Retry(1_767_225_601_000),
            reason: reason(),
        },
        Record::StepFailed {
            step: 1,
            attempt: 3,
            how: How::Refused,
            then: Then::GiveUp,
            reason: reason(),
        },
        Record::CompIntent { step: 0, attempt: 1 },
        Record::CompDone { step: 0 },
        Record::CompFailed {
            step: 0,
            attempt: 1,
            how: How::Died,
            then: Then::Retry(u64::MAX),
            reason: String::new(),
        },
        Record::TimerSet { step: 2, due: 1_767_225_700_000, signal: None },
        Record::TimerSet { step: 2, due: u64::MAX, signal: Some("approved".into()) },
        Record::TimerFired { step: 2 },
        Record::Signal {
            name: "approved".into(),
            dedup: "mail 7".into(),
            payload: (*b"yes").into(),
        },
        Record::Paused { why: Why::Quarantine, reason: reason() },
        Record::Resumed,
        Record::Cancelled { reason: reason() },
        Record::DeadLettered { step: 1, reason: reason() },
        Record::Completed,
        Record::Compensated,
    ]
}

fn encoded(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes
}

#[test]
fn the_bytes_are_those_of_the_golden_file() {
    let mut text = String::new();
    for record in samples() {
        let hex: String = encoded(&record).iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{:#06x} {hex}  {record:?}", record.kind()).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/saga_records.txt");
    if std::env::var_os("TOWPATH_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap();
    assert_eq!(text, golden, "journals of earlier versions could not be read any more");
}

#[test]
fn every_kind_has_a_sample_and_is_read_back() {
    let mut kinds: Vec<_> = samples().iter().map(Record::kind).collect();
    kinds.dedup();
    assert_eq!(kinds, (1..=16).map(|number| KINDS + number).collect::<Vec<_>>());
    for record in samples() {
        assert_eq!(Record::decode(record.kind(), &encoded(&record)), Ok(record));
    }
}

#[test]
fn what_is_cut_or_longer_or_of_another_version_is_refused() {
    for record in samples() {
        let (kind, bytes) = (record.kind(), encoded(&record));
        for len in 1..bytes.len() {
            let cut = Record::decode(kind, &bytes[..len]);
            assert_eq!(cut, Err(Malformed::Damaged { kind }), "{record:?} cut to {len}");
        }
        assert_eq!(Record::decode(kind, &[]), Err(Malformed::Unknown { kind, format: 0 }));
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Record::decode(kind, &longer), Err(Malformed::Damaged { kind }));
        let newer = [&[2], &bytes[1..]].concat();
        assert_eq!(Record::decode(kind, &newer), Err(Malformed::Unknown { kind, format: 2 }));
    }
    let kind = KINDS + 17;
    assert_eq!(Record::decode(kind, &[1]), Err(Malformed::Unknown { kind, format: 1 }));
}

proptest! {
    /// What can be read is written again with the same bytes: there is one way to write each record.
    #[test]
    fn any_bytes_are_refused_or_read_exactly(kind in 0_u16..18, mut bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        if let Ok(record) = Record::decode(KINDS + kind, &bytes) {
            prop_assert_eq!(encoded(&record), bytes);
        }
    }

    #[test]
    fn numbers_and_texts_of_any_size_are_read_back(
        step: u16, attempt: u32, at: u64, how in 0_usize..8, reason in ".{0,200}", output in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let how = [How::Refused, How::Failed, How::Lost, How::TimedOut, How::Unreachable, How::Died, How::Crashed, How::Stopped][how];
        for record in [
            Record::StepFailed { step, attempt, how, then: Then::Retry(at), reason: reason.clone() },
            Record::StepDone { step, output: output.clone().into() },
            Record::Signal { name: reason.as_str().into(), dedup: "".into(), payload: output.into() },
        ] {
            prop_assert_eq!(Record::decode(record.kind(), &encoded(&record)), Ok(record));
        }
    }
}
