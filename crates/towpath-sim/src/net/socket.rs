//! Datagrams.

use std::{fmt, io, sync::Arc};

use towpath::sync::Notify;

use super::{Host, addr::Addr, state::Arrival, wait};

/// A place from which datagrams are sent and at which they arrive, as a UDP socket; made by [`Host::bind`].
///
/// A datagram arrives whole or not at all; it may be lost, come twice or late, as the network's
/// [`Faults`](super::Faults) say. Nobody is told.
pub struct Socket {
    host: Host,
    addr: Addr,
    changed: Arc<Notify>,
}

impl Socket {
    pub(super) fn new(host: Host, port: u16, changed: Arc<Notify>) -> Self {
        let addr = Addr::new(host.name.clone(), port);
        Self { host, addr, changed }
    }

    /// Where it can be reached.
    pub fn addr(&self) -> &Addr {
        &self.addr
    }

    /// Sends a datagram. It never waits.
    ///
    /// # Errors
    /// `EHOSTUNREACH` when there is no such host, `EMSGSIZE` above 65,507 bytes, `Crashed`. That nobody listens there is
    /// no error.
    pub fn send_to(&self, bytes: &[u8], to: &str) -> io::Result<()> {
        let to = Addr::parse(to)?;
        self.host.act(|state, now, wakes| state.send(&self.addr, &to, bytes, now, wakes))
    }

    /// The next datagram, and where it came from.
    ///
    /// # Errors
    /// `Crashed`.
    ///
    /// # Cancel safety
    /// Dropped before completion, nothing was received.
    pub async fn recv_from(&self) -> io::Result<(Vec<u8>, Addr)> {
        loop {
            let told = self.changed.notified();
            let Host { name, generation, .. } = &self.host;
            let port = self.addr.port();
            let arrival =
                self.host.act(|state, now, _| state.receive(name, *generation, port, now))?;
            match arrival {
                Arrival::Here(from, bytes) => return Ok((bytes, from)),
                Arrival::Due(due) => wait(told, due).await,
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let Host { name, .. } = &self.host;
        let unbind = self.host.act(|state, _, _| {
            state.unbind(name, self.addr.port());
            Ok(())
        });
        unbind.ok();
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.addr).finish()
    }
}
