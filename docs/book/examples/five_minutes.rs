//! The five-minute start: a waiter, two cooks, and an end that everybody sees.

// ANCHOR: use
use std::time::Duration;
use towpath::{BoxError, Ctx, Receiver, Sender, SharedReceiver, after, bounded, scope, select};
// ANCHOR_END: use

// ANCHOR: capacity
/// Orders that wait for a cook: as many as fit on the board.
const BOARD: usize = 4;
/// Plates that wait to be carried out. More would get cold.
const PASS: usize = 2;
// ANCHOR_END: capacity

// ANCHOR: processes
/// Takes orders to the board. When it returns, its sender is dropped, and the board is closed.
async fn waiter(board: Sender<&'static str>) -> Result<(), BoxError> {
    for dish in ["soup", "fish", "cake", "tea"] {
        board.send(dish).await?; // waits while the board is full
    }
    Ok(())
}

/// Cooks until the board is closed and empty. On a thread: stoves block.
fn cook(mut orders: SharedReceiver<&'static str>, pass: Sender<String>) -> Result<(), BoxError> {
    while let Some(dish) = orders.recv_blocking() {
        pass.send_blocking(format!("a plate of {dish}"))?;
    }
    Ok(())
}

/// Counts what comes out, and gives up when nothing does for too long.
async fn count(mut plates: Receiver<String>) -> Result<usize, BoxError> {
    let mut seen = 0;
    loop {
        select! {
            plate = plates.recv() => match plate {
                Some(_) => seen += 1,
                None => return Ok(seen), // no cook is left
            },
            _ = after(Duration::from_secs(60)) => return Err("the kitchen sleeps".into()),
        }
    }
}
// ANCHOR_END: processes

// ANCHOR: main
#[tokio::main]
async fn main() -> Result<(), towpath::Error> {
    let served = scope(&Ctx::root(), |s| async move {
        let (board, orders) = bounded(BOARD);
        let (pass, plates) = bounded(PASS);
        let orders = orders.into_shared(); // two cooks, one board

        s.spawn("waiter", |_| waiter(board));
        for number in 1..=2 {
            let (orders, pass) = (orders.clone(), pass.clone());
            s.spawn_blocking(format!("cook {number}"), |_| cook(orders, pass));
        }
        drop(pass); // only the cooks have it now
        count(plates).await
    })
    .await?;
    println!("{served} plates served, and everybody has gone home");
    Ok(())
}
// ANCHOR_END: main
