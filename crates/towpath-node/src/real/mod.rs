//! The real machine: a runtime, its signals and sockets, and what the system gives. Nothing else in this crate knows them.

pub(crate) mod client;
pub(crate) mod door;
pub(crate) mod http;
pub(crate) mod http_out;
pub(crate) mod tls;

use std::{
    fs,
    future::Future,
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};
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

/// What somebody wants of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// To end: the name of the signal that says so.
    End(&'static str),
    /// To tell who waits where (SIGQUIT).
    Dump,
    /// To read its file again (SIGHUP).
    Reload,
}

/// The signals of the program.
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    /// From now on these signals do not end the program by themselves. To be called within [`block_on`].
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Signal {
        select! {
            _ = select::future(self.terminate.recv()) => Signal::End("SIGTERM"),
            _ = select::future(self.interrupt.recv()) => Signal::End("SIGINT"),
            _ = select::future(self.quit.recv()) => Signal::Dump,
            _ = select::future(self.hangup.recv()) => Signal::Reload,
        }
    }
}

/// A directory that nobody else of us works in for as long as this lives. The system gives it back when the program ends, however it does.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: fs::File,
}

/// Takes a directory, which is made if it is not there.
///
/// # Errors
/// Somebody has it: `WouldBlock`, and his process number in the words. Or the system's.
pub(crate) fn lock(directory: &Path) -> io::Result<Lock> {
    fs::create_dir_all(directory)?;
    let path = directory.join("towpath.lock");
    let mut file =
        fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        let error = io::Error::from(error);
        if error.kind() != io::ErrorKind::WouldBlock {
            return Err(error);
        }
        let mut who = String::new();
        // For the words alone.
        let _ = file.read_to_string(&mut who);
        let told = format!(
            "another node works in {} (process {}): stop it, or give this one another --data",
            directory.display(),
            if who.trim().is_empty() { "?" } else { who.trim() },
        );
        return Err(io::Error::new(io::ErrorKind::WouldBlock, told));
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Lock { _file: file })
}

/// Bytes of a token that is made here: nobody guesses 256 bits.
const TOKEN_BYTES: usize = 32;

/// A token that nobody can guess.
///
/// # Errors
/// The system has no chance to give.
pub(crate) fn token() -> io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    let mut rest = &mut bytes[..];
    while !rest.is_empty() {
        let got = rustix::rand::getrandom(&mut *rest, rustix::rand::GetRandomFlags::empty())?;
        rest = &mut rest[got..];
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
