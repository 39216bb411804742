//! Proxies and their backend, each in processes of its own: how they are started, and what they have used.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// What answers behind all proxies: 128 bytes.
const PAGE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// How long a process may take until it answers.
const START_TIME: Duration = Duration::from_secs(5);

/// A process that is measured, or that the others need.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) at: SocketAddr,
    /// Speaks HTTP/2 without TLS at the same address.
    pub(super) h2: bool,
    child: Child,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // nginx' master takes its workers along on SIGTERM alone.
        let pid = self.child.id().to_string();
        drop(Command::new("kill").arg(&pid).status());
        std::thread::sleep(Duration::from_millis(100));
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A peer, or why there is none.
pub(super) type Started = Result<Peer, String>;

/// An address that is free now.
fn free() -> Result<SocketAddr, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
}

fn start(name: &'static str, at: SocketAddr, h2: bool, command: &mut Command) -> Started {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("not installed, or cannot be started ({error})"))?;
    let mut peer = Peer { name, at, h2, child };
    let begun = Instant::now();
    while TcpStream::connect(at).is_err() {
        if let Ok(Some(status)) = peer.child.try_wait() {
            return Err(format!("ended at once ({status})"));
        }
        if begun.elapsed() > START_TIME {
            return Err("does not listen".to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(peer)
}

/// nginx with one worker that answers from memory.
pub(super) fn backend(dir: &Path) -> Started {
    let at = free()?;
    let conf = format!(
        "worker_processes 1; {}\nhttp {{ access_log off; keepalive_requests 1000000000; server {{ listen {at} backlog=4096; location / {{ return 200 \"{PAGE}\"; }} }} }}\n",
        nginx_head(dir, "backend"),
    );
    nginx("backend", dir, at, false, &conf)
}

fn nginx_head(dir: &Path, name: &str) -> String {
    let dir = dir.display();
    format!(
        "daemon off; pid {dir}/{name}.pid; error_log {dir}/{name}.log crit;\nevents {{ worker_connections 16384; }}"
    )
}

fn nginx(name: &'static str, dir: &Path, at: SocketAddr, h2: bool, conf: &str) -> Started {
    let path = dir.join(format!("{name}.conf"));
    fs::write(&path, conf).map_err(|error| error.to_string())?;
    start(name, at, h2, Command::new("nginx").arg("-p").arg(dir).arg("-c").arg(&path))
}

/// All proxies in front of a backend, on so many cores. `h2`: those that need to be told speak HTTP/2 alone.
pub(super) fn all(
    dir: &Path,
    to: SocketAddr,
    cores: usize,
    pingora: Option<&Path>,
    h2: bool,
) -> Vec<(&'static str, Started)> {
    let at_work = |what, h2, program: &Path, first: &[&str]| {
        let at = free()?;
        let arguments = [at.to_string(), to.to_string(), cores.to_string()];
        start(what, at, h2, Command::new(program).args(first).args(arguments))
    };
    let ours = |what| {
        let exe = std::env::current_exe().map_err(|error| error.to_string())?;
        at_work(what, true, &exe, &["gateway-serve", what])
    };
    let pingora = match pingora {
        Some(program) => at_work("pingora", false, program, &[]),
        None => Err("not asked for: `--pingora`, which needs cmake".to_owned()),
    };
    vec![
        ("towpath", ours("towpath")),
        ("towpath-shared", ours("towpath-shared")),
        ("nginx", nginx_proxy(dir, to, cores, h2)),
        ("haproxy", haproxy(dir, to, cores, h2)),
        ("pingora", pingora),
    ]
}

fn nginx_proxy(dir: &Path, to: SocketAddr, cores: usize, h2: bool) -> Started {
    let at = free()?;
    let http2 = if h2 { "http2" } else { "" };
    let conf = format!(
        "worker_processes {cores}; {}\nhttp {{ access_log off; keepalive_requests 1000000000; http2_max_requests 1000000000; keepalive_timeout 75s;\n\
         upstream host {{ server {to}; keepalive 256; keepalive_requests 1000000000; }}\n\
         server {{ listen {at} {http2} backlog=4096 reuseport; location / {{ proxy_pass http://host; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; }} }} }}\n",
        nginx_head(dir, "nginx"),
    )
    .replace("http2_max_requests 1000000000; ", "");
    nginx("nginx", dir, at, h2, &conf)
}

fn haproxy(dir: &Path, to: SocketAddr, cores: usize, h2: bool) -> Started {
    let at = free()?;
    let proto = if h2 { "proto h2" } else { "" };
    // Two files for each connection; at the usual limit of 20,000 it takes no more.
    let conf = format!(
        "global\n maxconn 9900\n nbthread {cores}\ndefaults\n mode http\n timeout client 75s\n timeout server 60s\n timeout connect 2s\n \
         option forwardfor\n http-reuse always\nfrontend f\n bind {at} {proto}\n default_backend b\nbackend b\n server s {to}\n"
    );
    let path = dir.join("haproxy.cfg");
    fs::write(&path, conf).map_err(|error| error.to_string())?;
    start("haproxy", at, h2, Command::new("haproxy").arg("-f").arg(&path))
}

impl Peer {
    /// It and its workers.
    fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.child.id()];
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        pids.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        pids
    }

    /// Processor time that it has used, in microseconds.
    pub(super) fn cpu_us(&self) -> u64 {
        let ticks = |pid: u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            let field = |n: usize| {
                after_name
                    .split_whitespace()
                    .nth(n)
                    .and_then(|it| it.parse::<u64>().ok())
                    .unwrap_or(0)
            };
            field(11) + field(12)
        };
        // A tick is a hundredth of a second on every Linux that this runs on.
        self.pids().into_iter().map(ticks).sum::<u64>() * 10_000
    }

    /// Memory that it has for itself, in bytes.
    pub(super) fn memory(&self) -> u64 {
        let of = |pid: u32| {
            let rollup =
                fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let kib = |name: &str| {
                let line = rollup.lines().find(|line| line.starts_with(name));
                line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
                    .unwrap_or(0)
            };
            kib("Private_Dirty:") + kib("Private_Clean:")
        };
        self.pids().into_iter().map(of).sum::<u64>() * 1024
    }
}
