//! What a proxy sends on: one request for one, framed anew, with nothing in it that was for the proxy alone.

use towpath_patterns::gateway::{
    http::{Proxy, ProxyOptions, Server},
    upstream::{Health, Upstreams},
};

use super::support::{Client, Upstream, field, run, start, status, talk};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x-mine\r\nx-mine: 1\r\nkeep-alive: timeout=5\r\nx-yours: 2\r\n\r\nok";

fn proxy(host: std::net::SocketAddr, change: impl FnOnce(&mut ProxyOptions)) -> Server<Proxy> {
    let mut options = ProxyOptions::default();
    change(&mut options);
    let hosts = Upstreams::new([host.to_string().into()], Health::default());
    Server::new(Proxy::new(hosts, options))
}

#[test]
fn two_lengths_are_one_request() {
    run(|s| async move {
        let (upstream, host) = Upstream::answering(&s, OK).await;
        let address = start(&s, &proxy(host, |_| {}));
        let hidden = "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
        // With the length as the end, `hidden` is body; with the chunks as the end, it is a second request. It must not come out
        // as one, whichever header is first.
        for headers in [
            format!("content-length: {}\r\ntransfer-encoding: chunked", 5 + hidden.len()),
            format!("transfer-encoding: chunked\r\ncontent-length: {}", 5 + hidden.len()),
            format!("Transfer-Encoding:\tchunked\r\ncontent-length: {}", 5 + hidden.len()),
        ] {
            let before = upstream.seen().heads.len();
            let said = talk(
                address,
                format!("POST /seen HTTP/1.1\r\nhost: a\r\n{headers}\r\n\r\n0\r\n\r\n{hidden}"),
            )
            .await;
            assert_eq!((status(&said), said.matches("HTTP/1.1 ").count()), (200, 1), "{said:?}");
            let heads = upstream.seen().heads.split_off(before);
            assert_eq!(heads.len(), 1, "{heads:?}");
            assert!(heads[0].starts_with("POST /seen "));
            assert_eq!(field(&heads[0], "content-length"), None);
            assert_eq!(field(&heads[0], "transfer-encoding"), Some("chunked"));
        }
        Ok(())
    });
}

#[test]
fn unclear_lengths_are_refused() {
    run(|s| async move {
        let (upstream, host) = Upstream::answering(&s, OK).await;
        let address = start(&s, &proxy(host, |_| {}));
        for headers in [
            "content-length: 1\r\ncontent-length: 2",
            "content-length: 1, 1",
            "content-length: 0x1",
            "content-length: +1",
            "content-length: 1 1",
            "transfer-encoding: xchunked",
            "transfer-encoding: chunked, identity",
            "transfer-encoding: gzip",
            "transfer-encoding : chunked",
            "transfer-encoding: \"chunked\"",
            " transfer-encoding: chunked",
        ] {
            let mut client = Client::new(address).await;
            client.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{headers}\r\n\r\n0\r\n\r\n")).await;
            assert_eq!(client.status().await, 400, "{headers:?}");
        }
        let mut old = Client::new(address).await;
        old.send("POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").await;
        assert_eq!(old.status().await, 400);
        assert_eq!(upstream.seen().heads.len(), 0);
        Ok(())
    });
}

#[test]
fn chunks_that_are_none_never_become_a_second_request() {
    run(|s| async move {
        let (upstream, host) = Upstream::answering(&s, OK).await;
        let address = start(&s, &proxy(host, |_| {}));
        for chunks in [
            "-1\r\n",
            "1;x=\r\r\nab\r\n",
            "fffffffffffffffff\r\nx",
            "2\r\nabc\r\n0\r\n\r\n",
            "z\r\n",
        ] {
            talk(address, format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunks}GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        }
        let heads = upstream.seen().heads;
        assert!(heads.iter().all(|head| head.starts_with("POST / ")), "{heads:?}");
        Ok(())
    });
}

#[test]
fn headers_for_one_connection_stay_there() {
    run(|s| async move {
        let (upstream, host) = Upstream::answering(&s, OK).await;
        let address = start(&s, &proxy(host, |_| {}));
        let said = talk(
            address,
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: close, X-Secret , host,content-length\r\nx-secret: 1\r\nte: trailers\r\n\
             upgrade: websocket\r\nkeep-alive: 5\r\nproxy-connection: x\r\nproxy-authorization: y\r\nx-other: 3\r\n\
             traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\ntracestate: a=b\r\n\r\n",
        )
        .await;
        let head = upstream.seen().heads.remove(0);
        for gone in [
            "connection",
            "x-secret",
            "te",
            "upgrade",
            "keep-alive",
            "proxy-connection",
            "proxy-authorization",
            "content-length",
        ] {
            assert_eq!(field(&head, gone), None, "{gone}: {head}");
        }
        let kept = [
            ("host", "a"),
            ("x-other", "3"),
            ("via", "1.1 towpath"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("tracestate", "a=b"),
        ];
        for (name, value) in kept {
            assert_eq!(field(&head, name), Some(value), "{head}");
        }
        for (name, value) in [
            ("x-mine", None),
            ("keep-alive", None),
            ("x-yours", Some("2")),
            ("via", Some("1.1 towpath")),
        ] {
            assert_eq!(field(&said, name), value, "{said}");
        }
        Ok(())
    });
}

#[test]
fn who_a_client_speaks_for_is_believed_where_we_said_so() {
    run(|s| async move {
        let claim = "GET / HTTP/1.1\r\nhost: a\r\nvia: 1.0 before\r\nx-forwarded-for: 9.9.9.9\r\nx-forwarded-proto: https\r\nconnection: close\r\n\r\n";
        for (trusted, chain, proto) in
            [(false, "127.0.0.1", "http"), (true, "9.9.9.9, 127.0.0.1", "https")]
        {
            let (upstream, host) = Upstream::answering(&s, OK).await;
            let address = start(&s, &proxy(host, |options| options.trust_forwarded = trusted));
            talk(address, claim).await;
            let head = upstream.seen().heads.remove(0);
            assert_eq!(field(&head, "x-forwarded-for"), Some(chain));
            assert_eq!(field(&head, "x-forwarded-proto"), Some(proto));
            assert!(head.contains("via: 1.0 before\r\nvia: 1.1 towpath\r\n"), "{head}");
        }
        Ok(())
    });
}

#[test]
fn a_target_with_a_host_overrides_the_header() {
    run(|s| async move {
        let (upstream, host) = Upstream::answering(&s, OK).await;
        let address = start(&s, &proxy(host, |_| {}));
        talk(
            address,
            "GET http://real/path?q HTTP/1.1\r\nhost: other\r\nconnection: close\r\n\r\n",
        )
        .await;
        let head = upstream.seen().heads.remove(0);
        assert!(head.starts_with("GET /path?q HTTP/1.1\r\n"), "{head}");
        assert_eq!(field(&head, "host"), Some("real"));
        Ok(())
    });
}
