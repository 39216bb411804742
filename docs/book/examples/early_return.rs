//! The first answer is enough, and we return. The scope waits for whoever is still at it.
use std::{sync::Arc, time::Duration};
use towpath::{Ctx, Error, after, rendezvous, scope, select};

const HOUR: Duration = Duration::from_secs(3600);

async fn ask(harbours: [&'static str; 2], token: &Arc<()>) -> Result<&'static str, Error> {
    scope(&Ctx::root(), |s| async move {
        let (tx, mut answers) = rendezvous();
        for (harbour, hours) in harbours.into_iter().zip([0, 1]) {
            let (tx, token) = (tx.clone(), token.clone());
            s.spawn(harbour, move |ctx| async move {
                let _token = token; // held for as long as this process lives
                select! {
                    _ = after(hours * HOUR) => drop(tx.send(harbour).await),
                    _ = ctx.done() => {}
                }
            });
        }
        let first = answers.recv().await.ok_or("nobody answers")?;
        s.cancel("we have an answer");
        Ok(first)
    })
    .await
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let token = Arc::new(());
    println!("first: {}", ask(["north", "south"], &token).await?);
    println!("left behind: {}", Arc::strong_count(&token) - 1);
    Ok(())
}
