//! What the chapter on channels shows.

use std::thread;

use towpath::{BoxError, TryRecvError, TrySendError, bounded, rendezvous};

/// Letters that wait for the boat: what fits into one bag.
const BAG: usize = 2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // ANCHOR: threads
    let (tx, mut rx) = bounded(BAG);
    let writer = thread::spawn(move || {
        for letter in ["a", "b", "c"] {
            tx.send_blocking(letter)?; // waits, on this thread, while the bag is full
        }
        Ok::<(), towpath::SendError<&str>>(())
    }); // the sender is dropped with the closure
    while let Some(letter) = rx.recv().await {
        println!("received {letter}"); // in a task
    }
    println!("and the end");
    // ANCHOR_END: threads
    writer.join().map_err(|_| "the writer has panicked")??;

    // ANCHOR: close
    let (tx, mut rx) = bounded(BAG);
    tx.send("queued").await?;
    drop(tx);
    println!("{:?}, then {:?}", rx.recv().await, rx.recv().await);

    let (tx, rx) = bounded(BAG);
    drop(rx);
    if let Err(error) = tx.send("unwanted").await {
        println!("{error}; `{}` came back", error.into_inner());
    }
    // ANCHOR_END: close

    // ANCHOR: try
    let (tx, mut rx) = bounded(BAG);
    println!("{:?}", rx.try_recv() == Err(TryRecvError::Empty));
    for letter in ["a", "b", "c"] {
        match tx.try_send(letter) {
            Ok(()) => {}
            Err(TrySendError::Full(letter)) => println!("no room for {letter}"),
            Err(TrySendError::Closed(letter)) => println!("nobody wants {letter}"),
        }
    }
    // ANCHOR_END: try

    // ANCHOR: reserve
    // The letter is written only once there is a place for it, and nothing can be lost between the two.
    println!("{:?}", rx.recv().await);
    let place = tx.reserve().await?;
    place.send("written at the last moment");
    let mut bag = Vec::new();
    println!("{} letters: {bag:?}", rx.recv_many(&mut bag, BAG).await);
    // ANCHOR_END: reserve

    // ANCHOR: rendezvous
    let (tx, mut rx) = rendezvous();
    println!("{:?}", tx.try_send("hello").is_err_and(|error| error.is_full())); // nobody waits for it
    let reader = thread::spawn(move || rx.recv_blocking());
    tx.send("hello").await?; // has returned: the reader has it
    println!("{:?}", reader.join().map_err(|_| "the reader has panicked")?);
    // ANCHOR_END: rendezvous
    Ok(())
}
