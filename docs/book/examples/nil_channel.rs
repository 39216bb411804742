//! Two inputs until both have ended: an input that has ended becomes `None`, which disables its arm.
use towpath::{Ctx, Error, Receiver, Scope, rendezvous, scope, select};

fn boat(s: &Scope, loads: &'static [u32]) -> Receiver<u32> {
    let (tx, rx) = rendezvous();
    s.spawn("boat", move |_| async move { tx.send_all(loads.iter().copied()).await });
    rx
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    scope(&Ctx::root(), |s| async move {
        let mut left = Some(boat(&s, &[1, 2, 3]));
        let mut right = Some(boat(&s, &[10, 20]));
        let mut total = 0;
        while left.is_some() || right.is_some() {
            // with both arms disabled: a panic that says so
            select! {
                tons = left.recv() => match tons {
                    Some(tons) => total += tons,
                    None => left = None,
                },
                tons = right.recv() => match tons {
                    Some(tons) => total += tons,
                    None => right = None,
                },
            }
        }
        println!("unloaded: {total}");
        Ok(())
    })
    .await
}
