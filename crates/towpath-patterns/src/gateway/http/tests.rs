//! The values of a connection: what its pulse says after what has happened, and heads.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};

use super::{
    head,
    limits::Limits,
    pulse::{Pulse, Ticks, Verdict},
};

const TICKS: Ticks = Ticks { header: 3, write: 2, resets: 1 };

/// Runs a script, one letter for each thing that happens to a connection, and gives the verdicts of its ticks.
///
/// `r` bytes are read, `w` written, `f` flushed, `t` a tick; `q` a request begins, `a` its answer does, `s` it waits for somebody else, `e`
/// has ended, `d` it is dropped.
fn check(script: &str, expected: &str) {
    let pulse = Arc::new(Pulse::default());
    let (mut request, mut said) = (None, String::new());
    for step in script.chars() {
        match step {
            'r' => pulse.was_read(),
            'w' => pulse.was_written(),
            'f' => pulse.was_flushed(),
            'q' => request = Some(pulse.request()),
            'd' => drop(request.take()),
            't' => said.push(match pulse.tick(&TICKS) {
                Verdict::Fine => '.',
                Verdict::Idle => 'i',
                Verdict::HeadLate => 'h',
                Verdict::Stuck => 's',
                Verdict::Resets => 'r',
            }),
            step => {
                let request = request.as_mut().expect("a request before what becomes of it");
                match step {
                    'a' => request.answering(),
                    's' => request.waiting(),
                    'e' => request.answered(),
                    _ => panic!("`{step}` is no step"),
                }
            }
        }
    }
    assert_eq!(said, expected, "{script}");
}

#[test]
fn a_pulse_says_what_a_connection_waits_for() {
    check("tttt", ".iii");
    // A head is late however it drips; a complete one is not.
    check("rtrtrtrt", "...h");
    check("rtttqtttttttt", "...........");
    // At rest again a tick after all has left.
    check("rqaedftt", ".i");
    check("rqaedttt", "..s");
    // Taken slowly is taken; not taken is stuck; the host's silence is not the client's fault.
    check("rqatwtwtwtwt", ".....");
    check("rqattt", "..s");
    check("rqastttttttt", "........");
    check("rqasttattt", "....s");
    // Given up more often than answered, and once more.
    check("rqdfrqdft", "r");
    check("rqdfrqaedft", ".");
}

#[test]
fn limits_in_ticks_never_end_early() {
    let limits = Limits::default();
    for time in [limits.header_time, limits.write_time, limits.idle_time, Duration::ZERO] {
        assert!(limits.tick() * limits.ticks(time) > time);
    }
    let short = Limits { header_time: Duration::ZERO, ..Limits::default() };
    assert!(short.tick() > Duration::ZERO);
}

#[test]
fn heads_that_are_let_through_have_one_host() {
    let cases = [
        (Version::HTTP_11, Method::GET, &["a"][..], None),
        (Version::HTTP_11, Method::GET, &["[::1]:80"], None),
        (Version::HTTP_11, Method::GET, &[], Some(StatusCode::BAD_REQUEST)),
        (Version::HTTP_10, Method::GET, &[], None),
        (Version::HTTP_2, Method::GET, &[], None),
        (Version::HTTP_2, Method::GET, &["a", "a"], Some(StatusCode::BAD_REQUEST)),
        (Version::HTTP_11, Method::GET, &["a b"], Some(StatusCode::BAD_REQUEST)),
        (Version::HTTP_11, Method::GET, &["a@b"], Some(StatusCode::BAD_REQUEST)),
        (Version::HTTP_11, Method::CONNECT, &["a"], Some(StatusCode::NOT_IMPLEMENTED)),
    ];
    for (version, method, hosts, expected) in cases {
        let mut request = Request::new(());
        *request.version_mut() = version;
        *request.method_mut() = method;
        for host in hosts {
            request.headers_mut().append("host", HeaderValue::from_static(host));
        }
        let said = head::check(&request).err().map(head::Malformed::status);
        assert_eq!(said, expected, "{request:?}");
    }
}

#[test]
fn times_are_digits() {
    let cases = [
        ("0", Some(0)),
        ("250", Some(250)),
        ("007", Some(7)),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1s", None),
        ("99999999999999999999", None),
    ];
    for (text, expected) in cases {
        let mut headers = HeaderMap::new();
        headers.insert(head::TIMEOUT, HeaderValue::from_static(text));
        let said = head::timeout(&headers).ok().flatten().map(|it| it.as_millis());
        assert_eq!(said, expected, "{text:?}");
    }
}
