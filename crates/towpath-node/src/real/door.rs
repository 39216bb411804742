//! Where the control API comes in: a socket file in the data directory, and TCP.
//!
//! What always holds:
//! - The socket file is there for its owner alone from the moment it has its name: it is made in a directory that is, and then moved.
//! - Its old one is replaced only by who has the lock of the data directory, so nobody takes a living node's away.
//! - A connection has a time for each head and for each write that the other side does not read, and there are only so many.
//! - Dropped, all of it ends, and the socket file goes.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::{JoinHandle, JoinSet},
    time::{Instant, Sleep},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// What a door allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections that are open at once. A browser has six; this is for people and a few programs.
    connections_max: usize,
    /// For the head of a request, and how long a connection may rest.
    head_time: Duration,
    /// Bytes of a head; one that came in large parts may have twice as many.
    head_bytes_max: usize,
    /// How long the other side may read nothing of what is written.
    write_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 256,
            head_time: Duration::from_secs(30),
            head_bytes_max: 64 << 10,
            write_time: Duration::from_secs(10),
        }
    }
}

/// An open door; closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Opened {
    serving: JoinHandle<()>,
    socket: Option<PathBuf>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.serving.abort();
        if let Some(path) = &self.socket {
            // It may be gone with its directory.
            let _ = fs::remove_file(path);
        }
    }
}

/// Answers at a socket file, which only its owner can reach. Whoever calls this has the lock of the directory.
///
/// # Errors
/// The system's; among them that the path is too long for a socket.
pub(crate) fn socket(path: &Path, routes: Router, limits: Limits) -> io::Result<Opened> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let nest = parent.join(".socket");
    if nest.exists() {
        fs::remove_dir_all(&nest)?;
    }
    fs::DirBuilder::new().mode(0o700).create(&nest)?;
    let made = nest.join("s");
    let listener = UnixListener::bind(&made).map_err(|error| {
        let told =
            format!("{}: {error}; a socket's path has about 100 bytes at most", made.display());
        io::Error::new(error.kind(), told)
    })?;
    fs::set_permissions(&made, fs::Permissions::from_mode(0o600))?;
    fs::rename(&made, path)?;
    fs::remove_dir(&nest)?;
    let serving = tokio::spawn(serve(listener, None, routes, limits));
    Ok(Opened { serving, socket: Some(path.to_owned()) })
}

/// Answers at an address, and says at which, port 0 being one that is free. With `tls` it speaks that and nothing else.
///
/// # Errors
/// The system's.
pub(crate) async fn tcp(
    address: SocketAddr,
    routes: Router,
    limits: Limits,
    tls: Option<ServerConfig>,
) -> io::Result<(Opened, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let tls = tls.map(|mut config| {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    });
    let serving = tokio::spawn(serve(listener, tls, routes, limits));
    Ok((Opened { serving, socket: None }, address))
}

/// What comes in at a door.
trait Listener: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    async fn next(&self) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // Events are small and should go at once; without it they come a little later.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

async fn serve<L: Listener>(listener: L, tls: Option<TlsAcceptor>, routes: Router, limits: Limits) {
    /// The machine has no file or memory for one more connection; it may have when some have ended.
    const SHORTAGE_PAUSE: Duration = Duration::from_millis(50);
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        if open.len() >= limits.connections_max {
            open.join_next().await;
            continue;
        }
        match listener.next().await {
            Ok(stream) => {
                let routes = routes.clone();
                match tls.clone() {
                    None => open.spawn(connection(stream, routes, limits)),
                    Some(tls) => open.spawn(async move {
                        // The head's time is also that of the handshake.
                        let shaken = tokio::time::timeout(limits.head_time, tls.accept(stream));
                        if let Ok(Ok(stream)) = shaken.await {
                            connection(stream, routes, limits).await;
                        }
                    }),
                };
            }
            Err(_) => tokio::time::sleep(SHORTAGE_PAUSE).await,
        }
    }
}

async fn connection<S>(stream: S, routes: Router, limits: Limits)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = TokioIo::new(Impatient::new(stream, limits.write_time));
    // What goes wrong with one connection is its client's to know.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head_bytes_max)
        .serve_connection(stream, TowerToHyperService::new(routes))
        .await;
}

/// A stream whose writes fail when the other side takes nothing for so long.
struct Impatient<S> {
    stream: S,
    patience: Duration,
    /// While a write waits: when it has waited too long.
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, until: None }
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.until = None;
            return written;
        }
        let end = Instant::now() + self.patience;
        let until = self.until.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        ready!(until.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn routes() -> Router {
        let endless = || async {
            let part = || async { Some((Ok::<_, io::Error>("x".repeat(1 << 16)), ())) };
            Body::from_stream(futures_util::stream::unfold((), move |()| part()))
        };
        Router::new().route("/", get(|| async { "hello" })).route("/endless", get(endless))
    }

    fn run(test: impl Future<Output = ()>) {
        super::super::block_on(async {
            tokio::time::timeout(Duration::from_secs(20), test).await.unwrap();
        })
        .unwrap();
    }

    async fn opened(limits: Limits) -> (Opened, SocketAddr) {
        tcp("127.0.0.1:0".parse().unwrap(), routes(), limits, None).await.unwrap()
    }

    #[test]
    fn a_socket_file_is_its_owners_and_replaces_a_stale_one() {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("towpath.sock");
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
            let door = socket(&path, routes(), Limits::default()).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).await.unwrap();
            assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("hello"), "{said}");
            drop(door);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        });
    }

    #[test]
    fn who_is_slow_with_a_head_is_shut_out() {
        run(async {
            let limits = Limits { head_time: Duration::from_millis(100), ..Limits::default() };
            let (_door, address) = opened(limits).await;
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost").await.unwrap();
            let mut said = String::new();
            // The end comes; without a limit it would not, and the test would run into its own.
            let _ = stream.read_to_string(&mut said).await;
            assert!(!said.contains("hello"), "{said}");
        });
    }

    #[test]
    fn who_reads_nothing_loses_his_connection() {
        run(async {
            let limits = Limits { write_time: Duration::from_millis(100), ..Limits::default() };
            let (_door, address) = opened(limits).await;
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
            // What was under way comes, and then the end of an answer that has none.
            let mut sink = vec![0; 1 << 16];
            while stream.read(&mut sink).await.is_ok_and(|bytes| bytes > 0) {}
        });
    }

    #[test]
    fn there_is_room_for_only_so_many() {
        run(async {
            let limits = Limits { connections_max: 1, ..Limits::default() };
            let (_door, address) = opened(limits).await;
            let hello = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
            let mut first = TcpStream::connect(address).await.unwrap();
            first.write_all(hello).await.unwrap();
            assert!(first.read(&mut [0; 512]).await.unwrap() > 0);
            let mut second = TcpStream::connect(address).await.unwrap();
            second.write_all(hello).await.unwrap();
            let mut said = [0; 512];
            let early = tokio::time::timeout(Duration::from_millis(100), second.read(&mut said));
            assert!(early.await.is_err(), "the second was let in");
            drop(first);
            assert!(second.read(&mut said).await.unwrap() > 0);
        });
    }

    #[test]
    fn a_head_may_not_be_long() {
        run(async {
            let (_door, address) = opened(Limits::default()).await;
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(300 << 10));
            // It may be cut off before all of it was sent.
            let _ = stream.write_all(head.as_bytes()).await;
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said).await;
            assert!(!String::from_utf8_lossy(&said).contains("hello"));
        });
    }
}
