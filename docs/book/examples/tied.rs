//! What the chapter on tied resources shows.

use std::{fs::File, sync::Arc};

use towpath::{BoxError, TieError, bounded};

/// Frames that wait for the screen.
const FRAMES: usize = 4;

// ANCHOR: thread
/// A thread that is waited for when this goes.
struct Joined(Option<std::thread::JoinHandle<()>>);

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}
// ANCHOR_END: thread

fn main() -> Result<(), BoxError> {
    // ANCHOR: tie
    let dir = tempfile::tempdir()?;
    let path = dir.path().to_owned();
    let file = Arc::new(File::create(path.join("frames"))?);
    let weak = Arc::downgrade(&file);

    let (tx, mut rx) = bounded(FRAMES);
    tx.tie(dir); // until both sides have gone
    tx.tie_while_open(file)?; // until one has
    tx.send_blocking("last frame")?;
    drop(tx); // nobody sends any more

    println!("file open: {}, folder there: {}", weak.upgrade().is_some(), path.exists());
    println!("{:?}", rx.recv_blocking()); // and may speak of the folder
    drop(rx);
    println!("folder there: {}", path.exists());
    // ANCHOR_END: tie

    // ANCHOR: reader
    let (tx, mut rx) = bounded(FRAMES);
    let camera = std::thread::spawn(move || while tx.send_blocking("frame").is_ok() {});
    rx.tie_while_open(Joined(Some(camera)))?;
    println!("{:?}", rx.recv_blocking());
    drop(rx); // the camera sees that nobody looks, and is joined before this returns
    // ANCHOR_END: reader

    // ANCHOR: late
    let (tx, rx) = bounded::<&str>(FRAMES);
    drop(rx);
    if let Err(TieError(camera)) = tx.tie_while_open("a camera") {
        println!("too late for {camera}");
    }
    // ANCHOR_END: late
    Ok(())
}
