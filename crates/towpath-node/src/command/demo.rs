//! `towpath` alone: the network of rides that ships, on a load of its own, with its dashboard.
//!
//! What always holds: it needs nothing and leaves nothing: its files are in a directory of its own, which is gone afterwards.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::component::Registry;

/// What it runs, as it ships: in the program, so that nothing has to be beside it.
const NETWORK: &str = include_str!("../../../../networks/rides.yaml");
const MACHINE: &str = include_str!("../../../../networks/machines/ride.yaml");

/// Where the same files are for whoever runs it in the source tree, and may have changed them.
const HERE: &str = "networks/rides.yaml";

/// Runs it.
pub(super) fn run(registry: Registry) -> ExitCode {
    let place = match Place::new() {
        Ok(place) => place,
        Err(error) => {
            eprintln!("no room for a network to play with: {error}");
            return ExitCode::FAILURE;
        }
    };
    let file =
        if Path::new(HERE).is_file() { PathBuf::from(HERE) } else { place.0.join("rides.yaml") };
    eprintln!(
        "This is {}, on a load of its own: rides are asked for, matched, driven and paid; some payments fail. Ctrl-C ends it, `towpath --help` says what else there is.",
        file.display()
    );
    let data = place.0.join("data");
    let arguments = [
        "towpath".into(),
        "run".into(),
        file.into_os_string(),
        "--data".into(),
        data.into_os_string(),
    ];
    super::main_with(registry, arguments)
}

/// A directory that goes when this does.
struct Place(PathBuf);

impl Place {
    fn new() -> io::Result<Self> {
        let place = std::env::temp_dir().join(format!("towpath-{}", std::process::id()));
        fs::create_dir_all(place.join("machines"))?;
        let place = Self(place);
        fs::write(place.0.join("rides.yaml"), NETWORK)?;
        fs::write(place.0.join("machines/ride.yaml"), MACHINE)?;
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed is in the directory for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}
