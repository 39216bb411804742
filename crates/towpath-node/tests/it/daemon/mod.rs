//! A node as a program: started, asked over its sockets and by commands, told to end.

mod api;
mod commands;
mod large;
mod observe;
mod program;
mod security;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, ChildStderr, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// What every wait here ends with: a test that hangs says so.
const PATIENCE: Duration = Duration::from_secs(30);

/// A pipeline that goes on, with an error now and then, and two processes that wait for each other.
pub(super) const NETWORK: &str = "
version: 1
name: shop
settings: {every: 10ms}
channels:
  orders: {type: Order, capacity: 16}
  bad: {capacity: 16}
  there:
  back:
types:
  Order: {type: object}
processes:
  guests: {uses: load, every: \"${every}\", message: {order: \"{n}\"}, out: orders}
  till: {uses: shows, in: orders, on_error: bad}
  bin: {uses: swallow, in: bad}
  here: {uses: wants, in: back, out: there}
  away: {uses: wants, in: there, out: back}
";

/// A running node; killed when it is dropped.
pub(super) struct Daemon {
    child: Child,
    errors: BufReader<ChildStderr>,
    pub(super) folder: TempDir,
    pub(super) url: String,
    pub(super) token: String,
}

impl Daemon {
    /// Runs [`NETWORK`] with these arguments more.
    pub(super) fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("shop.yaml"), NETWORK).unwrap();
        Self::start_in(folder, more)
    }

    pub(super) fn start_in(folder: TempDir, more: &[&str]) -> Self {
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (file, data) = (at("shop.yaml"), at("data"));
        let mut arguments = vec!["run", &file, "--data", &data, "--drain-seconds", "1", "--json"];
        arguments.extend(more);
        let mut child = program::command(&arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let (mut line, mut said) = (String::new(), String::new());
        while !line.starts_with('{') {
            line.clear();
            let bytes = errors.read_line(&mut line).unwrap();
            assert!(bytes > 0, "it ended before it was there, and said: {said}");
            said.push_str(&line);
        }
        let told: Value = serde_json::from_str(&line).unwrap();
        let token = told["url_file"].as_str().map(|path| {
            let url = std::fs::read_to_string(path).unwrap();
            url.trim().split_once("#token=").unwrap().1.to_owned()
        });
        let url = told["url"].as_str().unwrap_or_default().to_owned();
        Self { child, errors, folder, url, token: token.unwrap_or_default() }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(super) fn authority(&self) -> &str {
        self.url.trim_start_matches("http://").trim_end_matches('/')
    }

    /// A command of the real program, about this node.
    pub(super) fn towpath(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
        command.args(arguments).arg("--data").arg(self.data());
        command.output().unwrap()
    }

    /// As [`towpath`](Self::towpath), with `--json`: exit code and what was told.
    pub(super) fn json(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let output = self.towpath(&[arguments, &["--json"]].concat());
        let out = String::from_utf8(output.stdout).unwrap();
        let told = serde_json::from_str(&out).unwrap_or_else(|error| {
            panic!("{arguments:?}: {error}: {out} {}", String::from_utf8_lossy(&output.stderr))
        });
        (output.status.code(), told)
    }

    /// Asks by TCP, with the token.
    pub(super) fn ask(&self, method: &str, path: &str, body: &str) -> Said {
        let bearer = format!("authorization: Bearer {}\r\n", self.token);
        self.ask_as(method, path, &bearer, body)
    }

    /// Asks by TCP, with these lines in the head.
    pub(super) fn ask_as(&self, method: &str, path: &str, head: &str, body: &str) -> Said {
        let stream = TcpStream::connect(self.authority()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = if head.to_lowercase().contains("host:") {
            String::new()
        } else {
            format!("host: {}\r\n", self.authority())
        };
        exchange(stream, method, path, &format!("{host}{head}"), body)
    }

    /// Asks at the socket file.
    pub(super) fn ask_socket(&self, method: &str, path: &str, head: &str, body: &str) -> Said {
        let stream = UnixStream::connect(self.data().join("towpath.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        exchange(stream, method, path, &format!("host: localhost\r\n{head}"), body)
    }

    /// What it has used of the processors until now.
    pub(super) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name, which may have anything in it: the 12th and 13th are ticks, a hundred a second.
        let ticks = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
        Duration::from_millis(10 * ticks.map(|it| it.parse::<u64>().unwrap()).sum::<u64>())
    }

    pub(super) fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Lines of the standard error until one has this in it.
    pub(super) fn errors_until(&mut self, part: &str) -> String {
        let mut all = String::new();
        while !all.contains(part) {
            assert!(self.errors.read_line(&mut all).unwrap() > 0, "no {part:?} in {all}");
        }
        all
    }

    /// Waits for its end: the exit code, and what it said last.
    pub(super) fn ended(&mut self) -> (Option<i32>, String) {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut said = String::new();
        self.errors.read_to_string(&mut said).unwrap();
        (status.code(), said)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Said {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn exchange(
    mut stream: impl std::io::Read + std::io::Write,
    method: &str,
    path: &str,
    head: &str,
    body: &str,
) -> Said {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{head}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    // It may be refused before all of it was sent.
    let _ = stream.write_all(request.as_bytes());
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    let said = String::from_utf8(said).unwrap();
    let (head, body) =
        said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {path}: {said:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Said { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// Until something is so.
pub(super) fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(it) = found() {
            return it;
        }
        assert!(begin.elapsed() < PATIENCE, "{what} never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Events of a stream as they come: name and data.
pub(super) struct Events<R> {
    lines: std::io::Lines<BufReader<R>>,
}

impl Events<UnixStream> {
    pub(super) fn follow(daemon: &Daemon, path: &str) -> Self {
        let mut stream = UnixStream::connect(daemon.data().join("towpath.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .unwrap();
        Self { lines: BufReader::new(stream).lines() }
    }

    /// The next event; nothing at the end.
    pub(super) fn next(&mut self) -> Option<(String, Value)> {
        let mut name = String::new();
        loop {
            let line = self.lines.next()?.ok()?;
            // Chunks have their lengths on lines of their own, which are none of these.
            if let Some(text) = line.strip_prefix("event: ") {
                name = text.to_owned();
            } else if let Some(text) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(text).unwrap()));
            }
        }
    }
}
