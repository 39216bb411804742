//! What the chapter on networks shows.

use std::time::Duration;

use towpath::{BoxError, Ctx, Receiver, SendError, Sender, network::Network};

// ANCHOR: process
/// Barges that wait above the lock: the upper basin holds three.
const BASIN: usize = 3;

async fn lock_keeper(
    _ctx: Ctx,
    (above, below): &mut (Receiver<&'static str>, Sender<&'static str>),
) -> Result<(), SendError<&'static str>> {
    while let Some(barge) = above.recv().await {
        below.send(barge).await?;
    }
    Ok(())
}
// ANCHOR_END: process

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // ANCHOR: declare
    let mut net = Network::new("canal");
    let (arrivals, above) = net.input("above", BASIN);
    let (out_of_lock, below) = net.channel("below", 0);
    let (departures, mut gone) = net.output("gone", BASIN);
    net.process("keeper", (above, out_of_lock), lock_keeper);
    net.process("pilot", (below, departures), lock_keeper);
    // ANCHOR_END: declare

    // ANCHOR: check
    let cycles = net.check()?; // nothing runs yet
    println!("{} processes, {} cycles", net.graph().processes.len(), cycles.len());
    print!("{}", net.graph().to_mermaid());
    // ANCHOR_END: check

    // ANCHOR: run
    let running = net.start(&Ctx::root())?;
    arrivals.send_all(["Swift", "Heron"]).await?;
    running.drain(Duration::from_secs(10)).await?; // closing time: who is inside still gets through
    println!("{:?}, {:?}, {:?}", gone.recv().await, gone.recv().await, gone.recv().await);
    if let Err(error) = arrivals.send("Late Lily").await {
        println!("{} turns back", error.into_inner());
    }
    // ANCHOR_END: run

    // ANCHOR: wrong
    let mut net = Network::new("canal");
    let (_tx, above) = net.input::<&str>("above", BASIN);
    let (_lost, below) = net.channel::<&str>("below", 0);
    net.process("keeper", above, async |_, above| while above.recv().await.is_some() {});
    net.process("keeper", below, async |_, below| while below.recv().await.is_some() {});
    if let Err(error) = net.check() {
        println!("{error}");
    }
    // ANCHOR_END: wrong
    Ok(())
}
