//! Programs that notice the mistakes seeded in `towpath` (its `mutants.rs`): each must fail some case here.
//!
//! Without a mutant all of them pass, under every schedule. `cargo xtask mutants` runs this binary once for each, with
//! `TOWPATH_MUTANT` set. A mistake that no case notices is a case that is missing.
//!
//! Cases are small and say one promise each; the simulator finds deadlocks, leaks and lost wake-ups by itself. The oracle of
//! `towpath`'s own tests is run too.

mod channels;
mod closing;
mod contexts;
#[path = "../../../towpath/tests/it/harness.rs"]
#[allow(dead_code, reason = "the oracle needs some of it")]
mod harness;
mod lines;
mod locks;
#[path = "../../../towpath/tests/it/model/mod.rs"]
mod model;
mod selects;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use towpath_sim::Sim;

/// Enough for a mistake that needs two pre-emptions in a program of thirty steps.
const SCHEDULES: u64 = 300;
/// No case comes near; a mistake that makes somebody try again for ever shows.
const STEPS_MAX: u64 = 5_000;

/// Rings of a power of two and beside it, meeting channels, the unbounded list.
const KINDS: [Option<usize>; 6] = [Some(0), Some(1), Some(3), Some(4), Some(5), None];
/// Those at which a send can be made to wait.
const BOUNDED: [usize; 5] = [0, 1, 3, 4, 5];

/// Runs `program` under many schedules.
#[track_caller]
fn check<F: Future<Output = ()> + 'static>(program: impl Fn() -> F) {
    let sim = Sim::new().schedules(SCHEDULES).max_steps(STEPS_MAX).shrink(Duration::ZERO);
    if let Some(failed) = sim.explore(program).failure {
        panic!("{}\n{}", failed.finding.summary, failed.story.join("\n"));
    }
}

fn channel<T>(kind: Option<usize>) -> (towpath::Sender<T>, towpath::Receiver<T>) {
    kind.map_or_else(towpath::unbounded, towpath::bounded)
}

/// Polls once, as the calling task.
async fn poll<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Begins to wait in `future`.
async fn park<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    assert!(poll(future.as_mut()).await.is_pending(), "it had nothing to wait for");
    future
}

/// Whether it has come to an end, and how; polled once.
async fn now<F: Future>(future: &mut Pin<Box<F>>) -> Option<F::Output> {
    match poll(future.as_mut()).await {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
