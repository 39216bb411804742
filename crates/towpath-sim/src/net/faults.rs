//! What may go wrong in a network, and how often.

use std::time::Duration;

pub use crate::disk::Latency;

/// What may go wrong in a [`Net`](super::Net). The default is a network without faults that takes no time.
///
/// Chances are in parts per thousand: 0 is never, 1,000 is always.
///
/// ```
/// use std::time::Duration;
/// use towpath_sim::net::{Faults, Latency};
///
/// let slow = Faults {
///     latency: Latency::between(Duration::from_millis(20), Duration::from_millis(80)),
///     ..Faults::hostile()
/// };
/// assert!(slow.drop > 0);
/// ```
#[derive(Clone, Debug)]
pub struct Faults {
    /// How long a packet travels, one way.
    pub latency: Latency,
    /// Bytes in a second that one connection carries one way. `None`: no limit.
    pub bandwidth: Option<u64>,
    /// A packet is lost: a datagram for ever; what is in a stream comes later by [`retry`](Self::retry), and what follows
    /// it waits.
    pub drop: u16,
    /// A datagram comes twice.
    pub duplicate: u16,
    /// A datagram may be overtaken by others.
    pub reorder: u16,
    /// A write to a stream arrives in two parts.
    pub split: u16,
    /// A write to a stream breaks the connection: both ends get `ECONNRESET`.
    pub reset: u16,
    /// An attempt to connect is refused though somebody listens.
    pub refuse: u16,
    /// When a host crashes, a connection of its is left half-open: the other end is told nothing. Else it gets
    /// `ECONNRESET`.
    pub half_open: u16,
    /// How long until a lost packet of a stream is sent again; an attempt to connect doubles it each time.
    pub retry: Duration,
    /// How long a stream tries to send something before it ends with `ETIMEDOUT`, and an attempt to connect before it
    /// gives up.
    pub timeout: Duration,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            latency: Latency::default(),
            bandwidth: None,
            drop: 0,
            duplicate: 0,
            reorder: 0,
            split: 0,
            reset: 0,
            refuse: 0,
            half_open: 0,
            // Linux: the first try to connect again comes after a second.
            retry: Duration::from_secs(1),
            timeout: Duration::from_secs(60),
        }
    }
}

impl Faults {
    /// Much of everything: delays up to a tenth of a second, losses, doubles, broken and half-open connections.
    pub fn hostile() -> Self {
        Self {
            latency: Latency::between(Duration::from_millis(1), Duration::from_millis(100)),
            drop: 50,
            duplicate: 50,
            reorder: 200,
            split: 200,
            reset: 5,
            refuse: 20,
            half_open: 500,
            ..Self::default()
        }
    }
}
