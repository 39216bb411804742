//! A load by HTTP for `towpath bench`: connections that ask and wait for their answers, in a thread of its own.
//!
//! What always holds: the time of a message begins when it was due by the load's pace, also if no connection was free then; so a network
//! that is slow is not spared by it.
//!
//! Why written out and not a client's library: what the load takes of the machine is taken from what is measured.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Bytes of an answer at most: what an intake says of as many messages as it takes at once.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How long it may take until somebody listens.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries to connect.
const AGAIN: Duration = Duration::from_millis(10);

/// Moments, each in microseconds since the start, by the number of the message; 0: not yet.
#[derive(Debug)]
pub(crate) struct Marks(Box<[AtomicU32]>);

impl Marks {
    pub(crate) fn new(count: usize) -> Self {
        Self((0..count).map(|_| AtomicU32::new(0)).collect())
    }

    /// The first moment counts. True: this is it.
    pub(crate) fn mark(&self, number: usize, since: Duration) -> bool {
        let micros = u32::try_from(since.as_micros()).unwrap_or(u32::MAX).max(1);
        self.0[number].compare_exchange(0, micros, Relaxed, Relaxed).is_ok()
    }

    pub(crate) fn at(&self, number: usize) -> Option<u32> {
        Some(self.0[number].load(Relaxed)).filter(|micros| *micros > 0)
    }
}

/// What is sent, and how.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) token: Option<String>,
    /// Each as JSON.
    pub(crate) messages: Vec<Box<str>>,
    pub(crate) connections: usize,
    /// Messages in a request.
    pub(crate) batch: usize,
    /// Messages a second; none: as fast as they are answered.
    pub(crate) rate: Option<f64>,
    pub(crate) start: Instant,
    pub(crate) next: AtomicU32,
    pub(crate) sent: Marks,
    pub(crate) answered: Marks,
    /// Messages that were not taken.
    pub(crate) refused: AtomicU32,
}

/// Sends everything; the thread's own time on a processor comes back.
///
/// # Errors
/// Nobody answers, or not as HTTP.
pub(crate) fn start(load: Arc<Load>) -> thread::JoinHandle<io::Result<Duration>> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut all = tokio::task::JoinSet::new();
            for _ in 0..load.connections {
                let load = load.clone();
                all.spawn(async move { connection(&load).await });
            }
            while let Some(done) = all.join_next().await {
                done.map_err(io::Error::other)??;
            }
            Ok::<_, io::Error>(())
        })?;
        Ok(cpu(ClockId::ThreadCPUTime))
    })
}

/// The time that this process has had on processors.
pub(crate) fn process_cpu() -> Duration {
    cpu(ClockId::ProcessCPUTime)
}

fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Bytes of memory that this process has now, and the most it has had.
pub(crate) fn memory() -> io::Result<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    };
    match (of("VmRSS:"), of("VmHWM:")) {
        (Some(now), Some(most)) => Ok((now * 1024, most * 1024)),
        _ => Err(io::Error::other("/proc/self/status does not tell of memory")),
    }
}

async fn connection(load: &Load) -> io::Result<()> {
    let mut stream = connect(load.address).await?;
    stream.set_nodelay(true)?;
    let (mut request, mut answer, mut body) = (Vec::new(), Vec::new(), String::new());
    loop {
        let first = load.next.fetch_add(load.batch as u32, Relaxed) as usize;
        let Some(rest) = load.messages.get(first..).filter(|rest| !rest.is_empty()) else {
            return Ok(());
        };
        let messages = &rest[..rest.len().min(load.batch)];
        let numbers = first..first + messages.len();
        if let Some(rate) = load.rate {
            let due = load.start + Duration::from_secs_f64(first as f64 / rate);
            tokio::time::sleep_until(due.into()).await;
            numbers.clone().for_each(|number| _ = load.sent.mark(number, due - load.start));
        } else {
            let now = load.start.elapsed();
            numbers.clone().for_each(|number| _ = load.sent.mark(number, now));
        }
        body.clear();
        if let [one] = messages {
            body.push_str(one);
        } else {
            for (index, message) in messages.iter().enumerate() {
                body.push(if index == 0 { '[' } else { ',' });
                body.push_str(message);
            }
            body.push(']');
        }
        write_request(&mut request, load, &body);
        stream.write_all(&request).await?;
        let status = read_answer(&mut stream, &mut answer).await?;
        if status / 100 == 2 {
            let now = load.start.elapsed();
            numbers.for_each(|number| _ = load.answered.mark(number, now));
        } else {
            load.refused.fetch_add(messages.len() as u32, Relaxed);
        }
    }
}

/// The network has only begun to listen.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let until = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(address).await {
            Err(error)
                if error.kind() == io::ErrorKind::ConnectionRefused && Instant::now() < until =>
            {
                tokio::time::sleep(AGAIN).await;
            }
            connected => return connected,
        }
    }
}

fn write_request(request: &mut Vec<u8>, load: &Load, body: &str) {
    use std::io::Write as _;
    request.clear();
    let Load { address, path, token, .. } = load;
    // Writing into memory does not fail.
    let _ = write!(
        request,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n"
    );
    if let Some(token) = token {
        let _ = write!(request, "authorization: Bearer {token}\r\n");
    }
    let _ = write!(request, "content-length: {}\r\n\r\n{body}", body.len());
}

/// The status of the next answer; what it says is read and left.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<u16> {
    let wrong = |what: &str| {
        io::Error::new(io::ErrorKind::InvalidData, format!("the intake answered {what}"))
    };
    answer.clear();
    loop {
        if let Some(head) = answer.windows(4).position(|it| it == b"\r\n\r\n") {
            let text = str::from_utf8(&answer[..head]).map_err(|_| wrong("no text"))?;
            let (status, length) =
                parts(text).ok_or_else(|| wrong("without a status or a length"))?;
            if answer.len() >= head + 4 + length {
                return Ok(status);
            }
        }
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(wrong("too much"));
        }
        if stream.read_buf(answer).await? == 0 {
            return Err(wrong("nothing, and closed the connection"));
        }
    }
}

/// The status and the length that the head of an answer tells.
fn parts(head: &str) -> Option<(u16, usize)> {
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })?;
    Some((status, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_an_answer_has_its_parts() {
        assert_eq!(
            parts("HTTP/1.1 202 Accepted\r\nServer: x\r\nContent-Length: 17"),
            Some((202, 17))
        );
        assert_eq!(parts("HTTP/1.1 503 Service Unavailable\r\ncontent-length:0"), Some((503, 0)));
        assert_eq!(parts("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked"), None);
        assert_eq!(parts("hello"), None);
    }

    #[test]
    fn the_first_mark_counts() {
        let marks = Marks::new(2);
        assert!(marks.mark(1, Duration::ZERO) && !marks.mark(1, Duration::from_secs(1)));
        assert_eq!((marks.at(0), marks.at(1)), (None, Some(1)));
    }
}
