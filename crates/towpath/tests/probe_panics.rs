//! A probe that panics is called no more and breaks nothing. A test binary of its own, since it has one probe.

use std::{
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
};

use towpath::{
    Ctx,
    probe::{self, Exit, Parked, Probe, Unparked},
    process::Process,
    rendezvous, scope,
};

static CALLS: AtomicUsize = AtomicUsize::new(0);

struct Broken;

impl Probe for Broken {
    fn park(&self, wait: &Parked<'_>) {
        CALLS.fetch_add(1, Ordering::Relaxed);
        panic!("I cannot even watch {wait:?}");
    }

    fn unpark(&self, _: &Unparked) {
        CALLS.fetch_add(1, Ordering::Relaxed);
    }

    fn exit(&self, _: &Process, _: Exit) {
        CALLS.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_program_goes_on_without_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    probe::install(Broken).unwrap();
    let failed = runtime.block_on(scope(&Ctx::root(), |s| async move {
        let (tx, mut rx) = rendezvous();
        let cook = s.spawn("cook", move |_| async move {
            let first = rx.recv().await; // here the probe panics
            if (first, rx.recv().await) == (Some(1), Some(2)) {
                std::panic::resume_unwind(Box::new("and then the cook does, without a place"));
            }
        });
        tokio::task::yield_now().await;
        tx.send(1).await?;
        tx.send(2).await?;
        let _: Result<(), _> = cook.await;
        Ok(())
    }));
    let failed = failed.unwrap_err().to_string();
    assert!(failed.contains("without a place") && !failed.contains("probe_panics.rs"), "{failed}");
    assert_eq!(CALLS.load(Ordering::Relaxed), 1);
    let (_tx, mut rx) = rendezvous::<u32>();
    assert_eq!(pin!(rx.recv()).poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
    assert_eq!(CALLS.load(Ordering::Relaxed), 1);
}
