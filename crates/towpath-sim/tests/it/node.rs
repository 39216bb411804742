//! Nodes that crash whole: what they owned is dropped, what they had promised is kept.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use towpath::{BoxError, Ctx, scope, select};
use towpath_sim::{
    disk,
    net::{self, Latency, Net, Stream},
    node::{Cluster, Node},
};

fn virtually<R>(story: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(story)
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Counts those that live.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn a_crash_drops_everything_the_node_owned() {
    virtually(async {
        let alive = Arc::<AtomicUsize>::default();
        let count = alive.clone();
        let story = scope(&Ctx::root(), |s| async move {
            let cluster =
                Cluster::new(&s, Net::new(net::Faults::default()), disk::Faults::default());
            let owned = count.clone();
            cluster.start("a", move |node| {
                let owned = owned.clone();
                async move {
                    for _ in 0..3 {
                        let mine = Alive::new(&owned);
                        node.scope().spawn("worker", |_| async move {
                            let _mine = mine;
                            towpath::never().await;
                        });
                    }
                    let _mine = Alive::new(&owned);
                    towpath::never().await;
                }
            });
            for crash in 0..4 {
                towpath::rt::sleep(millis(1)).await;
                assert_eq!(count.load(Ordering::Relaxed), 4);
                if crash % 2 == 0 {
                    cluster.crash("a").await
                } else {
                    cluster.kill("a").await
                }
                assert_eq!(count.load(Ordering::Relaxed), 0);
                if crash < 3 {
                    cluster.restart("a");
                }
            }
            Ok(())
        });
        story.await.unwrap();
    });
}

#[test]
fn a_program_that_fails_by_itself_fails_the_scope() {
    virtually(async {
        let story = scope(&Ctx::root(), |s| async move {
            let cluster =
                Cluster::new(&s, Net::new(net::Faults::default()), disk::Faults::default());
            // It does not look at its context, and ends all the same.
            cluster.start("b", |_| async { towpath::never().await });
            cluster.start("a", |node| async move { node.disk().open("none").map(drop) });
            Ok(())
        });
        let error = story.await.unwrap_err();
        assert_eq!(error.process().map(ToString::to_string).as_deref(), Some("a"));
    });
}

#[test]
fn a_program_that_fails_because_of_the_crash_does_not() {
    virtually(async {
        let story = scope(&Ctx::root(), |s| async move {
            let cluster =
                Cluster::new(&s, Net::new(net::Faults::default()), disk::Faults::default());
            cluster.start("a", |node: Node| async move {
                let file = node.disk().create("a")?;
                let writer = node.scope().spawn_blocking("writer", move |_| {
                    // A thread cannot be dropped; its disk fails, and that ends it.
                    loop {
                        file.append(b"x")?;
                        std::thread::sleep(millis(1));
                    }
                    #[expect(unreachable_code, reason = "says what the loop would return")]
                    Ok::<(), io::Error>(())
                });
                writer.await?;
                Ok::<_, BoxError>(())
            });
            towpath::rt::sleep(millis(5)).await;
            cluster.crash("a").await;
            Ok(())
        });
        story.await.unwrap();
    });
}

/// Records to store.
const RECORDS: u8 = 20;

/// A store that appends each record (one sector) to a file and says yes when it is safe, or before.
async fn store(node: Node, careful: bool) -> Result<(), BoxError> {
    let disk = node.disk();
    let file = disk.open_or_create("records")?;
    // What a predecessor had written and not made safe; and the name.
    file.sync_data()?;
    disk.sync_dir("/")?;
    let listener = node.host().listen(80)?;
    loop {
        let mut client = listener.accept().await?;
        let file = disk.open("records")?;
        node.scope().spawn("session", move |_| async move {
            let mut record = [0; 1];
            // A client that goes away is no error of the store.
            while client.read_exact(&mut record).await.is_ok() {
                // One place per record: to store it twice is to store it once.
                file.write_all_at(&[record[0]; 512], 512 * u64::from(record[0]))?;
                if careful {
                    file.sync_data()?;
                }
                if client.write_all(&record).await.is_err() {
                    break;
                }
            }
            Ok::<_, io::Error>(())
        });
    }
}

/// Stores all records, each again until the answer has come.
async fn client(node: Node, done: towpath::Sender<u8>) -> Result<(), BoxError> {
    for record in 1..=RECORDS {
        loop {
            let attempt = async {
                let mut stream: Stream = node.host().connect("store:80").await?;
                stream.write_all(&[record]).await?;
                let mut answer = [0; 1];
                stream.read_exact(&mut answer).await?;
                assert_eq!(answer, [record]);
                Ok::<_, io::Error>(())
            };
            let stored = select! {
                result = select::future(attempt) => result.is_ok(),
                () = towpath::after(millis(2_000)) => false,
            };
            if stored {
                break;
            }
            towpath::rt::sleep(millis(50)).await;
        }
        done.send(record).await?;
    }
    Ok(())
}

/// Crashes the store while a client fills it. How many acknowledged records are missing in the end.
fn lost(seed: u64, careful: bool) -> usize {
    virtually(async move {
        let faults = net::Faults {
            latency: Latency::between(millis(1), millis(30)),
            timeout: millis(5_000),
            ..net::Faults::hostile()
        };
        let net = Net::seeded(faults, seed);
        let story = scope(&Ctx::root(), |s| async move {
            let cluster = Cluster::seeded(&s, net, disk::Faults::power_cuts(), seed);
            cluster.start("store", move |node| store(node, careful));
            let (tx, mut rx) = towpath::unbounded();
            cluster.start("client", move |node| client(node, tx.clone()));
            let mut acknowledged = Vec::new();
            let mut crashes = 0;
            while acknowledged.len() < usize::from(RECORDS) {
                let pause = millis(50 + (seed * 37 + crashes * 101) % 400);
                let crash = select! {
                    record = rx.recv() => {
                        acknowledged.extend(record);
                        false
                    }
                    () = towpath::after(pause) => true,
                };
                if crash && crashes < 8 {
                    crashes += 1;
                    match (seed + crashes) % 4 {
                        0 => cluster.net().partition(&["store"], &["client"]),
                        1 => cluster.kill("store").await,
                        _ => cluster.crash("store").await,
                    }
                    towpath::rt::sleep(millis((seed * 13 + crashes * 7) % 500)).await;
                    match (seed + crashes) % 4 {
                        0 => cluster.net().heal(),
                        _ => cluster.restart("store"),
                    }
                }
            }
            cluster.crash("store").await;
            let bytes = cluster.disk("store").open("records")?.read_to_end()?;
            let is_there = |record: &u8| {
                let at = 512 * usize::from(*record);
                bytes.get(at..at + 512).is_some_and(|sector| sector == [*record; 512])
            };
            Ok(acknowledged.iter().filter(|record| !is_there(record)).count())
        });
        story.await.unwrap()
    })
}

#[test]
fn a_careful_store_keeps_what_it_has_acknowledged() {
    for seed in 0..100 {
        assert_eq!(lost(seed, true), 0, "seed {seed}");
    }
}

/// One life of the store per operation of its disk, cut short there.
#[test]
fn a_node_goes_down_with_its_disk() {
    virtually(async {
        let story = scope(&Ctx::root(), |s| async move {
            let net = Net::seeded(net::Faults::default(), 1);
            let cluster = Cluster::seeded(&s, net.clone(), disk::Faults::power_cuts(), 1);
            let disk = cluster.disk("store");
            let plan = disk.until_crash();
            disk.crash_during(1);
            cluster.start("store", |node| store(node, true));
            plan.crashed().await;
            towpath::rt::sleep(millis(1)).await;
            let test = net.host("test");
            for operation in 1..=8 {
                let plan = disk.until_crash();
                disk.crash_during(disk.operations() + operation);
                cluster.restart("store");
                while !plan_is_over(&plan).await {
                    // Whatever becomes of it, the scope goes on: a crash is no failure of the program.
                    let Ok(mut stream) = test.connect("store:80").await else { break };
                    if stream.write_all(&[1]).await.is_ok() {
                        stream.read_exact(&mut [0]).await.ok();
                    }
                }
                plan.crashed().await;
                towpath::rt::sleep(millis(1)).await;
                let refused = test.connect("store:80").await.unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::TimedOut, "the whole machine is down");
            }
            cluster.recover();
            towpath::rt::sleep(millis(1)).await;
            test.connect("store:80").await?;
            cluster.crash("store").await;
            Ok(())
        });
        story.await.unwrap();
    });
}

/// Gives the crash a moment to come.
async fn plan_is_over(disk: &disk::Disk) -> bool {
    select! {
        biased;
        () = select::future(disk.crashed()) => true,
        () = towpath::after(millis(1)) => false,
    }
}

#[test]
fn unrest_ends_when_it_is_dropped_and_recover_ends_its_traces() {
    for seed in 0..20 {
        virtually(async move {
            let lives = Arc::<AtomicUsize>::default();
            let story = scope(&Ctx::root(), |s| async move {
                let net = Net::seeded(net::Faults::default(), seed);
                let cluster = Cluster::seeded(&s, net.clone(), disk::Faults::default(), seed);
                for name in ["a", "b", "c"] {
                    let lives = lives.clone();
                    cluster.start(name, move |node| {
                        let lives = lives.clone();
                        async move {
                            lives.fetch_add(1, Ordering::Relaxed);
                            let socket = node.host().bind(7)?;
                            while let Ok((bytes, from)) = socket.recv_from().await {
                                socket.send_to(&bytes, &from)?;
                            }
                            Ok::<_, BoxError>(())
                        }
                    });
                }
                let often = Latency::between(millis(1), millis(20));
                select! {
                    () = select::future(cluster.unrest(&["a", "b", "c"], often, often)) => {}
                    () = select::future(net.unrest(&["a", "b", "c", "test"], often, often)) => {}
                    () = towpath::after(millis(2_000)) => {}
                }
                cluster.recover();
                assert!(lives.load(Ordering::Relaxed) > 20);
                towpath::rt::sleep(millis(1)).await;
                let socket = net.host("test").bind(7)?;
                for name in ["a:7", "b:7", "c:7"] {
                    socket.send_to(b"there?", name)?;
                    assert_eq!(&*socket.recv_from().await?.1, name);
                }
                for name in ["a", "b", "c"] {
                    cluster.crash(name).await;
                }
                Ok(())
            });
            story.await.unwrap();
        });
    }
}

#[test]
fn a_careless_store_is_caught() {
    let caught = (0..40).filter(|seed| lost(*seed, false) > 0).count();
    assert!(caught > 10, "{caught} of 40");
}
