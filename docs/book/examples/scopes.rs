//! What the chapter on contexts and scopes shows.

use std::{error::Error as _, time::Duration};

use towpath::{BoxError, Cause, Ctx, Error, never, rt, scope, select};

// ANCHOR: compute
/// Work that computes looks at its context now and then.
fn crunch(ctx: &Ctx) -> Result<u64, Cause> {
    let mut sum = 0;
    for n in 0..1_000_000_u64 {
        if n % 1_000 == 0 {
            ctx.check()?;
        }
        sum += n;
    }
    Ok(sum)
}
// ANCHOR_END: compute

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    // ANCHOR: tree
    let (day, canceller) = Ctx::root().with_cancel();
    let request = day.with_timeout(Duration::from_millis(1200));
    let step = request.with_timeout(Duration::from_secs(60)); // asks for more than there is
    println!("{:?} left", step.remaining());
    rt::sleep(Duration::from_millis(200)).await;
    println!("{:?} left", step.remaining());

    canceller.cancel("closing time");
    println!("{}, because {}", step.is_done(), step.cause());
    println!("{:?}", crunch(&step).is_err());
    // ANCHOR_END: tree

    // ANCHOR: values
    let ctx = Ctx::root();
    let (left, right) = scope(&ctx, |s| async move {
        let left = s.spawn("left", |ctx| async move { crunch(&ctx) });
        let right = s.spawn("right", |_| async { Ok::<_, BoxError>(2) });
        Ok((left.await?, right.await?))
    })
    .await?;
    println!("{left} and {right}");
    // ANCHOR_END: values

    // ANCHOR: failure
    let result: Result<(), Error> = scope(&ctx, |s| async move {
        s.spawn("pump", |_| async { Err::<(), _>("no diesel") });
        s.spawn("lamp", |ctx| async move {
            select! {
                _ = never() => {},
                cause = ctx.done() => println!("the lamp goes out: {cause}"),
            }
        });
        Ok(())
    })
    .await;
    if let Err(error) = result {
        println!("{error}: {}", error.source().map(ToString::to_string).unwrap_or_default());
    }
    // ANCHOR_END: failure

    // ANCHOR: cancel
    let answer = scope(&ctx, |s| async move {
        s.spawn("clock", |ctx| async move { Err::<(), _>(ctx.done().await) });
        s.cancel("the answer is here");
        Ok(42)
    })
    .await?;
    println!("{answer}"); // a process that returns its context's cause is no failure
    // ANCHOR_END: cancel
    Ok(())
}
