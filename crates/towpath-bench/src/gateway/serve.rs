//! The proxies of our own, each in a process.

use std::net::SocketAddr;

use clap::Args;
use towpath::{Ctx, scope};
use towpath_patterns::gateway::{
    http::{Limits, Proxy, ProxyOptions, Server, serve_on_cores},
    upstream::{Health, Upstreams},
};

/// Connections, and requests at the host: more than are ever asked here, as with the others.
const CALLS_MAX: usize = 20_000;

/// How a proxy's process is started.
#[derive(Args, Clone)]
pub(crate) struct Options {
    /// `towpath`, or `towpath-shared` (one runtime for all cores).
    pub(crate) what: String,
    /// Where it listens.
    pub(crate) at: SocketAddr,
    /// The host behind it.
    pub(crate) to: SocketAddr,
    /// Threads.
    pub(crate) cores: usize,
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let Options { what, at, to, cores } = options.clone();
    let hosts = Upstreams::new([to.to_string().into()], Health::default().with_calls(CALLS_MAX));
    let proxy = Proxy::new(hosts, ProxyOptions::default());
    let limits = limits();
    match what.as_str() {
        "towpath" => towpath::block_on(serve_on_cores(&Ctx::root(), at, cores, |_| {
            Server::new(proxy.apart()).with_limits(limits.clone())
        })),
        "towpath-shared" => shared(at, cores, Server::new(proxy).with_limits(limits)),
        _ => return Err(format!("`{what}` is no proxy of this build")),
    }
    .map_err(|error| error.to_string())
}

fn shared(at: SocketAddr, cores: usize, server: Server<Proxy>) -> Result<(), towpath::Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores)
        .enable_all()
        .build()
        .expect("the bench needs its runtime");
    runtime.block_on(scope(&Ctx::root(), |s| async move {
        let listener = towpath_patterns::gateway::http::listen(at, false)?;
        s.spawn("http", move |ctx| async move { server.serve(&ctx, listener).await });
        Ok(())
    }))
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.connections_max = CALLS_MAX;
    limits
}
