//! What the chapter on select shows.

use std::time::Duration;

use towpath::{BoxError, Receiver, SelectSet, after, bounded, rendezvous, select};

/// Messages that wait: enough for each of these few lines.
const PLACES: usize = 4;

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    // ANCHOR: mixed
    let (reports, mut desk) = bounded(PLACES);
    let (_orders_out, mut orders) = bounded::<&str>(PLACES);
    select! {
        order = orders.recv() => println!("an order: {order:?}"),
        sent  = reports.send("all is well") => println!("reported: {:?}", sent.is_ok()),
        _     = after(Duration::from_secs(1)) => println!("nothing to do"),
    }
    println!("the desk has {:?}", desk.recv().await);
    // ANCHOR_END: mixed

    // ANCHOR: kept
    let (tx, _rx) = rendezvous();
    let mut report = Some("the lock leaks");
    select! {
        sent = tx.send_from(&mut report) => sent?,
        _    = after(Duration::from_secs(1)) => {} // nobody came
    }
    println!("still in hand: {report:?}");
    // ANCHOR_END: kept

    // ANCHOR: disabled
    let mut holidays: Option<Receiver<&str>> = None; // never ready, as a nil channel in Go
    let open = false;
    select! {
        day  = holidays.recv() => println!("a day off: {day:?}"),
        slot = reports.reserve(), if open => slot?.send("open"), // a guard: not even evaluated
        default => println!("nothing is ready"),                 // so it does not wait
    }
    // ANCHOR_END: disabled

    // ANCHOR: biased
    let (stop, mut stops) = bounded(PLACES);
    let (job, mut jobs) = bounded(PLACES);
    job.send("dig").await?;
    stop.send("it rains").await?;
    select! { biased;
        why = stops.recv() => println!("stopped: {}", why.unwrap_or_default()),
        job = jobs.recv() => println!("job: {}", job.unwrap_or_default()),
    }
    // ANCHOR_END: biased

    // ANCHOR: set
    let mut boats = SelectSet::new();
    for number in 0..1000 {
        let (boat, loads) = bounded(PLACES);
        if number % 250 == 7 {
            boat.send(number).await?;
        }
        boats.recv(loads); // registered once, for all the calls below
    }
    let (mut loads, mut ended) = (Vec::new(), 0);
    while !boats.is_empty() {
        match boats.next().await {
            (_, Some(load)) => loads.push(load),
            (_, None) => ended += 1, // this boat has left the set
        }
    }
    loads.sort_unstable();
    println!("{loads:?}, {ended} boats are done");
    // ANCHOR_END: set
    Ok(())
}
