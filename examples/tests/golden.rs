//! Every example prints what its golden file says.
//!
//! For each `examples/<name>.rs` there are an entry in `Cargo.toml` and `golden/<name>.txt`, and nothing there lacks its
//! example. `TOWPATH_BLESS=1` writes the files anew.

mod programs;

use std::{fs, path::Path};

#[test]
fn every_example_prints_what_its_golden_file_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = programs::names(root, "rs");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for name in &examples {
        assert!(
            manifest.contains(&format!("path = \"{name}.rs\"")),
            "examples/Cargo.toml has no [[example]] for {name}.rs"
        );
    }
    programs::compare(&programs::build_examples(), &examples);
}
