//! Streams: what is written is read, in order, or there is an error.

use std::io;

use towpath::{BoxError, Ctx, scope, select};
use towpath_sim::net::{Faults, Latency, Net, Stream};

use super::*;

/// The byte at a place, so that any shift or gap shows.
fn byte_at(at: usize) -> u8 {
    (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]
}

/// Writes `total` bytes in pieces whose sizes depend on the seed, and ends.
async fn write(mut stream: Stream, total: usize, seed: u64) -> io::Result<()> {
    let bytes: Vec<u8> = (0..total).map(byte_at).collect();
    let mut done = 0;
    while done < total {
        let size = 1 + (seed as usize * 7 + done * 13) % 4_000;
        let end = (done + size).min(total);
        stream.write_all(&bytes[done..end]).await?;
        done = end;
        if done % 3 == 0 {
            towpath::rt::sleep(millis(5)).await;
        }
    }
    stream.shutdown()?;
    // Closed before it has arrived it might be reset.
    let end = stream.read(&mut [0; 8]).await?;
    assert_eq!(end, 0);
    Ok(())
}

/// Reads to the end and returns how many bytes came, every one of them right, and whether that was the end.
async fn read(mut stream: Stream, seed: u64) -> (usize, io::Result<()>) {
    let mut buf = vec![0; 1 + seed as usize % 5_000];
    let mut done = 0;
    loop {
        match stream.read(&mut buf).await {
            Ok(0) => return (done, Ok(())),
            Ok(count) => {
                for byte in &buf[..count] {
                    assert_eq!(*byte, byte_at(done), "at {done}");
                    done += 1;
                }
            }
            Err(error) => return (done, Err(error)),
        }
    }
}

/// One transfer from `a` to `b`, which may be cut off from each other now and then.
fn transfer(faults: Faults, seed: u64, cuts: u64) -> (usize, usize, io::Result<()>) {
    const TOTAL: usize = 100_000;
    virtually(async move {
        let (net, _a, _b, client, server) = pair(faults, seed).await;
        let came =
            scope(&Ctx::root(), |s| async move {
                s.spawn("writer", move |_| async move {
                    write(client, TOTAL, seed).await.ok();
                });
                s.spawn("weather", move |_| async move {
                    for cut in 0..cuts {
                        towpath::rt::sleep(millis(20 + (seed + cut) * 17 % 100)).await;
                        match (seed + cut) % 3 {
                            0 => net.cut(&["a"], &["b"]),
                            1 => net.cut(&["b"], &["a"]),
                            _ => net.partition(&["b"], &["a"]),
                        }
                        towpath::rt::sleep(millis((seed * 31 + cut * 277) % 3_000)).await;
                        net.heal();
                    }
                });
                let reader = s.spawn("reader", move |_| async move {
                    Ok::<_, BoxError>(read(server, seed).await)
                });
                Ok(reader.await?)
            });
        let (came, end) = came.await.unwrap();
        (TOTAL, came, end)
    })
}

#[test]
fn everything_arrives_in_order_in_spite_of_losses_and_cuts() {
    for seed in 0..60 {
        let faults = Faults { reset: 0, refuse: 0, ..Faults::hostile() };
        let (total, came, end) = transfer(faults, seed, 5);
        assert_eq!((came, end.is_ok()), (total, true), "seed {seed}: {end:?}");
    }
}

#[test]
fn a_broken_stream_ends_with_an_error_and_never_with_the_end() {
    let mut broken = 0;
    for seed in 0..60 {
        let faults = Faults { reset: 20, refuse: 0, ..Faults::hostile() };
        let (total, came, end) = transfer(faults, seed, 2);
        match end {
            Ok(()) => assert_eq!(came, total, "seed {seed}"),
            Err(error) => {
                assert!(came < total, "seed {seed}");
                assert_eq!(error.raw_os_error(), Some(ECONNRESET), "seed {seed}");
                broken += 1;
            }
        }
    }
    assert!((10..60).contains(&broken), "{broken} of 60 broke");
}

#[test]
fn the_same_seed_is_the_same_transfer() {
    let run = |seed| {
        let (_, came, end) =
            transfer(Faults { reset: 20, refuse: 0, ..Faults::hostile() }, seed, 3);
        (came, end.map_err(|error| error.raw_os_error()))
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

#[test]
fn a_write_waits_for_room_and_goes_on_when_there_is() {
    virtually(async {
        let (_net, _a, _b, mut client, mut server) = pair(Faults::default(), 1).await;
        let big = vec![7; 100_000];
        assert_eq!(client.write(&big).await.unwrap(), 65_536);
        assert!(within(millis(1_000_000), client.write(&big)).await.is_none());
        assert_eq!(server.read(&mut [0; 10_000]).await.unwrap(), 10_000);
        assert_eq!(client.write(&big).await.unwrap(), 10_000);
    });
}

#[test]
fn latency_and_bandwidth_take_their_time() {
    virtually(async {
        let latency = Latency::constant(millis(30));
        let faults = Faults { latency, bandwidth: Some(1_000), ..Faults::default() };
        let (_net, _a, _b, mut client, mut server) = pair(faults, 1).await;
        let start = towpath::rt::now();
        client.write_all(&[1; 500]).await.unwrap();
        client.write_all(&[2; 500]).await.unwrap();
        let mut buf = [0; 500];
        for half in 1..=2 {
            server.read_exact(&mut buf).await.unwrap();
            // Virtual time; the runtime's timer counts whole milliseconds.
            let taken = towpath::rt::now() - start;
            let due = millis(30 + 500 * half);
            assert!(taken >= due && taken < due + millis(2), "{taken:?}");
        }
    });
}

#[test]
fn each_direction_ends_by_itself() {
    virtually(async {
        let (_net, _a, _b, mut client, mut server) = pair(Faults::default(), 1).await;
        client.write_all(b"ask").await.unwrap();
        client.shutdown().unwrap();
        assert_eq!(number(client.write(b"more").await), EPIPE);
        let mut buf = [0; 8];
        assert_eq!(server.read(&mut buf).await.unwrap(), 3);
        assert_eq!(server.read(&mut buf).await.unwrap(), 0);
        server.write_all(b"answer").await.unwrap();
        drop(server);
        assert_eq!(client.read(&mut buf).await.unwrap(), 6);
        assert_eq!(client.read(&mut buf).await.unwrap(), 0);
        assert_eq!(client.read(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn what_nobody_has_read_resets_the_writer() {
    virtually(async {
        let (_net, _a, _b, mut client, server) = pair(Faults::default(), 1).await;
        client.write_all(b"unread").await.unwrap();
        drop(server);
        assert_eq!(number(client.read(&mut [0; 8]).await), ECONNRESET);
        assert_eq!(number(client.write(b"more").await), ECONNRESET);
    });
}

#[test]
fn a_write_to_who_has_closed_is_answered_with_a_reset() {
    virtually(async {
        let faults = Faults { latency: Latency::constant(millis(10)), ..Faults::default() };
        let (_net, _a, _b, mut client, server) = pair(faults, 1).await;
        drop(server);
        client.write_all(b"too late").await.unwrap();
        // The end comes first, in order; the reset after it concerns the writer.
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        towpath::rt::sleep(millis(30)).await;
        assert_eq!(number(client.write(b"more").await), ECONNRESET);
    });
}

#[test]
fn halves_work_apart_and_the_last_one_closes() {
    virtually(async {
        let (_net, _a, _b, client, mut server) = pair(Faults::default(), 1).await;
        let (mut reader, mut writer) = client.into_split();
        writer.write_all(b"x").await.unwrap();
        drop(writer);
        let mut buf = [0; 8];
        assert_eq!(server.read(&mut buf).await.unwrap(), 1);
        assert_eq!(server.read(&mut buf).await.unwrap(), 0);
        server.write_all(b"y").await.unwrap();
        assert_eq!(reader.read(&mut buf).await.unwrap(), 1);
        drop(reader);
        // Nobody is there to read this.
        server.write_all(b"z").await.unwrap();
        assert_eq!(number(server.write(b"z").await), ECONNRESET);
    });
}

#[test]
fn a_read_that_loses_a_select_takes_nothing() {
    virtually(async {
        let faults = Faults { latency: Latency::constant(millis(7)), ..Faults::default() };
        let (_net, _a, _b, mut client, mut server) = pair(faults, 1).await;
        let sent: Vec<u8> = (0..100).map(byte_at).collect();
        let bytes = sent.clone();
        let writer = towpath::rt::spawn(async move {
            for byte in bytes {
                client.write_all(&[byte]).await.unwrap();
                towpath::rt::sleep(millis(3)).await;
            }
            client
        });
        let mut came = Vec::new();
        while came.len() < 100 {
            let mut buf = [0; 16];
            let count = select! {
                count = select::future(server.read(&mut buf)) => count.unwrap(),
                () = towpath::after(millis(1)) => 0,
            };
            came.extend_from_slice(&buf[..count]);
        }
        assert_eq!(came, sent);
        drop(writer.await.unwrap());
    });
}

#[test]
fn a_port_is_for_one_listener_and_nobody_connects_to_none() {
    virtually(async {
        let net = Net::seeded(Faults::default(), 1);
        let (a, b) = (net.host("a"), net.host("b"));
        assert_eq!(number(a.connect("b:80").await), ECONNREFUSED);
        assert_eq!(number(a.connect("c:80").await), EHOSTUNREACH);
        assert_eq!(a.connect("b").await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let first = b.listen(80).unwrap();
        assert_eq!(number(b.listen(80)), EADDRINUSE);
        let other = b.listen(0).unwrap();
        assert_ne!(other.addr(), first.addr());
        let mut early = a.connect(other.addr()).await.unwrap();
        assert_eq!(early.peer_addr(), other.addr());
        drop(other);
        // It was connected, and nobody ever accepted it.
        assert_eq!(number(early.read(&mut [0; 8]).await), ECONNRESET);
        drop(first);
        b.listen(80).unwrap();
    });
}

#[test]
fn beyond_the_backlog_one_waits_for_a_place() {
    virtually(async {
        let net = Net::seeded(Faults::default(), 1);
        let (a, b) = (net.host("a"), net.host("b"));
        /// Two, so that a third has to wait.
        const PLACES: usize = 2;
        let listener = b.listen_with(80, PLACES).unwrap();
        let _first = a.connect("b:80").await.unwrap();
        let _second = a.connect("b:80").await.unwrap();
        assert_eq!(number(a.connect("b:80").await), ETIMEDOUT);
        let host = a.clone();
        let third = towpath::rt::spawn(async move { host.connect("b:80").await });
        towpath::rt::sleep(millis(500)).await;
        listener.accept().await.unwrap();
        third.await.unwrap().unwrap();
    });
}

#[test]
fn an_attempt_that_is_dropped_leaves_no_half_open_connection() {
    virtually(async {
        let faults = Faults { latency: Latency::constant(millis(10)), ..Faults::default() };
        let net = Net::seeded(faults, 1);
        let (a, b) = (net.host("a"), net.host("b"));
        let listener = b.listen(80).unwrap();
        // The listener has it by now, and the answer is on its way.
        assert!(within(millis(15), a.connect("b:80")).await.is_none());
        let mut server = listener.accept().await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    });
}
