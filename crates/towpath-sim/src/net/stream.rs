//! Streams of bytes: connecting, accepting, reading, writing.

use std::{fmt, io, sync::Arc, time::Duration};

use towpath::sync::Notify;

use super::{
    Host,
    addr::Addr,
    conn::{errno, errno as numbers},
    state::Syn,
    wait,
};

/// Where connections arrive; made by [`Host::listen`]. Dropped, it resets those that nobody has accepted.
pub struct Listener {
    host: Host,
    addr: Addr,
    changed: Arc<Notify>,
}

impl Listener {
    pub(super) fn new(host: Host, port: u16, changed: Arc<Notify>) -> Self {
        let addr = Addr::new(host.name.clone(), port);
        Self { host, addr, changed }
    }

    /// Where it can be reached.
    pub fn addr(&self) -> &Addr {
        &self.addr
    }

    /// The next connection.
    ///
    /// # Errors
    /// `Crashed`.
    ///
    /// # Cancel safety
    /// Dropped before completion, no connection was accepted.
    pub async fn accept(&self) -> io::Result<Stream> {
        loop {
            let told = self.changed.notified();
            let Host { name, generation, .. } = &self.host;
            let port = self.addr.port();
            if let Some(id) = self.host.act(|state, _, _| state.accept(name, *generation, port))? {
                // The other side may be gone already; the stream will say so.
                return Stream::new(&self.host, id, 1);
            }
            wait(told, None).await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let Host { name, .. } = &self.host;
        let port = self.addr.port();
        let close = self.host.act(|state, now, wakes| {
            state.close_listener(name, port, now, wakes);
            Ok(())
        });
        close.ok();
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.addr).finish()
    }
}

pub(super) async fn connect(host: &Host, to: &str) -> io::Result<Stream> {
    let to = Addr::parse(to)?;
    let (from, timeout, mut retry) = host.act(|state, _, _| {
        if !state.hosts.contains_key(&to.host) {
            return Err(errno(numbers::EHOSTUNREACH));
        }
        let port = state.alive(&host.name, host.generation)?.client_port()?;
        let faults = &state.world.faults;
        Ok((Addr::new(host.name.clone(), port), faults.timeout, faults.retry))
    })?;
    let give_up = towpath::rt::now() + timeout;
    loop {
        let travel = || host.act(|state, now, _| Ok(state.world.travel(now).latency()));
        pause(travel()?).await;
        match host.act(|state, _, wakes| Ok(state.syn(&from, &to, wakes)))? {
            Syn::Refused => {
                pause(travel()?).await;
                return Err(errno(numbers::ECONNREFUSED));
            }
            Syn::Accepted(id) => {
                // Dropped from here on, it is closed like any other.
                let stream = Stream::new(host, id, 0)?;
                pause(travel()?).await;
                if host.act(|state, now, wakes| Ok(state.established(id, now, wakes)))? {
                    return Ok(stream);
                }
            }
            Syn::Lost => {}
        }
        let left = give_up.saturating_duration_since(towpath::rt::now());
        pause(retry.min(left)).await;
        if retry >= left {
            return Err(errno(numbers::ETIMEDOUT));
        }
        retry *= 2;
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        towpath::rt::sleep(duration).await;
    }
}

/// A connection: bytes in both directions, in order, each once, until one side ends or an error says that some are
/// missing. Made by [`Host::connect`] and [`Listener::accept`]; dropped, it is closed.
///
/// As with TCP, a write that succeeded says nothing about the other side: the bytes may never arrive. A write takes bytes
/// while fewer than 64 KiB are on the way or unread.
///
/// # Errors
/// - `ECONNRESET`: the other host has forgotten the connection, or chance broke it.
/// - `ETIMEDOUT`: what was written has not been acknowledged for [`Faults::timeout`](super::Faults::timeout). It may
///   have arrived. Who only reads is never told that the other side is gone.
/// - `EPIPE`: a write after [`shutdown`](Self::shutdown).
/// - `Crashed`: this side's host has crashed.
#[derive(Debug)]
pub struct Stream {
    reader: ReadHalf,
    writer: WriteHalf,
}

impl Stream {
    fn new(host: &Host, id: u64, side: usize) -> io::Result<Self> {
        let end = host.act(|state, _, _| {
            // Forgotten on the way from the listener: the host has crashed.
            let sides = &state.conns.get(&id).ok_or(crate::disk::Crashed)?.sides;
            Ok(End {
                host: host.clone(),
                id,
                side,
                addr: sides[side].addr.clone(),
                peer: sides[1 - side].addr.clone(),
                changed: sides[side].changed.clone(),
            })
        })?;
        let end = Arc::new(end);
        Ok(Self { reader: ReadHalf { end: end.clone() }, writer: WriteHalf { end } })
    }

    /// This side's address.
    pub fn addr(&self) -> &Addr {
        &self.reader.end.addr
    }

    /// The other side's address.
    pub fn peer_addr(&self) -> &Addr {
        &self.reader.end.peer
    }

    /// See [`ReadHalf::read`].
    ///
    /// # Errors
    /// See [`Stream`].
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf).await
    }

    /// See [`ReadHalf::read_exact`].
    ///
    /// # Errors
    /// `UnexpectedEof`; see [`Stream`].
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.reader.read_exact(buf).await
    }

    /// See [`WriteHalf::write`].
    ///
    /// # Errors
    /// See [`Stream`].
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes).await
    }

    /// See [`WriteHalf::write_all`].
    ///
    /// # Errors
    /// See [`Stream`].
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    /// See [`WriteHalf::shutdown`].
    ///
    /// # Errors
    /// `Crashed`.
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.writer.shutdown()
    }

    /// The two directions, for two processes. The connection is closed when both are dropped.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        (self.reader, self.writer)
    }
}

/// What both halves of one side know.
struct End {
    host: Host,
    id: u64,
    side: usize,
    addr: Addr,
    peer: Addr,
    changed: Arc<Notify>,
}

impl End {
    fn close(&self, reading: bool, writing: bool) -> io::Result<()> {
        let Self { host, id, side, .. } = self;
        host.act(|state, now, wakes| {
            if let Ok((conn, mut travel)) = state.conn(*id, now, wakes) {
                conn.close(*side, (reading, writing), &mut travel, wakes);
            }
            state.collect(*id);
            Ok(())
        })
    }
}

/// The reading half of a [`Stream`].
pub struct ReadHalf {
    end: Arc<End>,
}

impl ReadHalf {
    /// Reads what has arrived, as much as fits; waits while nothing has. 0: the other side has ended, and everything it
    /// wrote was read (or `buf` is empty).
    ///
    /// # Errors
    /// See [`Stream`].
    ///
    /// # Cancel safety
    /// Dropped before completion, nothing was read.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let End { host, id, side, changed, .. } = &*self.end;
        loop {
            let told = changed.notified();
            let next = host.act(|state, now, wakes| {
                let (conn, travel) = state.conn(*id, now, wakes)?;
                Ok(match conn.read(*side, buf, wakes) {
                    Some(result) => Ok(result?),
                    None => Err(conn.next(*side, now, travel.faults.timeout)),
                })
            })?;
            match next {
                Ok(count) => return Ok(count),
                Err(due) => wait(told, due).await,
            }
        }
    }

    /// Fills `buf`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the other side has ended before; see [`Stream`].
    ///
    /// # Cancel safety
    /// Dropped before completion, some bytes may have been read, and they are lost.
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            match self.read(&mut buf[done..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => done += count,
            }
        }
        Ok(())
    }
}

impl Drop for ReadHalf {
    fn drop(&mut self) {
        self.end.close(true, false).ok();
    }
}

impl fmt::Debug for ReadHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <- {}", self.end.addr, self.end.peer)
    }
}

/// The writing half of a [`Stream`]. Dropped, it says that nothing more comes, as [`shutdown`](Self::shutdown) does.
pub struct WriteHalf {
    end: Arc<End>,
}

impl WriteHalf {
    /// Sends as many bytes as there is room for; waits while there is none.
    ///
    /// # Errors
    /// See [`Stream`].
    ///
    /// # Cancel safety
    /// Dropped before completion, nothing was sent.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let End { host, id, side, changed, .. } = &*self.end;
        loop {
            let told = changed.notified();
            let next = host.act(|state, now, wakes| {
                let (conn, mut travel) = state.conn(*id, now, wakes)?;
                Ok(match conn.write(*side, bytes, &mut travel, wakes) {
                    Some(result) => Ok(result?),
                    None => Err(conn.next(*side, now, travel.faults.timeout)),
                })
            })?;
            match next {
                Ok(count) => return Ok(count),
                Err(due) => wait(told, due).await,
            }
        }
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// See [`Stream`]; some bytes may have been sent.
    ///
    /// # Cancel safety
    /// Dropped before completion, some bytes may have been sent.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            done += self.write(&bytes[done..]).await?;
        }
        Ok(())
    }

    /// Says that nothing more comes. The other side reads what was sent, and then the end.
    ///
    /// # Errors
    /// `Crashed`.
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.end.close(false, true)
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        self.end.close(false, true).ok();
    }
}

impl fmt::Debug for WriteHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.end.addr, self.end.peer)
    }
}
