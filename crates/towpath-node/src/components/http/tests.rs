//! Taking messages in: under many schedules, with a full channel behind, and over crashes on a simulated disk.

use std::{collections::BTreeSet, sync::Mutex};

use serde_json::json;
use towpath::{Headers, Sender, rt, unbounded};
use towpath_journal::Options;
use towpath_sim::{Sim, choose, disk};

use super::{body::Keyed, intake::NotTaken, *};
use crate::{NoOptions, Node, Registry, Setup, file::NetworkFile, testing::disk::sim_disk};

/// Small, so that checkpoints and what is written again happen within a test.
const EVERY: u64 = 4;

/// The intake without its sockets: callers have the desk by themselves.
fn intake(desk: &Arc<Mutex<Option<Desk>>>, durable: bool) -> Component {
    let desk = desk.clone();
    Component::new("intake", "takes messages in")
        .input(Port::new("done").need(Need::Maybe))
        .output(Port::new("out"))
        .refuses()
        .source()
        .runs(move |_: NoOptions| {
            let place = desk.clone();
            async move |ctx: Ctx, ports: &mut Ports| {
                let has_done = ports.has_input("done");
                let home = ports.home().clone();
                let served = scope(&Ctx::root(), |s| async move {
                    let counts = Arc::<Counts>::default();
                    let minute = Duration::from_secs(60);
                    let store = if durable {
                        let options = Options::new().segment_bytes(2048);
                        let writer = home.journal_with("", &options)?;
                        let start = |writer| Log::start(&s, "journal", writer);
                        Store::durable(writer, start, minute, counts.clone())?.every(EVERY)
                    } else {
                        Store::fleeting(minute, counts.clone())
                    };
                    let (desk, asks) = Desk::new(counts);
                    put(&place, Some(desk));
                    let door = async {
                        ctx.done().await;
                        put(&place, None);
                        Ok(())
                    };
                    Work { store: &store, replies: None, has_done, done_key: None }
                        .run(door, asks, ports)
                        .await
                });
                Ok::<_, BoxError>(served.await?)
            }
        })
}

/// Does the work: notes each key, and says that it is done.
fn worker(seen: &Sender<String>) -> Component {
    let seen = seen.clone();
    Component::new("worker", "works")
        .input(Port::new("in"))
        .output(Port::new("done").need(Need::Maybe))
        .runs(move |_: NoOptions| {
            let seen = seen.clone();
            async move |_: Ctx, ports: &mut Ports| {
                while let Some(message) = ports.recv("in").await {
                    let key = message["id"].as_str().unwrap_or_default().to_owned();
                    // Whether somebody looks does not matter.
                    drop(seen.send(key.clone()).await);
                    if key == "stuck" {
                        continue;
                    }
                    ports.send("done", message).await?;
                }
                Ok::<_, BoxError>(())
            }
        })
}

const FILE: &str = "
version: 1
name: shop
channels: {orders: {capacity: 1}, done: {capacity: 1}}
processes:
  intake: {uses: intake, in: done, out: orders}
  worker: {uses: worker, in: orders, out: done}
";

fn keyed(key: &str) -> Vec<Keyed> {
    vec![Keyed { key: key.to_owned(), message: json!({"id": key}) }]
}

/// Nothing is dropped under the lock: an end of a channel is something that the simulator sees, and it may go on with somebody else.
fn put(place: &Place, desk: Option<Desk>) {
    let before = std::mem::replace(&mut *place.lock().unwrap(), desk);
    drop(before);
}

type Place = Arc<Mutex<Option<Desk>>>;

/// A caller, who sends again until he is told that his message is taken, or was.
async fn caller(place: Place, key: String, told: Arc<Mutex<BTreeSet<String>>>) {
    loop {
        let desk = place.lock().unwrap().clone();
        if let Some(desk) = desk {
            // Long: a schedule may let any time pass before somebody gets his turn.
            let until = rt::now() + Duration::from_secs(3600);
            let room = Duration::from_secs(60);
            if desk.hand_in(keyed(&key), Headers::none(), room, until).await.is_ok() {
                told.lock().unwrap().insert(key);
                return;
            }
        }
        rt::sleep(Duration::from_secs(1)).await;
    }
}

/// One schedule: a disk that is cruel, nodes that die with it three times at most, and callers who never give up.
///
/// What a worker does after its node has died is not seen by anybody: the node is not dropped in the middle of everything, but ends on a
/// disk on which nothing works any more.
async fn acknowledged_is_done(callers: usize) -> Result<(), BoxError> {
    let (place, told) = (Place::default(), Arc::<Mutex<BTreeSet<String>>>::default());
    let disk = disk::Disk::new(disk::Faults::power_cuts());
    let mut all: BTreeSet<String> = BTreeSet::new();
    scope(&Ctx::root(), |s| async move {
        let mut waiting: Vec<_> = (0..callers)
            .map(|number| {
                let caller = caller(place.clone(), format!("key {number}"), told.clone());
                s.spawn("caller", move |_| caller)
            })
            .collect();
        let deaths = choose(4);
        for life in 0..=deaths {
            let (seen, mut worked) = unbounded();
            let setup = Setup::new("data").on(sim_disk(&disk.until_crash()));
            let (node, work) = start(true, &setup, &place, &seen, &Ctx::root());
            let run = s.spawn("life", move |_| async move {
                // What it dies of is no news.
                drop(work.run().await);
            });
            if life < deaths {
                rt::sleep(Duration::from_millis(choose(40))).await;
                if choose(2) == 0 {
                    disk.crash()
                } else {
                    disk.kill()
                }
                all.extend(std::iter::from_fn(|| worked.try_recv().ok()));
                put(&place, None);
            } else {
                // By time alone nothing could be said: a schedule may let any of it pass. If a message is lost, this waits for ever, and
                // the simulator says so.
                while all.len() < callers {
                    all.extend(worked.recv().await);
                }
            }
            if life == deaths {
                for caller in std::mem::take(&mut waiting) {
                    caller.await?;
                }
            }
            node.drain(Duration::from_millis(1)).await;
            run.await?;
            put(&place, None);
        }
        assert_eq!(all.len(), callers);
        Ok(())
    })
    .await?;
    // Who was told to hand its channels over, and found nobody to take them, has let go of them.
    let left = towpath::observe::snapshot().resources;
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

#[test]
fn what_was_acknowledged_is_done_whatever_crashes() {
    Sim::new().schedules(300).max_steps(300_000).test(
        "http::what_was_acknowledged_is_done_whatever_crashes",
        || async {
            acknowledged_is_done(6).await.unwrap();
        },
    );
}

fn start(
    durable: bool,
    setup: &Setup,
    place: &Place,
    seen: &Sender<String>,
    ctx: &Ctx,
) -> (Node, crate::node::Work) {
    let registry = Registry::new().with(intake(place, durable)).with(worker(seen));
    let file = NetworkFile::read("shop.yaml", FILE, &[]).unwrap();
    Node::start(file, registry, setup, ctx).unwrap()
}

async fn desk(place: &Place) -> Desk {
    loop {
        if let Some(desk) = place.lock().unwrap().clone() {
            return desk;
        }
        rt::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn who_finds_no_room_has_left_nothing_behind() {
    Sim::new()
        .stall(Duration::ZERO)
        .schedules(60)
        .test("http::who_finds_no_room_has_left_nothing_behind", full);
}

async fn full() {
    let (place, (seen, mut worked), ctx) = (Place::default(), unbounded(), Ctx::root());
    let (node, work) = start(false, &Setup::new("none"), &place, &seen, &ctx);
    node.pause("worker").unwrap();
    let taken = scope(&ctx, |s| async move {
        s.spawn("work", move |_| work.run());
        let desk = desk(&place).await;
        let calls: Vec<_> = (0..6)
            .map(|number| {
                let desk = desk.clone();
                let room = Duration::from_millis(50);
                s.spawn("caller", move |_| async move {
                    let until = rt::now() + Duration::from_secs(60);
                    let told = desk
                        .hand_in(keyed(&number.to_string()), Headers::none(), room, until)
                        .await;
                    Ok::<_, BoxError>(told)
                })
            })
            .collect();
        let (mut taken, mut shed) = (BTreeSet::new(), 0);
        for (number, call) in calls.into_iter().enumerate() {
            match call.await? {
                Ok(is_new) => {
                    assert_eq!(is_new, [true]);
                    taken.insert(number.to_string());
                }
                Err(why) => {
                    assert_eq!(why, NotTaken::Full);
                    shed += 1;
                }
            }
        }
        // One has room in the channel, and one is handed to the worker if that waited there when it was paused.
        assert!(shed >= 4, "{taken:?}");
        node.resume("worker").unwrap();
        let hour = Duration::from_secs(3600);
        let hand_in = async |key: &str| {
            desk.hand_in(keyed(key), Headers::none(), hour, rt::now() + 2 * hour).await
        };
        for key in &taken {
            assert_eq!(hand_in(key).await, Ok(vec![false]), "its key was seen");
        }
        assert_eq!(hand_in("last").await, Ok(vec![true]));
        taken.insert("last".to_owned());
        drop(desk);
        node.drain(Duration::from_secs(10)).await;
        Ok(taken)
    });
    let taken = taken.await.unwrap();
    assert_eq!(std::iter::from_fn(|| worked.try_recv().ok()).collect::<BTreeSet<_>>(), taken);
}

#[test]
fn the_journal_keeps_what_is_needed_and_no_more() {
    Sim::new()
        .stall(Duration::ZERO)
        .schedules(20)
        .test("http::the_journal_keeps_what_is_needed_and_no_more", many_and_one_stuck);
}

async fn many_and_one_stuck() {
    let disk = disk::Disk::new(disk::Faults::default());
    let setup = Setup::new("data").on(sim_disk(&disk));
    for run in 0..2 {
        let (place, (seen, mut worked), ctx) = (Place::default(), unbounded(), Ctx::root());
        let (node, work) = start(true, &setup, &place, &seen, &ctx);
        scope(&ctx, |s| async move {
            s.spawn("work", move |_| work.run());
            let desk = desk(&place).await;
            let hand_in = async |key: &str| {
                let hour = Duration::from_secs(3600);
                desk.hand_in(keyed(key), Headers::none(), hour, rt::now() + 2 * hour).await
            };
            // One that is never done is sent again by the second run, and its key is known.
            assert_eq!(hand_in("stuck").await, Ok(vec![run == 0]));
            for number in 0..60 {
                assert_eq!(hand_in(&format!("run {run} key {number}")).await, Ok(vec![true]));
            }
            drop(desk);
            node.drain(Duration::from_secs(10)).await;
            Ok(())
        })
        .await
        .unwrap();
        let done: Vec<String> = std::iter::from_fn(|| worked.try_recv().ok()).collect();
        assert_eq!((done.iter().filter(|key| *key == "stuck").count(), done.len()), (1, 61));
    }
    let options = Options::new().segment_bytes(2048);
    let writer = options.open_on(sim_disk(&disk), "data/shop/intake").unwrap();
    assert!(writer.oldest().0 > 150, "of 242 records the first is {}", writer.oldest());
}
