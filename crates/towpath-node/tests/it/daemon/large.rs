//! A network of a thousand processes and two thousand channels, followed.
//!
//! What it costs is printed, not asserted: a machine at work measures itself. `cargo test --release … large -- --nocapture` tells.

use std::{fmt::Write as _, time::Duration};

use super::{Daemon, Events};

const PROCESSES: usize = 1000;

/// For how long costs are counted.
const COUNTED: Duration = Duration::from_secs(3);

/// Two channels lead from each process to the next, and messages go along all of them.
fn network() -> String {
    let mut text =
        "version: 1\nname: large\nsettings: {every: 50ms}\nchannels:\n  begin: {capacity: 4}\n"
            .to_owned();
    for index in 0..PROCESSES - 2 {
        writeln!(text, "  x{index}: {{capacity: 4}}\n  y{index}: {{capacity: 4}}").unwrap();
    }
    text += "processes:\n  source: {uses: load, every: \"${every}\", out: begin}\n";
    for index in 0..PROCESSES - 2 {
        let from = index.checked_sub(1).map_or("begin".to_owned(), |it| format!("[x{it}, y{it}]"));
        writeln!(text, "  p{index}: {{uses: relay, in: {from}, out: [x{index}, y{index}]}}")
            .unwrap();
    }
    let last = PROCESSES - 3;
    writeln!(text, "  sink: {{uses: swallow, in: [x{last}, y{last}]}}").unwrap();
    text
}

fn started(every: &str) -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.yaml"), network()).unwrap();
    Daemon::start_in(folder, &["--set", &format!("every={every}")])
}

/// How much of a core a node uses while it is followed, or not.
fn share(daemon: &Daemon, followed: bool) -> (f64, usize, usize) {
    let mut events = followed.then(|| Events::follow(daemon, "/api/v1/events"));
    let (mut count, mut processes) = (0, 0);
    let first = events.as_mut().map(|events| events.next().unwrap());
    if let Some((name, state)) = &first {
        assert_eq!((&**name, state["processes"].as_array().unwrap().len()), ("state", PROCESSES));
        assert_eq!(state["channels"].as_array().unwrap().len(), 2 * PROCESSES - 3);
    }
    let (begin, before) = (std::time::Instant::now(), daemon.cpu());
    while begin.elapsed() < COUNTED {
        match &mut events {
            Some(events) => {
                let (name, change) = events.next().unwrap();
                assert_eq!(name, "change");
                count += 1;
                processes += change["processes"].as_object().map_or(0, serde_json::Map::len);
            }
            None => std::thread::sleep(COUNTED),
        }
    }
    let used = daemon.cpu().saturating_sub(before);
    (100.0 * used.as_secs_f64() / begin.elapsed().as_secs_f64(), count, processes)
}

#[test]
fn a_thousand_processes_are_followed() {
    let daemon = started("50ms");
    let (alone, ..) = share(&daemon, false);
    let (followed, count, processes) = share(&daemon, true);
    // Twenty messages a second go through each of them.
    assert!(processes > count * PROCESSES / 4, "{processes} in {count} changes");
    println!(
        "{alone:.1} % of a core at 20,000 hops a second; followed {followed:.1} %: {count} changes of {} processes each",
        processes / count.max(1)
    );
}
