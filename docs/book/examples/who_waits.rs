//! Two processes of a network that wait for each other, seen from a third who asks.
//!
//! Time is tokio's paused clock: it moves on only when everybody waits, so the three seconds are over at once.

use std::time::Duration;

use towpath::{
    BoxError, Ctx, Receiver, SendError, Sender, after,
    network::Network,
    observe,
    waitfor::{Options, Report},
};

// ANCHOR: network
/// Rides that wait for the bookkeeper: none, it is always at its desk.
const RIDES: usize = 0;
/// Receipts that wait for the dispatcher: two fit into the tray.
const RECEIPTS: usize = 2;

/// Has each ride booked. Reads its receipts when all rides are booked.
async fn dispatcher(
    _ctx: Ctx,
    (rides, receipts): &mut (Sender<u32>, Receiver<u32>),
) -> Result<(), SendError<u32>> {
    for ride in 1..=8 {
        rides.send(ride).await?;
    }
    while receipts.recv().await.is_some() {}
    Ok(())
}

/// Writes a receipt for each ride.
async fn bookkeeper(
    _ctx: Ctx,
    (rides, receipts): &mut (Receiver<u32>, Sender<u32>),
) -> Result<(), SendError<u32>> {
    while let Some(ride) = rides.recv().await {
        receipts.send(ride).await?;
    }
    Ok(())
}
// ANCHOR_END: network

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    let mut net = Network::new("office");
    let (rides_out, rides) = net.channel("rides", RIDES);
    let (receipts_out, receipts) = net.channel("receipts", RECEIPTS);
    net.process("dispatcher", (rides_out, receipts), dispatcher);
    net.process("bookkeeper", (rides, receipts_out), bookkeeper);
    let running = net.start(&Ctx::root())?;

    // ANCHOR: ask
    after(Duration::from_millis(1)).await; // both have begun, and wait
    observe::snapshot(); // the first look: ages count from here
    after(Duration::from_millis(3200)).await;
    let report: Report = observe::snapshot().analyse(&Options::new());
    print!("{report}");
    // ANCHOR_END: ask

    // Neither of the two looks at its context, so asking them to stop would be in vain; dropping them is not.
    drop(running);
    Ok(())
}
