//! A ticker beside a channel: three ticks, then enough.
use std::time::Duration;
use towpath::{BoxError, bounded, select, tick};

/// It is said once.
const ENOUGH: usize = 1;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut ticks = Some(tick(Duration::from_millis(5)));
    let (say, mut enough) = bounded(ENOUGH);

    for n in 1.. {
        select! {
            _ = ticks.as_mut().map(|ticks| ticks.recv()) => {
                println!("tick {n}");
                if n == 3 {
                    ticks = None; // there is no stopped ticker to wait for by mistake
                    say.send(true).await?;
                }
            },
            _ = enough.recv() => {
                println!("enough");
                break;
            },
        }
    }
    Ok(())
}
