//! A client and an upstream that send what a test says, byte for byte.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Response;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use towpath::{BoxError, Ctx, Receiver, Scope, Sender, bounded, scope};
use towpath_patterns::gateway::http::{Asked, Body, Handler, Limits, Server, Snapshot, listen};

/// After that something that must happen has not happened.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test in a scope on a runtime with two workers.
pub(super) fn run<F, Fut>(test: F)
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = Result<(), BoxError>>,
{
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime
        .block_on(patient(scope(&Ctx::root(), |s| async move {
            let tested = test(s.clone()).await;
            s.cancel("the test is over");
            tested
        })))
        .unwrap();
}

/// Waits for what must happen.
pub(super) async fn patient<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it has not happened for a minute")
}

/// Waits until a server says so of itself.
pub(super) async fn until<H: Handler>(server: &Server<H>, holds: impl Fn(&Snapshot) -> bool) {
    patient(async {
        while !holds(&server.snapshot()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Starts a server in a scope.
pub(super) fn start<H: Handler>(s: &Scope, server: &Server<H>) -> SocketAddr {
    let listener = listen("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let address = listener.local_addr().unwrap();
    let server = server.clone();
    s.spawn("server", move |ctx| async move { server.serve(&ctx, listener).await });
    address
}

/// A server that says when it has begun an answer, and gives it when it is told to go on, or nobody can tell it.
pub(super) fn holding() -> (Server<impl Handler>, Receiver<()>, Sender<()>) {
    let (started, begun) = bounded::<()>(1);
    let (go, goes) = bounded::<()>(1);
    let goes = goes.into_shared();
    let server = Server::new(move |_: Asked| {
        let (started, mut goes) = (started.clone(), goes.clone());
        async move {
            let _ = started.send(()).await;
            let _ = goes.recv().await;
            Response::new(Body::from("done"))
        }
    });
    (server, begun, go)
}

/// Limits with small sizes and times that no good client of these tests comes near.
pub(super) fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    limits.header_bytes_max = 4096;
    limits.headers_max = 20;
    limits.body_bytes_max = 10_000;
    change(&mut limits);
    limits
}

/// A client on a socket.
pub(super) struct Client(pub(super) TcpStream);

impl Client {
    pub(super) async fn new(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next answer: its head, and a body of a length that the head says.
    pub(super) async fn answer(&mut self) -> (String, Vec<u8>) {
        patient(async {
            let head = head(&mut self.0).await.expect("an answer, not the end");
            let length = field(&head, "content-length").map_or(0, |it| it.parse().unwrap());
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await.unwrap();
            (head, body)
        })
        .await
    }

    /// The status of the next answer.
    pub(super) async fn status(&mut self) -> u16 {
        status(&self.answer().await.0)
    }

    /// All until the end; a reset is an end.
    pub(super) async fn rest(mut self) -> String {
        let mut bytes = Vec::new();
        patient(async {
            let mut buf = [0; 4096];
            while let Ok(count @ 1..) = self.0.read(&mut buf).await {
                bytes.extend_from_slice(&buf[..count]);
            }
        })
        .await;
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Sends it all, and gives all that comes until the end.
pub(super) async fn talk(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut client = Client::new(address).await;
    client.send(bytes).await;
    client.rest().await
}

/// A good request, for a connection of its own.
pub(super) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
}

pub(super) fn status(answer: &str) -> u16 {
    let code = answer.strip_prefix("HTTP/1.1 ").and_then(|it| it.get(..3));
    code.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// A header's value; names are in small letters.
pub(super) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
    lines.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The next head, byte by byte so that nothing after it is taken; `None`: the end.
pub(super) async fn head(socket: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let byte = socket.read_u8().await.ok()?;
        bytes.push(byte);
    }
    Some(String::from_utf8(bytes).unwrap())
}

/// What an upstream does with a request.
pub(super) enum Does {
    /// Sends this.
    Sends(Vec<u8>),
    /// Sends this, and closes.
    Closes(Vec<u8>),
    /// Waits until the other side has gone.
    Waits,
}

/// An upstream.
#[derive(Clone, Default)]
pub(super) struct Upstream {
    seen: Arc<Mutex<Seen>>,
}

/// What it has seen.
#[derive(Clone, Default, Debug)]
pub(super) struct Seen {
    pub(super) connections: usize,
    pub(super) heads: Vec<String>,
    pub(super) bodies: Vec<String>,
    /// Connections on which the other side had gone when it waited.
    pub(super) left: usize,
}

impl Upstream {
    /// Starts one that does what `does` says with the n-th request of its m-th connection, both from 0.
    pub(super) async fn start(
        s: &Scope,
        does: impl Fn(usize, usize, &str) -> Does + Send + Sync + 'static,
    ) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Self::default();
        let (it, does) = (upstream.clone(), Arc::new(does));
        let scope = s.clone();
        s.spawn("upstream", move |ctx| async move {
            loop {
                let accepted = towpath::select! {
                    _ = ctx.done() => return,
                    accepted = towpath::select::future(listener.accept()) => accepted,
                };
                let (socket, _) = accepted.unwrap();
                let number = it.see(|seen| {
                    seen.connections += 1;
                    seen.connections - 1
                });
                let (it, does) = (it.clone(), does.clone());
                scope.spawn("upstream's connection", move |ctx| async move {
                    towpath::select! {
                        _ = ctx.done() => {}
                        () = towpath::select::future(it.converse(socket, number, &*does)) => {}
                    }
                });
            }
        });
        (upstream, address)
    }

    /// One that answers all requests so.
    pub(super) async fn answering(s: &Scope, answer: &'static str) -> (Self, SocketAddr) {
        Self::start(s, |_, _, _| Does::Sends(answer.as_bytes().to_vec())).await
    }

    fn see<R>(&self, change: impl FnOnce(&mut Seen) -> R) -> R {
        change(&mut self.seen.lock().unwrap())
    }

    pub(super) fn seen(&self) -> Seen {
        self.see(|seen| seen.clone())
    }

    /// Waits until it has seen that.
    pub(super) async fn has(&self, holds: impl Fn(&Seen) -> bool) {
        patient(async {
            while !self.see(|seen| holds(seen)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    async fn converse(
        &self,
        mut socket: TcpStream,
        connection: usize,
        does: &(dyn Fn(usize, usize, &str) -> Does + Send + Sync),
    ) {
        let mut number = 0;
        while let Some(head) = head(&mut socket).await {
            let body = body(&mut socket, &head).await;
            self.see(|seen| {
                seen.heads.push(head.clone());
                seen.bodies.push(String::from_utf8_lossy(&body).into_owned());
            });
            match does(connection, number, &head) {
                Does::Sends(bytes) => drop(socket.write_all(&bytes).await),
                Does::Closes(bytes) => {
                    let _ = socket.write_all(&bytes).await;
                    return;
                }
                Does::Waits => {
                    let gone = socket.read(&mut [0]).await;
                    if matches!(gone, Ok(0) | Err(_)) {
                        self.see(|seen| seen.left += 1);
                    }
                    return;
                }
            }
            number += 1;
        }
    }
}

/// A request's body: by its length, or chunked, as the bytes of its chunks.
async fn body(socket: &mut TcpStream, head: &str) -> Vec<u8> {
    if let Some(length) = field(head, "content-length") {
        let mut body = vec![0; length.parse().unwrap()];
        let _ = socket.read_exact(&mut body).await;
        return body;
    }
    let mut body = Vec::new();
    if field(head, "transfer-encoding") != Some("chunked") {
        return body;
    }
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let Ok(byte) = socket.read_u8().await else { return body };
            line.push(byte);
        }
        let length = usize::from_str_radix(str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        if socket.read_exact(&mut chunk).await.is_err() || length == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..length]);
    }
}
