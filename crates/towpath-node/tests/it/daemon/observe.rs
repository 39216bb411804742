//! What a node lets be measured, and the traces of its messages: live, over HTTP.

#[path = "../../../../towpath-observe/tests/support/queries.rs"]
mod queries;

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use self::queries::{Query, dashboard, rules, series};
use super::{Daemon, exchange, until};

/// An address that is free for now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A collector that takes everything, and what it was sent.
struct Collector {
    url: String,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let taken = Arc::<Mutex<Vec<u8>>>::default();
        let to = taken.clone();
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let _ = answer(stream, &to);
            }
        });
        Self { url, taken }
    }

    fn has(&self, bytes: &[u8]) -> bool {
        self.taken.lock().unwrap().windows(bytes.len()).any(|it| it == bytes)
    }
}

/// Takes the body of one request, whose length is in its head.
fn answer(mut stream: TcpStream, to: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    let body = loop {
        let count = stream.read(&mut part)?;
        all.extend_from_slice(&part[..count]);
        let end = all.windows(4).position(|it| it == b"\r\n\r\n");
        let Some(end) = end else { continue };
        let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let whole = end + 4 + length.and_then(|it| it.parse::<usize>().ok()).unwrap_or(0);
        if all.len() >= whole {
            break all.split_off(end + 4);
        }
    };
    to.lock().unwrap().extend(body);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

/// The rides that ship, with a matcher beside them, so that there is one of everything.
fn rides(more: &[&str]) -> (Daemon, SocketAddr) {
    let networks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../networks");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("machines")).unwrap();
    let machine = Path::new("machines").join("ride.yaml");
    std::fs::copy(networks.join(&machine), folder.path().join(&machine)).unwrap();
    let text = std::fs::read_to_string(networks.join("rides.yaml")).unwrap();
    let text = text.replace(
        "\nchannels:\n",
        "\nchannels:\n  papers: {capacity: 1}\n  sets: {capacity: 1}\n  others: {capacity: 1}\n",
    );
    let text = text.replace(
        "\nprocesses:\n",
        "\nprocesses:\n  paper: {uses: load, every: 1h, message: {n: \"{n}\"}, out: papers}\n  \
         match: {uses: match, rules: purchase, window: 1d, time: at, in: papers, out: {matched: sets, differences: others}, on_error: refused}\n  \
         sets: {uses: log, in: [sets, others]}\n",
    );
    std::fs::write(folder.path().join("shop.yaml"), text).unwrap();
    let address = free();
    let listen = format!("listen={address}");
    let daemon = Daemon::start_in(folder, &[&["--set", &listen], more].concat());
    (daemon, address)
}

fn scrape(daemon: &Daemon) -> String {
    daemon.ask_socket("GET", "/metrics", "", "").body
}

/// The numbers of counters, by name and labels.
fn counters(daemon: &Daemon) -> BTreeMap<String, f64> {
    let scrape = scrape(daemon);
    let samples = scrape.lines().filter(|line| !line.starts_with('#'));
    let counters = samples.filter(|line| {
        let name = line.split('{').next().unwrap();
        ["_total", "_count", "_bucket"].iter().any(|end| name.ends_with(end))
    });
    counters
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

#[test]
fn whatever_alerts_and_the_dashboard_name_is_in_a_scrape_of_the_rides() {
    let collector = Collector::start();
    let (daemon, _) = rides(&["--otlp", &collector.url, "--sample", "1"]);
    // Somebody has to wait for room, or there is nothing to tell of it.
    let post = |path: &str| daemon.ask_socket("POST", &format!("/api/v1{path}"), "", "").status;
    assert_eq!(post("/processes/fleet/pause"), 200);
    until("a sender who waits", || {
        let waits = r#"towpath_channel_waiters{network="rides",channel="reported",side="send"} 1"#;
        scrape(&daemon).contains(waits).then_some(())
    });
    assert_eq!(post("/processes/fleet/resume"), 200);
    let alerts = rules().into_iter().map(|rule| (rule.alert, rule.expr));
    let queries: Vec<_> = alerts.chain(dashboard()).collect();
    assert!(queries.len() > 40, "{}", queries.len());
    // One of fifty rides says nothing of where it begins: the first dead letter comes after five seconds.
    until("each of them", || {
        let seen = series(&scrape(&daemon));
        let missing: Vec<_> = queries
            .iter()
            .flat_map(|(place, text)| {
                let missing = Query::read(text).missing(&seen).into_iter();
                missing.map(move |what| format!("{place}: {what}"))
            })
            .collect();
        eprintln!("missing: {missing:?}");
        missing.is_empty().then_some(())
    });
    let seen = scrape(&daemon);
    for told in [
        r#"rides_total{network="rides",process="counts",to="Matched"} "#,
        r#"towpath_limit_per_second{network="rides",process="flow"} 2000"#,
        r#"towpath_channel_capacity{network="rides",channel="requests"} 1024"#,
    ] {
        assert!(seen.contains(told), "{told} is not in\n{seen}");
    }
    assert!(!seen.contains("supervisor of"), "{seen}");
    assert!(seen.ends_with("# EOF\n"));
}

#[test]
fn totals_go_on_over_reloads_and_restarts() {
    let daemon = Daemon::start(&[]);
    let told = |before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>| -> Vec<String> {
        let less =
            before.iter().filter(|(name, value)| after.get(*name).is_none_or(|it| it < value));
        less.map(|(name, value)| format!("{name}: {value}, then {:?}", after.get(name))).collect()
    };
    let sends = r#"towpath_channel_sends_total{network="shop",channel="orders"}"#;
    let busy = |more: f64| {
        until("more orders", || {
            let now = counters(&daemon);
            (now.get(sends).copied().unwrap_or_default() >= more).then_some(now)
        })
    };
    let mut before = busy(20.0);
    // Another size is another channel, and all processes of another network around it; then one of them goes, and comes back.
    let gone = super::NETWORK
        .replace(
            "  till: {uses: shows, in: orders, on_error: bad}\n",
            "  till: {uses: swallow, in: orders}\n",
        )
        .replace("  bin: {uses: swallow, in: bad}\n", "")
        .replace("  bad: {capacity: 16}\n", "");
    for text in [
        super::NETWORK.replace(
            "orders: {type: Order, capacity: 16}",
            "orders: {type: Order, capacity: 8, trace: parent}",
        ),
        gone,
        super::NETWORK.to_owned(),
    ] {
        let body = json!({"plan": false, "text": text}).to_string();
        let said = daemon.ask_socket("POST", "/api/v1/reload", "", &body).json();
        assert_eq!((&said["done"], &said["rolled_back"]), (&json!(true), &Value::Null), "{said}");
        let after = counters(&daemon);
        assert_eq!(told(&before, &after), [""; 0]);
        let more = busy(after[sends] + 20.0);
        assert_eq!(told(&after, &more), [""; 0]);
        before = more;
    }
}

const CALLER: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn post(address: SocketAddr, path: &str, head: &str, body: &str) -> u16 {
    let stream = TcpStream::connect(address).unwrap();
    exchange(stream, "POST", path, &format!("host: {address}\r\n{head}"), body).status
}

/// The spans of the trace that began with the caller.
fn spans(daemon: &Daemon) -> Vec<Value> {
    let traces = daemon.ask_socket("GET", "/api/v1/traces?limit=1000", "", "").json();
    let found = traces.as_array().unwrap().iter().find(|it| it["trace"] == TRACE).cloned();
    found.map_or(Vec::new(), |it| it["spans"].as_array().unwrap().clone())
}

/// The span from which another one follows back to the caller.
fn follows(spans: &[Value], last: &Value) -> bool {
    let mut here = last;
    for _ in spans {
        let Some(parent) = spans.iter().find(|it| it["id"] == here["parent"]) else { break };
        here = parent;
    }
    here["parent"] == "00f067aa0ba902b7"
}

#[test]
fn a_ride_is_one_trace_from_its_request_until_it_is_paid() {
    let collector = Collector::start();
    // Nothing but what the caller records.
    let (daemon, address) =
        rides(&["--sample", "0", "--otlp", &collector.url, "--set", "every=1h"]);
    let ride = r#"{"id": "traced", "at": [40.76, -73.98]}"#;
    until("somebody who takes it", || TcpStream::connect(address).is_ok().then_some(()));
    assert_eq!(post(address, "/rides", CALLER, ride), 202);
    // Its life takes five seconds; the last that hears of it is who took it in.
    let way = [
        ("intake", Value::Null),
        ("flow", json!("requests")),
        ("dispatch", json!("admitted")),
        ("life", json!("matches")),
        ("tell", json!("events")),
        ("finished", json!("all")),
        ("pay", json!("completed")),
        ("bank", json!("to_bank")),
        ("settle", json!("paid")),
        ("life", json!("signals")),
        ("acknowledged", json!("ends")),
        ("intake", json!("done")),
    ];
    // A journal may let go of a message a little later than whoever sends it on, so they come in no order.
    let spans = until("each part of its way", || {
        let spans = spans(&daemon);
        let has = |(process, channel): &(&str, Value)| {
            spans.iter().any(|it| it["process"] == *process && it["channel"] == *channel)
        };
        let missing: Vec<_> = way.iter().filter(|it| !has(it)).collect();
        let lost = spans.iter().filter(|span| !follows(&spans, span)).count();
        eprintln!("missing: {missing:?}; {lost} do not lead to the caller");
        (missing.is_empty() && lost == 0).then_some(spans)
    });
    for span in &spans {
        assert!(span["end_us"].as_u64() >= span["start_us"].as_u64());
    }
    let traces = daemon.ask_socket("GET", "/api/v1/traces", "", "").json();
    assert_eq!(traces.as_array().unwrap().len(), 1, "nobody else asked for one");
    // The same for people.
    let shown = daemon.towpath(&["trace", "4bf92f35"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.starts_with(TRACE) && shown.contains("dispatch"), "{shown}");
    let (code, told) = daemon.json(&["trace", "4bf92f35"]);
    assert_eq!((code, &told[0]["trace"]), (Some(0), &json!(TRACE)));
    // And for the collector.
    let id = u128::from_str_radix(TRACE, 16).unwrap().to_be_bytes();
    until("the trace at the collector", || collector.has(&id).then_some(()));
}

#[test]
fn a_trace_goes_out_by_http_and_in_again() {
    let (first, second) = (free(), free());
    let folder = tempfile::tempdir().unwrap();
    let network = format!(
        "
version: 1
name: hops
channels:
  asked: {{capacity: 4, trace: parent}}
  came: {{capacity: 4, trace: true}}
  kept: {{capacity: 4, trace: link}}
  bad: {{capacity: 4}}
processes:
  door: {{uses: http, listen: \"{first}\", out: asked}}
  caller: {{uses: http_out, url: \"http://{second}/\", in: asked, on_error: bad}}
  other: {{uses: http, listen: \"{second}\", out: came}}
  copy: {{uses: copy, in: came, out: kept}}
  out: {{uses: write, path: out.ndjson, in: kept}}
  bad: {{uses: log, in: bad}}
"
    );
    std::fs::write(folder.path().join("shop.yaml"), network).unwrap();
    let daemon = Daemon::start_in(folder, &["--sample", "0"]);
    until("both doors", || {
        [first, second].iter().all(|it| TcpStream::connect(it).is_ok()).then_some(())
    });
    assert_eq!(post(first, "/", "", "{}"), 202);
    // Whose caller does not record has no trace here; its id goes on all the same.
    let silent = CALLER.replace("-01\r\n", "-00\r\n").replace("4bf9", "aaaa");
    assert_eq!(post(first, "/", &silent, "{}"), 202);
    assert_eq!(post(first, "/", CALLER, "{}"), 202);
    let traces = until("all of both", || {
        let traces = daemon.ask_socket("GET", "/api/v1/traces", "", "").json();
        let count = |it: &Value| it["spans"].as_array().unwrap().len();
        let all = traces.as_array().unwrap().clone();
        (all.iter().map(count).sum::<usize>() >= 5).then_some(all)
    });
    assert_eq!(traces.len(), 2, "{traces:#?}");
    let spans = spans(&daemon);
    let names: Vec<&str> = spans.iter().map(|it| it["process"].as_str().unwrap()).collect();
    assert_eq!(names, ["door", "caller", "other", "copy"]);
    // What goes over HTTP is a child of who sent it.
    for (index, span) in spans.iter().enumerate().skip(1) {
        assert_eq!(span["parent"], spans[index - 1]["id"], "{spans:#?}");
    }
    assert_eq!(spans[0]["parent"], "00f067aa0ba902b7");
    let linked = traces.iter().find(|it| it["trace"] != TRACE).unwrap();
    let link = json!([{"trace": TRACE, "span": spans[3]["id"]}]);
    assert_eq!(
        (&linked["spans"][0]["process"], &linked["spans"][0]["links"]),
        (&json!("out"), &link)
    );
}
