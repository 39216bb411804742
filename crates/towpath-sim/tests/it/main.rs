//! The simulator, from outside.

mod attribute;

use towpath_sim::{FindingKind, Sim};

#[test]
fn philosophers_are_found() {
    let report = Sim::new().explore(|| async {
        let fork = || std::sync::Arc::new(towpath::sync::Mutex::new(()));
        let (left, right) = (fork(), fork());
        let (one, other) = (left.clone(), right.clone());
        let done = towpath::scope(&towpath::Ctx::root(), |s| async move {
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
    println!("{}\n{:?} {}\n{}", failed.finding, failed.forced, failed.token, failed.story.join("\n"));
    assert_eq!(failed.finding.kind, FindingKind::Deadlock);
    assert_eq!(failed.finding.circle.len(), 2);
}
#[test]
fn channels() {
    Sim::new().test("x::channels", || async {
        let (tx, mut rx) = towpath::rendezvous::<u8>();
        let tx = tx.named("requests");
        let done = towpath::scope(&towpath::Ctx::root(), |s| async move {
            let (stop, mut stopped) = towpath::rendezvous::<()>();
            s.spawn("server", move |_| async move {
                loop {
                towpath::select! {
                    _ = stopped.recv() => break,
                    r = rx.recv() => { if r.is_none() {break} }
                }
                }
                towpath::after(std::time::Duration::from_secs(1)).await;
                std::mem::forget(rx);
            });
            s.spawn("asker", move |_| async move {
                tx.send(1).await
            });
            stop.send(()).await?;
            Ok(())
        });
        done.await.unwrap();
    });
}
