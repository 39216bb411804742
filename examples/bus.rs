//! Four locks on a canal tell their water levels, and everybody listens to what concerns them.
//!
//! Nobody here holds a list of receivers. A gauge publishes `level.<lock>`, an alarm `alarm.<lock>.<kind>`; who wants to hear
//! it says so with a pattern and says what may be lost:
//!
//! - the *keeper* hears every alarm. Its queue has one place, and it says `Block`: the alarms' publisher waits for it;
//! - the *board* shows levels. It is slow and says `DropOldest`: an old level is worth nothing. What it missed it is told;
//! - a *visitor* comes late and asks for the last values: it knows every level at once.
//!
//! ```text
//!   gauges ──level.*──▶──┬──▶ board    (2 places, DropOldest)
//!                        └──▶ visitor  (last values)
//!   alarms ──alarm.>──▶─────▶ keeper   (1 place, Block)
//! ```
//!
//! The gauges never wait for anybody. All have gone when the last publisher has: then each subscriber hears the end.

use std::time::Duration;

use towpath::{BoxError, Ctx, scope};
use towpath_patterns::bus::{Bus, Heard, Subscriber, WhenFull};

/// Levels that the board may be behind: one screen shows two.
const SCREEN: usize = 2;
/// Alarms that may wait for the keeper, who takes them one by one.
const BELL: usize = 1;

const LOCKS: [&str; 4] = ["north", "east", "south", "west"];

/// Reads the water once an hour and tells everybody, whoever that is.
async fn gauges(bus: Bus<String>) -> Result<(), BoxError> {
    let mut publishers = Vec::new();
    for lock in LOCKS {
        publishers.push(bus.publisher(&format!("level.{lock}"))?.keeping_last());
    }
    drop(bus); // each publisher keeps it open
    for hour in 1..=3 {
        for (publisher, depth) in publishers.iter().zip(200..) {
            let published = publisher.publish(format!("{} cm", depth + 10 * hour));
            if published.lost > 0 {
                println!("gauges: {} cost somebody an older level", publisher.topic());
            }
        }
        towpath::rt::sleep(Duration::from_secs(3600)).await;
    }
    Ok(())
}

/// Alarms must be heard, so this one waits.
async fn alarms(bus: Bus<String>) -> Result<(), BoxError> {
    for (lock, what) in [("north", "tree"), ("west", "boat"), ("west", "cow")] {
        let alarm = bus.publisher(&format!("alarm.{lock}.{what}"))?;
        let published = alarm.publish_all("in the gate".into()).await;
        assert_eq!(published.lost, 0);
    }
    Ok(())
}

/// Takes one alarm an hour, and every one of them.
async fn keeper(mut alarms: Subscriber<String>) -> Result<u32, BoxError> {
    let mut heard = 0;
    while let Some(alarm) = alarms.recv().await {
        let alarm = alarm.message().ok_or("an alarm was lost")?;
        println!("keeper: {} {}", alarm.topic, alarm.value);
        heard += 1;
        towpath::rt::sleep(Duration::from_secs(3600)).await;
    }
    Ok(heard)
}

/// Shows what there is whenever somebody has come to look.
async fn board(mut levels: Subscriber<String>) -> Result<u64, BoxError> {
    loop {
        towpath::rt::sleep(Duration::from_secs(5400)).await;
        let mut screen = Vec::new();
        if levels.recv_many(&mut screen, usize::MAX).await == 0 {
            return Ok(levels.lost());
        }
        for line in screen {
            match line {
                Heard::Message(level) => println!("board: {} {}", level.topic, level.value),
                Heard::Lagged(missed) => println!("board: {missed} levels not shown"),
            }
        }
    }
}

/// Comes when the gauges have spoken once, looks, and goes.
async fn visitor(bus: Bus<String>) -> Result<(), BoxError> {
    towpath::rt::sleep(Duration::from_secs(600)).await;
    let mut levels = bus.subscribe("level.*").with_last().open()?;
    drop(bus); // whoever only listens must not keep the bus open
    for _ in LOCKS {
        let level = levels.recv().await.ok_or("the canal is closed")?;
        let level = level.message().ok_or("a last value is never lost")?;
        println!("visitor: {} {}", level.topic, level.value);
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    let (heard, missed) = scope(&Ctx::root(), |s| async move {
        let bus = Bus::new();
        let bell = bus.subscribe("alarm.>").capacity(BELL).when_full(WhenFull::Block).open()?;
        let screen = bus.subscribe("level.*").capacity(SCREEN).named("board").open()?;
        let keeper = s.spawn("keeper", move |_| keeper(bell));
        let board = s.spawn("board", move |_| board(screen));
        for who in ["gauges", "alarms", "visitor"] {
            let bus = bus.clone();
            s.spawn(who, move |_| async move {
                match who {
                    "gauges" => gauges(bus).await,
                    "alarms" => alarms(bus).await,
                    _ => visitor(bus).await,
                }
            });
        }
        drop(bus);
        Ok((keeper.await?, board.await?))
    })
    .await?;
    println!(
        "the keeper has heard {heard} of 3 alarms, the board has missed {missed} of 12 levels"
    );
    Ok(())
}
