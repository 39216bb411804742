//! A select that does not wait, one that waits for a while, and one that gets something.
use std::time::Duration;
use towpath::{Ctx, Error, after, rendezvous, scope, select};

#[tokio::main]
async fn main() -> Result<(), Error> {
    scope(&Ctx::root(), |s| async move {
        let (teller, mut news) = rendezvous::<&str>();

        select! {
            line = news.recv() => println!("{line:?}"),
            default => println!("nothing yet"),
        }

        select! {
            line = news.recv() => println!("{line:?}"),
            _ = after(Duration::from_millis(10)) => println!("still nothing"),
        }

        s.spawn("teller", move |_| async move { teller.send("the lock is open").await });
        select! {
            line = news.recv() => println!("{}", line.ok_or("nobody tells")?),
            _ = after(Duration::from_secs(60)) => println!("gave up"),
        }
        Ok(())
    })
    .await
}
