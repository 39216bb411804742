//! What the API answers, and how streams go.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::{Daemon, Events, Said, until};

#[test]
fn it_answers_what_it_promises() {
    let daemon = Daemon::start(&[]);
    let get = |path: &str| daemon.ask_socket("GET", &format!("/api/v1{path}"), "", "");
    let state = until("a refused order", || {
        let state = get("/state").json();
        (state["processes"][1]["refused"].as_u64().unwrap() > 0).then_some(state)
    });
    assert_eq!((&state["network"], &state["status"]), (&json!("shop"), &json!("running")));
    assert_eq!((&state["generation"], &state["read_only"]), (&json!(1), &json!(false)));
    assert_eq!(state["processes"].as_array().unwrap().len(), 5);
    assert_eq!(state["channels"][0]["type"], "Order");
    let graph = get("/graph").json();
    assert_eq!(graph["processes"][0]["name"], "guests");
    assert!(
        graph["width"].as_u64().unwrap() > 0
            && graph["channels"][0]["edges"][0]["points"].is_array()
    );
    let why = get("/why/here").json();
    assert_eq!((&why["grade"], &why["chain"]), (&json!("proven"), &json!(["here", "away"])));
    assert_eq!(get("/stuck").json()[0]["cycle"], true);
    assert!(get("/dump").body.contains("STUCK (Proven)"));
    let errors = get("/errors?limit=1").json();
    assert_eq!(errors.as_array().unwrap().len(), 1);
    assert_eq!((&errors[0]["kind"], &errors[0]["process"]), (&json!("refused"), &json!("till")));
    assert_eq!(get("/traces").json(), json!([]));
    let config = get("/config").json();
    assert_eq!(
        (&config["text"], &config["on_disk_differs"]),
        (&json!(super::NETWORK), &json!(false))
    );
    std::fs::write(daemon.folder.path().join("shop.yaml"), "version: 1").unwrap();
    assert_eq!(get("/config").json()["on_disk_differs"], true);
    let facets = get("/facets").json();
    assert_eq!(
        (&facets[0]["process"], &facets[0]["verbs"][0]["name"]),
        (&json!("till"), &json!("replay"))
    );
    assert_eq!(get("/facets/till?limit=3").json()["limit"], 3);
    for (path, told) in [
        ("/why/hree", "there is no process `hree`; did you mean `here`?"),
        ("/facets/bin", "process `bin` has nothing to show besides its channels"),
        ("/tap/oders", "there is no channel `oders`; did you mean `orders`?"),
    ] {
        let said = get(path);
        assert_eq!((said.status, said.json()["error"].as_str()), (404, Some(told)), "{path}");
    }
    assert_eq!(get("/nothing").status, 404);
    assert_eq!(get("/reload").status, 405);
    let scrape = daemon.ask_socket("GET", "/metrics", "", "");
    assert!(
        scrape.head.contains("application/openmetrics-text") && scrape.body.ends_with("# EOF\n")
    );
    assert!(
        scrape.body.contains("towpath_stuck_processes{network=\"shop\",grade=\"proven\"} 2.0\n"),
        "{}",
        scrape.body
    );
}

#[test]
fn what_it_is_told_it_does() {
    let daemon = Daemon::start(&["--set", "every=1h"]);
    let post = |path: &str, body: &str| -> Said {
        daemon.ask_socket("POST", &format!("/api/v1{path}"), "", body)
    };
    let process = |index: usize| {
        daemon.ask_socket("GET", "/api/v1/state", "", "").json()["processes"][index].clone()
    };
    assert_eq!(post("/processes/till/pause", "").status, 200);
    assert_eq!(process(1)["state"], "paused");
    let before = process(1)["received"].clone();
    assert_eq!(post("/channels/orders/inject", r#"{"order": 1000}"#).status, 200);
    assert_eq!(process(1)["received"], before);
    assert_eq!(post("/processes/till/resume", "").status, 200);
    until("the message", || (process(1)["received"].as_u64() > before.as_u64()).then_some(()));
    let said = post("/channels/orders/inject", "{");
    assert_eq!(said.status, 400);
    assert!(said.json()["error"].as_str().unwrap().starts_with("the body is no JSON"), "{said:?}");
    assert_eq!(post("/channels/orders/inject", "").status, 400);
    assert_eq!(
        post("/facets/till/replay", r#"{"all": true, "dry_run": true}"#).json(),
        json!({"would": 1})
    );
    let said = post("/facets/till/reply", "{}");
    assert_eq!(said.status, 404);
    assert_eq!(said.json()["error"], "`till` cannot `reply`; did you mean `replay`?");
    let said = post("/facets/till/fail", "{}");
    assert_eq!((said.status, &said.json()["error"]), (409, &json!("it never works")));
}

#[test]
fn the_dashboard_is_served_and_asked_for_again_only_when_it_changed() {
    let daemon = Daemon::start(&[]);
    let page = daemon.ask_as("GET", "/", "", "");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-security-policy: default-src 'none'"), "{}", page.head);
    assert!(page.body.contains("<script"), "{}", page.body);
    let etag = page.head.lines().find_map(|it| it.strip_prefix("etag: ")).unwrap().to_owned();
    let again = daemon.ask_as("GET", "/", &format!("if-none-match: {etag}\r\n"), "");
    assert_eq!((again.status, &*again.body), (304, ""));
    assert_eq!(daemon.ask_as("GET", "/no-such.js", "", "").status, 404);
    assert_eq!(daemon.ask_as("GET", "/healthz", "", "").body, "ok\n");
    assert_eq!(daemon.ask_as("GET", "/readyz", "", "").body, "ready\n");
}

/// Applies a change to a state, as a client does.
fn apply(state: &mut Value, change: &Value) {
    for (index, process) in change["processes"].as_object().into_iter().flatten() {
        state["processes"][index.parse::<usize>().unwrap()] = process.clone();
    }
    for (index, numbers) in change["channels"].as_object().into_iter().flatten() {
        let names = [
            "length",
            "sent",
            "received",
            "waiting_send",
            "waiting_recv",
            "dropped",
            "unchanged_ms",
        ];
        for (name, number) in names.iter().zip(numbers.as_array().unwrap()) {
            state["channels"][index.parse::<usize>().unwrap()][name] = number.clone();
        }
    }
    for name in ["status", "stuck"] {
        if let Some(value) = change.get(name) {
            state[name] = value.clone();
        }
    }
}

#[test]
fn who_follows_gets_all_and_then_what_changes() {
    let daemon = Daemon::start(&[]);
    let mut events = Events::follow(&daemon, "/api/v1/events?every=250ms");
    let (name, mut state) = events.next().unwrap();
    assert_eq!((&*name, state["processes"].as_array().unwrap().len()), ("state", 5));
    // Those who wait for each other do nothing, so they are not told of again, however old their waits become.
    let begin = state["processes"][3].clone();
    let mut seen = Vec::new();
    while seen.len() < 6 {
        let (name, change) = events.next().unwrap();
        assert_eq!(name, "change");
        seen.push(change["processes"].as_object().is_some_and(|it| it.contains_key("3")));
        assert!(change["uptime_ms"].as_u64() > state["uptime_ms"].as_u64());
        apply(&mut state, &change);
    }
    assert!(seen.iter().skip(2).all(|told| !told), "{seen:?} {begin}");
    let now = daemon.ask_socket("GET", "/api/v1/state", "", "").json();
    let sent = |state: &Value| state["channels"][0]["sent"].as_u64().unwrap();
    assert!(sent(&state) > 10 && sent(&now) >= sent(&state));
    // What is told of somebody who is paused is that, and to all who follow.
    let mut other = Events::follow(&daemon, "/api/v1/events");
    assert_eq!(other.next().unwrap().0, "state");
    assert_eq!(daemon.ask_socket("POST", "/api/v1/processes/till/pause", "", "").status, 200);
    for events in [&mut events, &mut other] {
        loop {
            let (_, change) = events.next().unwrap();
            if change["processes"]["1"]["state"] == "paused" {
                break;
            }
        }
    }
}

#[test]
fn who_listens_in_sees_messages_that_he_asked_for() {
    let daemon = Daemon::start(&[]);
    let mut events = Events::follow(
        &daemon,
        "/api/v1/tap/orders?limit=2&where=it.order%20%25%2010%20%3D%3D%200",
    );
    for _ in 0..2 {
        let (name, event) = events.next().unwrap();
        assert_eq!((&*name, event["message"]["order"].as_u64().unwrap() % 10), ("message", 0));
        assert!(event["at_ms"].is_u64() && event["trace"].is_null());
    }
    assert_eq!(events.next(), None);
    let wrong = daemon.ask_socket("GET", "/api/v1/tap/orders?where=it.order%20%3E", "", "");
    assert_eq!(wrong.status, 400, "{wrong:?}");
}

#[test]
fn what_it_leaves_on_disk_is_its_owners() {
    let mut daemon = Daemon::start(&[]);
    for name in ["towpath.sock", "towpath.url"] {
        let mode = std::fs::metadata(daemon.data().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    daemon.signal("-TERM");
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("SIGTERM: taking nothing more"), "{said}");
    let mut left: Vec<_> =
        std::fs::read_dir(daemon.data()).unwrap().map(|it| it.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["towpath.lock"]);
}

#[test]
fn who_does_not_finish_in_time_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = "version: 1\nname: slow\nchannels: {orders: }\nprocesses:\n  guests: {uses: load, every: 10ms, out: orders}\n  sleeper: {uses: sleeps, in: orders}\n";
    std::fs::write(folder.path().join("shop.yaml"), text).unwrap();
    let mut daemon = Daemon::start_in(folder, &[]);
    until("a taken order", || (daemon.json(&["ps"]).1[1]["received"] == 1).then_some(()));
    daemon.signal("-TERM");
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("did not drain within 1s") && said.contains("sleeper"), "{said}");
}

#[test]
fn a_second_node_in_one_data_directory_is_refused() {
    let daemon = Daemon::start(&[]);
    let output = daemon.towpath(&["run", daemon.folder.path().join("shop.yaml").to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // The real program has not the components of this test; any file will do.
    let tea = concat!(env!("CARGO_MANIFEST_DIR"), "/../../networks/tea.yaml");
    let output = daemon.towpath(&["run", tea]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        told.contains("another node works in") && told.contains("give this one another --data"),
        "{told}"
    );
    // The first is none the worse for it.
    assert_eq!(daemon.json(&["ps"]).0, Some(0));
}

#[test]
fn what_was_left_behind_by_a_node_that_was_killed_is_replaced() {
    let mut daemon = Daemon::start(&[]);
    daemon.signal("-KILL");
    daemon.ended();
    assert!(daemon.data().join("towpath.sock").exists());
    assert_eq!(daemon.towpath(&["ps"]).status.code(), Some(3));
    let folder = std::mem::replace(&mut daemon.folder, tempfile::tempdir().unwrap());
    let daemon = Daemon::start_in(folder, &[]);
    assert_eq!(daemon.json(&["ps"]).0, Some(0));
}

#[test]
fn sigquit_tells_who_waits_where_and_all_goes_on() {
    let mut daemon = Daemon::start(&[]);
    daemon.signal("-QUIT");
    let told = daemon.errors_until("here waits");
    assert!(told.contains("network shop from"), "{told}");
    assert_eq!(daemon.json(&["ps"]).0, Some(0));
}
