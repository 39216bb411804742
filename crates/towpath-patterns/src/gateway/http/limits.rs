//! What a server takes from its clients at most: bytes, counts and time.
//!
//! Every input has a limit, and each limit has a default here with the reason for it.

use std::time::Duration;

/// Connections at once: half of the usual 32 Ki files of a service, since each may want one to an upstream.
const CONNECTIONS_MAX: usize = 16 * 1024;
/// Bytes of a request's head: what other servers take (nginx 8 KiB, Apache 8 KiB a line, Go 1 MiB); cookies are below 4 KiB.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Headers of a request: browsers send about 20, chains of proxies add a dozen.
const HEADERS_MAX: usize = 100;
/// Bytes of a request's body: a large form or a photograph; nginx has 1 MiB, which is too small for photographs.
const BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Streams at once of one HTTP/2 connection: a page's resources; RFC 9113 advises no less than 100.
const STREAMS_MAX: u32 = 128;
/// Streams that a client may have given up before they were answered, beyond those that were: a page that is left gives up all of
/// its streams at once.
const RESETS_MAX: u32 = 2 * STREAMS_MAX;

/// What a server takes from its clients at most. The defaults are for a service on the open internet.
///
/// Time is kept in ticks of an eighth of the shortest of `header_time`, `write_time` and `idle_time`, a second at most: a limit is
/// enforced up to two ticks late.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at once. At the limit the server accepts no more, and the kernel's queue holds the next.
    pub connections_max: usize,
    /// Bytes of a request's head; answered with 431 beyond.
    pub header_bytes_max: usize,
    /// Headers of a request; 431 beyond.
    pub headers_max: usize,
    /// Bytes of a request's body; 413 beyond, at once if the length is announced.
    pub body_bytes_max: u64,
    /// From a head's first byte to its end, a TLS handshake likewise; 408 beyond.
    pub header_time: Duration,
    /// From a request's head to the end of its body; 408 beyond.
    pub body_time: Duration,
    /// How long a client may take no byte of an answer that is ready for it.
    pub write_time: Duration,
    /// How long a connection stays open with no request under way.
    pub idle_time: Duration,
    /// How long a request without a deadline of its own may take to be answered, and one with a deadline at most; 504 beyond.
    pub work_time: Duration,
    /// Streams at once of an HTTP/2 connection.
    pub streams_max: u32,
    /// How many streams more than were answered a client may give up before the connection is closed (CVE-2023-44487).
    pub resets_max: u32,
    /// How long requests may go on after the server was told to stop.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            header_bytes_max: HEADER_BYTES_MAX,
            headers_max: HEADERS_MAX,
            body_bytes_max: BODY_BYTES_MAX,
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(60),
            write_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(75),
            work_time: Duration::from_secs(30),
            streams_max: STREAMS_MAX,
            resets_max: RESETS_MAX,
            drain_time: Duration::from_secs(10),
        }
    }
}

/// Shortest tick: below that a connection would do nothing but tick.
const TICK_MIN: Duration = Duration::from_millis(5);
/// Longest tick: after one an idle connection gives its buffers back.
const TICK_MAX: Duration = Duration::from_secs(1);
/// Ticks in the shortest of the limits that are kept in ticks.
const TICKS: u32 = 8;

impl Limits {
    /// How often a connection looks whether it is within its limits.
    pub(super) fn tick(&self) -> Duration {
        let shortest = self.header_time.min(self.write_time).min(self.idle_time);
        (shortest / TICKS).clamp(TICK_MIN, TICK_MAX)
    }

    /// A time in ticks, one more than fits, so that none ends early.
    pub(super) fn ticks(&self, time: Duration) -> u32 {
        let ticks = time.as_nanos() / self.tick().as_nanos() + 1;
        u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}
