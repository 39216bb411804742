//! What the chapter on the gateway's HTTP side shows.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use towpath::{BoxError, Ctx, scope};
use towpath_patterns::gateway::{
    Call, Gateway, Options,
    http::{Limits, Proxy, ProxyOptions, Server, Workers, listen},
    upstream::{Health, Upstreams},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    scope(&Ctx::root(), |s| async move {
        // ANCHOR: workers
        type Asked = Call<Request<Bytes>, Response<Bytes>>;
        let greeting = Gateway::start(&s, "greeting", Options::new(4), async |call: Asked| {
            let said = format!("hello to {}", call.request().uri().path());
            call.answer(Response::new(Bytes::from(said)));
        });

        let mut limits = Limits::default();
        limits.body_bytes_max = 1000;
        limits.work_time = Duration::from_secs(5);
        let server = Server::new(Workers::new(greeting)).with_limits(limits);
        let listener = listen("127.0.0.1:0".parse()?, false)?;
        let address = listener.local_addr()?;
        s.spawn("http", move |ctx| async move { server.serve(&ctx, listener).await });
        // ANCHOR_END: workers
        println!("{}", ask(address, "GET /you HTTP/1.1\r\nhost: a\r\n").await?);
        println!(
            "{}",
            ask(address, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n").await?
        );
        println!("{}", ask(address, "GET / HTTP/1.1\r\n").await?);

        // ANCHOR: proxy
        let hosts = Upstreams::new([address.to_string().into()], Health::default().with_calls(100));
        let proxy = Proxy::new(hosts.clone(), ProxyOptions::default());
        let sweeper = proxy.clone();
        s.spawn("sweeper", move |ctx| async move { sweeper.sweep(&ctx).await });

        let front = Server::new(proxy);
        let listener = listen("127.0.0.1:0".parse()?, false)?;
        let front_address = listener.local_addr()?;
        s.spawn("front", move |ctx| async move { front.serve(&ctx, listener).await });
        // ANCHOR_END: proxy
        println!("{}", ask(front_address, "GET /me HTTP/1.1\r\nhost: a\r\n").await?);
        hosts.remove(&address.to_string().into());
        println!("{}", ask(front_address, "GET /me HTTP/1.1\r\nhost: a\r\n").await?);
        s.cancel("the end");
        Ok(())
    })
    .await?;
    Ok(())
}

/// The status and the body of an answer.
async fn ask(at: SocketAddr, head: &str) -> Result<String, BoxError> {
    let mut socket = TcpStream::connect(at).await?;
    socket.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    let status = answer.lines().next().unwrap_or_default().trim_start_matches("HTTP/1.1 ");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body.trim_end());
    Ok(format!("{status}: {body}"))
}
