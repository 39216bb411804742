//! A ticket office on HTTP: a server whose requests go to the workers of a gateway, a proxy in front of it, and clients.
//!
//! ```text
//!   clients ──HTTP──▶ proxy ──HTTP──▶ server ──calls──▶ two clerks
//! ```
//!
//! - a *buyer* gets what was asked for, through the proxy, and the trace context comes with it;
//! - somebody in a *hurry* gives the office less time than it takes, and is told so;
//! - a *crowd* is more than two clerks and one place in the queue can take: the rest is told when to come again;
//! - somebody *leaves*, and the clerk stops working for nobody;
//! - a *mumbler* sends what is no HTTP;
//! - at the end the office closes: it stops when the last one has been served.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use towpath::{BoxError, Ctx, Sender, bounded, scope, select};
use towpath_patterns::gateway::{
    Call, Gateway, Options,
    http::{Proxy, Server, TIMEOUT, Workers, listen},
};

/// What clerks tell the story, one line at a time.
const LINES: usize = 16;

type Ticket = Call<Request<Bytes>, Response<Bytes>>;

/// A clerk: sells at once, or takes its time over what is `slow` until nobody waits.
async fn clerk(call: Ticket, tells: Sender<String>) {
    if call.request().uri().path() != "/slow" {
        let trace = String::from_utf8_lossy(call.ctx().headers().as_bytes()).trim_end().to_owned();
        let said = format!("a ticket for {} ({trace})\n", call.request().uri().path());
        return call.answer(Response::new(Bytes::from(said)));
    }
    let _ = tells.send("begins".to_owned()).await;
    let cause = call.ctx().done().await;
    let _ = tells.send(format!("stops: {cause}")).await;
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (tells, mut told) = bounded(LINES);
    scope(&Ctx::root(), |s| async move {
        let options = Options::new(2).with_queue(1);
        let clerks = Gateway::start(&s, "clerk", options, move |call| clerk(call, tells.clone()));
        let office = start(&s, Server::new(Workers::new(clerks)))?;
        let front = start(&s, Server::new(Proxy::to([office.to_string()])))?;

        println!(
            "buyer: {}",
            ask(front, "/north", "traceparent: 00-4bf92f35-00f067aa-01\r\n").await?
        );

        println!("hurry: {}", ask(front, "/slow", &format!("{TIMEOUT}: 500\r\n")).await?);
        println!("  the clerk {}", told.recv().await.unwrap_or_default());
        // Told by its deadline or by the proxy that has left: both are right.
        told.recv().await;

        // Two are with the clerks and one waits, or is told that it is too late for it; whoever comes then is sent away.
        let mut crowd = Vec::new();
        for _ in 0..2 {
            crowd.push(leaving(front, "/slow").await?);
            told.recv().await;
        }
        let refused = loop {
            crowd.push(leaving(front, "/slow").await?);
            let said = ask(front, "/north", &format!("{TIMEOUT}: 200\r\n")).await?;
            if said.starts_with("503") {
                break said;
            }
        };
        println!("crowd: {refused}");

        drop(crowd);
        println!("leaves: a clerk {}", told.recv().await.unwrap_or_default());

        println!("mumbler: {}", said(front, "mumble mumble\r\n\r\n").await?);

        s.cancel("closing time");
        Ok(())
    })
    .await?;
    println!("closed");
    Ok(())
}

/// Starts a server on a free port.
fn start<H>(s: &towpath::Scope, server: Server<H>) -> Result<SocketAddr, BoxError>
where
    H: towpath_patterns::gateway::http::Handler,
{
    let listener = listen("127.0.0.1:0".parse()?, false)?;
    let address = listener.local_addr()?;
    s.spawn("server", move |ctx| async move { server.serve(&ctx, listener).await });
    Ok(address)
}

/// A client who asks and waits.
async fn ask(at: SocketAddr, path: &str, headers: &str) -> Result<String, BoxError> {
    said(at, &format!("GET {path} HTTP/1.1\r\nhost: office\r\nconnection: close\r\n{headers}\r\n"))
        .await
}

/// A client who asks; dropped, it has left.
async fn leaving(at: SocketAddr, path: &str) -> Result<TcpStream, BoxError> {
    let mut socket = TcpStream::connect(at).await?;
    socket.write_all(format!("GET {path} HTTP/1.1\r\nhost: office\r\n\r\n").as_bytes()).await?;
    Ok(socket)
}

/// Sends it, and gives the status and the body that come.
async fn said(at: SocketAddr, request: &str) -> Result<String, BoxError> {
    let mut socket = TcpStream::connect(at).await?;
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    select! {
        read = select::future(socket.read_to_string(&mut answer)) => drop(read?),
        () = towpath::after(Duration::from_secs(60)) => return Err("no answer for a minute".into()),
    }
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default().trim_start_matches("HTTP/1.1 ");
    let again = head.lines().find(|line| line.starts_with("retry-after"));
    let parts = [status, again.map_or("", |_| "with retry-after"), body.trim_end()];
    Ok(parts.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(", "))
}
