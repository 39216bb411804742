//! `towpath run`: a network at work, until it ends or somebody ends it.

use std::{
    fs,
    io::{IsTerminal as _, Write as _, stderr},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use serde_json::json;
use towpath::{BoxError, Ctx, rt, scope, select};
use towpath_observe::{otlp, span::Sampling};

use super::{Exit, Failure, Source, check::warn, past};
use crate::{
    Node, SOCKET, Setup,
    api::{self, Api, Door, Keys},
    assemble::{Plan, plan},
    component::Registry,
    file::NetworkFile,
    real::{
        self, Signal,
        door::{self, Limits, Opened},
        tls::Pair,
    },
    state::Status,
};

/// Letters of a token that somebody chose, at least: fewer can be guessed.
const TOKEN_MIN: usize = 16;

/// Of the traces that begin here, so many are recorded: at ten rides a second, one each second.
const SAMPLE: f64 = 0.1;

/// How often spans are looked at that are over, where nobody else asks for them.
const SETTLE: Duration = Duration::from_secs(1);

/// The file in the data directory with the dashboard's address and its token, for its owner alone.
const URL_FILE: &str = "towpath.url";

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// How long it may take to finish what it has begun, in seconds, when it is told to end.
    #[arg(long, default_value_t = 30)]
    drain_seconds: u64,
    /// The directory of everything that must survive a crash.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    #[command(flatten)]
    api: ApiOptions,
    #[command(flatten)]
    traces: TraceOptions,
    /// Tells on the standard error in JSON, a line each, where it listens.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct TraceOptions {
    /// What part of the traces is recorded that begin here, from 0 to 1; those that a caller records are recorded anyway.
    #[arg(long, value_name = "PART", default_value_t = SAMPLE, value_parser = part)]
    sample: f64,
    /// Sends spans to an OpenTelemetry collector too, by HTTP: http://127.0.0.1:4318/v1/traces
    #[arg(long, value_name = "URL", value_parser = collector)]
    otlp: Option<String>,
}

fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| "write a number from 0 (none) to 1 (all), such as 0.01".to_owned())
}

fn collector(text: &str) -> Result<String, String> {
    let uri: Option<http::Uri> = text.parse().ok();
    let is_there = |uri: http::Uri| {
        uri.scheme_str() == Some("http") && uri.host().is_some() && uri.path() != "/"
    };
    if uri.is_some_and(is_there) {
        return Ok(text.to_owned());
    }
    Err("write the whole address, by http and with its path: http://127.0.0.1:4318/v1/traces; a collector on this host speaks TLS to the world"
        .to_owned())
}

#[derive(Args)]
struct ApiOptions {
    /// Where the dashboard listens; `none` leaves the socket file alone.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = listen)]
    listen: Listen,
    /// Listens nowhere, not even at its socket file.
    #[arg(long, conflicts_with_all = ["token_file", "read_only_token_file", "show_payloads"])]
    no_api: bool,
    /// The token for TCP, in place of one made by chance.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A second token, for those who may look and change nothing.
    #[arg(long, value_name = "FILE")]
    read_only_token_file: Option<PathBuf>,
    /// Lets those with the full token see messages.
    #[arg(long)]
    show_payloads: bool,
    /// Speaks TLS at --listen: the certificates in PEM, the node's own first. SIGHUP and `towpath reload` read them again.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

#[derive(Clone, Copy)]
struct Listen(Option<SocketAddr>);

fn listen(text: &str) -> Result<Listen, String> {
    if text == "none" {
        return Ok(Listen(None));
    }
    let address = text.parse().map_err(|_| "write it as 127.0.0.1:7070, or `none`")?;
    Ok(Listen(Some(address)))
}

pub(super) fn run(options: &Options, registry: &Registry) -> Result<(), Failure> {
    let file = options.source.read()?;
    let setup =
        Setup::new(options.data.clone()).sampled(Sampling::ratio(options.traces.sample)).timed();
    let registry = registry.clone();
    // What is wrong with the file is told before anything is made.
    let plan = plan(&file, &registry)?;
    // Before anything is written there.
    let _lock = real::lock(&options.data)?;
    real::block_on(async move {
        let Some(url) = &options.traces.otlp else {
            return work(options, file, plan, registry, setup).await;
        };
        let to = otlp::Options::new(&file.name.text).endpoint(url);
        let (exporter, pump) = otlp::exporter(to);
        let setup = setup.exported(Arc::new(exporter));
        let exporting = scope(&Ctx::root(), |s| async move {
            s.spawn_blocking("otlp", move |ctx| {
                pump.run(&ctx);
                Ok::<_, BoxError>(())
            });
            let done = work(options, file, plan, registry, setup).await;
            // What is queued is sent once more.
            s.cancel("the network has ended");
            Ok(done)
        });
        exporting.await?
    })?
}

/// Until the network has ended.
async fn work(
    options: &Options,
    file: NetworkFile,
    plan: Plan,
    registry: Registry,
    setup: Setup,
) -> Result<(), Failure> {
    let within = Duration::from_secs(options.drain_seconds);
    let mut signals = real::Signals::new()?;
    let (node, work) = Node::start_with(file.clone(), plan, registry, &setup, &Ctx::root())?;
    warn(&file, node.warnings());
    if setup.exporter.is_some() {
        drop(rt::spawn(settle(node.clone())));
    }
    let _open = if options.api.no_api { None } else { Some(open(options, &node).await?) };
    let mut work = pin!(work.run());
    let mut is_ending = false;
    loop {
        let signal = select! { biased;
            ended = select::future(work.as_mut()) => return ended,
            signal = select::future(signals.next()) => signal,
        };
        match signal {
            Signal::Dump => eprint!("{}", node.dump()),
            Signal::Reload => {
                let node = node.clone();
                drop(rt::spawn(async move { reload(&node, within).await }));
            }
            Signal::End(name) if is_ending => {
                return Err(Exit::not(format!("stopped at once by {name}")).into());
            }
            Signal::End(name) => {
                is_ending = true;
                eprintln!(
                    "{name}: taking nothing more, finishing what has begun; again to stop at once"
                );
                // Beside the work, which has to go on for it.
                let node = node.clone();
                drop(rt::spawn(async move { node.drain(within).await }));
            }
        }
    }
}

/// Lets spans that are over be exported when they are, and not with the next message.
async fn settle(node: Node) {
    while node.status() != Status::Ended {
        rt::sleep(SETTLE).await;
        node.settle();
    }
}

/// What SIGHUP asks for: the file is read again.
async fn reload(node: &Node, within: Duration) {
    match api::reload(node, None, false, within).await {
        Ok(done) => eprint!("SIGHUP: {}", past::told(&json!(done))),
        Err(error) => eprintln!("SIGHUP: {error}"),
    }
}

/// What is open for as long as the network runs.
struct Open {
    _socket: Opened,
    _tcp: Option<Opened>,
    _url: Option<UrlFile>,
}

async fn open(options: &Options, node: &Node) -> Result<Open, Failure> {
    let ApiOptions { listen: Listen(listen), show_payloads, .. } = options.api;
    let loopback = listen.is_none_or(|address| address.ip().is_loopback());
    if !loopback && options.api.token_file.is_none() {
        return Err(Exit::usage(
            "at an address that others reach a token of your own is needed: add --token-file FILE, or listen at 127.0.0.1"
                .to_owned(),
        )
        .into());
    }
    let read = |path: &Option<PathBuf>| path.as_deref().map(read_token).transpose();
    let (chosen, read_only) =
        (read(&options.api.token_file)?, read(&options.api.read_only_token_file)?);
    let is_random = chosen.is_none();
    let full = chosen.map_or_else(real::token, Ok)?;
    let pair = match (&options.api.tls_cert, &options.api.tls_key) {
        (Some(cert), Some(key)) => Some(Pair::read(cert, key)?),
        _ => None,
    };
    if let Some(pair) = &pair {
        node.shared().renews(pair);
    }
    let tls = pair.is_some();
    let keys = Keys { full: full.clone(), read_only, show_payloads, loopback, tls };
    let (api, watching) = Api::new(node.clone(), keys);
    drop(rt::spawn(watching.run()));
    let limits = Limits::default();
    let path = options.data.join(SOCKET);
    let socket = door::socket(&path, api.routes(Door::Socket), limits)?;
    let (mut tcp, mut url_file, mut url) = (None, None, None);
    if let Some(address) = listen {
        let config = pair.as_ref().map(Pair::config).transpose()?;
        let opened = door::tcp(address, api.routes(Door::Tcp), limits, config).await;
        let (opened, address) = opened.map_err(|error| {
            format!("cannot listen at {address}: {error}; choose another --listen")
        })?;
        tcp = Some(opened);
        let plain = format!("http{}://{address}/", if tls { "s" } else { "" });
        if is_random {
            let whole = format!("{plain}#token={full}");
            url_file = Some(UrlFile::write(&options.data.join(URL_FILE), &whole)?);
            // Where a log may keep it, the secret stays in the file.
            url = Some(if stderr().is_terminal() { whole } else { plain });
        } else {
            url = Some(plain);
        }
    }
    if options.json {
        let file = url_file.as_ref().map(|it| it.0.display().to_string());
        let network = &node.file().name.text;
        eprintln!(
            "{}",
            json!({"network": network, "socket": path.display().to_string(), "url": url, "url_file": file})
        );
    } else if let Some(url) = url {
        eprintln!("dashboard: {url}");
        if let Some(UrlFile(path)) = &url_file
            && !stderr().is_terminal()
        {
            eprintln!("with its token: {}", path.display());
        }
    }
    Ok(Open { _socket: socket, _tcp: tcp, _url: url_file })
}

fn read_token(path: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let token = text.trim();
    let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.len() < TOKEN_MIN || !is_plain {
        let path = path.display();
        return Err(format!(
            "{path}: a token has {TOKEN_MIN} letters or more, without spaces: `head -c 32 /dev/urandom | base64 > {path}` makes one"
        )
        .into());
    }
    Ok(token.to_owned())
}

/// The file with the address; it goes when the node does, as its token does.
struct UrlFile(PathBuf);

impl UrlFile {
    fn write(path: &Path, url: &str) -> Result<Self, Failure> {
        if path.exists() {
            // One that was left behind may have other rights.
            fs::remove_file(path)?;
        }
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{url}")?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for UrlFile {
    fn drop(&mut self) {
        // It may be gone with its directory.
        let _ = fs::remove_file(&self.0);
    }
}
