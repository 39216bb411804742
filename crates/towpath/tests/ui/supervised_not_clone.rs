//! A supervised process begins anew with each run, so what its closure captures is cloned.

use towpath::supervisor::{OnExit, Strategy, Supervisor};

fn main() {
    let mut supervisor = Supervisor::new("supervisor", Strategy::OneForOne);
    let (_tx, mut rx) = towpath::bounded::<u32>(4);
    supervisor.child("reader", OnExit::Restart, (), async move |_, ()| {
        rx.recv().await;
    });
}
