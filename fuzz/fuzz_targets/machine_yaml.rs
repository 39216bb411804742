//! A table from any text: read or refused, and what is refused can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_patterns::machine::Table;

fuzz_target!(|text: &str| {
    match Table::from_yaml("fuzz.yaml", text) {
        // What was read can be drawn, and every cell has an arm.
        Ok(table) => {
            assert!(table.cells().all(|(_, _, arms)| !arms.is_empty()));
            assert!(!(table.to_text() + &table.to_mermaid() + &table.to_dot()).is_empty());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
