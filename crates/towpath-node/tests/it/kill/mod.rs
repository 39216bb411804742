//! `kill -9` of the whole node at any moment, under load: what was acknowledged comes to its end, no driver has two rides and no ride two
//! drivers, nobody pays twice, no saga is left.
//!
//! The program, its sockets, its journals and its death are real; the bank is the test's and lives on. A few kills here;
//! `TOWPATH_KILLS=200` for many.

mod bank;
mod bookings;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use self::bank::Bank;

/// Kills when nobody says how many.
const KILLS: u32 = 4;

/// States in which a ride is over.
const ENDS: [&str; 4] = ["Paid", "Unpaid", "NoDriver", "Cancelled"];

/// For things that take as long as they take, on a machine that does other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// All rides are over by then, and who drove hears of it at once.
const FREE_AGAIN: Duration = Duration::from_secs(30);

struct Node {
    child: Child,
}

impl Node {
    fn start(folder: &Path, http: SocketAddr) -> Self {
        let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_towpath"))
            .args(["run", "rides.yaml", "--data", "data", "--listen", "none"])
            .args(["--set", "every=1h", "--set", "drivers_every=2ms", "--set"])
            .arg(format!("listen={http}"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What a process of the running node shows.
fn shown(folder: &Path, process: &str) -> Option<Value> {
    let told = Command::new(env!("CARGO_BIN_EXE_towpath"))
        .args(["facet", "show", process, "--limit", "10000", "--json", "--data", "data"])
        .current_dir(folder)
        .output()
        .unwrap();
    serde_json::from_slice(&told.stdout).ok()
}

/// Which state each ride is in.
fn states_of(life: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let instances = life["instances"].as_array().unwrap();
    instances.iter().map(|it| (text(&it["key"]), text(&it["state"]))).collect()
}

/// A message; whether it was acknowledged.
fn post(to: SocketAddr, path: &str, body: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_millis(200))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: rides\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    // 409: it was taken before, and its answer did not arrive.
    Ok(answer.starts_with("HTTP/1.1 202") || answer.starts_with("HTTP/1.1 409"))
}

/// A number that looks like chance, the same in every run (SplitMix64, Steele et al. 2014).
fn chance(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The network that ships, with another bank and less patience. Gives the table of its machine.
fn network(folder: &Path, bank: SocketAddr, answers: SocketAddr) -> String {
    let networks = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../networks");
    let rides = fs::read_to_string(networks.join("rides.yaml")).unwrap();
    let to_bank = format!(
        "bank: {{uses: http_out, url: \"http://{bank}/\", batch: 64, concurrency: 2, in: to_bank, on_error: refused}}\n  \
         answered: {{uses: http, listen: \"{answers}\", path: /answers, out: answers, on_error: refused}}"
    );
    let ours = rides.lines().map(|line| if line.starts_with("  bank: ") { "  BANK" } else { line });
    let ours = ours.collect::<Vec<_>>().join("\n");
    let ours = ours.replace("BANK", &to_bank).replace("timeout: 2s", "timeout: 300ms");
    assert!(ours.contains("answered:") && ours.contains("timeout: 300ms"), "rides.yaml is another");
    fs::write(folder.join("rides.yaml"), ours).unwrap();
    // A ride takes as long as a blink, so that kills come in the middle of everything.
    let machine = fs::read_to_string(networks.join("machines/ride.yaml")).unwrap();
    let quick = machine.replace("after: 2s", "after: 100ms").replace("after: 3s", "after: 100ms");
    assert_ne!(quick, machine);
    fs::create_dir(folder.join("machines")).unwrap();
    fs::write(folder.join("machines/ride.yaml"), &quick).unwrap();
    quick
}

/// Nobody was charged twice, and who was charged is who has paid.
fn check_payments(bank: &Bank, states: &BTreeMap<String, String>) {
    let (mut charged, mut refunded, mut calls) = (0, 0, 0);
    let books = bank.books();
    for ((ride, step), entry) in &books {
        assert!(entry.done.len() <= 1, "{step} of {ride} was done twice: {entry:?}");
        calls += entry.calls;
        refunded += u32::from(entry.taken_back);
        if step == "charge" {
            let has_paid = !entry.done.is_empty() && !entry.taken_back;
            let state = states.get(ride).map(String::as_str);
            assert_eq!(has_paid, state == Some("Paid"), "{ride} is {state:?}: {entry:?}");
            charged += u32::from(has_paid);
        }
    }
    for (ride, state) in states {
        let is_known = books.contains_key(&(ride.clone(), "charge".to_owned()));
        assert!(is_known || state != "Paid", "{ride} is Paid, and the bank does not know of it");
    }
    println!("{calls} calls of the bank, {charged} rides charged, {refunded} steps taken back");
    assert!(charged > 0, "nobody was charged: {books:?}");
}

#[test]
fn what_was_acknowledged_comes_to_its_end_however_often_the_node_is_killed() {
    let kills = env::var("TOWPATH_KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(KILLS);
    let folder = tempfile::tempdir().unwrap();
    let [http, answers] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [http, answers] = [http, answers].map(|it| it.local_addr().unwrap());
    let bank = Bank::open(answers);
    let table = network(folder.path(), bank.address, answers);
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let client = thread::spawn({
        let (acknowledged, stop) = (acknowledged.clone(), stop.clone());
        move || {
            let mut n = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let id = format!("ride-{n}");
                let body = format!(r#"{{"id": "{id}", "at": [40.76, -73.98]}}"#);
                match post(http, "/rides", &body) {
                    Ok(true) => {
                        acknowledged.lock().unwrap().insert(id);
                        n += 1;
                        thread::sleep(Duration::from_millis(5));
                    }
                    // Not taken, or nobody knows: again, with the same id.
                    Ok(false) | Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
        }
    });

    let mut seed = 7;
    for kill in 0..kills {
        let node = Node::start(folder.path(), http);
        let before = acknowledged.lock().unwrap().len();
        let began = Instant::now();
        while acknowledged.lock().unwrap().len() == before {
            assert!(
                began.elapsed() < PATIENCE,
                "start {kill} takes nothing: {}",
                log(folder.path())
            );
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(Duration::from_millis(chance(&mut seed) % 600));
        node.kill();
    }
    stop.store(true, Ordering::Relaxed);
    let node = Node::start(folder.path(), http);
    client.join().unwrap();

    let acknowledged = acknowledged.lock().unwrap().clone();
    let began = Instant::now();
    let mut states = BTreeMap::new();
    loop {
        if let Some(life) = shown(folder.path(), "life") {
            states = states_of(&life);
        }
        let is_over = |id: &String| states.get(id).is_some_and(|state| ENDS.contains(&&**state));
        // With those that were taken and whose acknowledgement did not arrive.
        let begun: BTreeSet<&String> = acknowledged.iter().chain(states.keys()).collect();
        let open = begun.iter().filter(|id| !is_over(id)).count();
        if open == 0 {
            break;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{open} of {} rides have not come to an end: {:?}\n{}",
            begun.len(),
            begun
                .iter()
                .filter(|id| !is_over(id))
                .map(|id| (id, states.get(*id)))
                .take(5)
                .collect::<Vec<_>>(),
            log(folder.path())
        );
        thread::sleep(Duration::from_millis(100));
    }
    // Everything that was begun has ended, and no driver drives anybody.
    let unfinished = |sagas: &Value| {
        let counts = sagas["counts"].as_object().unwrap();
        let open = ["done", "compensated", "failed"];
        let count = counts.iter().filter(|(state, _)| !open.contains(&state.as_str()));
        count.map(|(_, count)| count.as_u64().unwrap_or(0)).sum::<u64>()
    };
    let began = Instant::now();
    loop {
        let sagas = shown(folder.path(), "pay");
        if sagas.as_ref().is_some_and(|sagas| unfinished(sagas) == 0) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "sagas are not finished: {sagas:?}");
        thread::sleep(Duration::from_millis(100));
    }
    let riding = || shown(folder.path(), "dispatch").and_then(|it| it["riding"].as_u64());
    let began = Instant::now();
    while riding() != Some(0) {
        if began.elapsed() > FREE_AGAIN {
            let states = shown(folder.path(), "life").map(|life| states_of(&life));
            node.kill();
            let open = bookings::open(&folder.path().join("data"));
            let open = open.into_iter().map(|(ride, driver)| {
                let state = states.as_ref().and_then(|states| states.get(&ride));
                format!("driver {driver} has {ride}, which is {state:?}")
            });
            panic!("drivers are not free again: {:?}", open.collect::<Vec<_>>());
        }
        thread::sleep(Duration::from_millis(100));
    }
    println!("{kills} kills, {} rides acknowledged, {} known", acknowledged.len(), states.len());
    assert!(acknowledged.len() >= kills as usize, "hardly anything was taken");
    check_payments(&bank, &states);
    node.kill();
    let driven = bookings::check(&folder.path().join("data"), &table);
    println!("{driven} rides had a driver, one at a time");
    assert!(driven >= kills as usize, "hardly anybody was driven");
}

/// The end of what the node has said.
fn log(folder: &Path) -> String {
    let text = fs::read_to_string(folder.join("log")).unwrap_or_default();
    let from = text.char_indices().rev().nth(2000).map_or(0, |(at, _)| at);
    text[from..].to_owned()
}
