//! Load: wrk and h2load where clients ask as fast as they can, and a generator of our own where requests come at a rate whether or
//! not the last ones have been answered.

use std::{
    net::SocketAddr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::histogram::Histogram;

/// Requests that wait for a free connection: a second's worth at any rate that is measured here; beyond, clients have given up.
const BACKLOG_CAPACITY: usize = 100_000;

/// As fast as so many connections can, over HTTP/1.1: requests in all, and a second.
pub(super) fn wrk(
    at: SocketAddr,
    connections: usize,
    lasts: Duration,
) -> Result<(u64, f64), String> {
    let seconds = lasts.as_secs().max(1);
    let out = output(Command::new("wrk").args([
        "-t1",
        &format!("-c{connections}"),
        &format!("-d{seconds}s"),
        &format!("http://{at}/"),
    ]))?;
    let count = word_before(&out, "requests in").ok_or_else(|| format!("wrk said: {out}"))?;
    let failed = out.lines().any(|line| line.contains("Non-2xx"));
    if failed {
        return Err("some answers were no 200".to_owned());
    }
    let rate =
        out.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")?.trim().parse().ok());
    Ok((count, rate.unwrap_or(count as f64 / seconds as f64)))
}

/// The same over HTTP/2, with ten streams at once on each connection.
pub(super) fn h2load(
    at: SocketAddr,
    connections: usize,
    lasts: Duration,
) -> Result<(u64, f64), String> {
    let seconds = lasts.as_secs().max(1);
    let out = output(Command::new("h2load").args([
        &format!("-c{connections}"),
        "-m10",
        &format!("-D{seconds}"),
        &format!("http://{at}/"),
    ]))?;
    // `requests: 1 total, 1 started, 1 done, 1 succeeded, 0 failed, 0 errored, 0 timeout`
    let line = out.lines().find(|line| line.starts_with("requests:")).unwrap_or_default();
    let count = word_before(line, "succeeded").ok_or_else(|| format!("h2load said: {out}"))?;
    if count == 0 {
        return Err("no answer over HTTP/2".to_owned());
    }
    Ok((count, count as f64 / seconds as f64))
}

fn output(command: &mut Command) -> Result<String, String> {
    let out = command
        .output()
        .map_err(|error| format!("{:?} is not installed ({error})", command.get_program()))?;
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// The number before some words.
fn word_before(text: &str, words: &str) -> Option<u64> {
    text.split(words).next()?.split_whitespace().next_back()?.parse().ok()
}

/// What came of requests at a rate.
pub(super) struct Offered {
    /// 200 a second.
    pub(super) good: f64,
    /// From when a request was due to the end of its answer: the client's view.
    pub(super) since_due: Histogram,
    /// From when it was written: the proxy's view.
    pub(super) since_sent: Histogram,
}

/// Offers so many requests a second, over so many connections. They fall due in batches, each millisecond.
pub(super) fn offer(
    at: SocketAddr,
    connections: usize,
    rate: f64,
    lasts: Duration,
) -> Result<Offered, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let (tx, rx) = async_channel::bounded::<Instant>(BACKLOG_CAPACITY);
        let good = Arc::new(AtomicU64::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        for _ in 0..connections {
            let mut socket = TcpStream::connect(at).await.map_err(|error| error.to_string())?;
            drop(socket.set_nodelay(true));
            let (rx, good, over) = (rx.clone(), good.clone(), over.clone());
            clients.push(tokio::spawn(async move {
                let (mut since_due, mut since_sent) = (Histogram::new(), Histogram::new());
                let mut buf = vec![0; 4096];
                while let Ok(due) = rx.recv().await {
                    if over.load(Relaxed) {
                        break;
                    }
                    let sent = Instant::now();
                    match ask(&mut socket, &mut buf).await {
                        Some(true) => {}
                        Some(false) => continue,
                        None => break,
                    }
                    let now = Instant::now();
                    good.fetch_add(1, Relaxed);
                    since_due.add((now - due).as_nanos() as u64);
                    since_sent.add((now - sent).as_nanos() as u64);
                }
                (since_due, since_sent)
            }));
        }
        drop(rx);
        let begun = Instant::now();
        let mut offered = 0_u64;
        while begun.elapsed() < lasts {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let due = (begun.elapsed().as_secs_f64() * rate) as u64;
            let now = Instant::now();
            for _ in offered..due {
                let _ = tx.try_send(now);
            }
            offered = due;
        }
        let count = good.load(Relaxed);
        let seconds = begun.elapsed().as_secs_f64();
        over.store(true, Relaxed);
        tx.close();
        let mut all = Offered {
            good: count as f64 / seconds,
            since_due: Histogram::new(),
            since_sent: Histogram::new(),
        };
        for client in clients {
            let patience = Duration::from_secs(5);
            if let Ok(Ok((since_due, since_sent))) = tokio::time::timeout(patience, client).await {
                all.since_due.merge(&since_due);
                all.since_sent.merge(&since_sent);
            }
        }
        Ok(all)
    })
}

/// One request. `None`: the connection has ended; `false`: the answer is no 200.
async fn ask(socket: &mut TcpStream, buf: &mut [u8]) -> Option<bool> {
    socket.write_all(b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n").await.ok()?;
    let mut filled = 0;
    loop {
        let count = socket.read(&mut buf[filled..]).await.ok().filter(|&it| it > 0)?;
        filled += count;
        let text = &buf[..filled];
        let Some(end) = text.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
        let head = str::from_utf8(&text[..end]).ok()?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        if filled >= end + 4 + length? {
            return Some(head.starts_with("HTTP/1.1 200"));
        }
    }
}

/// Opens connections, asks once on each, and holds them while `look` is called. Gives how many there were.
pub(super) fn hold(
    at: SocketAddr,
    connections: usize,
    rest: Duration,
    look: impl FnOnce(),
) -> Result<usize, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut held = Vec::new();
        let mut buf = vec![0; 4096];
        for _ in 0..connections {
            let Ok(mut socket) = TcpStream::connect(at).await else { break };
            let asked =
                tokio::time::timeout(Duration::from_secs(5), ask(&mut socket, &mut buf)).await;
            if !matches!(asked, Ok(Some(true))) {
                break;
            }
            held.push(socket);
        }
        tokio::time::sleep(rest).await;
        look();
        Ok(held.len())
    })
}
