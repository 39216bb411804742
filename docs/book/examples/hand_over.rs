//! A rendezvous hands over: a send returns when the value is in other hands.
use towpath::{BoxError, Ctx, Error, rendezvous, scope};

#[tokio::main]
async fn main() -> Result<(), Error> {
    scope(&Ctx::root(), |s| async move {
        let (baton, mut batons) = rendezvous();
        let (done, mut news) = rendezvous();

        s.spawn("first runner", move |_| async move {
            baton.send("the baton").await?; // waits for the second runner
            done.send("the first runner may rest").await?;
            Ok::<(), BoxError>(())
        });

        println!("taken: {}", batons.recv().await.ok_or("nobody came")?);
        println!("told: {}", news.recv().await.ok_or("nobody came")?);
        Ok(())
    })
    .await
}
