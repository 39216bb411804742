//! What the simulator finds without being asked, and what it says of it.

use std::sync::Arc;

use towpath::{Ctx, sync::Mutex};
use towpath_sim::{FindingKind, Sim};

#[test]
fn philosophers() {
    let report = Sim::new().explore(|| async {
        let fork = || Arc::new(Mutex::new(()));
        let (left, right) = (fork(), fork());
        let (one, other) = (left.clone(), right.clone());
        let done = towpath::scope(&Ctx::root(), |s| async move {
            s.spawn("plato", move |_| async move {
                let _left = left.lock().await;
                let _right = right.lock().await;
            });
            s.spawn("kant", move |_| async move {
                let _right = other.lock().await;
                let _left = one.lock().await;
            });
            Ok(())
        });
        done.await.unwrap();
    });
    let failed = report.failure.unwrap();
    assert_eq!(failed.finding.kind, FindingKind::Deadlock);
    assert_eq!(failed.finding.circle, ["plato", "kant"]);
    assert_eq!(failed.forced.1, 1, "one pre-emption is enough: {}", failed.story.join("\n"));
}
