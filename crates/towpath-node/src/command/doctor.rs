//! `towpath doctor`: whether this machine is fit for a node, and what to do where it is not.

use std::{
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::Args;
use serde_json::json;
use towpath::rt;

use super::{Exit, Failure, table::Table};
use crate::{SOCKET, real};

/// Open files that a small node with its journals and clients needs.
const FILES_MIN: u64 = 1024;

/// Bytes of memory below which the machine is short of it.
const MEMORY_MIN: u64 = 256 << 20;

/// Bytes of room for journals below which it is time to do something.
const ROOM_MIN: u64 = 1 << 30;

/// What a disk takes for one `fsync` and is still called quick: a node commits a group of messages with each.
const FSYNC_MAX: Duration = Duration::from_millis(50);

/// The longest path of a socket: what the kernel has in its address, less its end.
const SOCKET_BYTES_MAX: usize = 107;

#[derive(Args)]
pub(super) struct Options {
    /// The data directory of the node.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Where the dashboard should listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Tells it as JSON.
    #[arg(long)]
    json: bool,
}

/// What was found.
struct Found {
    what: &'static str,
    ok: bool,
    words: String,
    /// Empty when all is well.
    advice: String,
}

impl Found {
    fn ok(what: &'static str, words: impl Into<String>) -> Self {
        Self { what, ok: true, words: words.into(), advice: String::new() }
    }

    fn bad(what: &'static str, words: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what, ok: false, words: words.into(), advice: advice.into() }
    }

    fn of(what: &'static str, ok: bool, words: String, advice: &str) -> Self {
        if ok { Self::ok(what, words) } else { Self::bad(what, words, advice) }
    }
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let found = [
        data(&options.data),
        fsync(&options.data),
        room(&options.data),
        lock(&options.data),
        socket(&options.data),
        port(options.listen),
        files(),
        memory(),
        clock(),
        cores(),
    ];
    if options.json {
        let all = found.iter().map(
            |it| json!({"what": it.what, "ok": it.ok, "words": it.words, "advice": it.advice}),
        );
        println!("{}", json!(all.collect::<Vec<_>>()));
    } else {
        let mut table = Table::new(&["", "WHAT", "FOUND"]);
        for it in &found {
            let mark = if it.ok { "ok" } else { "NOT" };
            let words =
                if it.ok { it.words.clone() } else { format!("{}: {}", it.words, it.advice) };
            table.row([mark.to_owned(), it.what.to_owned(), words]);
        }
        table.print();
    }
    if found.iter().all(|it| it.ok) { Ok(()) } else { Err(Exit::silent().into()) }
}

/// The directory, or the next above it that is there: the doctor makes none.
fn existing(path: &Path) -> &Path {
    let mut above = path.ancestors();
    let found = above.find(|it| it.exists()).unwrap_or(Path::new("."));
    if found.as_os_str().is_empty() { Path::new(".") } else { found }
}

fn trial(path: &Path) -> PathBuf {
    existing(path).join(format!(".towpath-doctor-{}", std::process::id()))
}

fn data(path: &Path) -> Found {
    const WHAT: &str = "data directory";
    let place = existing(path);
    let file = trial(path);
    let tried = fs::write(&file, b"x").and_then(|()| fs::remove_file(&file));
    match tried {
        Ok(()) if place == path => Found::ok(WHAT, format!("{} can be written", path.display())),
        Ok(()) => Found::ok(WHAT, format!("{} will be made", path.display())),
        Err(error) => Found::bad(
            WHAT,
            format!("{} cannot be written ({error})", place.display()),
            "give its user the rights, or choose another --data",
        ),
    }
}

fn fsync(path: &Path) -> Found {
    const WHAT: &str = "fsync";
    let file = trial(path);
    let times = || -> io::Result<Duration> {
        let mut out = fs::File::create(&file)?;
        let mut worst = Duration::ZERO;
        for _ in 0..5 {
            out.write_all(&[0; 4096])?;
            let begin = rt::now();
            out.sync_data()?;
            worst = worst.max(rt::now().saturating_duration_since(begin));
        }
        Ok(worst)
    };
    let tried = times();
    // What is left of it is said by the error.
    let _ = fs::remove_file(&file);
    match tried {
        Ok(worst) => Found::of(
            WHAT,
            worst <= FSYNC_MAX,
            format!("{:.1} ms at worst", worst.as_secs_f64() * 1e3),
            "messages are acknowledged only after it: put the data directory on a quicker disk, not on a network",
        ),
        Err(error) => {
            Found::bad(WHAT, error.to_string(), "nothing is durable here: choose another disk")
        }
    }
}

fn room(path: &Path) -> Found {
    const WHAT: &str = "room";
    match rustix::fs::statvfs(existing(path)) {
        Ok(stat) => {
            let bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
            let words = format!("{:.1} GiB are free", bytes as f64 / f64::from(1 << 30));
            Found::of(WHAT, bytes >= ROOM_MIN, words, "make room, or give --data on another disk")
        }
        Err(error) => Found::bad(WHAT, error.to_string(), "give --data on another disk"),
    }
}

fn lock(path: &Path) -> Found {
    const WHAT: &str = "other nodes";
    // Where no lock is, nobody has it. One that the doctor made would be his user's, and keep the node of another out.
    if !path.join(real::LOCK).exists() {
        return Found::ok(WHAT, "none works in the data directory");
    }
    match real::lock(path) {
        Ok(_) => Found::ok(WHAT, "none works in the data directory"),
        // It runs, which is no illness: `towpath ps` asks it.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Found::ok(WHAT, "one works in the data directory; `towpath ps` asks it")
        }
        Err(error) => {
            let words = format!("its {} cannot be opened ({})", real::LOCK, error.kind());
            Found::bad(WHAT, words, "give its user the rights")
        }
    }
}

fn socket(path: &Path) -> Found {
    const WHAT: &str = "socket file";
    // It is made in a directory beside it first.
    let bytes = path.join(".socket/s").as_os_str().len().max(path.join(SOCKET).as_os_str().len());
    Found::of(
        WHAT,
        bytes <= SOCKET_BYTES_MAX,
        format!("its path has {bytes} bytes, of {SOCKET_BYTES_MAX}"),
        "choose a shorter --data",
    )
}

fn port(address: SocketAddr) -> Found {
    const WHAT: &str = "port";
    match std::net::TcpListener::bind(address) {
        Ok(_) => Found::ok(WHAT, format!("{address} is free")),
        Err(error) => Found::bad(WHAT, format!("{address}: {error}"), "choose another --listen"),
    }
}

fn files() -> Found {
    const WHAT: &str = "open files";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let many = limit.current.unwrap_or(u64::MAX);
    let words = match limit.current {
        Some(many) => format!("{many} are allowed"),
        None => "any number is allowed".to_owned(),
    };
    Found::of(
        WHAT,
        many >= FILES_MIN,
        words,
        "raise it: `ulimit -n 65536`, or LimitNOFILE= of the service",
    )
}

fn memory() -> Found {
    const WHAT: &str = "memory";
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    match kib {
        // Other systems do not tell; that is no reason to be afraid.
        None => Found::ok(WHAT, "the system does not say how much is free"),
        Some(kib) => Found::of(
            WHAT,
            kib << 10 >= MEMORY_MIN,
            format!("{} MiB are free", kib >> 10),
            "free some, or make the channels of the network smaller",
        ),
    }
}

fn clock() -> Found {
    const WHAT: &str = "clock";
    /// The first of January 2025: this program is younger.
    const BORN: Duration = Duration::from_secs(1_735_689_600);
    let since = rt::wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Found::of(
        WHAT,
        since >= BORN,
        format!("{} s since 1970", since.as_secs()),
        "it is wrong: set it, and keep it right by NTP",
    )
}

fn cores() -> Found {
    const WHAT: &str = "cores";
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Found::ok(WHAT, format!("{cores}"))
}
