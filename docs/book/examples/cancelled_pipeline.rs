//! A pipeline whose last stage has enough early. It drops its receiver, and the stages before it find nobody.
use towpath::{Ctx, Error, rendezvous, scope};

#[tokio::main]
async fn main() -> Result<(), Error> {
    scope(&Ctx::root(), |s| async move {
        let (number, mut numbers) = rendezvous();
        let (square, mut squares) = rendezvous();

        s.spawn("numbers", move |_| async move {
            for n in 1.. {
                let Ok(()) = number.send(n).await else { return };
            }
        });
        s.spawn("squares", move |_| async move {
            while let Some(n) = numbers.recv().await {
                let Ok(()) = square.send(n * n).await else { return };
            }
        });

        for _ in 0..3 {
            println!("{}", squares.recv().await.ok_or("no more squares")?);
        }
        Ok(()) // `squares` is dropped here
    })
    .await?;
    println!("all stages have ended"); // or we would not be here
    Ok(())
}
