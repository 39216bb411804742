//! A bounded channel, closed by the drop of its sender and read to the end.
use towpath::{Ctx, Error, SendError, bounded, scope};

/// As many orders as fit on the board.
const BOARD: usize = 2;

#[tokio::main]
async fn main() -> Result<(), Error> {
    scope(&Ctx::root(), |s| async move {
        let (board, mut orders) = bounded(BOARD);

        s.spawn("waiter", move |_| async move {
            for dish in ["soup", "fish", "cake"] {
                board.send(dish).await?;
            }
            Ok::<(), SendError<_>>(()) // the waiter goes, and its sender with it
        });

        while let Some(dish) = orders.recv().await {
            println!("cooking {dish}");
        }
        println!("still open: {}", orders.recv().await.is_some());
        Ok(())
    })
    .await
}
