//! The processes of a gateway: workers, and the one at the door who ends it.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use towpath::{Cause, Ctx, Scope, SharedReceiver, after, process::Name, rt, select};

use super::{
    Call, Refused,
    desk::{Desk, Done, Hand, Job},
    snapshot::Counts,
};

/// Starts them.
pub(super) fn start<Req, Resp, H, Fut>(
    scope: &Scope,
    name: &Name,
    desk: &Arc<Desk<Req, Resp>>,
    rx: SharedReceiver<Hand<Req, Resp>>,
    workers: usize,
    drain: Duration,
    handler: H,
) where
    Req: Send + 'static,
    Resp: Send + 'static,
    H: Fn(Call<Req, Resp>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let handler = Arc::new(handler);
    for _ in 0..workers {
        // Made here, so that a process that is never run counts as ended too.
        let seat = Seat(desk.clone());
        let (rx, handler) = (rx.clone(), handler.clone());
        scope.spawn(name, move |_| work(seat, rx, handler));
    }
    let desk = desk.clone();
    scope.spawn(name, move |ctx| door(ctx, desk, drain));
}

/// Waits until the scope is to end, and then for those who still work, for so long.
async fn door<Req, Resp>(ctx: Ctx, desk: Arc<Desk<Req, Resp>>, drain: Duration) {
    select! { biased;
        _ = desk.over().done() => return,
        _ = ctx.done() => desk.stop(),
    }
    select! { biased;
        _ = desk.over().done() => {}
        () = after(drain) => desk.cut_off(),
    }
}

/// A worker's place, whose end is told however it comes.
struct Seat<Req, Resp>(Arc<Desk<Req, Resp>>);

impl<Req, Resp> Drop for Seat<Req, Resp> {
    fn drop(&mut self) {
        self.0.gone();
    }
}

async fn work<Req, Resp, H, Fut>(
    seat: Seat<Req, Resp>,
    mut rx: SharedReceiver<Hand<Req, Resp>>,
    handler: Arc<H>,
) where
    H: Fn(Call<Req, Resp>) -> Fut,
    Fut: Future<Output = ()>,
{
    let desk = &*seat.0;
    let mut cut = pin!(desk.cut().done());
    while let Some(Hand::Work(job)) = rx.recv().await {
        let (mut next, mut began) = (Some(job), rt::now());
        while let Some(Job { call, arrived }) = next {
            let watch = call.watch();
            let ended = if let Some(cause) = watch.over() {
                // Nobody waits for it: it is not worked on.
                call.refuse(Refused::of(&cause));
                Ended::Skipped
            } else {
                handle(desk, &*handler, call, cut.as_mut()).await
            };
            let counts = match ended {
                Ended::Cut => return,
                Ended::Panicked | Ended::Skipped => false,
                // A deadline that has passed says that it takes at least so long; a caller that has left says nothing.
                Ended::Well => {
                    watch.over().is_none_or(|cause| matches!(cause, Cause::DeadlineExceeded))
                }
            };
            let now = rt::now();
            next = desk.finished(&Done { arrived, began, ended: now, counts });
            // The next begins as this ends.
            began = now;
        }
    }
}

/// How a handler ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Well,
    Panicked,
    Skipped,
    Cut,
}

/// Runs the handler.
async fn handle<Req, Resp, H, Fut>(
    desk: &Desk<Req, Resp>,
    handler: &H,
    call: Call<Req, Resp>,
    mut cut: Pin<&mut impl Future>,
) -> Ended
where
    H: Fn(Call<Req, Resp>) -> Fut,
    Fut: Future<Output = ()>,
{
    // What a panic leaves behind half done is dropped, or the handler's own business, as with a lock that is poisoned.
    let Ok(work) = catch_unwind(AssertUnwindSafe(|| handler(call))) else {
        Counts::one(&desk.counts.panics);
        return Ended::Panicked;
    };
    let mut work = pin!(work);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(Poll::Pending) => cut.as_mut().poll(cx).map(|_| Ended::Cut),
        Ok(Poll::Ready(())) => Poll::Ready(Ended::Well),
        Err(_) => {
            Counts::one(&desk.counts.panics);
            Poll::Ready(Ended::Panicked)
        }
    })
    .await
}
