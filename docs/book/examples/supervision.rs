//! What the chapter on supervision shows.

use std::time::Duration;

use towpath::{
    BoxError, Ctx, Receiver, Sender, bounded,
    supervisor::{Backoff, Intensity, OnExit, Strategy, Supervisor},
};

/// Meters that wait to be read: more than the story has.
const METERS: usize = 8;

// ANCHOR: child
/// Reads meters. One of them bites.
async fn reader(
    _ctx: Ctx,
    (meters, readings): &mut (Receiver<u32>, Sender<u32>),
) -> Result<(), BoxError> {
    while let Some(meter) = meters.recv().await {
        if meter == 3 {
            return Err("bitten".into());
        }
        readings.send(meter * 100).await?;
    }
    Ok(())
}
// ANCHOR_END: child

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    // ANCHOR: run
    let (tx, meters) = bounded(METERS);
    let (readings, mut read) = bounded(METERS);
    tx.send_all([1, 2, 3, 4, 5]).await?;
    drop(tx);

    let mut field = Supervisor::new("field", Strategy::OneForOne)
        .with_backoff(Backoff::new(Duration::from_millis(100), Duration::from_secs(10)))
        .with_intensity(Intensity::new(3, Duration::from_secs(60)));
    field.child("reader", OnExit::RestartOnFailure, (meters, readings), reader);
    field.run(&Ctx::root()).await?;

    let mut all = Vec::new();
    read.recv_many(&mut all, METERS).await;
    println!("{all:?}"); // meter 3 is gone with the run that it bit; 4 and 5 had been waiting
    // ANCHOR_END: run
    Ok(())
}
