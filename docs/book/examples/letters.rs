//! What the chapter on dead letters shows.

use std::{path::Path, time::Duration};

use towpath::{BoxError, Ctx, Receiver, Scope, scope};
use towpath_journal::Writer;
use towpath_patterns::fault::{
    Breaker, Budget, Class, Condition, Errors, Failure, Policy, Retry, Rule, Settled, Settlement,
    Tolerance, Worker,
    dead::{DeadLetters, Letter, LetterId, Pace, Pick, Replay, Step},
};

/// Meters that wait to be billed: more than the story has.
const METERS: usize = 16;

#[derive(Debug)]
struct Reading {
    meter: u32,
    text: &'static str,
}

// ANCHOR: handler
/// Bills a reading. What is wrong with it says its class.
async fn bill(_ctx: Ctx, reading: &Reading) -> Result<(), Failure> {
    let _units: u32 = reading.text.parse().map_err(Failure::schema)?;
    // … books them
    Ok(())
}
// ANCHOR_END: handler

// ANCHOR: policy
fn policy(budget: Budget) -> Policy {
    let retry = Retry::new(6)
        .with_delays(Duration::from_millis(50), Duration::from_secs(5))
        .with_attempt_limit(Duration::from_secs(2))
        .with_total_limit(Duration::from_secs(20))
        .with_budget(budget);
    Policy::default()
        .on(Class::Transient, Rule::retry(retry.clone()))
        .on(Class::Timeout, Rule::retry(retry).with_alert())
}
// ANCHOR_END: policy

async fn day(s: Scope, path: &Path) -> Result<(), BoxError> {
    let (tx, readings) = towpath::bounded(METERS);
    let (settled_tx, settled) = towpath::bounded(METERS);
    let (alerts_tx, mut alerts) = towpath::bounded(METERS);
    for (meter, text) in (1..).zip(["300", "three", "12", "0x5"]) {
        tx.send(Reading { meter, text }).await?;
    }
    drop(tx);

    // ANCHOR: worker
    let minute = Duration::from_secs(60);
    let conditions = vec![
        Condition::rate("many timeouts", 50, minute).of_class(Class::Timeout),
        Condition::share("billing fails", 0.05, 100, minute),
        Condition::new_cause("something new"),
    ];
    let errors = Errors::start(&s, "errors", conditions, alerts_tx);
    let dead = DeadLetters::open(&s, "readings", Writer::open(path)?)?;
    let worker = Worker::new("billing", readings, bill)
        .with_policy(policy(Budget::new(0.1, 20)))
        .with_breaker(Breaker::new(Tolerance::default()))
        .with_errors(&errors)
        .with_settled(settled_tx)
        .with_dead_letters(dead.clone(), |reading: &Reading| {
            Letter::new(reading.text).with_key(format!("meter-{}", reading.meter))
        });
    s.spawn("billing's keeper", |ctx| worker.run(ctx));
    // ANCHOR_END: worker
    acknowledge(settled).await;
    errors.snapshot().await;
    while let Ok(alert) = alerts.try_recv() {
        println!("alert: {}", alert.name);
    }
    Ok(())
}

// ANCHOR: source
async fn acknowledge(mut settled: Receiver<Settled<Reading>>) {
    while let Some(Settled { message, how, .. }) = settled.recv().await {
        match how {
            Settlement::Handled => println!("meter {} acknowledged", message.meter),
            Settlement::Dead(id) => println!("meter {} acknowledged, letter {id}", message.meter),
            _ => println!("meter {} given up", message.meter),
        }
    }
}
// ANCHOR_END: source

// ANCHOR: replay_handler
async fn bill_again(_ctx: Ctx, letter: Replay) -> Result<(), Failure> {
    let text = String::from_utf8(letter.payload).map_err(Failure::schema)?;
    let units: u32 = text.parse().map_err(Failure::schema)?;
    // Whoever books it sees the key, and books one key once.
    println!("{}: {units} units", letter.key.escape_ascii());
    Ok(())
}
// ANCHOR_END: replay_handler

async fn morning_after(s: Scope, path: &Path) -> Result<(), BoxError> {
    let dead = DeadLetters::open(&s, "readings", Writer::open(path)?)?;
    // ANCHOR: look
    for group in dead.groups().await? {
        println!("{} x {}: {}", group.letters, group.class, group.cause);
    }
    for letter in dead.list(Pick::all(), LetterId(0), 20).await? {
        let payload = dead.show(letter.id).await?.payload.unwrap_or_default();
        println!("letter {}: {}", letter.id, payload.escape_ascii());
    }
    // ANCHOR_END: look

    // ANCHOR: replay
    let wrong = Pick::all().class(Class::Schema);
    let dry = dead.dry_run(wrong.clone(), Pace::per_second(5.0)).await?;
    println!("would take {} letters and {:?}", dry.letters, dry.at_least);

    dead.edit(LetterId(1), "3", "called the customer").await?;
    let done = dead.replay(s.ctx(), wrong, Pace::per_second(5.0), bill_again).await?;
    println!("{} went well, {} failed again", done.went_well, done.failed);
    // ANCHOR_END: replay

    // ANCHOR: history
    for step in dead.show(LetterId(2)).await?.history {
        match step {
            Step::Failed(fault) => {
                println!("{} in {}: {}", fault.class, fault.process, fault.message)
            }
            Step::Taken { replay, .. } => println!("taken by replay {replay}"),
            Step::FailedAgain { fault, .. } => println!("{}: {}", fault.class, fault.message),
            _ => {}
        }
    }
    dead.discard(LetterId(2), "the meter was replaced").await?;
    // ANCHOR_END: history

    // ANCHOR: resume
    for cut_short in dead.unfinished().await? {
        let pace = Pace::per_second(5.0);
        dead.resume(s.ctx(), cut_short.replay, pace, bill_again).await?;
    }
    // ANCHOR_END: resume
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let dir = tempfile::tempdir()?;
    let ctx = Ctx::root();
    scope(&ctx, |s| day(s, dir.path())).await?;
    println!("-- the morning after");
    scope(&ctx, |s| morning_after(s, dir.path())).await?;
    Ok(())
}
