//! Requests for the workers of a gateway.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use towpath::{Cause, bounded};
use towpath_patterns::gateway::{
    Call, Gateway, Options,
    http::{Server, Workers, write_headers},
};

use super::support::{Client, field, get, patient, run, start, status, talk};

type HttpCall = Call<Request<Bytes>, Response<Bytes>>;

#[test]
fn a_worker_gets_the_request_and_the_client_its_answer() {
    run(|s| async move {
        let echo = Gateway::start(&s, "echo", Options::new(2), async |call: HttpCall| {
            let request = call.request();
            let said = format!("{} {} {:?}", request.method(), request.uri(), request.body());
            let mut response = Response::new(Bytes::from(said));
            write_headers(&call.ctx().headers(), response.headers_mut());
            call.answer(response);
        });
        let address = start(&s, &Server::new(Workers::new(echo)));
        let request = "PUT /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntraceparent: 00-ab-cd-01\r\ntracestate: a=1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
        let said = talk(address, request).await;
        assert!(said.ends_with("\r\n\r\nPUT /x b\"hello\""), "{said:?}");
        assert_eq!(field(&said, "traceparent"), Some("00-ab-cd-01"));
        assert_eq!(field(&said, "tracestate"), Some("a=1"));
        Ok(())
    });
}

#[test]
fn what_a_gateway_refuses_is_said_in_http() {
    run(|s| async move {
        let (started, mut begun) = bounded::<()>(16);
        let options = Options::new(1).with_queue(0);
        let moody = Gateway::start(&s, "moody", options, move |call: HttpCall| {
            let started = started.clone();
            async move {
                match call.request().uri().path() {
                    "/wait" => {
                        let _ = started.send(()).await;
                        call.ctx().done().await;
                    }
                    "/drop" => drop(call),
                    "/panic" => panic!("a handler that panics"),
                    _ => call.answer(Response::new(Bytes::from("fine"))),
                }
            }
        });
        let address = start(&s, &Server::new(Workers::new(moody)));
        for (path, expected) in [("/", 200), ("/drop", 500), ("/panic", 500), ("/", 200)] {
            assert_eq!(status(&talk(address, get(path)).await), expected, "{path}");
        }
        let mut busy = Client::new(address).await;
        busy.send(get("/wait").replace("host", "x-request-timeout-ms: 300\r\nhost")).await;
        patient(begun.recv()).await;
        let said = talk(address, get("/")).await;
        // The worker may be done by then on a slow machine.
        if status(&said) != 200 {
            assert_eq!(status(&said), 503);
            assert!(field(&said, "retry-after").unwrap().parse::<u64>()? >= 1);
        }
        assert_eq!(busy.status().await, 504);
        Ok(())
    });
}

#[test]
fn a_call_ends_with_its_client() {
    run(|s| async move {
        let (started, mut begun) = bounded::<()>(1);
        let (ended, mut causes) = bounded::<Cause>(1);
        let slow = Gateway::start(&s, "slow", Options::new(1), move |call: HttpCall| {
            let (started, ended) = (started.clone(), ended.clone());
            async move {
                let _ = started.send(()).await;
                let cause = call.ctx().done().await;
                let _ = ended.send(cause).await;
            }
        });
        let address = start(&s, &Server::new(Workers::new(slow)));
        let mut client = Client::new(address).await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        patient(begun.recv()).await;
        drop(client);
        let cause = patient(causes.recv()).await.unwrap();
        assert_eq!(cause.to_string(), "cancelled: the caller has left");
        Ok(())
    });
}

#[test]
fn a_deadline_reaches_the_worker() {
    run(|s| async move {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let worker = Gateway::start(&s, "worker", Options::new(1), {
            let seen = seen.clone();
            move |call: HttpCall| {
                seen.lock().unwrap().push(call.ctx().remaining());
                async move { call.answer(Response::new(Bytes::new())) }
            }
        });
        let address = start(&s, &Server::new(Workers::new(worker)));
        talk(address, get("/").replace("host", "x-request-timeout-ms: 20000\r\nhost")).await;
        // Longer than the server lets anybody work: its own limit holds.
        talk(address, get("/").replace("host", "x-request-timeout-ms: 99999999\r\nhost")).await;
        talk(address, get("/")).await;
        let left: Vec<Duration> = seen.lock().unwrap().iter().map(|it| it.unwrap()).collect();
        let (most, work_time) = (Duration::from_secs(20), Duration::from_secs(30));
        assert!(left[0] <= most && left[1] <= work_time && left[2] <= work_time, "{left:?}");
        assert!(left[1] > most, "{left:?}");
        Ok(())
    });
}

#[test]
fn a_trace_context_goes_out_as_it_came_in() {
    use towpath_patterns::gateway::http::headers_of;
    let mut came = HeaderMap::new();
    came.insert("traceparent", "00-1-2-01".parse().unwrap());
    came.append("tracestate", "a=1".parse().unwrap());
    came.append("tracestate", "b=2".parse().unwrap());
    came.insert("cookie", "secret".parse().unwrap());
    let mut out = HeaderMap::new();
    out.insert("traceparent", "of somebody else".parse().unwrap());
    out.insert("tracestate", "of somebody else".parse().unwrap());
    write_headers(&headers_of(&came), &mut out);
    came.remove("cookie");
    assert_eq!(out, came);
    assert!(headers_of(&HeaderMap::new()).is_empty());
}
