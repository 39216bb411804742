//! Somebody waits for the end of a context, or for a timer, and nobody brings it about.
//!
//! | kernel | who waits | what is forgotten | what ends it here |
//! |---|---|---|---|
//! | `grpc_862` | the retries of a dial | to cancel when the dial fails | an error ends the scope's context |
//! | `istio_18454` | a loop for a timer's value | that it has taken the value already | a timer is a value that is made anew |
//! | `cockroach_13755` | whoever closes a result on cancel | to close the result | a guard in the result |
//! | `cockroach_13197` | whoever rolls back on cancel | to commit or roll back | a guard in the transaction |

use std::{sync::Arc, time::Duration};

use towpath::{
    BoxError, CancelOnDrop, Canceller, Cause, Ctx, Error, Join, Scope, after, at, bounded,
    rendezvous, rt, scope, select,
};

use super::go::Chan;
use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] =
    &[grpc_862::KERNEL, istio_18454::KERNEL, cockroach_13755::KERNEL, cockroach_13197::KERNEL];

const SOURCE: &str = include_str!("chan_ctx_end.rs");

mod grpc_862 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "grpc_862",
        class: Class::ChanCtx,
        shape: "A dial starts a loop that tries again after a while, or ends with the connection's context. The dial \
                fails without cancelling that context, and the loop goes on.",
        fate: Fate::Scoped,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: None }],
        timers: true,
        go_of_100: Some(100),
        note: "The loop runs in the dial's scope, whose context ends with the dial's error.",
        source: SOURCE,
    };

    const BACKOFF: Duration = Duration::from_secs(1);

    const BACKOFF_MAX: Duration = Duration::from_secs(120);

    /// Calls `refused` at every attempt.
    async fn connect(ctx: Ctx, refused: impl Fn()) {
        let mut backoff = BACKOFF;
        loop {
            refused();
            select! {
                _ = after(backoff) => backoff = BACKOFF_MAX.min(2 * backoff), // stuck: spawned
                _ = ctx.done() => return, // stuck: spawned
            }
        }
    }

    /// Refusals that wait: the dial looks at the first.
    const REFUSALS: usize = 1;

    async fn dial(ctx: &Ctx, connecting: Arc<()>) -> Result<(), Error> {
        scope(ctx, |s| async move {
            let (refusal, mut refusals) = bounded(REFUSALS);
            s.spawn("connector", |ctx| async move {
                let _connecting = connecting;
                connect(ctx, || _ = refusal.try_send(())).await;
            });
            refusals.recv().await;
            Err("connection refused".into())
        })
        .await
    }

    async fn owned() {
        let connecting = Arc::new(());
        assert!(dial(&Ctx::root(), connecting.clone()).await.is_err());
        assert_eq!(Arc::strong_count(&connecting), 1, "nobody tries again");
    }

    /// A dial under way: what ends it, and the loop.
    async fn dial_shared() -> (Canceller, rt::Task<()>) {
        let refusals = Chan::new("refusals", bounded(REFUSALS));
        let refusal = refusals.tx.clone();
        let (ctx, canceller) = Ctx::root().with_cancel();
        let connector = rt::spawn(connect(ctx, move || _ = refusal.try_send(())));
        refusals.rx.clone().recv().await;
        (canceller, connector)
    }

    async fn shared() {
        let _ = dial_shared().await;
    }

    async fn fixed() {
        let (canceller, connector) = dial_shared().await;
        canceller.cancel("connection refused");
        connector.await.expect("it was cancelled");
    }
}

mod istio_18454 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "istio_18454",
        class: Class::ChanCtx,
        shape: "A loop resets its timer: it stops it and, as it was too late, takes the value out of the timer's \
                channel. It has taken that value before, so it waits for ever, and upstream waits to reset it again.",
        fate: Fate::Unwritable,
        owned: None,
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "spawned", object: Some("fired") },
            Stuck { process: "main", object: Some("reset") },
            Stuck { process: "main", object: None },
        ],
        timers: true,
        go_of_100: None,
        note: "There is no call: a timer has no channel that would have to be drained. `after` and `at` are values, \
               made for one wait and dropped with it.",
        source: SOURCE,
    };

    const QUIET: Duration = Duration::from_millis(1);

    const CHANGES: u32 = 3;

    /// A timer has one value.
    const FIRED: usize = 1;

    /// Go's timer: it fires into a channel, and stopping it leaves there what is there.
    struct Timer {
        fired: Chan<()>,
        stop: Canceller,
    }

    impl Timer {
        fn start(fired: Chan<()>) -> Self {
            let (running, stop) = Ctx::root().with_cancel();
            let (firing, ring) = (fired.clone(), stop.clone());
            rt::spawn(async move {
                select! {
                    _ = after(QUIET) => if ring.cancel("it has fired") {
                        _ = firing.tx.try_send(());
                    },
                    _ = running.done() => {}
                }
            });
            Self { fired, stop }
        }

        /// False: too late, it has fired.
        fn stop(&self) -> bool {
            self.stop.cancel("stopped")
        }
    }

    async fn debounce(reset: Chan<()>, ctx: Ctx) {
        let (mut resets, fired) = (reset.rx.clone(), Chan::new("fired", bounded(FIRED)));
        let mut rings = fired.rx.clone();
        let mut timer = Timer::start(fired.clone());
        loop {
            select! {
                _ = rings.recv() => {}
                _ = resets.recv() => {
                    if !timer.stop() {
                        timer.fired.rx.clone().recv().await; // stuck: spawned
                    }
                    timer = Timer::start(fired.clone());
                }
                _ = ctx.done() => break,
            }
        }
        timer.stop();
    }

    async fn shared() {
        let reset = Chan::new("reset", rendezvous());
        let (ctx, canceller) = Ctx::root().with_cancel();
        let loops = rt::spawn(debounce(reset.clone(), ctx));
        for _ in 0..CHANGES {
            let _ = reset.tx.send(()).await; // stuck: main
        }
        canceller.cancel("no more changes");
        let _ = loops.await; // stuck: main
    }

    async fn debounce_by_value(reset: Chan<()>, ctx: Ctx) {
        let mut resets = reset.rx.clone();
        let mut quiet_at = Some(rt::now() + QUIET);
        loop {
            select! {
                _ = quiet_at.map(at) => quiet_at = None,
                _ = resets.recv() => quiet_at = Some(rt::now() + QUIET),
                _ = ctx.done() => return,
            }
        }
    }

    async fn fixed() {
        let reset = Chan::new("reset", rendezvous());
        let (ctx, canceller) = Ctx::root().with_cancel();
        let loops = rt::spawn(debounce_by_value(reset.clone(), ctx));
        for _ in 0..CHANGES {
            assert!(reset.tx.send(()).await.is_ok());
        }
        canceller.cancel("no more changes");
        loops.await.expect("it was cancelled");
    }
}

mod cockroach_13755 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "cockroach_13755",
        class: Class::ChanCtx,
        shape: "A query's result starts somebody who waits for its context to end, and then closes the result. Closing \
                is what ends the context, and nobody closes.",
        fate: Fate::Scoped,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: None }],
        timers: false,
        go_of_100: Some(100),
        note: "A guard in the result ends the context when the result is dropped; the scope waits for the closer.",
        source: SOURCE,
    };

    /// Rows that wait to be read.
    const ROWS: usize = 1;

    struct Rows {
        row: Option<u32>,
        _close: CancelOnDrop,
    }

    fn query(s: &Scope) -> (Rows, Join<Cause>) {
        let (ctx, close) = s.ctx().with_cancel();
        let closer = s.spawn("closer", |_| async move { Ok::<_, BoxError>(ctx.done().await) });
        (Rows { row: Some(7), _close: close.drop_guard() }, closer)
    }

    async fn owned() {
        let reading = scope(&Ctx::root(), |s| async move {
            let (rows, closer) = query(&s);
            assert_eq!(rows.row, Some(7));
            drop(rows); // the last use, and no call to close
            Ok(closer.await?)
        });
        assert!(matches!(reading.await.expect("nobody fails"), Cause::Cancelled(_)));
    }

    struct SharedRows {
        rows: Chan<u32>,
        ctx: Ctx,
        close: Canceller,
    }

    impl SharedRows {
        /// The result, and its closer.
        async fn query() -> (Arc<Self>, rt::Task<()>) {
            let (ctx, close) = Ctx::root().with_cancel();
            let rows = Arc::new(Self { rows: Chan::new("rows", bounded(ROWS)), ctx, close });
            let _ = rows.rows.tx.send(7).await;
            let closer = rt::spawn(rows.clone().close_when_done());
            (rows, closer)
        }

        async fn close_when_done(self: Arc<Self>) {
            self.ctx.done().await; // stuck: spawned
            self.close();
        }

        fn close(&self) {
            self.close.cancel("the result was closed");
        }

        async fn next(&self) -> Option<u32> {
            self.rows.rx.clone().recv().await
        }
    }

    async fn shared() {
        let (rows, _closer) = SharedRows::query().await;
        assert_eq!(rows.next().await, Some(7));
    }

    async fn fixed() {
        let (rows, closer) = SharedRows::query().await;
        assert_eq!(rows.next().await, Some(7));
        rows.close();
        closer.await.expect("the result was closed");
    }
}

mod cockroach_13197 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "cockroach_13197",
        class: Class::ChanCtx,
        shape: "A transaction starts somebody who waits for its context to end, and then rolls it back. The transaction \
                is neither committed nor rolled back when its user fails.",
        fate: Fate::Scoped,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: None }],
        timers: false,
        go_of_100: Some(100),
        note: "A transaction that is dropped is rolled back: its guard ends the context. The scope waits until that \
               has been done.",
        source: SOURCE,
    };

    fn execute() -> Result<(), &'static str> {
        Err("a constraint is violated")
    }

    struct Tx {
        end: CancelOnDrop,
    }

    impl Tx {
        fn begin(s: &Scope) -> (Self, Join<String>) {
            let (ctx, end) = s.ctx().with_cancel();
            let roller = s.spawn("roller", |_| async move {
                Ok::<_, BoxError>(ctx.done().await.to_string()) // and rolls back, unless committed
            });
            (Self { end: end.drop_guard() }, roller)
        }

        fn commit(self) {
            self.end.disarm().cancel("committed");
        }

        fn transfer(self) -> Result<(), &'static str> {
            execute()?;
            self.commit();
            Ok(())
        }
    }

    async fn owned() {
        let end = scope(&Ctx::root(), |s| async move {
            let (tx, roller) = Tx::begin(&s);
            assert!(tx.transfer().is_err());
            Ok(roller.await?)
        });
        assert_eq!(end.await.expect("nobody fails"), "cancelled: its guard was dropped");
    }

    struct SharedTx {
        ctx: Ctx,
        end: Canceller,
    }

    impl SharedTx {
        /// The transaction, and who rolls it back.
        fn begin() -> (Arc<Self>, rt::Task<()>) {
            let (ctx, end) = Ctx::root().with_cancel();
            let tx = Arc::new(Self { ctx, end });
            let roller = rt::spawn(tx.clone().roll_back_when_done());
            (tx, roller)
        }

        async fn roll_back_when_done(self: Arc<Self>) {
            self.ctx.done().await; // stuck: spawned
            self.roll_back();
        }

        fn roll_back(&self) {
            self.end.cancel("rolled back");
        }

        fn commit(&self) {
            self.end.cancel("committed");
        }

        fn transfer(&self) -> Result<(), &'static str> {
            execute()?;
            self.commit();
            Ok(())
        }
    }

    async fn shared() {
        let (tx, _roller) = SharedTx::begin();
        assert!(tx.transfer().is_err());
    }

    async fn fixed() {
        let (tx, roller) = SharedTx::begin();
        if tx.transfer().is_err() {
            tx.roll_back();
        }
        roller.await.expect("it was rolled back");
    }
}
