//! Reading: what a file says is found in it, and every mistake is told at its place.

use std::time::Duration;

use proptest::prelude::*;
use towpath_node::file::{CAPACITY, Full, NetworkFile, Trace, Wires};

const RIDES: &str = r#"
version: 1
name: rides
settings: {listen: "127.0.0.1:8080", speed: 2}
types:
  Match: {type: object, required: [ride, driver]}
channels:
  requests: {type: RideRequest, capacity: 256, full: drop, trace: true}
  matches: {capacity: 0}
  late:
processes:
  intake: {uses: http, listen: "${listen}", out: requests, on_error: late}
  dispatch: {uses: dispatch, in: [requests], out: {matched: matches, late: late}, window: 300ms, note: "$${x}", pace: "${speed}"}
tests:
  - {send: {requests: {id: 1, at: [40.76, -73.98]}}, expect: {matches: {ride: 1}}, within: 1s}
"#;

fn read(text: &str) -> NetworkFile {
    NetworkFile::read("rides.yaml", text, &[]).unwrap_or_else(|error| panic!("{error}"))
}

fn problems(text: &str, set: &[(&str, &str)]) -> Vec<String> {
    let set: Vec<_> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let error = NetworkFile::read("n.yaml", text, &set).map(|_| ()).unwrap_err();
    let told = error.problems().iter();
    told.map(|it| format!("{}:{} {}", it.place.line, it.place.column, it.message)).collect()
}

#[test]
fn a_file_says_what_it_says() {
    let file = read(RIDES);
    assert_eq!((&*file.name.text, file.types.len()), ("rides", 1));
    let [requests, matches, late] = &file.channels[..] else { panic!("{:?}", file.channels) };
    assert_eq!(requests.kind.as_ref().map(|it| &*it.text), Some("RideRequest"));
    assert_eq!(
        (requests.capacity, requests.full, requests.trace),
        (256, Full::Drop, Trace::Parent)
    );
    assert_eq!((matches.capacity, matches.full, matches.trace), (0, Full::Block, Trace::Off));
    assert_eq!(late.capacity, CAPACITY);
    let [intake, dispatch] = &file.processes[..] else { panic!("{:?}", file.processes) };
    assert_eq!((&*intake.uses.text, &*intake.on_error.as_ref().unwrap().text), ("http", "late"));
    assert!(matches!(&intake.outputs, Wires::Listed(all) if all[0].text == "requests"));
    assert!(matches!(&dispatch.outputs, Wires::Named(all) if all[1].0.text == "late"));
    let test = &file.tests[0];
    assert_eq!((test.send[0].1["id"].as_u64(), test.within), (Some(1), Duration::from_secs(1)));
}

#[test]
fn settings_are_used_and_can_be_set() {
    #[derive(serde::Deserialize)]
    struct Options {
        note: String,
        pace: u32,
    }
    let options = |set: &[(String, String)]| -> Options {
        let file = NetworkFile::read("rides.yaml", RIDES, set).unwrap();
        let mut options = file.processes[1].options.clone();
        let towpath_patterns::yaml::Kind::Mapping(all) = &mut options.kind else { panic!() };
        all.retain(|(key, _)| key.text != "window");
        // A setting is put in as it is written: in quotes it stays a word.
        for (_, value) in all {
            if let towpath_patterns::yaml::Kind::Scalar(_, plain) = &mut value.kind {
                *plain = true;
            }
        }
        towpath_patterns::yaml::read(&options).unwrap()
    };
    assert_eq!((&*options(&[]).note, options(&[]).pace), ("${x}", 2));
    assert_eq!(options(&[("speed".to_owned(), "9".to_owned())]).pace, 9);
    let found = problems(RIDES, &[("sped", "9")]);
    assert_eq!(found, ["4:1 there is no setting `sped` to be set; did you mean `speed`?"]);
    let found = problems(&RIDES.replace("${listen}", "${lisen}"), &[]);
    assert_eq!(found, ["12:32 there is no setting `lisen`; did you mean `listen`?"]);
    let found = problems(&RIDES.replace("${listen}", "${listen"), &[]);
    assert_eq!(found, ["12:32 `${` is not closed by `}`; write `$${` for itself"]);
}

#[test]
fn all_mistakes_are_told_at_their_place() {
    let found = problems(
        "version: 2\nname: [a]\nchanels: {}\nchannels:\n  a: {capacity: many, ful: block}\n  b: {full: blok}\nprocesses:\n  p: {use: x}\n  q: log\ntests:\n  - {send: {}, expekt: {}}\n",
        &[],
    );
    assert_eq!(
        found,
        [
            "1:10 this is version 2, and version 1 is what can be read",
            "2:7 the network's name is a word, and this is a list",
            "3:1 a network has no part `chanels`; did you mean `channels`?",
            "5:17 this should be usize, and is string \"many\"",
            "6:13 `blok` is not possible here; did you mean `block`?",
            "8:3 `p` does not say which component it uses",
            "9:6 a process is a mapping with `uses`, and this is a word",
            "11:5 a test that expects nothing cannot fail: add `expect`",
            "11:16 a test has no `expekt`; did you mean `expect`?",
        ]
    );
    assert_eq!(problems("", &[]), ["1:1 the file is empty; it begins with `version: 1`"]);
    assert_eq!(problems("- a", &[]), ["1:1 a network is a mapping, and this is a list"]);
    assert_eq!(
        problems("channels:\n", &[]),
        [
            "1:1 `version` is missing: write `version: 1`",
            "1:1 `name` is missing: what is the network called?"
        ]
    );
}

#[test]
fn json_is_read_too() {
    let file = read(r#"{"version": 1, "name": "j", "channels": {"a": {"capacity": 3}}}"#);
    assert_eq!(file.channels[0].capacity, 3);
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,200}", at in 0..RIDES.len(), junk in "[-:{}\\[\\]$a-z \n\"']{0,6}") {
        let _ = NetworkFile::read("any", &text, &[]);
        let mut damaged = RIDES.to_owned();
        if damaged.is_char_boundary(at) {
            damaged.insert_str(at, &junk);
        }
        let _ = NetworkFile::read("damaged", &damaged, &[]).map_err(|error| error.to_string());
    }
}
