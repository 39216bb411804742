//! A panic of a process is an error of its scope, with the name of the process and the place.
use towpath::{Ctx, Error, rendezvous, scope};

#[tokio::main]
async fn main() {
    let result: Result<(), Error> = scope(&Ctx::root(), |s| async move {
        let (tell, mut told) = rendezvous();
        s.spawn("pilot", |_| async { panic!("the map is upside down") });
        s.spawn("cook", move |ctx| async move {
            ctx.done().await;
            tell.send(true).await
        });
        println!("the cook was told: {}", told.recv().await.ok_or("no cook")?);
        Ok(())
    })
    .await;
    if let Err(Error::Panicked { process, message, .. }) = result {
        println!("{process} panicked: {message}");
    }
}
