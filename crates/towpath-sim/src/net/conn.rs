//! One connection as a value: two sides, and what is on its way from each to the other. No waiting and no locks.
//!
//! What always holds: bytes come out of a pipe in the order in which they went in, none twice, none left out; what is
//! missing at the end is behind an error.
//!
//! Why nobody carries the packets: each knows when it is due, and whoever looks at a connection first moves what is due
//! by now ([`Conn::advance`]). So a network has no processes of its own, and a program that waits for nothing but the
//! network is seen to do so.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use towpath::sync::Notify;

use super::{addr::Addr, faults::Faults};
use crate::chance::{Ask, Kind, Source};

/// Bytes that one direction holds, on the way and not yet read, before its writer waits.
///
/// 64 KiB is what one side of a TCP connection buffers without window scaling.
pub(super) const WINDOW: usize = 64 * 1024;

/// The numbers that Linux gives errors.
pub(super) mod errno {
    pub(in crate::net) const EPIPE: i32 = 32;
    pub(in crate::net) const EMSGSIZE: i32 = 90;
    pub(in crate::net) const EADDRINUSE: i32 = 98;
    pub(in crate::net) const ECONNRESET: i32 = 104;
    pub(in crate::net) const ETIMEDOUT: i32 = 110;
    pub(in crate::net) const ECONNREFUSED: i32 = 111;
    pub(in crate::net) const EHOSTUNREACH: i32 = 113;
}

pub(super) fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

/// Those to be told that something has changed, once no lock is held.
pub(super) type Wakes = Vec<Arc<Notify>>;

/// Who can reach whom.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// From, to.
    pub(super) cuts: BTreeSet<(Arc<str>, Arc<str>)>,
    /// Hosts that have crashed and are not back.
    pub(super) down: BTreeSet<Arc<str>>,
}

impl Paths {
    /// Whether a packet sent now would arrive.
    pub(super) fn open(&self, from: &Arc<str>, to: &Arc<str>) -> bool {
        !self.down.contains(to) && (from == to || !self.cuts.contains(&(from.clone(), to.clone())))
    }
}

/// What decides how packets travel.
pub(super) struct Travel<'a> {
    pub(super) now: Instant,
    pub(super) paths: &'a Paths,
    pub(super) faults: &'a Faults,
    pub(super) source: &'a mut Source,
}

impl Travel<'_> {
    pub(super) fn latency(&mut self) -> Duration {
        let latency = self.faults.latency;
        self.source.between(Kind::Network, latency.shortest, latency.longest)
    }

    fn happens(&mut self, per_mille: u16) -> bool {
        self.source.happens(Kind::Network, per_mille)
    }
}

#[derive(Debug)]
pub(super) struct Conn {
    pub(super) sides: [Side; 2],
}

#[derive(Debug)]
pub(super) struct Side {
    pub(super) addr: Addr,
    pub(super) changed: Arc<Notify>,
    pub(super) reading: bool,
    pub(super) writing: bool,
    /// Its host knows nothing of the connection any more, and answers what arrives with a reset.
    pub(super) gone: bool,
    /// How the connection ended, for whoever asks on this side.
    pub(super) error: Option<i32>,
    /// Bytes have come that its reader did not want.
    unwanted: bool,
    /// What it sends.
    out: Pipe,
}

#[derive(Debug, Default)]
struct Pipe {
    flight: VecDeque<Segment>,
    arrived: VecDeque<u8>,
    /// Bytes in `flight` and `arrived`.
    held: usize,
    /// No more comes after what has arrived.
    ended: bool,
    /// When the last segment is due; none overtakes it.
    last_due: Option<Instant>,
    /// When the wire is free, if its bandwidth is limited.
    free: Option<Instant>,
    /// When something was sent that has arrived and whose receipt the sender has not heard of.
    unheard: Option<Instant>,
}

#[derive(Debug)]
struct Segment {
    sent: Instant,
    due: Instant,
    what: What,
}

#[derive(Debug)]
enum What {
    Data(Vec<u8>),
    /// The writer has finished.
    End,
    /// The connection is not known there.
    Reset,
}

impl Side {
    pub(super) fn new(addr: Addr) -> Self {
        Self {
            addr,
            changed: Arc::default(),
            reading: true,
            writing: true,
            gone: false,
            error: None,
            unwanted: false,
            out: Pipe::default(),
        }
    }

    fn is_closed(&self) -> bool {
        !self.reading && !self.writing
    }

    /// The connection is over for this side, for this reason.
    fn fail(&mut self, error: i32, wakes: &mut Wakes) {
        self.error.get_or_insert(error);
        self.gone = true;
        self.out.forget_flight();
        wakes.push(self.changed.clone());
    }
}

impl Pipe {
    fn push(&mut self, travel: &mut Travel<'_>, what: What) {
        let now = travel.now;
        let bytes = if let What::Data(bytes) = &what { bytes.len() } else { 0 };
        let mut due = now;
        if let Some(bandwidth) = travel.faults.bandwidth {
            let takes = Duration::from_secs_f64(bytes as f64 / bandwidth.max(1) as f64);
            due = self.free.map_or(now, |free| free.max(now)) + takes;
            self.free = Some(due);
        }
        due += travel.latency();
        if travel.happens(travel.faults.drop) {
            due += travel.faults.retry;
        }
        due = self.last_due.map_or(due, |last| last.max(due));
        self.last_due = Some(due);
        self.held += bytes;
        self.flight.push_back(Segment { sent: now, due, what });
    }

    fn forget_flight(&mut self) {
        self.flight.clear();
        self.held = self.arrived.len();
        self.unheard = None;
    }

    /// Since when it has tried to get something across.
    fn trying_since(&self) -> Option<Instant> {
        self.unheard.or(self.flight.front().map(|segment| segment.sent))
    }
}

impl Conn {
    /// Both ends, the one that connected first.
    pub(super) fn new(client: Addr, server: Addr) -> Self {
        Self { sides: [Side::new(client), Side::new(server)] }
    }

    /// Nobody has a handle on it.
    pub(super) fn is_over(&self) -> bool {
        self.sides.iter().all(Side::is_closed)
    }

    /// Moves what is due by now.
    pub(super) fn advance(&mut self, travel: &mut Travel<'_>, wakes: &mut Wakes) {
        for from in [0, 1] {
            self.deliver(from, travel, wakes);
        }
        // The answers to what has just arrived, if they take no time.
        for from in [0, 1] {
            self.deliver(from, travel, wakes);
            self.give_up(from, travel, wakes);
        }
    }

    fn deliver(&mut self, from: usize, travel: &mut Travel<'_>, wakes: &mut Wakes) {
        let [here, there] = self.both(from);
        let there_and_back = [
            travel.paths.open(&here.addr.host, &there.addr.host),
            travel.paths.open(&there.addr.host, &here.addr.host),
        ];
        if there_and_back[1] {
            here.out.unheard = None;
        }
        while there_and_back[0]
            && let Some(segment) = here.out.flight.pop_front_if(|segment| segment.due <= travel.now)
        {
            if matches!(segment.what, What::Reset) {
                if !there.gone {
                    there.fail(errno::ECONNRESET, wakes);
                }
                continue;
            }
            // That the other side will write no more is no news to one that is closed.
            let unheeded = there.is_closed() && !matches!(segment.what, What::End);
            if there.gone || unheeded {
                here.out.forget_flight();
                let answered = there.out.flight.iter().any(|it| matches!(it.what, What::Reset));
                if !answered {
                    there.out.push(travel, What::Reset);
                }
                wakes.push(here.changed.clone());
                return;
            }
            match segment.what {
                What::Data(bytes) if there.reading => here.out.arrived.extend(bytes),
                // Nobody will read it.
                What::Data(bytes) => {
                    here.out.held -= bytes.len();
                    there.unwanted = true;
                }
                What::End | What::Reset => here.out.ended = true,
            }
            if !there_and_back[1] {
                here.out.unheard.get_or_insert(segment.sent);
            }
            wakes.push(there.changed.clone());
            wakes.push(here.changed.clone());
        }
    }

    /// Ends a side that has tried for too long.
    fn give_up(&mut self, side: usize, travel: &Travel<'_>, wakes: &mut Wakes) {
        let side = &mut self.sides[side];
        let since = side.out.trying_since();
        let late = since.is_some_and(|since| travel.now >= since + travel.faults.timeout);
        // What is still on its way is only slow.
        let stuck = side.out.unheard.is_some()
            || side.out.flight.front().is_some_and(|segment| segment.due <= travel.now);
        if late && stuck && !side.gone {
            side.fail(errno::ETIMEDOUT, wakes);
        }
    }

    /// When somebody on this side should look again, if nothing happens before.
    pub(super) fn next(&self, side: usize, now: Instant, timeout: Duration) -> Option<Instant> {
        let due = |pipe: &Pipe| pipe.flight.iter().map(|it| it.due).find(|due| *due > now);
        let [here, there] = [&self.sides[side], &self.sides[1 - side]];
        let late = here.out.trying_since().map(|since| since + timeout).filter(|late| *late > now);
        [due(&here.out), due(&there.out), late].into_iter().flatten().min()
    }

    /// Takes bytes that have arrived at this side. `None`: there are none yet.
    pub(super) fn read(
        &mut self,
        side: usize,
        buf: &mut [u8],
        wakes: &mut Wakes,
    ) -> Option<io::Result<usize>> {
        let [here, there] = self.both(side);
        let pipe = &mut there.out;
        let count = buf.len().min(pipe.arrived.len());
        if count > 0 || buf.is_empty() {
            buf.iter_mut().zip(pipe.arrived.drain(..count)).for_each(|(to, from)| *to = from);
            pipe.held -= count;
            wakes.push(there.changed.clone());
            return Some(Ok(count));
        }
        // An end that came in order stays one, whatever comes later.
        if pipe.ended { Some(Ok(0)) } else { here.error.map(|error| Err(errno(error))) }
    }

    /// Sends bytes from this side, as many as there is room for. `None`: there is no room yet.
    pub(super) fn write(
        &mut self,
        side: usize,
        bytes: &[u8],
        travel: &mut Travel<'_>,
        wakes: &mut Wakes,
    ) -> Option<io::Result<usize>> {
        let [here, there] = self.both(side);
        if let Some(error) = here.error {
            return Some(Err(errno(error)));
        }
        if !here.writing || here.gone {
            return Some(Err(errno(errno::EPIPE)));
        }
        let count = bytes.len().min(WINDOW - here.out.held);
        if count == 0 {
            return bytes.is_empty().then_some(Ok(0));
        }
        if travel.happens(travel.faults.reset) {
            here.out.forget_flight();
            here.out.push(travel, What::Reset);
            here.error = Some(errno::ECONNRESET);
            here.gone = true;
            wakes.push(here.changed.clone());
            wakes.push(there.changed.clone());
            return Some(Err(errno(errno::ECONNRESET)));
        }
        let mut first = count;
        if count > 1 && travel.happens(travel.faults.split) {
            first -= 1 + travel.source.below(Kind::Network, count as u64 - 1) as usize;
        }
        for part in [&bytes[..first], &bytes[first..count]] {
            if !part.is_empty() {
                here.out.push(travel, What::Data(part.to_vec()));
            }
        }
        wakes.push(there.changed.clone());
        Some(Ok(count))
    }

    /// This side writes no more, or reads no more, or neither.
    pub(super) fn close(
        &mut self,
        side: usize,
        (reading, writing): (bool, bool),
        travel: &mut Travel<'_>,
        wakes: &mut Wakes,
    ) {
        let [here, there] = self.both(side);
        let stops_writing = writing && here.writing;
        here.reading &= !reading;
        here.writing &= !writing;
        if !here.reading {
            let unread = std::mem::take(&mut there.out.arrived).len();
            there.out.held -= unread;
            here.unwanted |= unread > 0;
        }
        if here.is_closed() && here.unwanted && !here.gone {
            // As in Linux, what nobody will read breaks the connection.
            here.out.push(travel, What::Reset);
            here.gone = true;
        }
        if stops_writing && !here.gone {
            here.out.push(travel, What::End);
        }
        wakes.push(here.changed.clone());
        wakes.push(there.changed.clone());
    }

    /// This side's host has crashed. The other side is told, or not.
    pub(super) fn crash(
        &mut self,
        side: usize,
        silently: bool,
        travel: &mut Travel<'_>,
        wakes: &mut Wakes,
    ) {
        let [here, there] = self.both(side);
        // What has left goes on; what would have to be sent again does not.
        here.out.flight.retain(|segment| segment.due > travel.now);
        if !silently && !here.gone {
            here.out.push(travel, What::Reset);
        }
        here.forget();
        wakes.push(here.changed.clone());
        wakes.push(there.changed.clone());
    }

    /// A way is open again that was not: what is stuck is sent again.
    pub(super) fn retry(&mut self, travel: &mut Travel<'_>, wakes: &mut Wakes) {
        for from in [0, 1] {
            let [here, there] = self.both(from);
            if !travel.paths.open(&here.addr.host, &there.addr.host) {
                continue;
            }
            let stuck = here.out.flight.front().is_some_and(|it| it.due <= travel.now);
            if stuck {
                // The next try comes by itself, some time within the interval.
                let delay = travel.latency()
                    + travel.source.between(Kind::Network, Duration::ZERO, travel.faults.retry);
                let due = travel.now + delay;
                for segment in &mut here.out.flight {
                    segment.sent = travel.now;
                    segment.due = segment.due.max(due);
                }
                here.out.last_due = here.out.last_due.max(Some(due));
            }
            wakes.push(here.changed.clone());
            wakes.push(there.changed.clone());
        }
    }

    fn both(&mut self, side: usize) -> [&mut Side; 2] {
        let [first, second] = &mut self.sides;
        if side == 0 { [first, second] } else { [second, first] }
    }
}

impl Side {
    /// Its host forgets the connection, and tells nobody.
    pub(super) fn forget(&mut self) {
        self.gone = true;
        self.reading = false;
        self.writing = false;
    }
}
