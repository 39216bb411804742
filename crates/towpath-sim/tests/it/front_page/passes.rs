//! A program that is well in every schedule; the crate's front page shows this file.

use std::time::Duration;
use towpath::{BoxError, Ctx, after, bounded, scope, select};

/// Orders on their way to the kitchen: the waiter may be two ahead.
const ORDER_CAPACITY: usize = 2;

#[towpath::test]
async fn every_order_is_cooked() {
    let cooked = scope(&Ctx::root(), |s| async move {
        let (order_tx, mut orders) = bounded(ORDER_CAPACITY);
        s.spawn("waiter", |_| async move {
            for order in 1..=3 {
                towpath::rt::sleep(Duration::from_secs(600)).await; // costs nothing
                order_tx.send(order).await?;
            }
            Ok::<_, BoxError>(())
        });
        let mut cooked = Vec::new();
        loop {
            select! {
                order = orders.recv() => match order {
                    Some(order) => cooked.push(order),
                    None => break,
                },
                _ = after(Duration::from_secs(3600)) => break,
            }
        }
        Ok(cooked)
    });
    assert_eq!(cooked.await.unwrap(), [1, 2, 3]);
}
