//! Any bytes as a record of a saga: refused, or written again as they were; and a saga takes it or refuses it, without a panic.
//!
//! The first property is that of `tests/it/saga/records.rs`; the second is what a coordinator does when it reads its journal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_patterns::saga::{KINDS, Record, State};

fuzz_target!(|input: Vec<(u8, Vec<u8>)>| {
    let mut state: Option<State> = None;
    for (kind, bytes) in &input {
        let kind = KINDS + u16::from(*kind % 20);
        let record = match Record::decode(kind, bytes) {
            Ok(record) => record,
            Err(refused) => {
                assert!(!refused.to_string().is_empty());
                continue;
            }
        };
        let mut again = Vec::new();
        record.encode(&mut again);
        assert_eq!((record.kind(), &again), (kind, bytes));
        match &mut state {
            None => state = State::new(&record).ok(),
            Some(state) => {
                let before = state.clone();
                if state.apply(&record).is_err() {
                    assert_eq!(*state, before, "what does not fit changes nothing");
                }
            }
        }
    }
});
