//! What the chapter on limits shows.

use std::time::Duration;

use towpath::{BoxError, bounded};
use towpath_patterns::limit::{
    Audited, Level, Limit, Number, Rate, Refused, SlidingWindow, Together, TokenBucket,
};

// ANCHOR: trait
#[derive(Clone)]
struct Sizes {
    header_bytes_max: usize,
    body_bytes_max: usize,
}

/// Whatever kind of limit it is: both numbers are of one moment.
fn accepts(sizes: &impl Limit<Value = Sizes>, header: usize, body: usize) -> bool {
    sizes.read(|sizes| header <= sizes.header_bytes_max && body <= sizes.body_bytes_max)
}
// ANCHOR_END: trait

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    // ANCHOR: plain
    let connections = Number::new(64); // an atomic
    connections.change(128)?;
    println!("{} connections", connections.get());

    let sizes = Together::new(Sizes { header_bytes_max: 100, body_bytes_max: 1000 });
    println!("{}", accepts(&sizes, 50, 2000));
    sizes.change(Sizes { header_bytes_max: 100, body_bytes_max: 4000 })?;
    println!("{}", accepts(&sizes, 50, 2000)); // at once
    // ANCHOR_END: plain

    // ANCHOR: audited
    /// Changes that the auditor may be behind.
    const TRAIL: usize = 16;
    let (trail, mut audit) = bounded(TRAIL);
    let orders_max = Audited::new(100_u32, trail).by("operator");
    let report = orders_max.stage(|max| if *max < 50 { Level::Off } else { Level::Full });

    orders_max.change(20)?;
    println!("{} orders, report: {:?}", orders_max.get(), report.level());
    if let Some(change) = audit.recv().await {
        println!("{}: {} -> {}", change.author, change.before, change.after);
    }
    drop(audit); // nobody would know
    if let Err(refused) = orders_max.change(0) {
        println!("{refused}");
    }
    // ANCHOR_END: audited

    // ANCHOR: bucket
    let requests = TokenBucket::new(Rate::per_second(10).with_burst(2));
    requests.try_take(2)?; // the burst
    if let Err(Refused::Later(wait)) = requests.try_take(1) {
        println!("the next in {} ms", wait.as_millis());
    }
    requests.take(1).await?; // or wait for it
    requests.change(Rate::per_second(1000))?; // who waits is woken
    // ANCHOR_END: bucket

    // ANCHOR: window
    let logins = SlidingWindow::new(3, Duration::from_secs(60));
    let allowed = (0..10).filter(|_| logins.try_take(1).is_ok()).count();
    println!("{allowed} logins in this minute");
    // ANCHOR_END: window
    Ok(())
}
