//! NATS by its own protocol: lines of text, payloads by length.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::server::Server;
use super::{Figures, RATE, SUBSCRIBERS, Work, at_pace, now};
use crate::histogram::Histogram;

/// A subscriber that hears nothing for so long has heard all that will come.
const SILENCE: Duration = Duration::from_millis(500);

/// As large as ours.
const PAYLOAD_BYTES: usize = 64;

pub(super) fn sample(work: Work, events: u64) -> Result<Figures, String> {
    let server = Server::start("nats-server", |port, _| {
        ["-a", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned).into()
    })?;
    let start = Instant::now();
    let (ready, readies) = mpsc::channel();
    let listeners: Vec<_> = (0..SUBSCRIBERS)
        .map(|_| {
            let (stream, ready) = (server.connect()?, ready.clone());
            Ok(std::thread::spawn(move || listen(stream, events, start, &ready)))
        })
        .collect::<Result<_, String>>()?;
    for _ in 0..SUBSCRIBERS {
        readies.recv_timeout(Duration::from_secs(5)).map_err(|error| error.to_string())?;
    }
    let mut stream = server.connect()?;
    greet(&mut stream).map_err(|error| error.to_string())?;
    let mut line = Vec::new();
    let mut failed = None;
    let seconds = at_pace(work, RATE, events, start, |stamp| {
        let collects = work == Work::Ceiling && line.len() < 32 * 1024;
        write!(
            line,
            "PUB cars.42.position {PAYLOAD_BYTES}\r\n{stamp:0width$}\r\n",
            width = PAYLOAD_BYTES
        )
        .expect("memory takes it");
        // At full speed a client sends many at once, as real ones do.
        if !collects {
            failed = stream.write_all(&line).err().or(failed.take());
            line.clear();
        }
    });
    stream.write_all(&line).map_err(|error| error.to_string())?;
    if let Some(error) = failed {
        return Err(error.to_string());
    }
    let mut age = Histogram::new();
    let mut heard = 0;
    let mut last = 0.0_f64;
    for listener in listeners {
        let (ages, its, until) = listener
            .join()
            .map_err(|_| "a subscriber has panicked")?
            .map_err(|it| it.to_string())?;
        age.merge(&ages);
        heard += its;
        last = last.max(until);
    }
    let lost = SUBSCRIBERS as u64 * events - heard;
    // What the server has taken in is not yet published: at full speed the time goes on until the last was heard.
    let seconds = if work == Work::Ceiling { seconds.max(last) } else { seconds };
    let memory = server.memory();
    Ok(Figures { published: events, heard, lost, seconds, age: age.spread(), memory })
}

fn greet(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut info = String::new();
    BufReader::with_capacity(1, &mut *stream).read_line(&mut info)?;
    stream.write_all(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n")
}

/// Ages, how many, and the seconds from the first to the last.
fn listen(
    mut stream: TcpStream,
    events: u64,
    start: Instant,
    ready: &mpsc::Sender<()>,
) -> std::io::Result<(Histogram, u64, f64)> {
    greet(&mut stream)?;
    stream.write_all(b"SUB cars.*.position 1\r\nPING\r\n")?;
    let mut reader = BufReader::with_capacity(64 * 1024, stream);
    let mut line = String::new();
    while line.trim() != "PONG" {
        line.clear();
        reader.read_line(&mut line)?;
    }
    let _ = ready.send(());
    let (mut ages, mut heard) = (Histogram::new(), 0);
    let (mut first, mut last) = (None, start);
    let mut payload = [0; PAYLOAD_BYTES + 2];
    while heard < events {
        if heard == 1 {
            // Before the first it is the publisher that is not there yet.
            reader.get_ref().set_read_timeout(Some(SILENCE))?;
        }
        line.clear();
        match reader.read_line(&mut line) {
            Ok(0) => break, // cut off as a slow consumer
            Ok(_) if line.starts_with("MSG") => {
                reader.read_exact(&mut payload)?;
                let digits = std::str::from_utf8(&payload[..PAYLOAD_BYTES]).unwrap_or("0");
                ages.add(now(start).saturating_sub(digits.parse().unwrap_or(0)));
                heard += 1;
                last = Instant::now();
                first.get_or_insert(last);
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    let seconds = first.map_or(0.0, |first| (last - first).as_secs_f64());
    Ok((ages, heard, seconds))
}
