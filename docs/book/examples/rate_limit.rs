//! Two requests at once, then one each 10 ms: tokens in a bounded channel, and a process that adds them.
use std::time::Duration;
use towpath::{Ctx, Error, TrySendError, bounded, rt, scope, tick};

/// Tokens that can be saved.
const BURST: usize = 2;

#[tokio::main]
async fn main() -> Result<(), Error> {
    scope(&Ctx::root(), |s| async move {
        let (refill, mut tokens) = bounded(BURST);
        refill.send_all([(); BURST]).await?;
        s.spawn("refill", move |_| async move {
            let mut ticks = tick(Duration::from_millis(10));
            loop {
                ticks.recv().await;
                if let Err(TrySendError::Closed(())) = refill.try_send(()) {
                    return; // full is well: enough saved
                }
            }
        });

        let start = rt::now();
        for request in 1..=5 {
            tokens.recv().await.ok_or("no more tokens")?;
            println!("request {request}");
        }
        println!("took 20 ms or more: {}", rt::now() - start >= Duration::from_millis(20));
        Ok(())
    })
    .await
}
