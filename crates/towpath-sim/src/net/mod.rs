//! A network that delays, drops, doubles, reorders, cuts and forgets.
//!
//! A [`Net`] has hosts, by name. A [`Host`] listens and connects ([`Stream`]s of bytes, as TCP) and binds [`Socket`]s
//! (datagrams, as UDP). What goes wrong is said by [`Faults`], by chance, or by calls: [`Net::partition`],
//! [`Net::crash`]. Errors carry the numbers that Linux gives.
//!
//! ```
//! use std::time::Duration;
//! use towpath_sim::net::{Faults, Net};
//!
//! # async fn story() -> std::io::Result<()> {
//! let net = Net::seeded(Faults { timeout: Duration::from_secs(5), ..Faults::default() }, 7);
//! let (shop, store) = (net.host("shop"), net.host("store"));
//!
//! let listener = store.listen(80)?;
//! let mut client = shop.connect("store:80").await?;
//! let mut server = listener.accept().await?;
//! client.write_all(b"order").await?;
//! let mut order = [0; 5];
//! server.read_exact(&mut order).await?;
//! assert_eq!(&order, b"order");
//!
//! net.partition(&["shop"], &["store"]);
//! client.write_all(b"more").await?; // nobody can know yet
//! let error = client.read(&mut [0; 8]).await.unwrap_err();
//! assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
//! # Ok(()) }
//! # let paused = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
//! # paused.unwrap().block_on(story()).unwrap();
//! ```
//!
//! Every wait is one on a [`Notify`](towpath::sync::Notify) or a timer of Towpath, so it takes virtual time in the
//! simulator, and ends at once when dropped. To wait for one among others, wrap it:
//! `select! { n = select::future(stream.read(&mut buf)) => .. }`.
//!
//! # What holds
//! - A stream's bytes arrive in order, each once; the end is read only after all of them. Where some are missing there is
//!   an error instead.
//! - With no faults and no overflow (4,096 datagrams per socket), a datagram sent to a bound socket arrives once.
//! - Nothing crosses a cut: what arrives after it was there before, or was sent again by a stream when it had healed.

mod addr;
mod conn;
mod faults;
mod socket;
mod state;
mod stream;

pub use crate::disk::Crashed;
pub use addr::Addr;
pub use faults::{Faults, Latency};
pub use socket::Socket;
pub use stream::{Listener, ReadHalf, Stream, WriteHalf};

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use crate::chance::{Ask, Kind, Seeded, Source};
use conn::Wakes;
use state::State;
use towpath::sync::Notified;

/// Connections that wait to be accepted, unless a listener says otherwise.
///
/// 128 is what `std` asks for.
pub const BACKLOG: usize = 128;

/// A network. A clone is the same network.
#[derive(Clone)]
pub struct Net {
    state: Arc<Mutex<State>>,
}

impl Net {
    /// A network without hosts, whose chance is that of the simulation it is used in. Outside of one, only faults that
    /// are certain happen.
    pub fn new(faults: Faults) -> Self {
        Self::with_source(faults, Source::Ambient)
    }

    /// A network with chance of its own: the same seed and the same operations at the same times, the same faults.
    pub fn seeded(faults: Faults, seed: u64) -> Self {
        Self::with_source(faults, Source::Seeded(Seeded::new(seed)))
    }

    fn with_source(faults: Faults, source: Source) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(faults, source))) }
    }

    /// The host of this name, which comes into being at the first call. What is opened on it works until it crashes; after
    /// that, ask for it again.
    pub fn host(&self, name: &str) -> Host {
        let name: Arc<str> = name.into();
        let generation =
            self.act(|state, _, _| state.hosts.entry(name.clone()).or_default().generation);
        Host { net: self.clone(), name, generation }
    }

    /// Cuts all ways between hosts of the one set and hosts of the other, both directions.
    pub fn partition(&self, these: &[&str], those: &[&str]) {
        self.cut(these, those);
        self.cut(those, these);
    }

    /// Cuts the ways from hosts of the one set to hosts of the other. The ways back stay open.
    pub fn cut(&self, from: &[&str], to: &[&str]) {
        self.act(|state, now, wakes| {
            for from in from {
                for to in to {
                    state.cut(&Arc::from(*from), &Arc::from(*to), now, wakes);
                }
            }
        });
    }

    /// Opens all ways. What streams could not get across is sent again within [`Faults::retry`].
    pub fn heal(&self) {
        self.act(State::heal);
    }

    /// A host goes down. What was opened on it is dead; each of its connections is reset or left half-open, as
    /// [`Faults::half_open`] says; nothing reaches it until [`restart`](Self::restart).
    pub fn crash(&self, host: &str) {
        self.act(|state, now, wakes| state.crash(&host.into(), true, now, wakes));
    }

    /// The program on a host is killed. What it had opened is dead, and the machine, which runs on, closes its connections.
    pub fn kill(&self, host: &str) {
        self.act(|state, now, wakes| state.crash(&host.into(), false, now, wakes));
    }

    /// A host that has crashed is back. It answers what belongs to an old connection with a reset.
    pub fn restart(&self, host: &str) {
        self.act(|state, now, wakes| state.restart(&host.into(), now, wakes));
    }

    /// Cuts one of these hosts off from the others, heals, and so on for ever: `calm` says how long all ways are open,
    /// `cut` how long a cut lasts. Chance says whom, and whether what it sends is lost, or what is sent to it, or both.
    ///
    /// # Cancel safety
    /// Dropped during a cut, it leaves it: [`heal`](Self::heal).
    pub async fn unrest(&self, hosts: &[&str], calm: Latency, cut: Latency) {
        loop {
            let (pause, whom) = self.act(|state, _, _| {
                let source = &mut state.world.source;
                let pause = source.between(Kind::Network, calm.shortest, calm.longest);
                (pause, source.below(Kind::Network, 3 * hosts.len() as u64 + 1))
            });
            towpath::rt::sleep(pause).await;
            // 0 is nobody.
            let Some(whom) = (whom as usize).checked_sub(1) else { continue };
            let one = [hosts[whom / 3]];
            let others: Vec<&str> = hosts.iter().copied().filter(|host| *host != one[0]).collect();
            match whom % 3 {
                0 => self.partition(&one, &others),
                1 => self.cut(&one, &others),
                _ => self.cut(&others, &one),
            }
            let pause = self.act(|state, _, _| {
                state.world.source.between(Kind::Network, cut.shortest, cut.longest)
            });
            towpath::rt::sleep(pause).await;
            self.heal();
        }
    }

    /// Changes what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.act(|state, _, _| state.world.faults = faults);
    }

    /// Does something to the state, and tells those whom it concerns.
    ///
    /// Nothing of Towpath is called under the lock: in the simulator that may be a switch to another process, which
    /// would find the lock taken for ever.
    fn act<R>(&self, f: impl FnOnce(&mut State, Instant, &mut Wakes) -> R) -> R {
        let now = towpath::rt::now();
        let mut wakes = Wakes::new();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut state, now, &mut wakes);
        drop(state);
        wakes.iter().for_each(|changed| changed.notify_waiters());
        result
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hosts, connections) = self.act(|state, _, _| {
            (state.hosts.keys().cloned().collect::<Vec<_>>(), state.conns.len())
        });
        f.debug_struct("Net")
            .field("hosts", &hosts)
            .field("connections", &connections)
            .finish_non_exhaustive()
    }
}

/// A host as the program on it sees it, until it crashes; made by [`Net::host`].
#[derive(Clone)]
pub struct Host {
    net: Net,
    name: Arc<str>,
    generation: u64,
}

impl Host {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Listens for connections on a port; for 0, on one that is free.
    ///
    /// # Errors
    /// `EADDRINUSE`, `Crashed`.
    pub fn listen(&self, port: u16) -> io::Result<Listener> {
        self.listen_with(port, BACKLOG)
    }

    /// As [`listen`](Self::listen), with room for so many connections that nobody has accepted yet. Others get no answer
    /// and try again.
    ///
    /// # Errors
    /// As there.
    pub fn listen_with(&self, port: u16, backlog: usize) -> io::Result<Listener> {
        let Self { name, generation, .. } = self;
        let (port, changed) =
            self.act(|state, _, _| state.listen(name, *generation, port, backlog))?;
        Ok(Listener::new(self.clone(), port, changed))
    }

    /// Connects to a listener, by its address (`store:80`).
    ///
    /// # Errors
    /// `ECONNREFUSED`: nobody listens there. `ETIMEDOUT`: no answer for [`Faults::timeout`]; the other side may think it
    /// is connected. `EHOSTUNREACH`: there is no such host. `InvalidInput`: not an address. `Crashed`.
    ///
    /// # Cancel safety
    /// Dropped before completion, the connection is closed, if there was one already.
    pub async fn connect(&self, to: &str) -> io::Result<Stream> {
        stream::connect(self, to).await
    }

    /// Opens a socket for datagrams on a port; for 0, on one that is free.
    ///
    /// # Errors
    /// `EADDRINUSE`, `Crashed`.
    pub fn bind(&self, port: u16) -> io::Result<Socket> {
        let Self { name, generation, .. } = self;
        let (port, changed) = self.act(|state, _, _| state.bind(name, *generation, port))?;
        Ok(Socket::new(self.clone(), port, changed))
    }

    /// As [`Net::act`], while the host has not crashed.
    fn act<R>(
        &self,
        f: impl FnOnce(&mut State, Instant, &mut Wakes) -> io::Result<R>,
    ) -> io::Result<R> {
        self.net.act(|state, now, wakes| {
            state.alive(&self.name, self.generation)?;
            f(state, now, wakes)
        })
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Host").field(&self.name).finish()
    }
}

/// Waits until told, or until it is time to look again.
async fn wait(told: Notified<'_>, until: Option<Instant>) {
    match until {
        None => told.await,
        Some(until) => towpath::select! {
            biased;
            () = told => {}
            () = towpath::at(until) => {}
        },
    }
}
