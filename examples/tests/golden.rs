//! Every example prints what its golden file says.
//!
//! For each `examples/<name>.rs` there are an entry in `Cargo.toml` and `golden/<name>.txt`, and nothing there lacks its
//! example. `TOWPATH_BLESS=1` writes the files anew.

mod programs;

use std::{collections::BTreeSet, fs, path::Path};

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
    let folder = programs::build_examples();
    let all = examples.clone();
    let (here, without): (BTreeSet<_>, BTreeSet<_>) =
        examples.into_iter().partition(|name| name != "purchase_orders" || log_is_here(root));
    for name in without {
        println!(
            "{name} was not run: its log is not here; TOWPATH_DATA names the folder that has it"
        );
    }
    programs::compare(&folder, &here);
    programs::are_all_golden(&all);
}

/// Whether the real log that `purchase_orders` reads is on this machine; it is not part of the repository.
fn log_is_here(root: &Path) -> bool {
    let beside = || root.join("../../shared/data");
    let folder = std::env::var_os("TOWPATH_DATA").map_or_else(beside, Into::into);
    folder.join("orders/bpic2019-variants.xes.gz").exists()
}
