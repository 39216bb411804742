//! HTTP/2: streams, their limits, and clients that misuse them.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::{
    body::{Body as HttpBody, Frame, Incoming},
    client::conn::http2::{self, SendRequest},
    rt::{Read, Write},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use towpath::{BoxError, Ctx, Scope};
use towpath_patterns::gateway::http::{Asked, Body, Proxy, Server, listen};

use super::support::{Client, Does, Upstream, field, holding, limits, patient, run, start, until};

/// A body at hand.
#[derive(Default)]
pub(super) struct Full(Option<Bytes>);

impl HttpBody for Full {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

pub(super) async fn collect(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    let mut all = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        all.extend_from_slice(frame?.data_ref().unwrap_or(&Bytes::new()));
    }
    Ok(all.into())
}

async fn client<I>(s: &Scope, io: I) -> Result<SendRequest<Full>, BoxError>
where
    I: Read + Write + Unpin + Send + 'static,
{
    let (send, conn) = http2::handshake(TokioExecutor::new(), io).await?;
    s.spawn("client", move |ctx| async move {
        towpath::select! {
            _ = ctx.done() => {}
            _ = towpath::select::future(conn) => {}
        }
    });
    Ok(send)
}

async fn connect(s: &Scope, address: SocketAddr) -> Result<SendRequest<Full>, BoxError> {
    client(s, TokioIo::new(TcpStream::connect(address).await?)).await
}

/// One request on a connection of its own.
pub(super) async fn driven<I>(
    s: &Scope,
    io: I,
    request: Request<Full>,
) -> Result<(HeaderMap, Bytes), BoxError>
where
    I: Read + Write + Unpin + Send + 'static,
{
    let answer = client(s, io).await?.send_request(request).await?;
    let (head, body) = answer.into_parts();
    Ok((head.headers, collect(body).await?))
}

fn ask(path: &str, body: &str) -> Request<Full> {
    let body = Full((!body.is_empty()).then(|| Bytes::from(body.to_owned())));
    Request::post(format!("http://here{path}")).body(body).unwrap()
}

async fn echo(asked: Asked) -> Response<Body> {
    match asked.request.into_body().collect().await {
        Ok(body) => Response::new(Body::from(body)),
        Err(why) => why.into(),
    }
}

#[test]
fn many_streams_of_one_connection_are_answered() {
    run(|s| async move {
        let server = Server::new(echo);
        let send = connect(&s, start(&s, &server)).await?;
        let mut asked = Vec::new();
        for n in 0..200 {
            let mut send = send.clone();
            asked.push(s.spawn("stream", move |_| async move {
                send.ready().await?;
                let response = send.send_request(ask("/", &n.to_string())).await?;
                Ok::<_, BoxError>(collect(response.into_body()).await? == n.to_string())
            }));
        }
        for asked in asked {
            assert!(patient(asked).await?);
        }
        let snapshot = server.snapshot();
        assert_eq!(
            (snapshot.accepted, snapshot.requests, snapshot.answers),
            (1, 200, [0, 200, 0, 0, 0])
        );
        Ok(())
    });
}

#[test]
fn limits_hold_for_streams() {
    run(|s| async move {
        let server = Server::new(echo).with_limits(limits(|_| {}));
        let mut send = connect(&s, start(&s, &server)).await?;
        let large = "x".repeat(20_000);
        let answer = patient(send.send_request(ask("/", &large))).await?;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let mut wide = ask("/", "");
        wide.headers_mut().insert("x", large[..6000].parse()?);
        let answer = patient(send.send_request(wide)).await?;
        assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        send.ready().await?;
        assert_eq!(patient(send.send_request(ask("/", "fine"))).await?.status(), StatusCode::OK);
        Ok(())
    });
}

#[test]
fn a_proxy_makes_http_1_of_streams() {
    run(|s| async move {
        let (upstream, host) = Upstream::start(&s, |_, _, _| {
            Does::Sends(b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_vec())
        })
        .await;
        let proxy = Proxy::to([host.to_string()]);
        let address = start(&s, &Server::new(proxy));
        let io = TokioIo::new(TcpStream::connect(address).await?);
        let (headers, body) = patient(driven(&s, io, ask("/a?b", "hello"))).await?;
        assert_eq!(body, "ok");
        assert!(headers.get("connection").is_none() && headers.get("transfer-encoding").is_none());
        let seen = upstream.seen();
        assert!(seen.heads[0].starts_with("POST /a?b HTTP/1.1\r\n"), "{}", seen.heads[0]);
        assert_eq!(
            (field(&seen.heads[0], "host"), field(&seen.heads[0], "via")),
            (Some("here"), Some("2.0 towpath"))
        );
        assert_eq!(seen.bodies, ["hello"]);
        Ok(())
    });
}

#[test]
fn a_stream_that_is_given_up_ends_its_work() {
    run(|s| async move {
        let (upstream, host) = Upstream::start(&s, |_, _, _| Does::Waits).await;
        let proxy = Proxy::to([host.to_string()]);
        let mut send = connect(&s, start(&s, &Server::new(proxy))).await?;
        let asked = s.spawn("asks", {
            let asked = send.send_request(ask("/", ""));
            move |_| async move {
                let _ = tokio::time::timeout(Duration::from_millis(100), asked).await;
            }
        });
        upstream.has(|it| it.heads.len() == 1).await;
        asked.await?;
        upstream.has(|it| it.left == 1).await;
        Ok(())
    });
}

/// CVE-2023-44487.
#[test]
fn a_client_that_gives_up_streams_again_and_again_is_closed() {
    run(|s| async move {
        let never = |_: Asked| async {
            std::future::pending::<()>().await;
            Response::new(Body::empty())
        };
        let server = Server::new(never).with_limits(limits(|it| it.resets_max = 50));
        let address = start(&s, &server);
        let mut client = Client::new(address).await;
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        client.send(frame(4, 0, 0, &[])).await;
        // HEADERS, then RST_STREAM.
        let attack = async {
            for stream in (1..).step_by(2) {
                let pair =
                    [frame(1, 5, stream, &GET_HEAD), frame(3, 0, stream, &[0, 0, 0, 8])].concat();
                if tokio::io::AsyncWriteExt::write_all(&mut client.0, &pair).await.is_err() {
                    return stream / 2;
                }
                // Each is read on its own, as when they come over a network.
                tokio::task::yield_now().await;
            }
            unreachable!("stream numbers do not end in this test")
        };
        patient(attack).await;
        until(&server, |it| it.connections == 0).await;
        assert!(server.snapshot().requests < 500, "{:?}", server.snapshot());
        let mut other = connect(&s, address).await?;
        // Others are served: theirs waits as it should.
        let asked =
            tokio::time::timeout(Duration::from_millis(20), other.send_request(ask("/", "")));
        assert!(asked.await.is_err());
        Ok(())
    });
}

/// `GET http://a/` by the static table, RFC 7541.
const GET_HEAD: [u8; 6] = [0x82, 0x84, 0x86, 0x41, 1, b'a'];

/// The payload of the next frame of a kind that has one.
async fn next(client: &mut Client, kind: u8) -> Vec<u8> {
    patient(async {
        loop {
            let mut head = [0; 9];
            tokio::io::AsyncReadExt::read_exact(&mut client.0, &mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            tokio::io::AsyncReadExt::read_exact(&mut client.0, &mut payload).await.unwrap();
            if head[3] == kind && length > 0 {
                return payload;
            }
        }
    })
    .await
}

/// A frame as RFC 9113 section 4.1 has it.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn a_connection_without_streams_is_closed() {
    run(|s| async move {
        let server =
            Server::new(echo).with_limits(limits(|it| it.idle_time = Duration::from_millis(100)));
        let mut send = connect(&s, start(&s, &server)).await?;
        assert_eq!(patient(send.send_request(ask("/", ""))).await?.status(), StatusCode::OK);
        until(&server, |it| it.connections == 0).await;
        Ok(())
    });
}

#[test]
fn a_server_that_stops_ends_its_streams_and_takes_no_more() {
    run(|s| async move {
        let (server, mut begun, go) = holding();
        let listener = listen("127.0.0.1:0".parse()?, false)?;
        let address = listener.local_addr()?;
        let (ctx, canceller) = Ctx::root().with_cancel();
        let serving = s.spawn("server", move |_| async move { server.serve(&ctx, listener).await });
        let mut client = Client::new(address).await;
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        client.send(frame(4, 0, 0, &[])).await;
        client.send(frame(1, 5, 1, &GET_HEAD)).await;
        patient(begun.recv()).await;
        canceller.cancel("stop");
        let (goaway, ping, data) = (7, 6, 0);
        // The client is told, and then asked whether it has heard.
        assert_eq!(next(&mut client, goaway).await.len(), 8);
        let asked = next(&mut client, ping).await;
        client.send(frame(6, 1, 0, &asked)).await;
        go.send(()).await?;
        assert_eq!(next(&mut client, data).await, b"done");
        patient(serving).await?;
        Ok(())
    });
}
