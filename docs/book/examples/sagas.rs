//! Chapter "Sagas": an order of two steps, of which the second is refused; then one whose effect is in the journal.

use std::time::Duration;

use towpath::{BoxError, Ctx, Receiver, Sender, bounded, scope, select};
use towpath_journal::{Lsn, Writer};
use towpath_patterns::saga::{Action, Backoff, Call, Coordinator, Effect, Keys, Saga};

/// Calls that wait for a shop.
const CALLS: usize = 16;

/// The kind of the records that say how much is left in stock.
const STOCK: u16 = 1;

// ANCHOR: definition
fn order(stock: &Sender<Call>, bank: &Sender<Call>) -> Saga {
    let patient = Backoff::DEFAULT.attempts(20);
    Saga::new("order")
        .version(1)
        .step(Action::new("reserve", stock), Action::new("release", stock))
        .step(
            Action::new("pay", bank).timeout(Duration::from_secs(5)),
            Action::new("refund", bank).retry(patient),
        )
}
// ANCHOR_END: definition

// ANCHOR: participant
async fn bank(ctx: Ctx, mut calls: Receiver<Call>) {
    let mut keys = Keys::new(100_000);
    loop {
        let call = select! { call = calls.recv() => call, _ = ctx.done() => None };
        let Some(call) = call else { return };
        // Answered here, if it has come before, or must not be done any more.
        let Some(call) = keys.fresh(call) else { continue };
        if call.input() == b"a yacht" {
            call.refuse("too expensive");
        } else {
            keys.done(call, *b"receipt");
        }
    }
}
// ANCHOR_END: participant

// ANCHOR: effect
async fn stock(ctx: Ctx, mut calls: Receiver<Call>) {
    loop {
        let call = select! { call = calls.recv() => call, _ = ctx.done() => None };
        let Some(call) = call else { return };
        let change: &[u8] = if call.is_undo() { b"+1" } else { b"-1" };
        let effect = Effect { kind: STOCK, key: call.input().to_vec(), payload: change.to_vec() };
        call.done_with(*b"", vec![effect]);
    }
}
// ANCHOR_END: effect

fn main() -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let writer = Writer::open(folder.path())?;
    // ANCHOR: reader
    // Follows the journal while it is written: a view of the stock can be built from it.
    let mut reader = writer.reader(Lsn::ZERO)?;
    // ANCHOR_END: reader
    towpath::block_on(scope(&Ctx::root(), |s| async move {
        let (to_stock, at_stock) = bounded(CALLS);
        let (to_bank, at_bank) = bounded(CALLS);
        s.spawn("stock", |ctx| stock(ctx, at_stock));
        s.spawn("bank", |ctx| bank(ctx, at_bank));
        // ANCHOR: run
        let sagas = Coordinator::new()
            .define(order(&to_stock, &to_bank))
            .start(&s, "sagas", writer)
            .await?;
        sagas.start("order", "order 1", *b"a lamp").await?;
        sagas.start("order", "order 2", *b"a yacht").await?;
        for id in ["order 1", "order 2"] {
            println!("{id}: {:?}", sagas.outcome(id).await?);
        }
        // ANCHOR_END: run
        s.cancel("the shop closes");
        Ok(())
    }))?;
    let mut left = 0;
    while let Some(record) = reader.next()? {
        if record.kind == STOCK && record.key == b"a yacht" {
            left += if record.payload == b"+1" { 1 } else { -1 };
        }
    }
    println!("yachts: {left:+}");
    Ok(())
}
