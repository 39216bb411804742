//! The network: streams lose nothing in silence, cuts hold, and whoever talks to a dead host is told in the end.

mod datagrams;
mod faults;
mod streams;

use std::{future::Future, io, time::Duration};

use towpath::select;
use towpath_sim::net::{Faults, Host, Net, Stream};

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Runs a story under a clock that jumps.
fn virtually<R>(story: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(story)
}

/// What `operation` yields within `duration`.
async fn within<R>(duration: Duration, operation: impl Future<Output = R>) -> Option<R> {
    let operation = std::pin::pin!(operation);
    select! {
        biased;
        result = select::future(operation) => Some(result),
        () = towpath::after(duration) => None,
    }
}

/// Hosts `a` and `b`, and a connection from the one to the other.
async fn pair(faults: Faults, seed: u64) -> (Net, Host, Host, Stream, Stream) {
    let net = Net::seeded(faults, seed);
    let (a, b) = (net.host("a"), net.host("b"));
    let listener = b.listen(80).unwrap();
    let client = a.connect("b:80").await.unwrap();
    let server = listener.accept().await.unwrap();
    (net, a, b, client, server)
}

fn number<R: std::fmt::Debug>(result: io::Result<R>) -> i32 {
    result.unwrap_err().raw_os_error().unwrap_or(0)
}

const EPIPE: i32 = 32;
const EADDRINUSE: i32 = 98;
const ECONNRESET: i32 = 104;
const ETIMEDOUT: i32 = 110;
const ECONNREFUSED: i32 = 111;
const EHOSTUNREACH: i32 = 113;
