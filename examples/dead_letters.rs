//! Orders that cannot be priced, and what becomes of them.
//!
//! A worker prices orders. One has no price, one meets a bug that panics, one meets a price service that is busy for a moment. None
//! of them holds up the others. What could not be handled is a dead letter: durable, grouped by cause, with its history. An operator
//! looks, mends one by hand, replays a group, and a letter that fails again is still the same letter.
//!
//! Then the program is "killed" in the middle of a replay, and goes on where it was.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use towpath::{BoxError, Ctx, Receiver, Scope, scope};
use towpath_journal::Writer;
use towpath_patterns::fault::{
    Alert, Class, Condition, Errors, Failure, Policy, Retry, Rule, Settled, Settlement, Worker,
    dead::{DeadLetters, Error, Letter, LetterId, Pace, Pick, Replay, Step},
};

/// Orders that wait, and what else waits for somebody: more than the story has.
const ORDERS: usize = 16;

/// How often the price service has been asked.
static ASKED: AtomicU32 = AtomicU32::new(0);

/// An order reads "<number>: <pieces> of <what>".
#[derive(Debug)]
struct Order(String);

/// The worker's whole business.
async fn price(_ctx: Ctx, order: &Order) -> Result<(), Failure> {
    let (_, what) = order.0.split_once(": ").ok_or_else(|| Failure::schema("not an order"))?;
    let (pieces, what) = what.split_once(" of ").ok_or_else(|| Failure::schema("not an order"))?;
    let pieces: u32 = pieces.parse().map_err(Failure::schema)?;
    if what == "tea" && ASKED.fetch_add(1, Ordering::Relaxed) < 2 {
        return Err(Failure::transient("the price service is busy"));
    }
    // The bug: nobody thought of an order for nothing.
    let _discount = 100 / pieces;
    Ok(())
}

fn open(s: &Scope, path: &Path) -> Result<DeadLetters, BoxError> {
    Ok(DeadLetters::open(s, "orders", Writer::open(path)?)?)
}

async fn say(mut settled: Receiver<Settled<Order>>, dead: &DeadLetters) -> Result<(), BoxError> {
    while let Some(it) = settled.recv().await {
        match it.how {
            Settlement::Dead(id) => {
                let it = dead.show(id).await?.summary;
                println!("  letter {id}: {} after {} tries, {}", it.class, it.failures, it.cause);
            }
            how => println!("  {:?}: {}", how, it.message.0),
        }
    }
    Ok(())
}

async fn a_day_at_work(s: Scope, path: &Path) -> Result<(), BoxError> {
    let (tx, orders) = towpath::bounded(ORDERS);
    let (settled, done) = towpath::bounded(ORDERS);
    let (alerts, mut pager) = towpath::bounded::<Alert>(ORDERS);
    let conditions =
        vec![Condition::rate("many panics", 3, Duration::from_secs(60)).of_class(Class::Panic)];
    let errors = Errors::start(&s, "errors", conditions, alerts);
    let dead = open(&s, path)?;

    let quick = Retry::new(4).with_delays(Duration::from_millis(1), Duration::from_millis(5));
    let worker = Worker::new("pricer", orders, price)
        .with_policy(Policy::default().on(Class::Transient, Rule::retry(quick)))
        .with_errors(&errors)
        .with_settled(settled)
        .with_dead_letters(dead.clone(), |Order(order): &Order| {
            let number = order.split(':').next().unwrap_or_default();
            Letter::new(order.as_bytes()).with_key(format!("order-{number}"))
        });
    for order in
        ["1: 4 of salt", "2: four of salt", "3: 0 of soap", "4: 2 of tea", "5: six of soap"]
    {
        tx.send(Order(order.to_owned())).await?;
    }
    drop(tx);
    let worker = s.spawn("pricer's keeper", |ctx| worker.run(ctx));
    say(done, &dead).await?;
    worker.await?;

    println!("-- what the dashboard says");
    let snapshot = errors.snapshot().await.ok_or("the aggregator is gone")?;
    println!("  handled: {}", snapshot.handled["pricer"]);
    for line in &snapshot.lines {
        println!("  {} x {} in {}: {}", line.faults, line.class, line.process, line.cause);
    }
    drop(errors);
    while let Ok(alert) = pager.try_recv() {
        let about = alert.example.map(|it| it.fault.cause).unwrap_or_default();
        println!("  alert `{}`: {about}", alert.name);
    }
    Ok(())
}

/// As the worker does, on what a letter holds.
async fn price_letter(ctx: Ctx, letter: Replay) -> Result<(), Failure> {
    let order = Order(String::from_utf8(letter.payload).map_err(Failure::schema)?);
    price(ctx, &order).await?;
    println!("  handled: {}", order.0);
    Ok(())
}

async fn an_operator(s: Scope, path: &Path) -> Result<(), BoxError> {
    let dead = open(&s, path)?;
    for group in dead.groups().await? {
        println!("  {} x {}: {}", group.letters, group.class, group.cause);
    }
    let schema = Pick::all().class(Class::Schema);
    let dry = dead.dry_run(schema.clone(), Pace::per_second(10.0)).await?;
    println!("  a replay of {schema} would take {} letters and {:?}", dry.letters, dry.at_least);

    println!("-- one is mended, both are replayed");
    dead.edit(LetterId(1), "2: 4 of salt", "asked the customer").await?;
    let done = dead.replay(s.ctx(), schema, Pace::UNLIMITED, price_letter).await?;
    println!("  {} went well, {} failed again", done.went_well, done.failed);
    for step in dead.show(LetterId(3)).await?.history {
        match step {
            Step::Failed(fault) => println!("  letter 3 failed: {}", fault.message),
            Step::Taken { replay, .. } => println!("  letter 3 was taken by replay {replay}"),
            Step::FailedAgain { fault, .. } => {
                println!("  letter 3 failed again: {}", fault.message)
            }
            _ => {}
        }
    }
    Ok(())
}

async fn a_kill(s: Scope, path: &Path) -> Result<(), BoxError> {
    let dead = open(&s, path)?;
    for (id, order) in [(LetterId(2), "3: 1 of soap"), (LetterId(3), "5: 6 of soap")] {
        dead.edit(id, order, "asked the customer").await?;
    }
    let (ctx, power) = s.ctx().with_cancel();
    let cut_short = dead.replay(&ctx, Pick::all(), Pace::UNLIMITED, async |_, letter| {
        println!("  letter {} is in hand, as {}", letter.id, letter.key.escape_ascii());
        power.cancel("the power goes");
        towpath::never().await;
        Ok::<_, Failure>(())
    });
    match cut_short.await {
        Err(error @ Error::Cancelled(..)) => println!("  {error}"),
        other => println!("  this should not be: {other:?}"),
    }
    Ok(())
}

async fn after_it(s: Scope, path: &Path) -> Result<(), BoxError> {
    let dead = open(&s, path)?;
    for it in dead.unfinished().await? {
        println!("  replay {} of {} had not ended", it.replay, it.pick);
        let done = dead.resume(s.ctx(), it.replay, Pace::UNLIMITED, async |ctx, letter| {
            println!("  letter {} again, as {}", letter.id, letter.key.escape_ascii());
            price_letter(ctx, letter).await
        });
        println!("  {} went well", done.await?.went_well);
    }
    println!("  letters left: {}", dead.list(Pick::all(), LetterId(0), ORDERS).await?.len());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let dir = tempfile::tempdir()?;
    let ctx = Ctx::root();
    println!("-- a day at work");
    scope(&ctx, |s| a_day_at_work(s, dir.path())).await?;
    println!("-- what the operator finds");
    scope(&ctx, |s| an_operator(s, dir.path())).await?;
    println!("-- killed in the middle of a replay");
    scope(&ctx, |s| a_kill(s, dir.path())).await?;
    println!("-- and started again");
    scope(&ctx, |s| after_it(s, dir.path())).await?;
    Ok(())
}
