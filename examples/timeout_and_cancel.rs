//! Somebody needs a taxi: three companies are asked at once, and patience has an end.
//!
//! A context says whether to go on and until when. The caller's patience is one with a timeout; the round of calls is a
//! child of it that can be cancelled when the first car is promised; the wait for each company's answer is a child of
//! that. Whoever waits names the context as one arm of its `select`, and the context tells why it has ended: the deadline,
//! or somebody with a reason.
//!
//! Time here is tokio's paused clock. It jumps to the next timer whenever everybody waits, so the story takes
//! no time and prints the same milliseconds on every machine.

use std::time::{Duration, Instant};

use towpath::{BoxError, Ctx, Receiver, Sender, after, at, rt, scope, select};

/// Offers on the table: one from each company, so that none waits for the caller to read it.
const OFFERS: usize = 3;
/// Without an offer after this time, the caller hears that somebody is still looking.
const HINT: Duration = Duration::from_millis(200);
/// No company is waited for longer than this.
const CALL: Duration = Duration::from_millis(450);

#[derive(Clone, Copy)]
struct Company {
    name: &'static str,
    answers_after: Duration,
}

const fn company(name: &'static str, answers_after_ms: u64) -> Company {
    Company { name, answers_after: Duration::from_millis(answers_after_ms) }
}

/// Asks one company, which takes its time. Says how it went.
async fn ask(ctx: Ctx, company: Company, offers: Sender<&'static str>) -> Result<String, BoxError> {
    let Company { name, answers_after } = company;
    // A child can have less time than the context above, never more: with little patience left, this call is shorter.
    let call = ctx.with_timeout(CALL);
    select! {
        _ = after(answers_after) => {
            offers.send(name).await?;
            Ok(format!("{name}: offered a car"))
        },
        cause = call.done() => Ok(format!("{name}: {cause}")),
    }
}

/// Waits for the first offer. Says once that it is still looking.
async fn first_offer(
    patience: &Ctx,
    offers: &mut Receiver<&'static str>,
    start: Instant,
) -> Result<&'static str, BoxError> {
    let mut hint_at = Some(start + HINT);
    loop {
        // When patience ends so do the calls, and with them the offers; what came first is asked first.
        select! { biased;
            cause = patience.done() => return Err(cause.into()),
            offer = offers.recv() => return offer.ok_or("nobody has a car".into()),
            // An arm that is `None` takes no part.
            _ = hint_at.map(at) => {
                println!("{} still looking", elapsed(start));
                hint_at = None;
            },
        }
    }
}

/// Asks all companies and takes the first who offers a car, unless patience ends before that.
async fn call_a_taxi(patience: &Ctx, companies: [Company; OFFERS]) -> Result<(), BoxError> {
    let start = rt::now();
    // The round of calls ends with patience, or earlier: when there is a car.
    let (round, canceller) = patience.with_cancel();
    scope(&round, |s| async move {
        let (tx, mut offers) = towpath::bounded(OFFERS);
        let asked = companies.map(|company| {
            let tx = tx.clone();
            s.spawn(company.name, move |ctx| ask(ctx, company, tx))
        });
        // With this sender alive the offers would never end, even when every company has given up.
        drop(tx);
        match first_offer(patience, &mut offers, start).await {
            Ok(name) => {
                println!("{} {name} sends a car", elapsed(start));
                canceller.cancel(format!("{name} was faster"));
            }
            Err(error) => println!("{} no car: {error}", elapsed(start)),
        }
        for asked in asked {
            println!("        {}", asked.await?);
        }
        Ok(())
    })
    .await?;
    // The round was cancelled, the patience above it was not.
    println!("        patience: {}", patience.cause());
    Ok(())
}

fn elapsed(start: Instant) -> String {
    format!("{:>4} ms", rt::now().saturating_duration_since(start).as_millis())
}

fn patience_of(millis: u64) -> Ctx {
    Ctx::root().with_timeout(Duration::from_millis(millis))
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    println!("-- a dry afternoon");
    let companies = [company("Swan", 700), company("Heron", 120), company("Coot", 300)];
    call_a_taxi(&patience_of(1000), companies).await?;

    println!("-- rain");
    let companies = [company("Swan", 400), company("Heron", 900), company("Coot", 310)];
    call_a_taxi(&patience_of(1000), companies).await?;

    println!("-- snow");
    let companies = [company("Swan", 700), company("Heron", 900), company("Coot", 2000)];
    call_a_taxi(&patience_of(1000), companies).await?;

    println!("-- in a hurry");
    let companies = [company("Swan", 400), company("Heron", 900), company("Coot", 310)];
    call_a_taxi(&patience_of(250), companies).await
}
