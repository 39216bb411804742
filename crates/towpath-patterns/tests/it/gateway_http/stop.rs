//! A server that is told to stop.

use std::time::Duration;

use http::Response;
use towpath::{Ctx, bounded};
use towpath_patterns::gateway::http::{Asked, Body, Server, listen};

use super::support::{Client, field, holding, limits, patient, run, status};

#[test]
fn what_is_under_way_ends_and_the_rest_is_told() {
    run(|s| async move {
        let (server, mut begun, go) = holding();
        let listener = listen("127.0.0.1:0".parse()?, false)?;
        let address = listener.local_addr()?;
        let (ctx, canceller) = Ctx::root().with_cancel();
        let serving = s.spawn("server", {
            let server = server.clone();
            move |_| async move { server.serve(&ctx, listener).await }
        });
        let silent = Client::new(address).await;
        let mut busy = Client::new(address).await;
        busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        patient(begun.recv()).await;
        while server.snapshot().connections < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        canceller.cancel("stop");
        assert_eq!(silent.rest().await, "");
        go.send(()).await?;
        let (head, body) = busy.answer().await;
        assert_eq!(
            (status(&head), field(&head, "connection"), &body[..]),
            (200, Some("close"), &b"done"[..])
        );
        patient(serving).await?;
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
        assert_eq!(server.snapshot().connections, 0);
        Ok(())
    });
}

#[test]
fn what_does_not_end_in_time_is_dropped() {
    run(|s| async move {
        let (started, mut begun) = bounded::<()>(1);
        let server = Server::new(move |_: Asked| {
            let started = started.clone();
            async move {
                let _ = started.send(()).await;
                std::future::pending::<()>().await;
                Response::new(Body::empty())
            }
        })
        .with_limits(limits(|it| it.drain_time = Duration::from_millis(50)));
        let listener = listen("127.0.0.1:0".parse()?, false)?;
        let address = listener.local_addr()?;
        let (ctx, canceller) = Ctx::root().with_cancel();
        let serving = s.spawn("server", {
            let server = server.clone();
            move |_| async move { server.serve(&ctx, listener).await }
        });
        let mut client = Client::new(address).await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        patient(begun.recv()).await;
        canceller.cancel("stop");
        patient(serving).await?;
        assert_eq!(client.rest().await, "");
        assert_eq!(server.snapshot().connections, 0);
        Ok(())
    });
}
