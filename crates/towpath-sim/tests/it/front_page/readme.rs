//! The test that the README of the repository shows.

use std::time::Duration;

// README
#[towpath::test]
async fn the_soup_is_cooked() {
    let (order_tx, mut orders) = towpath::rendezvous();
    let kitchen = towpath::rt::spawn(async move { orders.recv().await });
    towpath::select! {
        sent = order_tx.send("soup") => assert!(sent.is_ok()),
        _ = towpath::after(Duration::from_secs(60)) => panic!("nobody cooks"),
    }
    assert_eq!(kitchen.await.unwrap(), Some("soup"));
}
