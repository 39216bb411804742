//! Workers, under every schedule: each message is settled once, and no message is the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use towpath::{
    BoxError, Ctx, Headers, Scope, rt, scope,
    supervisor::{GaveUp, Intensity},
};
use towpath_patterns::fault::{
    Alert, Breaker, Class, Condition, Errors, Failure, Policy, Retry, Rule, Settlement, Stopped,
    Then, Tolerance, Worker,
    dead::{DeadLetters, Letter, LetterId, Pick, Step},
};
use towpath_sim::disk::{Disk, Faults};

const SECOND: Duration = Duration::from_secs(1);

/// Messages that wait, and what is settled: as many as a test has.
const MESSAGES: usize = 16;

/// What a message does, the nth time it is tried.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Well,
    Busy,
    Wrong,
    Panics,
    Hangs,
    Ends,
}

/// A message and how often it was tried.
#[derive(Clone, Debug)]
struct Message {
    name: &'static str,
    does: &'static [Does],
    tried: Arc<AtomicU32>,
}

impl Message {
    fn new(name: &'static str, does: &'static [Does]) -> Self {
        Self { name, does, tried: Arc::default() }
    }

    fn tried(&self) -> u32 {
        self.tried.load(Ordering::SeqCst)
    }
}

/// The last of what it does goes on for ever.
async fn handle(ctx: Ctx, message: &Message) -> Result<(), Failure> {
    let nth = message.tried.fetch_add(1, Ordering::SeqCst) as usize;
    rt::sleep(Duration::from_millis(10)).await;
    assert_eq!(ctx.headers().as_bytes(), message.name.as_bytes());
    match message.does[nth.min(message.does.len() - 1)] {
        Does::Well => Ok(()),
        Does::Busy => Err(Failure::transient("busy")),
        Does::Wrong => Err(Failure::schema("no price")),
        Does::Panics => panic!("nobody thought of {}", message.name),
        Does::Hangs => {
            towpath::never().await;
            Ok(())
        }
        Does::Ends => Err(Failure::fatal("the licence has ended")),
    }
}

fn policy() -> Policy {
    let retry = || Retry::new(4).with_delays(SECOND, SECOND * 4).with_attempt_limit(SECOND * 30);
    Policy::default()
        .on(Class::Transient, Rule::retry(retry()))
        .on(Class::Timeout, Rule::retry(retry()))
}

fn open_dead(s: &Scope) -> DeadLetters {
    let disk = Disk::new(Faults::default());
    let writer = super::writer(&disk).unwrap();
    DeadLetters::open(s, "dead", writer).unwrap()
}

fn to_letter(message: &Message) -> Letter {
    Letter::new(message.name.as_bytes()).with_key(message.name)
}

fn headers(message: &Message) -> Headers {
    Headers::new(message.name.as_bytes())
}

#[towpath::test(schedules = 150)]
async fn every_message_is_settled_once_and_in_order() {
    use Does::{Busy, Hangs, Panics, Well, Wrong};
    let messages = [
        Message::new("well", &[Well]),
        Message::new("busy twice", &[Busy, Busy, Well]),
        Message::new("wrong", &[Wrong]),
        Message::new("panics once", &[Panics, Well]),
        Message::new("poison", &[Panics]),
        Message::new("hangs once", &[Hangs, Well]),
        Message::new("hangs", &[Hangs]),
        Message::new("of every kind", &[Busy, Panics, Hangs, Wrong]),
        Message::new("last", &[Well]),
    ];
    let expected = [
        ("well", 1, None),
        ("busy twice", 3, None),
        ("wrong", 1, Some(Class::Schema)),
        ("panics once", 2, None),
        ("poison", 3, Some(Class::Panic)),
        ("hangs once", 2, None),
        ("hangs", 4, Some(Class::Timeout)),
        ("of every kind", 4, Some(Class::Schema)),
        ("last", 1, None),
    ];
    scope(&Ctx::root(), |s| async move {
        let (tx, rx) = towpath::bounded(MESSAGES);
        let (settled_tx, mut settled) = towpath::bounded(MESSAGES);
        let (alerts_tx, mut alerts) = towpath::bounded::<Alert>(MESSAGES);
        let conditions = vec![Condition::rate("panics", 4, SECOND * 3_600).of_class(Class::Panic)];
        let errors = Errors::start(&s, "errors", conditions, alerts_tx);
        let dead = open_dead(&s);
        let worker = Worker::new("worker", rx, handle)
            .with_policy(policy())
            .with_errors(&errors)
            .with_headers(headers)
            .with_dead_letters(dead.clone(), to_letter)
            .with_settled(settled_tx);
        let worker = s.spawn("worker's keeper", |ctx| worker.run(ctx));
        for message in messages {
            tx.send(message).await?;
        }
        drop(tx);
        for (name, tried, class) in expected {
            let it = settled.recv().await.unwrap();
            assert_eq!((it.message.name, it.message.tried()), (name, tried));
            let Some(class) = class else {
                assert_eq!(it.how, Settlement::Handled, "{name}");
                continue;
            };
            let Settlement::Dead(id) = it.how else { panic!("{name}: {:?}", it.how) };
            let shown = dead.show(id).await?;
            assert_eq!(shown.payload.as_deref(), Some(name.as_bytes()));
            assert_eq!(shown.headers.as_bytes(), name.as_bytes());
            assert_eq!((shown.summary.class, shown.summary.failures), (class, tried), "{name}");
            let Some(Step::Failed(last)) = shown.history.last() else { panic!("{shown:?}") };
            assert_eq!(last.at.is_some(), class == Class::Panic);
            assert!(last.at.as_ref().is_none_or(|at| at.contains("worker.rs:")), "{last:?}");
        }
        assert!(settled.recv().await.is_none());
        worker.await?;
        let snapshot = errors.snapshot().await.unwrap();
        let count = |class| -> u64 {
            snapshot.lines.iter().filter(|it| it.class == class).map(|it| it.faults).sum()
        };
        let counts = Class::ALL.map(count);
        assert_eq!((counts, snapshot.handled["worker"]), ([3, 6, 2, 5, 0], 5));
        // The schema error, the poison, the fourth panic, and minutes later the schema error again.
        let mut names = Vec::new();
        while let Ok(alert) = alerts.try_recv() {
            names.push(alert.name.to_string());
        }
        names.sort();
        assert_eq!(names, ["panics", "policy", "policy", "policy"]);
        Ok(())
    })
    .await
    .unwrap();
}

/// Cancelled at any moment, what was settled is settled, and the rest was not touched more than it may be.
#[towpath::test(schedules = 300)]
async fn a_cancelled_worker_leaves_what_it_did_not_settle() {
    use Does::{Busy, Panics, Well, Wrong};
    let messages = [
        Message::new("well", &[Well]),
        Message::new("busy once", &[Busy, Well]),
        Message::new("poison", &[Panics]),
        Message::new("wrong", &[Wrong]),
    ];
    scope(&Ctx::root(), |s| async move {
        let (tx, rx) = towpath::bounded(MESSAGES);
        // Room for one: settling waits, too.
        let (settled_tx, mut settled) = towpath::bounded(1);
        let dead = open_dead(&s);
        let worker = Worker::new("worker", rx, handle)
            .with_headers(headers)
            .with_dead_letters(dead.clone(), to_letter)
            .with_settled(settled_tx);
        for message in &messages {
            tx.send(message.clone()).await?;
        }
        let (ctx, canceller) = s.ctx().with_cancel();
        s.spawn("closing time", |_| async move {
            rt::sleep(Duration::from_millis(rt::random() % 600)).await;
            canceller.cancel("closing time");
        });
        let ended =
            s.spawn("keeper", |_| async move { Ok::<_, BoxError>(worker.run(ctx).await.is_ok()) });
        let mut done = 0;
        while let Some(it) = settled.recv().await {
            assert_eq!(it.message.name, messages[done].name);
            done += 1;
        }
        // It never ended by itself: there could be more messages.
        assert!(!ended.await?);
        let letters = dead.list(Pick::all(), LetterId(0), MESSAGES).await?;
        // A dead letter may be durable whose message was not settled any more: then it comes again, under its key.
        let settled_dead = done.saturating_sub(2);
        assert!((settled_dead..=settled_dead + 1).contains(&letters.len()));
        for message in &messages[(done + 1).min(messages.len())..] {
            assert_eq!(message.tried(), 0);
        }
        Ok(())
    })
    .await
    .unwrap();
}

/// Runs messages through a worker, to its end.
async fn run(
    messages: &[Message],
    change: impl FnOnce(Worker<Message>) -> Worker<Message>,
) -> (Vec<Settlement>, Result<(), BoxError>) {
    let (tx, rx) = towpath::bounded(MESSAGES);
    let (settled_tx, mut settled) = towpath::bounded(MESSAGES);
    for message in messages {
        tx.send(message.clone()).await.unwrap();
    }
    drop(tx);
    let worker = Worker::new("worker", rx, handle).with_headers(headers).with_settled(settled_tx);
    let ended = change(worker).run(Ctx::root()).await;
    let mut all = Vec::new();
    while let Some(it) = settled.recv().await {
        all.push(it.how);
    }
    (all, ended)
}

#[towpath::test(schedules = 100)]
async fn a_fatal_failure_stops_it_with_the_message_unsettled() {
    let messages = [Message::new("well", &[Does::Well]), Message::new("fatal", &[Does::Ends])];
    let (settled, ended) = run(&messages, |worker| worker).await;
    assert_eq!(settled, [Settlement::Handled]);
    let error = ended.unwrap_err();
    let stopped = error.downcast_ref::<Stopped>().unwrap();
    assert_eq!(
        (stopped.to_string().as_str(), messages[1].tried()),
        ("worker `worker` stopped over a fatal failure: the licence has ended", 1)
    );
}

#[towpath::test(schedules = 100)]
async fn without_dead_letters_and_by_policy_messages_are_given_up() {
    let messages = [Message::new("wrong", &[Does::Wrong]), Message::new("busy", &[Does::Busy])];
    let policy =
        Policy::default().on(Class::Transient, Rule::retry(Retry::new(2)).then(Then::GiveUp));
    let (settled, ended) = run(&messages, |worker| worker.with_policy(policy)).await;
    ended.unwrap();
    assert_eq!(settled, [Settlement::GivenUp, Settlement::GivenUp]);
    assert_eq!((messages[0].tried(), messages[1].tried()), (1, 2));
}

#[towpath::test(schedules = 100)]
async fn a_storm_of_panics_is_no_matter_of_messages() {
    let messages =
        [Message::new("first", &[Does::Panics]), Message::new("second", &[Does::Panics])];
    let intensity = Intensity::new(4, SECOND * 3_600);
    let (settled, ended) = run(&messages, |worker| worker.with_intensity(intensity)).await;
    assert_eq!(settled, [Settlement::GivenUp]);
    let error = ended.unwrap_err();
    let source = error.source().and_then(|source| source.downcast_ref::<GaveUp>()).unwrap();
    assert_eq!((source.restarts, messages[1].tried()), (4, 2));
}

/// While whoever is called is down, messages wait and do not become dead letters.
#[towpath::test(schedules = 100)]
async fn an_open_breaker_keeps_messages_where_they_are() {
    const DOWN: &[Does] = &[Does::Busy, Does::Busy, Does::Busy, Does::Well];
    let messages = [Message::new("first", DOWN), Message::new("second", &[Does::Well])];
    let tolerance =
        Tolerance { calls: 4, at_least: 2, pause: SECOND * 600, ..Tolerance::default() };
    let began = rt::now();
    let (settled, ended) =
        run(&messages, |worker| worker.with_breaker(Breaker::new(tolerance))).await;
    ended.unwrap();
    assert_eq!(settled, [Settlement::Handled, Settlement::Handled]);
    assert_eq!((messages[0].tried(), messages[1].tried()), (4, 1));
    // Two failures opened it, its first probe failed, the second went well: two pauses.
    assert!(rt::now() >= began + SECOND * 1_200);
}

#[towpath::test(schedules = 100)]
async fn a_message_that_cannot_be_kept_stays_in_hand() {
    let messages = [Message::new("wrong", &[Does::Wrong])];
    scope(&Ctx::root(), |s| async move {
        let disk = Disk::new(Faults { sync_error: 1_000, ..Faults::default() });
        disk.set_faults(Faults::default());
        let writer = super::writer(&disk)?;
        disk.set_faults(Faults { sync_error: 1_000, ..Faults::default() });
        let dead = DeadLetters::open(&s, "dead", writer)?;
        let (settled, ended) =
            run(&messages, |worker| worker.with_dead_letters(dead, to_letter)).await;
        assert_eq!(settled, []);
        let error = ended.unwrap_err();
        assert!(error.to_string().contains("could not keep a dead letter"), "{error}");
        Ok(())
    })
    .await
    .unwrap();
}
