//! What observers see: names, waits with their places, and stuck processes of a network. Every test filters for its own
//! names, since they all run in one program.

use std::{panic::Location, time::Duration};

use towpath::{
    BoxError, Ctx, Receiver, Sender, bounded,
    network::{In, Network, Out},
    observe::snapshot,
    rendezvous, select,
    supervisor::{Backoff, OnExit, Strategy, Supervisor},
    waitfor::{Arm, Grade, Kind, Options, Report, Snapshot},
};

const PLACES: usize = 4;
const HOUR: Duration = Duration::from_secs(3600);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn channel<'a>(seen: &'a Snapshot, name: &str) -> Option<&'a towpath::waitfor::Channel> {
    seen.resources.iter().find(|resource| &*resource.name == name).map(|resource| {
        let Kind::Channel(channel) = &resource.kind else { panic!("{name} is a channel") };
        channel
    })
}

/// Looks until `seen` is content, which a test that hangs is not.
fn look_until<R>(mut seen: impl FnMut(Snapshot) -> Option<R>) -> R {
    loop {
        if let Some(found) = seen(snapshot()) {
            return found;
        }
        std::thread::yield_now();
    }
}

/// The process `name` in `report`'s stuck sets.
fn grade(report: &Report, seen: &Snapshot, name: &str) -> Option<Grade> {
    let process = seen.processes.iter().find(|process| &*process.name == name)?;
    report.grade(process.id)
}

#[test]
fn a_name_is_the_channels_and_can_be_replaced() {
    let (tx, rx) = bounded::<u32>(PLACES);
    assert_eq!(tx.name(), None);
    let tx = tx.named("names/first");
    let other = tx.clone();
    assert_eq!(rx.name().unwrap().as_str(), "names/first");
    let rx = rx.named(String::from("names/second")).into_shared();
    assert_eq!(other.name().unwrap().as_str(), "names/second");
    assert_eq!(rx.name(), tx.name());
}

#[test]
fn a_channel_is_seen_as_it_is_until_it_goes() {
    let (tx, mut rx) = bounded::<u32>(PLACES);
    let tx = tx.named("filling/orders");
    let more = [tx.clone(), tx.clone()];
    tx.try_send(1).unwrap();
    tx.try_send(2).unwrap();
    let seen = snapshot();
    let orders = channel(&seen, "filling/orders").unwrap();
    assert_eq!((orders.capacity, orders.queued), (Some(PLACES), 2));
    assert_eq!((orders.senders.total, orders.receivers.total), (3, 1));
    drop(more);
    rx.try_recv().unwrap();
    let seen = snapshot();
    let orders = channel(&seen, "filling/orders").unwrap();
    assert_eq!((orders.queued, orders.senders.total), (1, 1));
    drop((tx, rx));
    assert!(channel(&snapshot(), "filling/orders").is_none());
}

/// By address they would come in another order in each run.
#[test]
fn channels_are_seen_in_the_order_in_which_they_were_named() {
    let names: Vec<String> = (0..50).map(|n| format!("in order/{}", n * 7 % 50)).collect();
    let mut all: Vec<_> = names.iter().map(|_| bounded::<u32>(PLACES)).collect();
    all.reverse();
    let named: Vec<_> =
        all.into_iter().zip(&names).map(|((tx, rx), name)| (tx.named(name.clone()), rx)).collect();
    let seen = snapshot();
    let ours = seen.resources.iter().filter(|resource| resource.name.starts_with("in order/"));
    assert_eq!(
        ours.map(|resource| &*resource.name).collect::<Vec<_>>(),
        names.iter().collect::<Vec<_>>()
    );
    drop(named);
}

#[test]
fn ten_thousand_names_of_channels_that_have_gone_are_forgotten() {
    for i in 0..10_000 {
        drop(bounded::<u32>(PLACES).0.named(format!("gone/{i}")));
    }
    let seen = snapshot();
    assert!(seen.resources.iter().all(|resource| !resource.name.starts_with("gone/")));
}

#[track_caller]
fn here() -> &'static Location<'static> {
    Location::caller()
}

#[test]
fn a_wait_is_seen_with_its_place_in_the_program() {
    runtime().block_on(async {
        let (tx, mut rx) = rendezvous::<u32>();
        let tx = tx.named("place/orders");
        let ctx = Ctx::root();
        let running = towpath::scope(&ctx, |s| async move {
            s.spawn("place-cook", move |_| async move {
                rx.recv().await; // the line that is looked for
                Ok::<_, BoxError>(())
            });
            let at = look_until(|seen| {
                let process = seen.processes.iter().find(|it| &*it.name == "place-cook")?;
                let wait = seen.waits.iter().find(|wait| wait.process == process.id)?;
                let orders = channel(&seen, "place/orders")?;
                assert_eq!(orders.receivers.holders.len(), 1);
                assert!(matches!(wait.arms[..], [Arm::Recv(_)]), "{:?}", wait.arms);
                wait.at.clone()
            });
            assert_eq!(at.file, here().file());
            assert!(at.line < here().line() && at.line > here().line() - 25, "{at}");
            drop(tx);
            Ok(())
        });
        running.await.unwrap();
    });
}

#[test]
fn arms_that_are_not_seen_count_as_somebody_else() {
    runtime().block_on(async {
        let (tx, mut rx) = rendezvous::<u32>();
        let tx = tx.named("arms/orders");
        let running = towpath::scope(&Ctx::root(), |s| async move {
            s.spawn("arms-cook", move |ctx| async move {
                select! {
                    _ = rx.recv() => {},
                    _ = ctx.done() => {},
                }
            });
            look_until(|seen| {
                let process = seen.processes.iter().find(|it| &*it.name == "arms-cook")?;
                let wait = seen.waits.iter().find(|wait| wait.process == process.id)?;
                assert!(matches!(wait.arms[..], [Arm::Recv(_), Arm::Foreign]), "{:?}", wait.arms);
                Some(())
            });
            drop(tx);
            Ok(())
        });
        running.await.unwrap();
    });
}

type Both = (Receiver<u32>, Sender<u32>);

/// Receives before it sends: two of them in a circle wait for each other.
async fn polite(_: Ctx, (rx, tx): &mut Both) {
    while let Some(order) = rx.recv().await {
        if tx.send(order).await.is_err() {
            break;
        }
    }
}

/// As `polite`, but gives up waiting after an hour, by the runtime's timer, of which we know nothing.
async fn impatient(_: Ctx, (rx, tx): &mut Both) {
    while let Ok(Some(order)) = tokio::time::timeout(HOUR, rx.recv()).await {
        if tx.send(order).await.is_err() {
            break;
        }
    }
}

/// A circle of two, as a network called `name`.
/// The ports of one of them, as declared.
type Ends = (In<u32>, Out<u32>);

fn circle(name: &'static str) -> (Network, [Ends; 2]) {
    let mut net = Network::new(name);
    let (to_b, from_a) = net.channel::<u32>("there", PLACES);
    let (to_a, from_b) = net.channel::<u32>("back", PLACES);
    (net, [(from_b, to_b), (from_a, to_a)])
}

#[test]
fn a_circle_of_processes_that_all_receive_first_is_proved_stuck() {
    runtime().block_on(async {
        let (mut net, [a, b]) = circle("stuck");
        net.process("stuck-a", a, polite);
        net.process("stuck-b", b, polite);
        let running = net.start(&Ctx::root()).unwrap();
        let (seen, report) = look_until(|seen| {
            let report = seen.clone().analyse(&Options::new());
            grade(&report, &seen, "stuck-a")?;
            Some((seen, report))
        });
        assert_eq!(grade(&report, &seen, "stuck-a"), Some(Grade::Proven));
        assert_eq!(grade(&report, &seen, "stuck-b"), Some(Grade::Proven));
        let words = report.to_string();
        for word in ["stuck-a", "stuck-b", "stuck/there", "stuck/back", "observe.rs"] {
            assert!(words.contains(word), "{word} in:\n{words}");
        }
        drop(running);
    });
}

/// As `polite`, but its first run fails at once.
async fn clumsy(ctx: Ctx, (both, runs): &mut (Both, Receiver<u32>)) -> Result<(), BoxError> {
    if runs.try_recv().is_ok() {
        return Err("the first run".into());
    }
    polite(ctx, both).await;
    Ok(())
}

#[test]
fn a_supervised_circle_is_proved_stuck_in_the_run_it_is_in() {
    runtime().block_on(async {
        let (mut net, [a, b]) = circle("again");
        let (crashes, runs) = net.input::<u32>("crashes", PLACES);
        crashes.try_send(1).unwrap();
        let chef = Supervisor::new("again-chef", Strategy::OneForOne).with_backoff(Backoff::NONE);
        net.supervised(chef, |group| {
            group.child("again-a", OnExit::RestartOnFailure, a, polite);
            group.child("again-b", OnExit::RestartOnFailure, (b, runs), clumsy);
        });
        let running = net.start(&Ctx::root()).unwrap();
        let (seen, report) = look_until(|seen| {
            let report = seen.clone().analyse(&Options::new());
            grade(&report, &seen, "again-a")?;
            Some((seen, report))
        });
        assert_eq!(grade(&report, &seen, "again-a"), Some(Grade::Proven), "{report}");
        assert_eq!(grade(&report, &seen, "again-b"), Some(Grade::Proven), "{report}");
        // The run that failed has nothing any more.
        let there = channel(&seen, "again/there").unwrap();
        let holders = [&there.senders, &there.receivers].map(|ends| ends.holders.len());
        assert_eq!((holders, there.senders.total), ([1, 1], 1));
        drop(running);
    });
}

#[test]
fn between_two_runs_nobody_is_known_to_have_the_ports() {
    runtime().block_on(async {
        let (mut net, [a, b]) = circle("between");
        let chef = Supervisor::new("between-chef", Strategy::OneForOne)
            .with_backoff(Backoff::new(HOUR, HOUR));
        net.supervised(chef, |group| {
            group.child("between-a", OnExit::RestartOnFailure, a, polite);
            group.child("between-b", OnExit::RestartOnFailure, b, async |_, _: &mut Both| {
                Err::<(), _>(BoxError::from("it crashes"))
            });
        });
        let running = net.start(&Ctx::root()).unwrap();
        let seen = look_until(|seen| {
            let gone = seen.processes.iter().all(|it| &*it.name != "between-b");
            let a = seen.processes.iter().find(|it| &*it.name == "between-a")?;
            (gone && seen.waits.iter().any(|wait| wait.process == a.id)).then_some(seen)
        });
        let report = seen.clone().analyse(&Options::new());
        assert_eq!(grade(&report, &seen, "between-a"), None, "{report}");
        assert_eq!(channel(&seen, "between/there").unwrap().receivers.unknown(), 1);
        drop(running);
    });
}

#[test]
fn a_channel_is_unchanged_until_something_comes_or_goes() {
    let (tx, mut rx) = bounded::<u32>(PLACES);
    let tx = tx.named("unchanged/orders");
    tx.try_send(1).unwrap();
    let unchanged = |seen: &Snapshot| {
        seen.resources.iter().find(|it| &*it.name == "unchanged/orders").unwrap().unchanged
    };
    snapshot();
    let longer = |than: Duration| look_until(|seen| Some(unchanged(&seen)).filter(|it| *it > than));
    let first = longer(Duration::ZERO);
    let later = longer(first);
    // As many are queued as before, but not the same ones.
    tx.try_send(2).unwrap();
    rx.try_recv().unwrap();
    let age_of_one_look = unchanged(&snapshot());
    assert!(age_of_one_look < later, "{age_of_one_look:?} after {later:?}");
}

#[test]
fn a_timeout_that_nobody_sees_keeps_a_process_from_being_called_stuck() {
    runtime().block_on(async {
        let (mut net, [a, b]) = circle("timeout");
        net.process("timeout-a", a, polite);
        net.process("timeout-b", b, impatient);
        let running = net.start(&Ctx::root()).unwrap();
        let both_wait = |seen: &Snapshot| {
            let waits = |name: &str| {
                let process = seen.processes.iter().find(|it| &*it.name == name);
                process.is_some_and(|it| seen.waits.iter().any(|wait| wait.process == it.id))
            };
            waits("timeout-a") && waits("timeout-b")
        };
        let seen = look_until(|seen| both_wait(&seen).then_some(seen));
        let report = seen.clone().analyse(&Options::new());
        assert_eq!(grade(&report, &seen, "timeout-a"), None, "{report}");
        assert_eq!(grade(&report, &seen, "timeout-b"), None, "{report}");
        drop(running);
    });
}

#[test]
fn threads_that_wait_for_each_other_are_proved_stuck() {
    let (mut net, [a, b]) = circle("threads");
    let polite = |_: Ctx, (rx, tx): &mut Both| {
        while let Some(order) = rx.recv_blocking() {
            if tx.send_blocking(order).is_err() {
                break;
            }
        }
    };
    net.process_blocking("threads-a", a, polite);
    // The way out: whoever looks for trouble also ends it.
    let (stop, stops) = net.input::<()>("stop", PLACES);
    net.process_blocking(
        "threads-b",
        (b, stops),
        |_, ((rx, tx), stops): &mut (Both, Receiver<()>)| {
            towpath::select_blocking! {
                order = rx.recv() => drop(tx.send_blocking(order.unwrap_or(0))),
                _ = stops.recv() => {}
            }
        },
    );
    let network = std::thread::spawn(move || towpath::block_on(net.run(&Ctx::root())));
    let seen = look_until(|seen| {
        let waits = |name: &str| {
            let process = seen.processes.iter().find(|it| &*it.name == name);
            process.is_some_and(|it| seen.waits.iter().any(|wait| wait.process == it.id))
        };
        (waits("threads-a") && waits("threads-b")).then_some(seen)
    });
    // While somebody outside holds the sender of the stop channel, nobody is stuck for good.
    let report = seen.clone().analyse(&Options::new());
    assert_eq!(grade(&report, &seen, "threads-a"), None, "{report}");
    drop(stop);
    network.join().unwrap().unwrap();
}

#[test]
fn ages_grow_from_look_to_look() {
    runtime().block_on(async {
        let (tx, mut rx) = rendezvous::<u32>();
        let tx = tx.named("ages/orders");
        let running = towpath::scope(&Ctx::root(), |s| async move {
            s.spawn("ages-cook", move |_| async move {
                rx.recv().await;
            });
            let age = |seen: &Snapshot| {
                let process = seen.processes.iter().find(|it| &*it.name == "ages-cook")?;
                Some(seen.waits.iter().find(|wait| wait.process == process.id)?.age)
            };
            let first = look_until(|seen| age(&seen));
            let later = look_until(|seen| age(&seen).filter(|later| *later > first));
            assert!(later > first);
            drop(tx);
            Ok(())
        });
        running.await.unwrap();
    });
}

/// Sent and received, as they are seen.
fn totals(name: &str) -> (u64, u64) {
    let seen = snapshot();
    let channel = channel(&seen, name).expect("it is there");
    (channel.sent.expect("counted"), channel.received.expect("counted"))
}

#[test]
fn every_channel_knows_how_many_messages_went_in_and_out() {
    // A hundred more than a lap of any queue's blocks; small ones meet, 4 places are a ring.
    const MESSAGES: u64 = 250;
    let links = [("0", rendezvous()), ("1", bounded(1)), ("3", bounded(3)), ("4", bounded(PLACES))];
    let links = links.into_iter().chain([("5", bounded(5)), ("list", towpath::unbounded())]);
    for (which, (tx, mut rx)) in links {
        let name = format!("totals/{which}");
        let tx = tx.named(name.clone());
        assert_eq!(totals(&name), (0, 0));
        let sender = std::thread::spawn(move || {
            (0..MESSAGES).for_each(|number| tx.send_blocking(number).unwrap());
            tx
        });
        for number in 0..MESSAGES {
            assert_eq!(rx.recv_blocking(), Some(number));
        }
        let tx = sender.join().unwrap();
        assert_eq!(totals(&name), (MESSAGES, MESSAGES), "{name}");
        if tx.try_send(1).is_ok() {
            assert_eq!(totals(&name), (MESSAGES + 1, MESSAGES), "{name}");
            assert_eq!(rx.try_recv(), Ok(1));
        }
        // Neither side's tasks: a send that waits and is dropped, a receive that waits and is served.
        towpath::block_on(async {
            let sent = totals(&name);
            let mut receiving = std::pin::pin!(rx.recv());
            let noop = &mut std::task::Context::from_waker(std::task::Waker::noop());
            assert!(receiving.as_mut().poll(noop).is_pending());
            tx.send(7).await.unwrap();
            assert_eq!(receiving.await, Some(7));
            assert_eq!(totals(&name), (sent.0 + 1, sent.1 + 1), "{name}");
        });
    }
}

#[test]
fn a_message_that_is_given_back_is_not_received() {
    let (tx, mut rx) = rendezvous::<u32>();
    let tx = tx.named("totals/back");
    {
        let mut receiving = Box::pin(rx.recv());
        let noop = &mut std::task::Context::from_waker(std::task::Waker::noop());
        assert!(receiving.as_mut().poll(noop).is_pending());
        tx.try_send(1).unwrap();
        assert_eq!(totals("totals/back"), (1, 1), "in the hands of the receiver");
    }
    assert_eq!(totals("totals/back"), (1, 0));
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(totals("totals/back"), (1, 1));
}
