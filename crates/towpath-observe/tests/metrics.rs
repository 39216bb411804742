//! What a scrape shows. A test binary of its own, since it installs the probe of the program; each test filters for its own names.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Stdio},
    sync::{Arc, OnceLock},
    time::Duration,
};

use towpath::{
    BoxError, Ctx, Receiver, Sender, bounded, rendezvous, rt, scope, select,
    supervisor::{Backoff, OnExit, Strategy, Supervisor},
    sync::Mutex as Lock,
    unbounded,
};
use towpath_observe::metrics::{Kind, Metrics, Samples, Source, families};

const PLACES: usize = 4;

/// The metrics of this program.
fn metrics() -> &'static Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| {
        let metrics = Metrics::new("test");
        metrics.install().expect("nobody else installs one");
        metrics
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A scrape, read.
#[derive(Debug)]
struct Scrape {
    types: BTreeMap<String, String>,
    series: BTreeMap<String, f64>,
}

impl Scrape {
    /// Reads an exposition as strictly as the format asks: every sample belongs to the family described before it, no series comes twice,
    /// `# EOF` ends it.
    fn read(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").expect("ended by # EOF");
        let (mut types, mut series) = (BTreeMap::new(), BTreeMap::new());
        let mut family = String::new();
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                family = name.to_owned();
                assert_eq!(types.insert(family.clone(), kind.to_owned()), None, "{line}");
                continue;
            }
            if line.starts_with("# HELP ") || line.starts_with("# UNIT ") {
                continue;
            }
            assert!(!line.starts_with('#'), "{line}");
            let (name, value) = line.rsplit_once(' ').expect(line);
            let suffix = name.split('{').next().unwrap().strip_prefix(&family).expect(line);
            let suffixes: &[&str] = match types[&family].as_str() {
                "counter" => &["_total"],
                "histogram" => &["_sum", "_count", "_bucket"],
                _ => &[""],
            };
            assert!(suffixes.contains(&suffix), "{line}");
            assert_eq!(series.insert(name.to_owned(), value.parse().expect(line)), None, "{line}");
        }
        Self { types, series }
    }

    fn now() -> Self {
        Self::read(&metrics().scrape())
    }

    /// The series of a family with these labels, besides the network.
    #[track_caller]
    fn get(&self, name: &str, labels: &str) -> f64 {
        self.find(name, labels).unwrap_or_else(|| panic!("{name} {labels}: {:#?}", self.of(name)))
    }

    fn find(&self, name: &str, labels: &str) -> Option<f64> {
        let comma = if labels.is_empty() { "" } else { "," };
        self.series.get(&format!("{name}{{network=\"test\"{comma}{labels}}}")).copied()
    }

    fn of(&self, name: &str) -> Vec<&String> {
        self.series.keys().filter(|series| series.starts_with(name)).collect()
    }
}

fn waiting_for(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("never: {what}");
}

#[test]
fn a_channel_is_shown_as_it_is() {
    let (tx, mut rx) = bounded::<u32>(PLACES);
    let tx = tx.named("plain/orders");
    let _second = tx.clone();
    for order in 0..3 {
        tx.try_send(order).unwrap();
    }
    rx.try_recv().unwrap();
    let (rendezvous, _at) = rendezvous::<u32>();
    let _rendezvous = rendezvous.named("plain/meet");
    let (list, _at_list) = unbounded::<u32>();
    let list = list.named("plain/list");
    list.try_send(1).unwrap();

    let seen = Scrape::now();
    let orders = |family: &str| seen.get(family, r#"channel="plain/orders""#);
    let all = [
        ("towpath_channel_capacity", 4.0),
        ("towpath_channel_length", 2.0),
        ("towpath_channel_load", 0.5),
        ("towpath_channel_senders", 2.0),
        ("towpath_channel_receivers", 1.0),
        ("towpath_channel_sends_total", 3.0),
        ("towpath_channel_receives_total", 1.0),
    ];
    for (family, value) in all {
        assert_eq!(orders(family), value, "{family}");
    }
    assert_eq!(seen.get("towpath_channel_capacity", r#"channel="plain/meet""#), 0.0);
    assert_eq!(seen.find("towpath_channel_load", r#"channel="plain/meet""#), None);
    assert_eq!(seen.find("towpath_channel_capacity", r#"channel="plain/list""#), None);
    assert_eq!(seen.get("towpath_channel_sends_total", r#"channel="plain/list""#), 1.0);
    assert_eq!(seen.types["towpath_channel_sends"], "counter");
}

#[test]
fn channels_of_one_name_are_one_series_and_counters_outlive_them() {
    let link = || {
        let (tx, rx) = bounded::<u32>(PLACES);
        (tx.named("same/orders"), rx)
    };
    let ((one, from_one), (other, _from_other)) = (link(), link());
    one.try_send(1).unwrap();
    one.try_send(2).unwrap();
    other.try_send(3).unwrap();
    let sends = || Scrape::now().get("towpath_channel_sends_total", r#"channel="same/orders""#);
    assert_eq!(sends(), 3.0);
    let before = Scrape::now();
    assert_eq!(before.get("towpath_channel_capacity", r#"channel="same/orders""#), 8.0);
    assert_eq!(before.get("towpath_channel_load", r#"channel="same/orders""#), 3.0 / 8.0);
    drop((one, from_one));
    assert_eq!(sends(), 3.0);
    other.try_send(4).unwrap();
    assert_eq!(sends(), 4.0);
    let (third, _from_third) = link();
    third.try_send(5).unwrap();
    assert_eq!(sends(), 5.0);
}

#[test]
fn names_are_written_as_the_format_asks() {
    let (tx, _rx) = bounded::<u32>(PLACES);
    let _tx = tx.named("quoted/\"a\\b\"\nc");
    let seen = Scrape::now();
    assert_eq!(seen.get("towpath_channel_length", r#"channel="quoted/\"a\\b\"\nc""#), 0.0);
}

#[test]
fn the_oldest_message_grows_older_until_it_is_taken() {
    let (tx, mut rx) = bounded::<u32>(PLACES);
    let tx = tx.named("age/orders");
    let age = || Scrape::now().get("towpath_channel_head_age_seconds", r#"channel="age/orders""#);
    assert_eq!(age(), 0.0);
    tx.try_send(1).unwrap();
    assert_eq!(age(), 0.0, "it was not there at the scrape before");
    let seen_at = rt::now();
    std::thread::sleep(Duration::from_millis(20));
    tx.try_send(2).unwrap();
    let (at_least, first) = (seen_at.elapsed(), age());
    assert!(first >= at_least.as_secs_f64(), "{first} {at_least:?}");
    std::thread::sleep(Duration::from_millis(20));
    rx.try_recv().unwrap();
    // The second is younger, and was seen at the scrape that followed it.
    let second = age();
    assert!(second > 0.0 && second < seen_at.elapsed().as_secs_f64() - 0.02, "{second}");
    rx.try_recv().unwrap();
    assert_eq!(age(), 0.0);
}

async fn consume(_: Ctx, mut orders: Receiver<u32>, gate: Receiver<()>) {
    let mut gate = gate;
    while gate.recv().await.is_some() {
        if orders.recv().await.is_none() {
            return;
        }
    }
}

#[test]
fn who_waits_is_counted_with_how_long() {
    metrics();
    let runtime = runtime();
    runtime.block_on(async {
        let (orders, at_consumer) = bounded::<u32>(PLACES);
        let orders = orders.named("waits/orders");
        let (gate, at_gate) = rendezvous();
        let gate: Sender<()> = gate.named("waits/gate");
        let root = Ctx::root();
        scope(&root, |s| async move {
            s.spawn("waits/consumer", |ctx| consume(ctx, at_consumer, at_gate));
            s.spawn("waits/producer", |_| async move {
                for order in 0..6 {
                    orders.send(order).await?;
                }
                Ok::<_, towpath::SendError<u32>>(())
            });
            let label = |side: &str| format!(r#"channel="waits/orders",side="{side}""#);
            waiting_for("the producer waits", || {
                Scrape::now().get("towpath_channel_waiters", &label("send")) == 1.0
            });
            let before = Scrape::now();
            assert_eq!(before.get("towpath_channel_waiters", &label("recv")), 0.0);
            assert!(before.get("towpath_processes", r#"state="blocked""#) >= 1.0);
            std::thread::sleep(Duration::from_millis(30));
            // It still waits, and what it has waited so far is counted.
            let blocked = r#"process="waits/producer",on="send""#;
            let so_far = Scrape::now().get("towpath_process_blocked_seconds_total", blocked);
            assert!(so_far >= 0.03, "{so_far}");
            for _ in 0..6 {
                gate.send(()).await?;
            }
            Ok(())
        })
        .await
        .unwrap();
    });
    drop(runtime);
    let after = Scrape::now();
    let wait = |what: &str| {
        after.get(&format!("towpath_channel_send_wait_seconds_{what}"), r#"channel="waits/orders""#)
    };
    // Two did not fit at once. Each was timed: they are far apart.
    assert!(wait("count") >= 1.0 && wait("count") <= 2.0, "{after:#?}");
    assert!(wait("sum") >= 0.03);
    let bucket = |le: &str| {
        let labels = format!(r#"{{le="{le}",network="test",channel="waits/orders"}}"#);
        after.series[&format!("towpath_channel_send_wait_seconds_bucket{labels}")]
    };
    assert_eq!(bucket("+Inf"), wait("count"));
    let blocked = |process: &str, on: &str| {
        let labels = format!(r#"process="{process}",on="{on}""#);
        after.get("towpath_process_blocked_seconds_total", &labels)
    };
    assert!(blocked("waits/producer", "send") >= 0.03);
    assert!(blocked("waits/consumer", "recv") > 0.0);
    assert_eq!(blocked("waits/producer", "lock"), 0.0);
    let busy = |process: &str| {
        after.get("towpath_process_busy_seconds_total", &format!(r#"process="{process}""#))
    };
    assert!(
        busy("waits/producer") < blocked("waits/producer", "send"),
        "{}",
        busy("waits/producer")
    );
}

#[test]
fn selects_and_locks_count_for_their_process() {
    metrics();
    let runtime = runtime();
    runtime.block_on(async {
        let root = Ctx::root();
        let lock = Arc::new(Lock::new(0_u32).named("kinds/lock"));
        let held = lock.clone().lock_owned().await;
        let (tx, mut rx) = rendezvous::<u32>();
        let tx = tx.named("kinds/orders");
        scope(&root, |s| async move {
            s.spawn("kinds/locker", |_| async move { *lock.lock().await += 1 });
            s.spawn("kinds/selector", |ctx| async move {
                select! {
                    order = rx.recv() => assert_eq!(order, Some(1)),
                    _ = ctx.done() => panic!("nobody ends it"),
                }
            });
            waiting_for("both wait", || {
                let labels = r#"channel="kinds/orders",side="recv""#;
                let seen = Scrape::now();
                let locked = r#"process="kinds/locker",on="lock""#;
                seen.get("towpath_channel_waiters", labels) == 1.0
                    && seen.find("towpath_process_blocked_seconds_total", locked) > Some(0.0)
            });
            std::thread::sleep(Duration::from_millis(5));
            tx.send(1).await?;
            drop(held);
            Ok(())
        })
        .await
        .unwrap();
    });
    drop(runtime);
    let after = Scrape::now();
    for (process, on) in [("kinds/locker", "lock"), ("kinds/selector", "select")] {
        let labels = format!(r#"process="{process}",on="{on}""#);
        let blocked = after.get("towpath_process_blocked_seconds_total", &labels);
        assert!(blocked >= 0.005, "{process} {blocked}");
    }
}

#[test]
fn a_million_waits_are_counted_by_a_part_of_them() {
    metrics();
    const ROUNDS: usize = 200_000;
    let (tx, mut rx) = rendezvous::<usize>();
    let tx = tx.named("many/orders");
    let began = rt::now();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let sending = tokio::spawn(async move {
                for number in 0..ROUNDS {
                    tx.send(number).await.unwrap();
                }
            });
            let mut sum = 0;
            while let Some(number) = rx.recv().await {
                sum += number;
            }
            sending.await.unwrap();
            assert_eq!(sum, ROUNDS * (ROUNDS - 1) / 2);
        });
    })
    .join()
    .unwrap();
    let took = began.elapsed().as_secs_f64();
    let after = Scrape::now();
    let total = |what: &str| {
        let of = |side: &str| {
            let family = format!("towpath_channel_{side}_wait_seconds_{what}");
            after.find(&family, r#"channel="many/orders""#).unwrap_or(0.0)
        };
        of("send") + of("recv")
    };
    // Between every second and every message somebody waits; what was not timed is counted by what was.
    let rounds = ROUNDS as f64;
    assert!((0.4 * rounds..2.5 * rounds).contains(&total("count")), "{}", total("count"));
    // Two sides, and no wait of either longer than all of it, but that one may stand for 64.
    assert!(total("sum") > 0.0 && total("sum") < 66.0 * took, "{} in {took}", total("sum"));
}

#[test]
fn restarts_are_counted() {
    metrics();
    runtime().block_on(async {
        let (tx, rx) = unbounded::<()>();
        let mut keeper = Supervisor::new("keeper", Strategy::OneForOne).with_backoff(Backoff::NONE);
        let work = async |_: Ctx, (rx, runs): &mut (Receiver<()>, u32)| {
            *runs += 1;
            if *runs < 3 {
                return Err(BoxError::from("again"));
            }
            rx.recv().await;
            Ok(())
        };
        keeper.child("restarts/fragile", OnExit::RestartOnFailure, (rx, 0), work);
        let root = Ctx::root();
        scope(&root, |s| async move {
            s.spawn("restarts/keeper", |ctx| async move { keeper.run(&ctx).await });
            waiting_for("two restarts", || {
                let labels = r#"process="restarts/fragile""#;
                Scrape::now().find("towpath_process_restarts_total", labels) == Some(2.0)
            });
            drop(tx);
            Ok(())
        })
        .await
        .unwrap();
    });
    let after = Scrape::now();
    assert_eq!(after.get("towpath_process_restarts_total", r#"process="restarts/fragile""#), 2.0);
    assert_eq!(after.get("towpath_process_restarts_total", r#"process="restarts/keeper""#), 0.0);
}

/// Counts with a value in each family that no core shows.
struct Everything;

impl Source for Everything {
    fn collect(&self, to: &mut Samples<'_>) {
        for family in families::ALL.iter().filter(|family| family.kind != Kind::Histogram) {
            to.put(family, &vec!["everything"; family.labels.len()], 1_u64);
        }
    }
}

#[test]
fn a_source_is_asked_as_long_as_it_is_there() {
    let metrics = Metrics::new("test");
    let source = Arc::new(Everything);
    metrics.add(&source);
    let seen = Scrape::read(&metrics.scrape());
    let labels = r#"process="everything",cause="everything""#;
    assert_eq!(seen.get("towpath_dead_letters_total", labels), 1.0);
    // Two that speak of one thing are added.
    let other = Arc::new(Everything);
    metrics.add(&other);
    let seen = Scrape::read(&metrics.scrape());
    assert_eq!(seen.get("towpath_dead_letters_total", labels), 2.0);
    drop((source, other));
    let seen = Scrape::read(&metrics.scrape());
    assert_eq!(seen.find("towpath_dead_letters_total", labels), Some(2.0), "a total stays");
    assert_eq!(seen.find("towpath_dead_letters_kept", r#"process="everything""#), None);
}

/// Counts what it is told to.
struct Counts(std::sync::atomic::AtomicU64);

impl Source for Counts {
    fn collect(&self, to: &mut Samples<'_>) {
        let count = self.0.load(std::sync::atomic::Ordering::Relaxed);
        to.put(&families::PROCESS_REFUSED, &["counts"], count);
    }
}

#[test]
fn a_counter_of_a_source_that_begins_again_goes_on() {
    let metrics = Metrics::new("test");
    let source = Arc::new(Counts(0.into()));
    metrics.add(&source);
    for (count, total) in [(5, 5.0), (7, 7.0), (2, 9.0), (2, 9.0), (3, 10.0), (0, 10.0)] {
        source.0.store(count, std::sync::atomic::Ordering::Relaxed);
        let seen = Scrape::read(&metrics.scrape());
        let labels = r#"process="counts""#;
        assert_eq!(seen.get("towpath_process_refused_total", labels), total, "told {count}");
    }
}

#[test]
fn the_one_network_of_a_program_has_its_own_names() {
    let metrics = Metrics::of_network("test", |process| process == "counts");
    let source = Arc::new(Counts(1.into()));
    metrics.add(&source);
    let (inside, _rx) = bounded::<u32>(PLACES);
    let _inside = inside.named("test/of_network");
    let (outside, _rx) = bounded::<u32>(PLACES);
    let _outside = outside.named("other/of_network");
    let seen = Scrape::read(&metrics.scrape());
    assert_eq!(seen.get("towpath_channel_length", r#"channel="of_network""#), 0.0);
    assert_eq!(seen.get("towpath_channel_length", r#"channel="other/of_network""#), 0.0);
    let hidden = seen.find("towpath_process_refused_total", r#"process="counts""#);
    assert_eq!(hidden, None);
}

#[test]
fn every_family_can_be_written_and_is_named_as_the_format_asks() {
    let metrics = Metrics::new("test");
    let source = Arc::new(Everything);
    metrics.add(&source);
    let seen = Scrape::read(&metrics.scrape());
    let mut names = BTreeSet::new();
    for family in families::ALL {
        assert!(names.insert(family.name), "{} is there twice", family.name);
        assert!(family.name.starts_with("towpath_"), "{}", family.name);
        assert_eq!(
            family.kind == Kind::Counter,
            family.name.ends_with("_total"),
            "{}",
            family.name
        );
        assert!(!family.help.ends_with('.'), "{}", family.name);
        if family.kind != Kind::Histogram {
            assert!(!seen.of(family.name).is_empty(), "{}", family.name);
        }
    }
}

/// promtool reads the format before OpenMetrics, in which a counter is described by its whole name, and there is neither unit nor end.
fn as_prometheus_text(scrape: &str) -> String {
    let read = Scrape::read(scrape);
    let mut text = String::new();
    for line in scrape.lines() {
        let described =
            ["# HELP ", "# TYPE "].iter().find_map(|mark| Some((mark, line.strip_prefix(mark)?)));
        match described.and_then(|(mark, rest)| Some((mark, rest.split_once(' ')?))) {
            Some((mark, (name, rest))) if read.types[name] == "counter" => {
                text += &format!("{mark}{name}_total {rest}\n");
            }
            _ if line.starts_with("# UNIT") || line == "# EOF" => {}
            _ => text += &format!("{line}\n"),
        }
    }
    text
}

#[test]
fn promtool_reads_it() {
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        println!("skipped: there is no promtool here; Debian has it in the package prometheus");
        return;
    };
    let metrics = Metrics::new("test");
    let source = Arc::new(Everything);
    metrics.add(&source);
    let (tx, _rx) = bounded::<u32>(PLACES);
    let _tx = tx.named("promtool/orders");
    let text = as_prometheus_text(&metrics.scrape());
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && words.trim().is_empty(), "{}: {words}", said.status);
}

#[test]
fn where_waits_are_rare_each_is_timed_also_those_at_one_moment() {
    metrics();
    const ROUNDS: usize = 5;
    const TASKS: usize = 20;
    let (tx, rx) = rendezvous::<usize>();
    let tx = tx.named("rare/orders");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let rx = rx.into_shared();
            for _ in 0..TASKS {
                let mut rx = rx.clone();
                tokio::spawn(async move { while rx.recv().await.is_some() {} });
            }
            drop(rx);
            for round in 0..ROUNDS {
                tokio::time::sleep(Duration::from_millis(10)).await;
                for task in 0..TASKS {
                    tx.send(round * TASKS + task).await.unwrap();
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        });
    })
    .join()
    .unwrap();
    let after = Scrape::now();
    let count = after.get("towpath_channel_recv_wait_seconds_count", r#"channel="rare/orders""#);
    // Each task waits in each round, and once more at the end.
    assert_eq!(count, ((ROUNDS + 1) * TASKS) as f64);
}

#[test]
fn a_channel_that_nobody_saw_is_counted_all_the_same() {
    metrics();
    let total = |seen: &Scrape, what: &str| {
        seen.find(&format!("towpath_channel_{what}_total"), r#"channel="brief/orders""#)
            .unwrap_or(0.0)
    };
    let mut before = 0.0;
    for round in 1..=20 {
        let (tx, mut rx) = unbounded::<u32>();
        let tx = tx.named("brief/orders");
        (0..5).for_each(|order| tx.try_send(order).unwrap());
        // Sometimes a scrape sees it, sometimes not; it may also come between the two ends.
        if round % 3 == 0 {
            before = total(&Scrape::now(), "sends");
        }
        drop(tx);
        if round % 4 == 0 {
            assert!(total(&Scrape::now(), "sends") >= before);
        }
        while rx.try_recv().is_ok() {}
        drop(rx);
        if round % 5 == 0 {
            let seen = Scrape::now();
            assert_eq!(
                (total(&seen, "sends"), total(&seen, "receives")),
                (5.0 * f64::from(round), 5.0 * f64::from(round))
            );
        }
    }
}
