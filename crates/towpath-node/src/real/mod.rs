//! The real machine: a runtime and its signals. Nothing else in this crate knows them.

pub(crate) mod http;
pub(crate) mod http_out;

use std::{future::Future, io};

use tokio::signal::unix::{SignalKind, signal};
use towpath::select;

/// Runs a program on a runtime with a thread for each core.
///
/// # Errors
/// The system gives no threads or no files.
pub(crate) fn block_on<T>(program: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(program))
}

/// Somebody wants the program to end: the name of the signal that says so.
pub(crate) struct Ending {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Ending {
    /// From now on these signals do not end the program by themselves. To be called within [`block_on`].
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn new() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> &'static str {
        select! {
            _ = select::future(self.terminate.recv()) => "SIGTERM",
            _ = select::future(self.interrupt.recv()) => "SIGINT",
        }
    }
}
