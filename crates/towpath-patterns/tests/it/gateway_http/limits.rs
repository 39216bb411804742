//! What clients do wrong, slowly or too much: each is told or closed, and the next one is served.

use std::time::Duration;

use http::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use towpath_patterns::gateway::http::{Asked, Body, Limits, Server};

use super::support::{Client, get, limits, patient, run, start, status, talk, until};

/// Says how long the body was.
async fn count(asked: Asked) -> Response<Body> {
    match asked.request.into_body().collect().await {
        Ok(body) => Response::new(Body::from(body.len().to_string())),
        Err(why) => why.into(),
    }
}

fn server(
    change: impl FnOnce(&mut Limits),
) -> Server<impl towpath_patterns::gateway::http::Handler> {
    Server::new(count).with_limits(limits(change))
}

#[test]
fn what_is_no_http_is_answered_so_and_harms_nobody() {
    run(|s| async move {
        let server = server(|_| {});
        let address = start(&s, &server);
        let long = "x".repeat(5000);
        let many = (0..30).map(|n| format!("h{n}: v\r\n")).collect::<String>();
        let cases = [
            (400, "nonsense\r\n\r\n".to_owned()),
            (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
            (400, "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned()),
            (400, "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n".to_owned()),
            (400, "GET / HTTP/1.1\r\nhost: \r\n\r\n".to_owned()),
            (400, "GET / HTTP/1.1\r\nhost: a\r\nna me: b\r\n\r\n".to_owned()),
            (400, "GET / HTTP/1.1\r\nhost : a\r\n\r\n".to_owned()),
            (400, "GET / HTTP/1.1\r\nhost: a\r\n folded: b\r\n\r\n".to_owned()),
            (400, "GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n".to_owned()),
            (400, "GET / HTTP/3.7\r\nhost: a\r\n\r\n".to_owned()),
            (400, "GET /\u{1} HTTP/1.1\r\nhost: a\r\n\r\n".to_owned()),
            (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n".to_owned()),
            (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1,2\r\n\r\n".to_owned()),
            (400, "GET / HTTP/1.1\r\nhost: a\r\nx-request-timeout-ms: +5\r\n\r\n".to_owned()),
            (400, "GET / HTTP/1.1\r\nhost: a\r\nx-request-timeout-ms: soon\r\n\r\n".to_owned()),
            (501, "CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n".to_owned()),
            (431, format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n")),
            (431, format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n")),
        ];
        for (expected, request) in cases {
            let mut client = Client::new(address).await;
            client.send(&request).await;
            assert_eq!(client.status().await, expected, "{request:?}");
            let answer = talk(address, get("/")).await;
            assert_eq!(status(&answer), 200, "after {request:?}");
        }
        Ok(())
    });
}

#[test]
fn a_path_too_long_is_refused() {
    run(|s| async move {
        let server = server(|limits| limits.header_bytes_max = 200_000);
        let address = start(&s, &server);
        let answer = talk(address, get(&format!("/{}", "x".repeat(100_000)))).await;
        assert_eq!(status(&answer), 414);
        Ok(())
    });
}

#[test]
fn bodies_beyond_the_limit_are_refused_however_they_are_sent() {
    run(|s| async move {
        let server = server(|_| {});
        let address = start(&s, &server);
        let exact = format!(
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 10000\r\n\r\n{}",
            "x".repeat(10_000)
        );
        assert!(talk(address, exact).await.ends_with("\r\n\r\n10000"));
        // The client sends on, and must see the answer all the same.
        let announced = format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n{}",
            "x".repeat(1_000_000)
        );
        let mut client = Client::new(address).await;
        let (mut read, mut write) = client.0.split();
        let sent = async { drop(write.write_all(announced.as_bytes()).await) };
        let told = async {
            let head = super::support::head(&mut read).await.expect("an answer, not a reset");
            assert_eq!(status(&head), 413);
            let _ = read.read_to_end(&mut Vec::new()).await;
        };
        patient(async { tokio::join!(sent, told) }).await;
        let chunks = format!("{:x}\r\n{}\r\n", 6000, "x".repeat(6000));
        let chunked = format!(
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunks}{chunks}0\r\n\r\n"
        );
        assert_eq!(status(&talk(address, chunked).await), 413);
        Ok(())
    });
}

#[test]
fn a_head_that_does_not_end_is_answered_408() {
    run(|s| async move {
        let server = server(|limits| limits.header_time = Duration::from_millis(100));
        let address = start(&s, &server);
        // The first head of a connection, what may be a preface, and a later head.
        for beginning in ["G", "GET / HTTP/1.1\r\nho", "POST"] {
            let mut client = Client::new(address).await;
            client.send(beginning).await;
            let said = client.rest().await;
            assert!(said.starts_with("HTTP/1.1 408 "), "{beginning:?}: {said:?}");
        }
        let mut client = Client::new(address).await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(client.status().await, 200);
        client.send("GET / HT").await;
        assert!(client.rest().await.starts_with("HTTP/1.1 408 "));
        until(&server, |it| it.heads_late == 4 && it.connections == 0).await;
        Ok(())
    });
}

#[test]
fn half_a_preface_is_closed() {
    run(|s| async move {
        let server = server(|limits| limits.header_time = Duration::from_millis(100));
        let address = start(&s, &server);
        let mut client = Client::new(address).await;
        client.send("PRI * HTTP/2").await;
        assert_eq!(client.rest().await, "");
        until(&server, |it| it.heads_late == 1 && it.connections == 0).await;
        Ok(())
    });
}

#[test]
fn a_body_that_does_not_come_is_answered_408() {
    run(|s| async move {
        let server = server(|limits| limits.body_time = Duration::from_millis(100));
        let address = start(&s, &server);
        let said = talk(address, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab").await;
        assert_eq!(status(&said), 408);
        Ok(())
    });
}

#[test]
fn clients_that_say_nothing_are_closed() {
    run(|s| async move {
        let server = server(|limits| limits.idle_time = Duration::from_millis(100));
        let address = start(&s, &server);
        assert_eq!(Client::new(address).await.rest().await, "");
        let mut client = Client::new(address).await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(client.status().await, 200);
        assert_eq!(client.rest().await, "");
        until(&server, |it| it.connections == 0).await;
        Ok(())
    });
}

#[test]
fn a_connection_at_rest_is_taken_up_again() {
    run(|s| async move {
        // Ticks are short, so that it rests between the requests.
        let server = server(|limits| limits.write_time = Duration::from_millis(40));
        let address = start(&s, &server);
        let mut client = Client::new(address).await;
        for pause in [0, 1, 30, 5, 60, 0] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            assert_eq!((client.status().await, client.status().await), (200, 200));
        }
        assert_eq!(server.snapshot().accepted, 1);
        Ok(())
    });
}

#[test]
fn a_client_that_takes_nothing_is_closed() {
    run(|s| async move {
        let huge = |_: Asked| async { Response::new(Body::from(vec![b'x'; 64 << 20])) };
        let server =
            Server::new(huge).with_limits(limits(|it| it.write_time = Duration::from_millis(200)));
        let address = start(&s, &server);
        let mut client = Client::new(address).await;
        client.send(get("/")).await;
        until(&server, |it| it.stuck == 1 && it.connections == 0).await;
        Ok(())
    });
}

#[test]
fn a_client_that_takes_slowly_gets_it_all() {
    run(|s| async move {
        const SIZE: usize = 8 << 20;
        let large = |_: Asked| async { Response::new(Body::from(vec![b'x'; SIZE])) };
        let server =
            Server::new(large).with_limits(limits(|it| it.write_time = Duration::from_millis(400)));
        let address = start(&s, &server);
        let mut client = Client::new(address).await;
        client.send(get("/")).await;
        let (mut buf, mut taken) = (vec![0; 64 * 1024], 0);
        while let count @ 1.. = patient(client.0.read(&mut buf)).await? {
            taken += count;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(taken > SIZE, "{taken}");
        Ok(())
    });
}

#[test]
fn with_all_places_taken_the_next_client_waits_for_one() {
    run(|s| async move {
        let server = server(|limits| limits.connections_max = 2);
        let address = start(&s, &server);
        let mut first = Client::new(address).await;
        let mut second = Client::new(address).await;
        for client in [&mut first, &mut second] {
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            assert_eq!(client.status().await, 200);
        }
        let mut third = Client::new(address).await;
        third.send(get("/")).await;
        assert_eq!(server.snapshot().accepted, 2);
        drop(first);
        assert_eq!(third.status().await, 200);
        Ok(())
    });
}

#[test]
fn a_handler_that_panics_costs_its_request() {
    run(|s| async move {
        let fussy = |asked: Asked| async move {
            assert!(asked.request.uri().path() != "/bad", "this path is bad");
            Response::new(Body::from("fine"))
        };
        let server = Server::new(fussy);
        let address = start(&s, &server);
        let mut client = Client::new(address).await;
        for (path, expected) in [("/bad", 500), ("/good", 200), ("/bad", 500)] {
            client.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
            assert_eq!(client.status().await, expected);
        }
        assert_eq!(server.snapshot().panics, 2);
        Ok(())
    });
}
