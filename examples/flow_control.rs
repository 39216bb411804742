//! A lock on a canal that is told, while boats pass, how many may pass.
//!
//! The lock lets boats through at a rate, from a token bucket. The *office* changes the limits in the middle of the day. Three
//! things happen, in this order and before the change returns: every change stands in the trail that the *clerk* writes
//! down; the next boat is let through, or waits, by the new rate; and the *café* on the quay, a stage that is nice to
//! have, closes when the lock is slow.
//!
//! ```text
//!   office ──change──▶ limits ──trail──▶ clerk: who, when, from what to what
//!                        ├──▶ bucket: boats wait by the new rate, those who wait already too
//!                        └──▶ café: open, or closed
//! ```
//!
//! A clerk who has gone home is noticed: then nothing can be changed, since nobody would know of it.

use std::{sync::Arc, time::Duration};

use towpath::{BoxError, Ctx, Receiver, bounded, rt, scope};
use towpath_patterns::limit::{Audited, Change, Level, Limit, Rate, Stage, TokenBucket};

/// Changes that the clerk may be behind: the office makes two a day.
const TRAIL: usize = 4;

/// What belongs together: both are changed at once, or neither.
#[derive(Clone, Debug)]
struct Day {
    boats_an_hour: u32,
    boats_at_once: u32,
}

impl Day {
    fn rate(&self) -> Rate {
        let hour = Duration::from_secs(3600);
        Rate { tokens: self.boats_an_hour, per: hour, burst: self.boats_at_once }
    }
}

/// Lets ten boats through and says when.
async fn boats(lock: Arc<TokenBucket>) -> Result<(), BoxError> {
    let begun = rt::now();
    for boat in 1..=10 {
        lock.take(1).await?;
        // A timer may ring a moment late.
        let minutes = rt::now().duration_since(begun).as_secs_f64() / 60.0;
        println!("{minutes:3.0} min: boat {boat} passes");
    }
    Ok(())
}

/// Changes the limits twice; the bucket follows.
async fn office(limits: Audited<Day>, lock: Arc<TokenBucket>) -> Result<(), BoxError> {
    let water = limits.by("water office");
    for (wait, day) in [
        (28, Day { boats_an_hour: 2, boats_at_once: 1 }), // low water
        (60, Day { boats_an_hour: 60, boats_at_once: 3 }),
    ] {
        rt::sleep(Duration::from_secs(60 * wait)).await;
        let rate = day.rate();
        let number = water.change_audited(day).await?;
        lock.change(rate)?; // who waits, waits by this from now on
        println!("office: change {number}, {} an hour", water.snapshot().boats_an_hour);
    }
    Ok(())
}

/// Writes every change down.
async fn clerk(mut trail: Receiver<Change<Day>>) -> Result<u64, BoxError> {
    let mut last = 0;
    while let Some(Change { number, author, before, after, .. }) = trail.recv().await {
        println!("clerk: {number}. {author}: {} -> {}", before.boats_an_hour, after.boats_an_hour);
        last = number;
    }
    Ok(last)
}

/// Opens and closes.
async fn cafe(mut stage: Stage<Day>) -> Result<(), BoxError> {
    while let Some(level) = stage.changed().await {
        println!("cafe: {}", if level == Level::Full { "open" } else { "closed" });
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    let written = scope(&Ctx::root(), |s| async move {
        let (trail, changes) = bounded(TRAIL);
        let day = Day { boats_an_hour: 12, boats_at_once: 2 };
        let lock = Arc::new(TokenBucket::new(day.rate()));
        let limits = Audited::new(day, trail);
        let stage = limits.stage(|day| match day.boats_an_hour {
            0..6 => Level::Off,
            _ => Level::Full,
        });
        let boats_lock = lock.clone();
        s.spawn("boats", move |_| boats(boats_lock));
        s.spawn("cafe", move |_| cafe(stage));
        let clerk = s.spawn("clerk", move |_| clerk(changes));
        s.spawn("office", move |_| office(limits, lock));
        Ok(clerk.await?)
    })
    .await?;
    println!("{written} changes, all written down");

    let (trail, changes) = bounded(TRAIL);
    let limits = Audited::new(Day { boats_an_hour: 12, boats_at_once: 2 }, trail);
    drop(changes); // the clerk has gone home
    if let Err(refused) = limits.change(Day { boats_an_hour: 0, boats_at_once: 0 }) {
        println!("{refused}; still {} an hour", limits.get().boats_an_hour);
    }
    Ok(())
}
