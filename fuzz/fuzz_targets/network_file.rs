//! A network from any text: refused with the places of its mistakes, or one whose parts fit together.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_node::{Registry, check::check, file::NetworkFile};

fuzz_target!(|text: &str| {
    let set = [("listen".to_owned(), "127.0.0.1:1".to_owned())];
    for set in [&[][..], &set] {
        let read = NetworkFile::read("any.yaml", text, set);
        let checked = read.and_then(|file| check(&file, &Registry::builtin()).map(|checked| (file, checked)));
        match checked {
            Ok((file, checked)) => assert_eq!(checked.graph.processes.len(), file.processes.len()),
            Err(error) => assert!(!error.problems().is_empty() && !error.to_string().is_empty()),
        }
    }
});
