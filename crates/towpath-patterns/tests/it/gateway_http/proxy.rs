//! The reverse proxy: connections that are kept, hosts that fail, clients that leave.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use towpath::Scope;
use towpath_patterns::gateway::{
    http::{Proxy, ProxyOptions, Server},
    upstream::{Health, Upstreams},
};

use super::support::{
    Client, Does, Upstream, field, get, patient, run, start, status, talk, until,
};

/// A short answer.
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn proxy(hosts: &[std::net::SocketAddr]) -> Server<Proxy> {
    Server::new(Proxy::to(hosts.iter().map(ToString::to_string)))
}

/// An address where nobody listens.
async fn nobody() -> std::net::SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[test]
fn requests_of_many_clients_share_connections() {
    run(|s| async move {
        let (upstream, host) = Upstream::answering(&s, OK).await;
        let address = start(&s, &proxy(&[host]));
        for _ in 0..5 {
            let said = talk(address, get("/a?b=c")).await;
            assert!(status(&said) == 200 && said.ends_with("\r\n\r\nok"), "{said:?}");
        }
        let seen = upstream.seen();
        assert_eq!((seen.connections, seen.heads.len()), (1, 5));
        assert!(seen.heads[0].starts_with("GET /a?b=c HTTP/1.1\r\n"));
        Ok(())
    });
}

#[test]
fn all_ways_to_frame_an_answer_arrive() {
    run(|s| async move {
        let (_, host) = Upstream::start(&s, |_, _, head| {
            let path = head.split(' ').nth(1).unwrap_or_default();
            let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            match path {
                "/chunked" => {
                    Does::Sends(format!("{chunked}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").into_bytes())
                }
                "/empty" => Does::Sends(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()),
                "/none" => Does::Sends(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
                "/same" => {
                    Does::Sends(b"HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n".to_vec())
                }
                "/head" => Does::Sends(b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n".to_vec()),
                "/end" => Does::Closes(b"HTTP/1.1 200 OK\r\n\r\nto the end".to_vec()),
                "/old" => Does::Closes(b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold".to_vec()),
                _ => Does::Sends(OK.as_bytes().to_vec()),
            }
        })
        .await;
        let address = start(&s, &proxy(&[host]));
        let cases = [
            ("GET", "/chunked", 200, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
            ("GET", "/empty", 200, ""),
            ("GET", "/none", 204, ""),
            ("GET", "/same", 304, ""),
            ("HEAD", "/head", 200, ""),
            ("GET", "/end", 200, "A\r\nto the end\r\n0\r\n\r\n"),
            ("GET", "/old", 200, "old"),
            ("GET", "/", 200, "ok"),
        ];
        for (method, path, expected, body) in cases {
            let said = talk(address, get(path).replace("GET", method)).await;
            let (head, came) = said.split_once("\r\n\r\n").unwrap();
            assert_eq!((status(head), came), (expected, body), "{path}");
            if path == "/head" {
                assert_eq!(field(head, "content-length"), Some("1234"));
            }
        }
        Ok(())
    });
}

#[test]
fn large_bodies_pass_both_ways() {
    run(|s| async move {
        const SIZE: usize = 4 << 20;
        let (upstream, host) = Upstream::start(&s, |_, _, _| {
            let mut answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").into_bytes();
            answer.resize(answer.len() + SIZE, b'y');
            Does::Sends(answer)
        })
        .await;
        let address = start(&s, &proxy(&[host]));
        for framing in ["content-length", "transfer-encoding"] {
            let mut request = if framing == "content-length" {
                let mut it =
                    format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {SIZE}\r\n\r\n")
                        .into_bytes();
                it.resize(it.len() + SIZE, b'x');
                it
            } else {
                let mut it =
                    b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
                for _ in 0..SIZE / 4096 {
                    it.extend_from_slice(b"1000\r\n");
                    it.resize(it.len() + 4096, b'x');
                    it.extend_from_slice(b"\r\n");
                }
                it
            };
            if framing == "transfer-encoding" {
                request.extend_from_slice(b"0\r\n\r\n");
            }
            let mut client = Client::new(address).await;
            client.send(request).await;
            let (head, body) = client.answer().await;
            assert_eq!((status(&head), body.len()), (200, SIZE));
            let sent = upstream.seen().bodies.pop().unwrap();
            assert!(
                sent.len() == SIZE && sent.bytes().all(|it| it == b'x'),
                "{framing}: {}",
                sent.len()
            );
        }
        assert_eq!(upstream.seen().connections, 1);
        Ok(())
    });
}

#[test]
fn a_connection_that_its_host_closed_meanwhile_costs_nothing() {
    run(|s| async move {
        // Every connection is closed after its answer, without a word.
        let (upstream, host) =
            Upstream::start(&s, |_, _, _| Does::Closes(OK.as_bytes().to_vec())).await;
        let address = start(&s, &proxy(&[host]));
        for method in ["GET", "POST", "GET", "POST"] {
            let request =
                get("/").replace("GET", method).replace("host", "content-length: 0\r\nhost");
            assert_eq!(status(&talk(address, request).await), 200);
            // Until the end has reached the proxy's side; if it has not, a POST may be answered 502, and rightly.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(upstream.seen().heads.len(), 4);
        Ok(())
    });
}

#[test]
fn what_may_be_asked_twice_is_and_nothing_else() {
    run(|s| async move {
        // The second request of a connection gets no answer.
        let (upstream, host) = Upstream::start(&s, |_, number, _| match number {
            0 => Does::Sends(OK.as_bytes().to_vec()),
            _ => Does::Closes(Vec::new()),
        })
        .await;
        let address = start(&s, &proxy(&[host]));
        let post =
            get("/").replace("GET", "POST").replace("host", "content-length: 1\r\nhost") + "x";
        assert_eq!(status(&talk(address, get("/1")).await), 200);
        assert_eq!(status(&talk(address, get("/2")).await), 200);
        assert_eq!(upstream.seen().heads.len(), 3);
        assert_eq!(status(&talk(address, post).await), 502);
        assert_eq!(upstream.seen().heads.len(), 4);
        Ok(())
    });
}

#[test]
fn hosts_that_do_not_answer_are_502() {
    run(|s| async move {
        let nobody = nobody().await;
        let address = start(&s, &proxy(&[nobody]));
        assert_eq!(status(&talk(address, get("/")).await), 502);
        for nonsense in ["", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"] {
            let (_, host) =
                Upstream::start(&s, |_, _, _| Does::Closes(nonsense.as_bytes().to_vec())).await;
            let address = start(&s, &proxy(&[host]));
            assert_eq!(status(&talk(address, get("/")).await), 502, "{nonsense:?}");
        }
        Ok(())
    });
}

#[test]
fn a_host_that_is_down_costs_nothing_beside_one_that_is_up() {
    run(|s| async move {
        let (upstream, host) = Upstream::answering(&s, OK).await;
        let address = start(&s, &proxy(&[nobody().await, host]));
        for _ in 0..20 {
            assert_eq!(status(&talk(address, get("/")).await), 200);
        }
        assert_eq!(upstream.seen().heads.len(), 20);
        Ok(())
    });
}

#[test]
fn a_host_with_all_it_may_have_is_503() {
    run(|s| async move {
        let (upstream, host) = Upstream::start(&s, |_, _, _| Does::Waits).await;
        let hosts = Upstreams::new([host.to_string().into()], Health::default().with_calls(1));
        let server = Server::new(Proxy::new(hosts, ProxyOptions::default()));
        let address = start(&s, &server);
        let mut first = Client::new(address).await;
        first.send(get("/")).await;
        upstream.has(|it| it.heads.len() == 1).await;
        let said = talk(address, get("/")).await;
        assert_eq!((status(&said), field(&said, "retry-after")), (503, Some("1")));
        Ok(())
    });
}

#[test]
fn a_late_host_is_504_and_its_work_ends() {
    run(|s| async move {
        let (upstream, host) = Upstream::start(&s, |_, _, _| Does::Waits).await;
        let address = start(&s, &proxy(&[host]));
        let said =
            talk(address, get("/").replace("host", "x-request-timeout-ms: 50\r\nhost")).await;
        assert_eq!(status(&said), 504);
        upstream.has(|it| it.left == 1).await;
        // It was told how much was left.
        let left: u64 =
            field(&upstream.seen().heads[0], "x-request-timeout-ms").unwrap().parse()?;
        assert!(left <= 50, "{left}");
        Ok(())
    });
}

#[test]
fn the_work_of_a_client_that_leaves_ends() {
    run(|s| async move {
        let (upstream, host) = Upstream::start(&s, |_, _, _| Does::Waits).await;
        let server = proxy(&[host]);
        let address = start(&s, &server);
        for n in 1..=3 {
            let mut client = Client::new(address).await;
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            upstream.has(|it| it.heads.len() == n).await;
            drop(client);
            upstream.has(|it| it.left == n).await;
        }
        until(&server, |it| it.connections == 0).await;
        Ok(())
    });
}

#[test]
fn an_answer_that_breaks_off_is_not_made_whole() {
    run(|s| async move {
        for part in [
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense",
        ] {
            let (_, host) =
                Upstream::start(&s, |_, _, _| Does::Closes(part.as_bytes().to_vec())).await;
            let address = start(&s, &proxy(&[host]));
            let mut client = Client::new(address).await;
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let said = client.rest().await;
            // The end of the connection comes before the end of the body that was promised.
            assert!(!said.ends_with("0\r\n\r\n"), "{part:?}: {said:?}");
            let length =
                field(&said, "content-length").map_or(usize::MAX, |it| it.parse().unwrap());
            let body = said.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
            assert!(body < length, "{part:?}: {said:?}");
        }
        Ok(())
    });
}

#[test]
fn connections_at_rest_are_swept() {
    run(|s| async move {
        let (_, host) = Upstream::answering(&s, OK).await;
        let mut options = ProxyOptions::default();
        options.rest_time = Duration::from_millis(20);
        let hosts = Upstreams::new([host.to_string().into()], Health::default());
        let proxy = Proxy::new(hosts, options);
        let address = start(&s, &Server::new(proxy.clone()));
        assert_eq!(status(&talk(address, get("/")).await), 200);
        assert_eq!(proxy.at_rest(), 1);
        sweep(&s, &proxy);
        patient(async {
            while proxy.at_rest() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        Ok(())
    });
}

fn sweep(s: &Scope, proxy: &Proxy) {
    let proxy = proxy.clone();
    s.spawn("sweeper", move |ctx| async move { proxy.sweep(&ctx).await });
}

#[test]
fn an_upstream_that_answers_before_the_body_has_come_is_heard() {
    run(|s| async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?;
        s.spawn("early upstream", move |_| async move {
            let (mut socket, _) = listener.accept().await?;
            super::support::head(&mut socket).await.expect("a head");
            socket.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await?;
            // It reads on, as servers do for a while.
            tokio::io::copy(&mut socket, &mut tokio::io::sink()).await
        });
        let address = start(&s, &proxy(&[host]));
        let mut client = Client::new(address).await;
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf").await;
        assert_eq!(client.status().await, 403);
        let mut rest = Vec::new();
        client.send("x".repeat(96)).await;
        let _ = patient(client.0.read_to_end(&mut rest)).await;
        Ok(())
    });
}

/// More than a task of tokio may look at in one turn.
#[test]
fn many_connections_that_their_host_closed_cost_nothing() {
    const MANY: usize = 300;
    run(|s| async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?;
        let (go, mut goes) = towpath::bounded::<()>(1);
        s.spawn("upstream", move |ctx| async move {
            let mut sockets = Vec::new();
            for _ in 0..MANY {
                let (mut socket, _) = listener.accept().await?;
                super::support::head(&mut socket).await.expect("a head");
                sockets.push(socket);
            }
            for socket in &mut sockets {
                socket.write_all(OK.as_bytes()).await?;
            }
            goes.recv().await;
            drop(sockets);
            let (mut socket, _) = listener.accept().await?;
            super::support::head(&mut socket).await.expect("a head");
            socket.write_all(OK.as_bytes()).await?;
            ctx.done().await;
            Ok::<_, std::io::Error>(())
        });
        let mut options = ProxyOptions::default();
        options.rest_max = MANY;
        let hosts = Upstreams::new([host.to_string().into()], Health::default());
        let proxy = Proxy::new(hosts, options);
        let address = start(&s, &Server::new(proxy.clone()));
        let mut clients = Vec::new();
        for _ in 0..MANY {
            let mut client = Client::new(address).await;
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            clients.push(client);
        }
        for client in &mut clients {
            assert_eq!(client.status().await, 200);
        }
        assert_eq!(proxy.at_rest(), MANY);
        go.send(()).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(status(&talk(address, get("/").replace("GET", "POST")).await), 200);
        Ok(())
    });
}
