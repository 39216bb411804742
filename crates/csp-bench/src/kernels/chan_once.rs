//! One result, and nobody who takes it.
//!
//! | kernel | who sends it | why nobody takes it | what ends it here |
//! |---|---|---|---|
//! | `kubernetes_5316` | the worker of a request | the caller has timed out | the receiver went with the caller; the send fails |
//! | `moby_4395` | a helper | the caller ignores it | the receiver was dropped; the send fails |

use std::time::Duration;

use towpath::{
    BoxError, Ctx, Receiver, Scope, Sender, after, bounded, rendezvous, rt, scope, select,
};

use super::go::Chan;
use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] = &[kubernetes_5316::KERNEL, moby_4395::KERNEL];

const SOURCE: &str = include_str!("chan_once.rs");

mod kubernetes_5316 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "kubernetes_5316",
        class: Class::Chan,
        shape: "The worker of a request hands over a result or an error by rendezvous. The caller has timed out.",
        fate: Fate::Value,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: Some("result") }],
        timers: true,
        go_of_100: Some(100),
        note: "The receiving end goes when the caller returns, and the worker's send gives the result back.",
        source: SOURCE,
    };

    const TIMEOUT: Duration = Duration::from_millis(1);

    /// Somebody may time out, and the one result must not wait for anybody.
    const RESULTS: usize = 1;

    type Outcome = Result<u32, &'static str>;

    async fn work(result: Sender<Outcome>) -> Result<bool, BoxError> {
        Ok(result.send(Ok(200)).await.is_ok())
    }

    async fn finish(mut result: Receiver<Outcome>) -> Option<Outcome> {
        select! {
            outcome = result.recv() => outcome,
            _ = after(TIMEOUT) => None,
        }
    }

    async fn owned() {
        let request = scope(&Ctx::root(), |s| async move {
            let (result, results) = rendezvous();
            let worker = s.spawn("worker", |_| work(result));
            let outcome = finish(results).await;
            assert_eq!(worker.await?, outcome.is_some(), "the worker knows whether it was in time");
            Ok(())
        });
        request.await.expect("nobody fails");
    }

    async fn work_shared(result: Chan<Outcome>) {
        assert!(result.tx.send(Ok(200)).await.is_ok()); // stuck: spawned
    }

    async fn finish_shared(result: Chan<Outcome>) -> Option<Outcome> {
        let mut results = result.rx.clone();
        select! {
            outcome = results.recv() => outcome,
            _ = after(TIMEOUT) => None,
        }
    }

    async fn shared() {
        let result = Chan::new("result", rendezvous());
        rt::spawn(work_shared(result.clone()));
        assert!(matches!(finish_shared(result).await, Some(Ok(200)) | None));
    }

    async fn fixed() {
        let result = Chan::new("result", bounded(RESULTS));
        let worker = rt::spawn(work_shared(result.clone()));
        assert!(matches!(finish_shared(result).await, Some(Ok(200)) | None));
        worker.await.expect("there is room for its result");
    }
}

mod moby_4395 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "moby_4395",
        class: Class::Chan,
        shape: "A function starts something and returns the channel of its result. The caller ignores it.",
        fate: Fate::Value,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: Some("result") }],
        timers: false,
        go_of_100: Some(100),
        note: "The function returns the receiving end. To ignore it is to drop it, and the send fails.",
        source: SOURCE,
    };

    /// Nobody has to take the one result.
    const RESULTS: usize = 1;

    type Outcome = Result<(), &'static str>;

    async fn job() -> Outcome {
        Err("exit status 1")
    }

    fn go(s: &Scope) -> Receiver<Outcome> {
        let (result, results) = rendezvous();
        s.spawn("helper", |_| async move {
            let ignored = result.send(job().await).await;
            assert_eq!(ignored.expect_err("nobody asked").into_inner(), Err("exit status 1"));
        });
        results
    }

    async fn owned() {
        let caller = scope(&Ctx::root(), |s| async move {
            drop(go(&s));
            Ok(())
        });
        caller.await.expect("nobody fails");
    }

    async fn help(result: Chan<Outcome>) {
        assert!(result.tx.send(job().await).await.is_ok()); // stuck: spawned
    }

    fn go_shared(ends: (Sender<Outcome>, Receiver<Outcome>)) -> (Chan<Outcome>, rt::Task<()>) {
        let result = Chan::new("result", ends);
        (result.clone(), rt::spawn(help(result)))
    }

    async fn shared() {
        go_shared(rendezvous());
    }

    async fn fixed() {
        let (_, helper) = go_shared(bounded(RESULTS));
        helper.await.expect("there is room for its result");
    }
}
