//! An order of two steps, of which the second is refused; the front page of `saga` shows this file.

use towpath::{BoxError, Ctx, Receiver, scope, select};
use towpath_journal::Writer;
use towpath_patterns::saga::{Action, Call, Coordinator, Keys, Outcome, Saga};

/// Calls that wait for one of the shops.
const CALLS: usize = 64;

/// A shop sells and takes back. It remembers keys, so that a call that comes twice is one.
async fn shop(ctx: Ctx, mut calls: Receiver<Call>, sold_out: bool) {
    let mut keys = Keys::new(10_000);
    loop {
        let call = select! {
            call = calls.recv() => call,
            _ = ctx.done() => None,
        };
        let Some(call) = call else { return };
        match keys.fresh(call) {
            None => {}
            Some(call) if sold_out && !call.is_undo() => call.refuse("sold out"),
            Some(call) => keys.done(call, *b"receipt"),
        }
    }
}

# fn main() -> Result<(), BoxError> {
# let folder = tempfile::tempdir()?;
# let folder = folder.path();
let (stock, at_stock) = towpath::bounded(CALLS);
let (bank, at_bank) = towpath::bounded(CALLS);
let (reserve, release) = (Action::new("reserve", &stock), Action::new("release", &stock));
let (pay, refund) = (Action::new("pay", &bank), Action::new("refund", &bank));
let order = Saga::new("order").step(reserve, release).step(pay, refund);

let writer = Writer::open(folder)?; // the journal: a second coordinator cannot open it
let outcome = towpath::block_on(scope(&Ctx::root(), |s| async move {
    s.spawn("stock", |ctx| shop(ctx, at_stock, false));
    s.spawn("bank", |ctx| shop(ctx, at_bank, true)); // nobody can pay there
    let sagas = Coordinator::new().define(order).start(&s, "sagas", writer).await?;
    sagas.start("order", "order 7", *b"two lamps").await?; // durable from here on
    let outcome = sagas.outcome("order 7").await?;
    s.cancel("the shop closes");
    Ok(outcome)
}))?;
assert_eq!(outcome, Outcome::Compensated { step: 1, reason: "sold out".to_owned() });
# Ok(()) }
