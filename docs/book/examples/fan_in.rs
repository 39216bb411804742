//! A select over as many channels as there are; their number is known only when the program runs.
use std::collections::BTreeMap;
use towpath::{Ctx, Error, Receiver, Scope, SelectSet, rendezvous, scope};

fn boat(s: &Scope, number: u32) -> Receiver<u32> {
    let (tx, rx) = rendezvous();
    let loads = (0..number).map(move |load| 10 * number + load);
    s.spawn(format!("boat {number}"), move |_| async move { tx.send_all(loads).await });
    rx
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    scope(&Ctx::root(), |s| async move {
        let mut boats = SelectSet::new();
        let mut tons = BTreeMap::new();
        for number in 1..=4 {
            let key = boats.recv(boat(&s, number));
            tons.insert(key, 0);
        }
        while !boats.is_empty() {
            let (key, load) = boats.next().await; // looks at those that have news
            *tons.entry(key).or_default() += load.unwrap_or(0); // `None`: ended, and gone from the set
        }
        for (tons, number) in tons.values().zip(1..) {
            println!("boat {number}: {tons}");
        }
        Ok(())
    })
    .await
}
