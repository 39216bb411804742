//! Who is turned away, over real sockets.

use super::{Daemon, Events, Said, until};

fn refused(said: &Said, status: u16, part: &str) {
    assert_eq!(said.status, status, "{said:?}");
    assert!(said.json()["error"].as_str().unwrap().contains(part), "{said:?}");
}

#[test]
fn without_the_token_nothing_is_told() {
    let daemon = Daemon::start(&[]);
    for path in
        ["/api/v1/state", "/api/v1/events", "/api/v1/tap/orders", "/api/v1/nothing", "/metrics"]
    {
        let said = daemon.ask_as("GET", path, "", "");
        refused(&said, 401, "a token is needed");
        assert!(said.head.contains("www-authenticate: bearer"));
        refused(
            &daemon.ask_as("GET", path, "authorization: Bearer nonsense\r\n", ""),
            401,
            "a token",
        );
    }
    refused(&daemon.ask_as("POST", "/api/v1/processes/till/pause", "", ""), 401, "a token");
    // In a query it counts for streams alone.
    let path = format!("/api/v1/state?token={}", daemon.token);
    refused(&daemon.ask_as("GET", &path, "", ""), 401, "a token");
    assert_eq!(daemon.ask("GET", "/api/v1/state", "").status, 200);
    assert_eq!(daemon.token.len(), 64);
}

#[test]
fn a_page_of_somebody_else_changes_nothing() {
    let daemon = Daemon::start(&[]);
    let bearer = format!("authorization: Bearer {}\r\n", daemon.token);
    let pause = |head: &str| daemon.ask_as("POST", "/api/v1/processes/till/pause", head, "");
    for origin in ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"] {
        refused(&pause(&format!("{bearer}origin: {origin}\r\n")), 403, "Origin");
    }
    // Neither does one that has the token by the socket file.
    let said = daemon.ask_socket(
        "POST",
        "/api/v1/processes/till/pause",
        "origin: http://evil.example\r\n",
        "",
    );
    refused(&said, 403, "Origin");
    // Nor one whose name was bent to this address.
    refused(&pause(&format!("{bearer}host: evil.example\r\n")), 403, "Host");
    assert_eq!(daemon.ask_as("GET", "/", "host: evil.example\r\n", "").status, 403);
    assert_ne!(daemon.json(&["ps"]).1[1]["state"], "paused");
    let own = format!("{bearer}origin: http://{}\r\n", daemon.authority());
    assert_eq!(pause(&own).status, 200);
    assert_eq!(daemon.json(&["ps"]).1[1]["state"], "paused");
}

#[test]
fn who_may_look_changes_nothing_and_sees_no_message() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.yaml"), super::NETWORK).unwrap();
    let (full, look) = (folder.path().join("full"), folder.path().join("look"));
    std::fs::write(&full, "a-token-that-may-do-all\n").unwrap();
    std::fs::write(&look, "a-token-that-may-look\n").unwrap();
    let (full, look) = (full.display().to_string(), look.display().to_string());
    let more = ["--token-file", &full, "--read-only-token-file", &look, "--show-payloads"];
    let daemon = Daemon::start_in(folder, &more);
    let look = "authorization: Bearer a-token-that-may-look\r\n";
    let state = daemon.ask_as("GET", "/api/v1/state", look, "");
    assert_eq!((state.status, &state.json()["read_only"]), (200, &true.into()));
    for path in ["processes/till/pause", "channels/orders/inject", "facets/till/replay", "reload"] {
        let said = daemon.ask_as("POST", &format!("/api/v1/{path}"), look, "{}");
        refused(&said, 403, "may only look");
    }
    let said = until("what the till shows", || {
        let said = daemon.ask_as("GET", "/api/v1/facets/till?payloads=true", look, "");
        (said.status == 200).then_some(said)
    });
    assert!(!said.body.contains("secret"), "{said:?}");
    let said = daemon.ask_as("GET", "/api/v1/tap/orders?once&token=a-token-that-may-look", "", "");
    assert!(said.status == 200 && !said.body.contains("order"), "{said:?}");
    let said =
        daemon.ask_as("GET", "/api/v1/tap/orders?where=true&token=a-token-that-may-look", "", "");
    refused(&said, 403, "--show-payloads");
    // Who may do all sees them, since the node was begun so.
    let said =
        daemon.ask_as("GET", "/api/v1/tap/orders?once&token=a-token-that-may-do-all", "", "");
    assert!(said.body.contains("\"order\":"), "{said:?}");
}

#[test]
fn messages_are_shown_by_tcp_only_when_the_node_was_begun_so() {
    let daemon = Daemon::start(&[]);
    // The node answers before all of its processes have begun.
    let said = until("what the till shows", || {
        let said = daemon.ask("GET", "/api/v1/facets/till?payloads=true", "");
        (said.status == 200).then_some(said)
    });
    assert!(!said.body.contains("secret"), "{said:?}");
    let said = daemon.ask("GET", "/api/v1/tap/orders?once", "");
    assert!(
        said.status == 200 && said.body.contains("at_ms") && !said.body.contains("order"),
        "{said:?}"
    );
    // At the socket file it is the owner who looks.
    assert!(daemon.ask_socket("GET", "/api/v1/facets/till", "", "").body.contains("secret"));
}

#[test]
fn what_is_sent_has_a_limit() {
    let daemon = Daemon::start(&[]);
    let long = format!("\"{}\"", "x".repeat(9 << 20));
    let said = daemon.ask("POST", "/api/v1/channels/orders/inject", &long);
    refused(&said, 413, "more than");
}

#[test]
fn only_so_many_follow() {
    let daemon = Daemon::start(&[]);
    let mut all = Vec::new();
    for _ in 0..64 {
        let mut events = Events::follow(&daemon, "/api/v1/tap/orders");
        assert_eq!(events.next().unwrap().0, "message");
        all.push(events);
    }
    let said = daemon.ask_socket("GET", "/api/v1/events", "", "");
    refused(&said, 503, "streams are open already");
    assert!(said.head.contains("retry-after: 1"));
    drop(all);
    until("a place", || {
        let mut events = Events::follow(&daemon, "/api/v1/tap/orders");
        events.lines.next()?.ok().filter(|line| line.contains("200"))
    });
}

#[test]
fn a_secret_is_in_no_log() {
    let mut daemon = Daemon::start(&[]);
    daemon.ask("GET", "/api/v1/state", "");
    daemon.signal("-QUIT");
    let token = daemon.token.clone();
    let told = daemon.errors_until("here waits");
    daemon.signal("-TERM");
    let (_, said) = daemon.ended();
    assert!(!told.contains(&token) && !said.contains(&token) && !daemon.url.contains(&token));
}

#[test]
fn an_address_that_others_reach_needs_a_token_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let tea = concat!(env!("CARGO_MANIFEST_DIR"), "/../../networks/tea.yaml");
    let run = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_towpath"));
        let output = command.args(["run", tea, "--data", &data]).args(more).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run(&["--listen", "0.0.0.0:0"]);
    assert!(code == Some(2) && said.contains("--token-file"), "{said}");
    let short = folder.path().join("short");
    std::fs::write(&short, "short\n").unwrap();
    let (code, said) = run(&["--token-file", short.to_str().unwrap()]);
    assert!(code == Some(1) && said.contains("a token has 16 letters or more"), "{said}");
}
