//! A network as a value: hosts, who listens where, connections, datagrams on their way. No waiting and no locks.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use towpath::sync::Notify;

use super::{
    addr::Addr,
    conn::{Conn, Paths, Travel, Wakes, errno, errno as numbers},
    faults::{Faults, Latency},
};
use crate::{
    chance::{Ask, Kind, Source},
    disk::Crashed,
};

/// Datagrams that wait at one socket, those on the way included; what comes beyond is dropped, as by a real one.
const INBOX: usize = 4_096;

/// What UDP carries at most.
pub(super) const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Ports that are given to who asks for none, from here on.
const EPHEMERAL: u16 = 49_152;

#[derive(Debug)]
pub(super) struct State {
    pub(super) world: World,
    pub(super) hosts: BTreeMap<Arc<str>, Machine>,
    pub(super) conns: BTreeMap<u64, Conn>,
    next: u64,
}

/// What decides how packets travel.
#[derive(Debug)]
pub(super) struct World {
    pub(super) faults: Faults,
    pub(super) source: Source,
    pub(super) paths: Paths,
}

impl World {
    pub(super) fn travel(&mut self, now: Instant) -> Travel<'_> {
        let Self { faults, source, paths } = self;
        Travel { now, paths, faults, source }
    }
}

/// What runs on a host.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// Counts crashes: what was opened before the last is dead.
    pub(super) generation: u64,
    listeners: BTreeMap<u16, Listening>,
    inboxes: BTreeMap<u16, Inbox>,
    next_port: u16,
}

#[derive(Debug)]
struct Listening {
    waiting: VecDeque<u64>,
    backlog: usize,
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Inbox {
    /// By when they are due, and in what order they were sent.
    packets: BTreeMap<(Instant, u64), (Addr, Vec<u8>)>,
    /// When the last of each sender is due, which the next does not overtake unless it may.
    last_due: BTreeMap<Arc<str>, Instant>,
    changed: Arc<Notify>,
}

/// What became of an attempt to connect.
pub(super) enum Syn {
    Accepted(u64),
    Refused,
    /// Nobody answers.
    Lost,
}

/// What a socket finds when it looks.
pub(super) enum Arrival {
    Here(Addr, Vec<u8>),
    /// Nothing has arrived. When the first that is on its way will have, if one is.
    Due(Option<Instant>),
}

impl State {
    pub(super) fn new(faults: Faults, source: Source) -> Self {
        Self {
            world: World { faults, source, paths: Paths::default() },
            hosts: BTreeMap::new(),
            conns: BTreeMap::new(),
            next: 0,
        }
    }

    /// # Errors
    /// `Crashed`, if it was opened before the host's last crash.
    pub(super) fn alive(&mut self, host: &Arc<str>, generation: u64) -> io::Result<&mut Machine> {
        match self.hosts.get_mut(host) {
            Some(machine) if machine.generation == generation => Ok(machine),
            _ => Err(Crashed.into()),
        }
    }

    /// One connection, with what is due by now in its place.
    pub(super) fn conn(
        &mut self,
        id: u64,
        now: Instant,
        wakes: &mut Wakes,
    ) -> io::Result<(&mut Conn, Travel<'_>)> {
        let conn = self.conns.get_mut(&id).ok_or(Crashed)?;
        let mut travel = self.world.travel(now);
        conn.advance(&mut travel, wakes);
        Ok((conn, travel))
    }

    fn advance_all(&mut self, now: Instant, wakes: &mut Wakes) {
        let mut travel = self.world.travel(now);
        self.conns.values_mut().for_each(|conn| conn.advance(&mut travel, wakes));
    }

    // Streams.

    pub(super) fn listen(
        &mut self,
        host: &Arc<str>,
        generation: u64,
        port: u16,
        backlog: usize,
    ) -> io::Result<(u16, Arc<Notify>)> {
        let machine = self.alive(host, generation)?;
        let port = machine.port(port, |machine, port| machine.listeners.contains_key(&port))?;
        let changed = Arc::<Notify>::default();
        let waiting = VecDeque::new();
        machine.listeners.insert(port, Listening { waiting, backlog, changed: changed.clone() });
        Ok((port, changed))
    }

    pub(super) fn accept(
        &mut self,
        host: &Arc<str>,
        generation: u64,
        port: u16,
    ) -> io::Result<Option<u64>> {
        let machine = self.alive(host, generation)?;
        Ok(machine.listeners.get_mut(&port).and_then(|listening| listening.waiting.pop_front()))
    }

    /// Nobody listens any more; those who wait are reset.
    pub(super) fn close_listener(
        &mut self,
        host: &Arc<str>,
        port: u16,
        now: Instant,
        wakes: &mut Wakes,
    ) {
        let machine = self.hosts.get_mut(host);
        let listening = machine.and_then(|machine| machine.listeners.remove(&port));
        for id in listening.into_iter().flat_map(|listening| listening.waiting) {
            if let Ok((conn, mut travel)) = self.conn(id, now, wakes) {
                conn.crash(1, false, &mut travel, wakes);
            }
            self.collect(id);
        }
    }

    /// The first packet of an attempt to connect arrives, or not.
    pub(super) fn syn(&mut self, from: &Addr, to: &Addr, wakes: &mut Wakes) -> Syn {
        let World { faults, source, paths } = &mut self.world;
        if !paths.open(&from.host, &to.host) || source.happens(Kind::Network, faults.drop) {
            return Syn::Lost;
        }
        let refused = if paths.open(&to.host, &from.host) { Syn::Refused } else { Syn::Lost };
        let machine = self.hosts.get_mut(&to.host);
        let listening = machine.and_then(|machine| machine.listeners.get_mut(&to.port()));
        let Some(listening) = listening else { return refused };
        if source.happens(Kind::Network, faults.refuse) {
            return refused;
        }
        if listening.waiting.len() >= listening.backlog {
            return Syn::Lost;
        }
        self.next += 1;
        self.conns.insert(self.next, Conn::new(from.clone(), to.clone()));
        listening.waiting.push_back(self.next);
        wakes.push(listening.changed.clone());
        Syn::Accepted(self.next)
    }

    /// The answer to an accepted attempt arrives. False: it does not, and this side knows nothing of the connection.
    pub(super) fn established(&mut self, id: u64, now: Instant, wakes: &mut Wakes) -> bool {
        let Ok((conn, travel)) = self.conn(id, now, wakes) else { return false };
        let [client, server] = &mut conn.sides;
        let heard = !client.gone && travel.paths.open(&server.addr.host, &client.addr.host);
        if !heard {
            client.forget();
        }
        self.collect(id);
        heard
    }

    /// Forgets a connection on which nobody has a handle.
    pub(super) fn collect(&mut self, id: u64) {
        if self.conns.get(&id).is_some_and(Conn::is_over) {
            self.conns.remove(&id);
        }
    }

    // Datagrams.

    pub(super) fn bind(
        &mut self,
        host: &Arc<str>,
        generation: u64,
        port: u16,
    ) -> io::Result<(u16, Arc<Notify>)> {
        let machine = self.alive(host, generation)?;
        let port = machine.port(port, |machine, port| machine.inboxes.contains_key(&port))?;
        let inbox = machine.inboxes.entry(port).or_default();
        Ok((port, inbox.changed.clone()))
    }

    pub(super) fn unbind(&mut self, host: &Arc<str>, port: u16) {
        if let Some(machine) = self.hosts.get_mut(host) {
            machine.inboxes.remove(&port);
        }
    }

    pub(super) fn send(
        &mut self,
        from: &Addr,
        to: &Addr,
        bytes: &[u8],
        now: Instant,
        wakes: &mut Wakes,
    ) -> io::Result<()> {
        if bytes.len() > DATAGRAM_BYTES_MAX {
            return Err(errno(numbers::EMSGSIZE));
        }
        let machine = self.hosts.get_mut(&to.host).ok_or_else(|| errno(numbers::EHOSTUNREACH))?;
        let World { faults, source, paths } = &mut self.world;
        if !paths.open(&from.host, &to.host) || source.happens(Kind::Network, faults.drop) {
            return Ok(());
        }
        let Some(inbox) = machine.inboxes.get_mut(&to.port()) else { return Ok(()) };
        let copies = 1 + usize::from(source.happens(Kind::Network, faults.duplicate));
        for _ in 0..copies {
            if inbox.packets.len() >= INBOX {
                break;
            }
            let Latency { shortest, longest } = faults.latency;
            let mut due = now + source.between(Kind::Network, shortest, longest);
            if source.happens(Kind::Network, faults.reorder) {
                // It takes a longer way, and nobody waits for it.
                due += source.between(Kind::Network, Duration::ZERO, longest);
            } else {
                let last = inbox.last_due.entry(from.host.clone()).or_insert(due);
                due = due.max(*last);
                *last = due;
            }
            self.next += 1;
            inbox.packets.insert((due, self.next), (from.clone(), bytes.to_vec()));
        }
        wakes.push(inbox.changed.clone());
        Ok(())
    }

    /// The first datagram that has arrived, or when the next one will.
    pub(super) fn receive(
        &mut self,
        host: &Arc<str>,
        generation: u64,
        port: u16,
        now: Instant,
    ) -> io::Result<Arrival> {
        let machine = self.alive(host, generation)?;
        let Some(inbox) = machine.inboxes.get_mut(&port) else { return Ok(Arrival::Due(None)) };
        Ok(match inbox.packets.first_entry() {
            Some(first) if first.key().0 <= now => {
                let (from, bytes) = first.remove();
                Arrival::Here(from, bytes)
            }
            first => Arrival::Due(first.map(|first| first.key().0)),
        })
    }

    // What happens to all of it.

    /// From now on nothing goes from one to the other, nor does what is on its way and not there yet.
    pub(super) fn cut(&mut self, from: &Arc<str>, to: &Arc<str>, now: Instant, wakes: &mut Wakes) {
        self.advance_all(now, wakes);
        self.world.paths.cuts.insert((from.clone(), to.clone()));
        let inboxes = self.hosts.get_mut(to).into_iter().flat_map(|it| it.inboxes.values_mut());
        for inbox in inboxes {
            inbox.packets.retain(|(due, _), (sender, _)| *due <= now || sender.host != *from);
        }
    }

    /// All ways are open again.
    pub(super) fn heal(&mut self, now: Instant, wakes: &mut Wakes) {
        self.advance_all(now, wakes);
        self.world.paths.cuts.clear();
        self.retry(now, wakes);
    }

    fn retry(&mut self, now: Instant, wakes: &mut Wakes) {
        let mut travel = self.world.travel(now);
        self.conns.values_mut().for_each(|conn| conn.retry(&mut travel, wakes));
    }

    /// A host goes: the whole machine, or only the program on it, whose connections the machine then closes.
    pub(super) fn crash(
        &mut self,
        host: &Arc<str>,
        machine: bool,
        now: Instant,
        wakes: &mut Wakes,
    ) {
        self.advance_all(now, wakes);
        let Some(place) = self.hosts.get_mut(host) else { return };
        place.generation += 1;
        wakes.extend(place.listeners.values().map(|listening| listening.changed.clone()));
        wakes.extend(place.inboxes.values().map(|inbox| inbox.changed.clone()));
        place.listeners.clear();
        place.inboxes.clear();
        for conn in self.conns.values_mut() {
            for side in [0, 1] {
                let it = &conn.sides[side];
                if it.addr.host != *host || (it.gone && !it.reading && !it.writing) {
                    continue;
                }
                let mut travel = self.world.travel(now);
                if machine {
                    let half_open = travel.faults.half_open;
                    let silently = travel.source.happens(Kind::Crash, half_open);
                    conn.crash(side, silently, &mut travel, wakes);
                } else {
                    conn.close(side, (true, true), &mut travel, wakes);
                }
            }
        }
        if machine {
            self.world.paths.down.insert(host.clone());
        }
        self.conns.retain(|_, conn| !conn.is_over());
    }

    /// The machine is back, and knows nothing of what it had.
    pub(super) fn restart(&mut self, host: &Arc<str>, now: Instant, wakes: &mut Wakes) {
        self.advance_all(now, wakes);
        if self.world.paths.down.remove(host) {
            self.retry(now, wakes);
        }
    }
}

impl Machine {
    /// The port that was asked for, or for 0 one that is free.
    fn port(&mut self, port: u16, taken: impl Fn(&Self, u16) -> bool) -> io::Result<u16> {
        if port != 0 {
            let free = !taken(self, port);
            return if free { Ok(port) } else { Err(errno(numbers::EADDRINUSE)) };
        }
        for _ in EPHEMERAL..u16::MAX {
            self.next_port = self.next_port.max(EPHEMERAL - 1).checked_add(1).unwrap_or(EPHEMERAL);
            if !taken(self, self.next_port) {
                return Ok(self.next_port);
            }
        }
        Err(errno(numbers::EADDRINUSE))
    }

    /// A port for one end of a connection.
    pub(super) fn client_port(&mut self) -> io::Result<u16> {
        self.port(0, |machine, port| machine.listeners.contains_key(&port))
    }
}
