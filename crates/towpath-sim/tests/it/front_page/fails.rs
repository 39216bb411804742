//! A program that hangs in some schedules; the crate's front page shows this file, and what is found.

use std::{sync::Arc, time::Duration};
use towpath::{BoxError, Ctx, rendezvous, rt, scope, sync::Mutex};

#[towpath::test]
#[should_panic(expected = "deadlock")] // so that the tests of the simulator pass
pub(crate) async fn every_bill_is_in_the_total() {
    let total = scope(&Ctx::root(), |s| async move {
        let (bill_tx, mut bills) = rendezvous();
        let till = Arc::new(Mutex::new(0).named("till"));
        let cashier_till = till.clone();
        let cashier = s.spawn("cashier", |_| async move {
            while let Some(bill) = bills.recv().await {
                *cashier_till.lock().await += bill;
            }
        });
        bill_tx.send(12).await?;
        drop(bill_tx); // no more bills: the cashier will end
        rt::sleep(Duration::from_millis(100)).await; // and has ended, surely
        let total = till.lock().await;
        cashier.await?;
        Ok::<i32, BoxError>(*total)
    });
    assert_eq!(total.await.unwrap(), 12);
}
