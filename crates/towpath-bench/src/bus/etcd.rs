//! etcd by its JSON gateway: a put is a request, a watch an answer that never ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::server::Server;
use super::{Figures, RATE_ETCD, SUBSCRIBERS, Work, at_pace, now};
use crate::histogram::Histogram;

/// The key, as JSON wants it: `car42` in base 64.
const KEY: &str = "Y2FyNDI=";

/// Before a stamp is base 64 it is padded, so that it has no `=` at its end and decodes by pieces of four.
const STAMP_DIGITS: usize = 48;

/// How long a watcher waits for the next event before it says that it was lost.
const SILENCE: Duration = Duration::from_secs(2);

pub(super) fn sample(work: Work, events: u64) -> Result<Figures, String> {
    let server = Server::start("etcd", |port, folder| {
        let url = format!("http://127.0.0.1:{port}");
        let folder = folder.display().to_string();
        [
            ("--data-dir", folder.as_str()),
            ("--listen-client-urls", &url),
            ("--advertise-client-urls", &url),
            ("--listen-peer-urls", "http://127.0.0.1:0"),
        ]
        .map(|(flag, value)| format!("{flag}={value}"))
        .into()
    })?;
    let io = |error: std::io::Error| error.to_string();
    let start = Instant::now();
    let mut stream = server.connect()?;
    let mut answers = BufReader::new(stream.try_clone().map_err(io)?);
    // It elects itself first.
    let begun = Instant::now();
    while !put(&mut stream, &mut answers, 0).map_err(io)? {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err("etcd takes no put".to_owned());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let (ready, readies) = mpsc::channel();
    let watchers: Vec<_> = (0..SUBSCRIBERS)
        .map(|_| {
            let (stream, ready) = (server.connect()?, ready.clone());
            Ok(std::thread::spawn(move || watch(stream, events, start, &ready)))
        })
        .collect::<Result<_, String>>()?;
    for _ in 0..SUBSCRIBERS {
        readies.recv_timeout(Duration::from_secs(5)).map_err(|error| error.to_string())?;
    }
    let mut failed = None;
    let seconds = at_pace(work, RATE_ETCD, events, start, |stamp| {
        failed = put(&mut stream, &mut answers, stamp).err().or(failed.take());
    });
    if let Some(error) = failed {
        return Err(error.to_string());
    }
    let (mut age, mut heard) = (Histogram::new(), 0);
    for watcher in watchers {
        let (ages, its) = watcher.join().map_err(|_| "a watcher has panicked")?.map_err(io)?;
        age.merge(&ages);
        heard += its;
    }
    let lost = SUBSCRIBERS as u64 * events - heard;
    let memory = server.memory();
    Ok(Figures { published: events, heard, lost, seconds, age: age.spread(), memory })
}

fn request(stream: &mut TcpStream, path: &str, body: &str) -> std::io::Result<()> {
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: etcd\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes())
}

/// Puts a stamp; whether etcd took it.
fn put(
    stream: &mut TcpStream,
    answers: &mut BufReader<TcpStream>,
    stamp: u64,
) -> std::io::Result<bool> {
    let value = encode(&format!("{stamp:0width$}", width = STAMP_DIGITS));
    request(stream, "/v3/kv/put", &format!("{{\"key\":\"{KEY}\",\"value\":\"{value}\"}}"))?;
    let (mut line, mut length, mut taken) = (String::new(), 0, false);
    loop {
        line.clear();
        if answers.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let lower = line.to_ascii_lowercase();
        taken |= lower.starts_with("http/1.1 200");
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    answers.read_exact(&mut body)?;
    Ok(taken)
}

fn watch(
    mut stream: TcpStream,
    events: u64,
    start: Instant,
    ready: &mpsc::Sender<()>,
) -> std::io::Result<(Histogram, u64)> {
    let body = format!("{{\"create_request\":{{\"key\":\"{KEY}\"}}}}");
    request(&mut stream, "/v3/watch", &body)?;
    stream.set_read_timeout(Some(SILENCE))?;
    let mut reader = BufReader::new(stream);
    let (mut ages, mut heard, mut line) = (Histogram::new(), 0, String::new());
    while heard < events {
        line.clear();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        if line.contains("\"created\":true") {
            let _ = ready.send(());
        }
        for rest in line.split("\"value\":\"").skip(1) {
            let value = rest.split('"').next().unwrap_or_default();
            ages.add(now(start).saturating_sub(decode(value).parse().unwrap_or(0)));
            heard += 1;
        }
    }
    Ok((ages, heard))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base 64 of a text whose length is a multiple of three.
fn encode(text: &str) -> String {
    let sextets = text.as_bytes().chunks_exact(3).flat_map(|three| {
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift) as usize & 63]))
    });
    sextets.collect()
}

/// The text that `encode` was given.
fn decode(base64: &str) -> String {
    let sextet = |byte: u8| ALPHABET.iter().position(|&it| it == byte).unwrap_or(0) as u32;
    let bytes = base64.as_bytes().chunks_exact(4).flat_map(|four| {
        let bits = four.iter().fold(0, |bits, &byte| bits << 6 | sextet(byte));
        [16, 8, 0].map(|shift| char::from((bits >> shift) as u8))
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_base_64() {
        let text = format!("{:0width$}", 1_234_567_890_123_u64, width = STAMP_DIGITS);
        assert_eq!(decode(&encode(&text)), text);
        assert_eq!(encode("car42!"), "Y2FyNDIh");
    }
}
