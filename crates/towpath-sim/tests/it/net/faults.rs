//! Cuts, crashes, half-open connections.

use towpath_sim::net::{Crashed, Faults, Latency, Net};

use super::*;

fn slow() -> Faults {
    Faults { latency: Latency::between(millis(5), millis(15)), ..Faults::default() }
}

const LONG: Duration = Duration::from_secs(1_000_000);

fn is_crashed<R: std::fmt::Debug>(result: io::Result<R>) -> bool {
    result.unwrap_err().get_ref().is_some_and(|error| error.is::<Crashed>())
}

#[test]
fn nothing_crosses_a_cut_until_it_heals() {
    virtually(async {
        let (net, _a, _b, mut client, mut server) = pair(slow(), 1).await;
        client.write_all(b"1").await.unwrap();
        towpath::rt::sleep(millis(20)).await;
        net.partition(&["a"], &["b", "c"]);
        client.write_all(b"2").await.unwrap();
        let mut buf = [0; 8];
        // What had arrived is there; what had not waits.
        assert_eq!(server.read(&mut buf).await.unwrap(), 1);
        assert!(within(millis(30_000), server.read(&mut buf)).await.is_none());
        net.heal();
        assert_eq!(within(millis(1_100), server.read(&mut buf)).await.unwrap().unwrap(), 1);
        assert_eq!(buf[0], b'2');
        // And the connection is as good as before, in both directions.
        server.write_all(b"3").await.unwrap();
        assert_eq!(client.read(&mut buf).await.unwrap(), 1);
    });
}

#[test]
fn what_is_on_its_way_does_not_cross_a_cut_either() {
    virtually(async {
        let (net, _a, _b, mut client, mut server) = pair(slow(), 1).await;
        client.write_all(b"1").await.unwrap();
        net.cut(&["a"], &["b"]);
        assert!(within(millis(1_000), server.read(&mut [0; 8])).await.is_none());
    });
}

#[test]
fn a_cut_that_stays_times_the_writer_out_and_leaves_the_reader_waiting() {
    virtually(async {
        let (net, _a, _b, mut client, mut server) = pair(slow(), 1).await;
        net.partition(&["a"], &["b"]);
        client.write_all(b"1").await.unwrap();
        client.write_all(b"2").await.unwrap();
        // A read of the same side is told too.
        let start = towpath::rt::now();
        assert_eq!(number(client.read(&mut [0; 8]).await), ETIMEDOUT);
        assert_eq!((towpath::rt::now() - start).as_secs(), 60);
        assert_eq!(number(client.write(b"3").await), ETIMEDOUT);
        assert!(within(LONG, server.read(&mut [0; 8])).await.is_none());
        // It learns when it speaks, for the other side has forgotten it.
        net.heal();
        server.write_all(b"4").await.unwrap();
        assert_eq!(number(server.read(&mut [0; 8]).await), ECONNRESET);
    });
}

#[test]
fn over_a_one_way_link_bytes_arrive_and_the_writer_is_told_that_they_may_not_have() {
    virtually(async {
        let (net, _a, _b, mut client, mut server) = pair(slow(), 1).await;
        net.cut(&["b"], &["a"]);
        client.write_all(b"order").await.unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 5);
        assert_eq!(number(client.read(&mut [0; 8]).await), ETIMEDOUT);
    });
}

#[test]
fn a_lost_answer_leaves_the_listener_with_a_connection_of_nobody() {
    virtually(async {
        let net = Net::seeded(Faults { timeout: millis(10_000), ..slow() }, 1);
        let (a, b) = (net.host("a"), net.host("b"));
        let listener = b.listen(80).unwrap();
        net.cut(&["b"], &["a"]);
        let start = towpath::rt::now();
        assert_eq!(number(a.connect("b:80").await), ETIMEDOUT);
        assert_eq!((towpath::rt::now() - start).as_secs(), 10);
        net.heal();
        let mut server = listener.accept().await.unwrap();
        assert!(within(LONG, server.read(&mut [0; 8])).await.is_none());
        server.write_all(b"anybody?").await.unwrap();
        assert_eq!(number(server.read(&mut [0; 8]).await), ECONNRESET);
    });
}

#[test]
fn connecting_across_a_cut_succeeds_once_it_heals() {
    virtually(async {
        let net = Net::seeded(slow(), 1);
        let (a, b) = (net.host("a"), net.host("b"));
        let listener = b.listen(80).unwrap();
        net.partition(&["a"], &["b"]);
        let host = a.clone();
        let client = towpath::rt::spawn(async move { host.connect("b:80").await });
        assert!(within(millis(5_000), listener.accept()).await.is_none());
        net.heal();
        listener.accept().await.unwrap();
        client.await.unwrap().unwrap();
    });
}

#[test]
fn a_crash_resets_what_the_host_had() {
    virtually(async {
        let (net, _a, b, mut client, mut server) = pair(slow(), 1).await;
        let listener = b.listen(81).unwrap();
        net.crash("b");
        assert_eq!(
            number(within(millis(100), client.read(&mut [0; 8])).await.unwrap()),
            ECONNRESET
        );
        assert!(is_crashed(server.read(&mut [0; 8]).await));
        assert!(is_crashed(server.write(b"x").await));
        assert!(is_crashed(listener.accept().await));
        assert!(is_crashed(b.listen(82)));
        assert!(is_crashed(b.bind(82)));
        // Nothing answers there until it is back.
        let a = net.host("a");
        assert_eq!(number(a.connect("b:81").await), ETIMEDOUT);
        net.restart("b");
        assert_eq!(number(a.connect("b:81").await), ECONNREFUSED);
        let _again = net.host("b").listen(81).unwrap();
        a.connect("b:81").await.unwrap();
        assert!(is_crashed(b.listen(82)));
    });
}

#[test]
fn a_waiting_reader_on_a_host_that_crashes_is_dead_at_once() {
    virtually(async {
        let (net, _a, b, mut client, server) = pair(slow(), 1).await;
        let listener = b.listen(81).unwrap();
        let socket = b.bind(53).unwrap();
        let waiting = [
            towpath::rt::spawn(async move { is_crashed(client.read(&mut [0; 8]).await) }),
            towpath::rt::spawn(async move { is_crashed(listener.accept().await) }),
            towpath::rt::spawn(async move { is_crashed(socket.recv_from().await) }),
        ];
        towpath::rt::sleep(millis(10)).await;
        net.crash("a");
        net.crash("b");
        for task in waiting {
            assert!(task.await.unwrap());
        }
        drop(server);
    });
}

#[test]
fn a_half_open_connection_is_noticed_by_who_writes() {
    virtually(async {
        let faults = Faults { half_open: 1_000, ..slow() };
        let (net, _a, _b, mut client, server) = pair(faults, 1).await;
        net.crash("b");
        // The dead host's own handle says goodbye to nobody.
        drop(server);
        assert!(within(LONG, client.read(&mut [0; 8])).await.is_none());
        client.write_all(b"are you there?").await.unwrap();
        assert_eq!(number(client.read(&mut [0; 8]).await), ETIMEDOUT);
    });
}

#[test]
fn a_host_that_is_back_answers_for_what_it_has_forgotten() {
    virtually(async {
        let faults = Faults { half_open: 1_000, ..slow() };
        let (net, _a, _b, mut client, _server) = pair(faults, 1).await;
        net.crash("b");
        client.write_all(b"are you there?").await.unwrap();
        towpath::rt::sleep(millis(10_000)).await;
        net.restart("b");
        let told = within(millis(1_100), client.read(&mut [0; 8])).await;
        assert_eq!(number(told.unwrap()), ECONNRESET);
    });
}

#[test]
fn a_killed_program_leaves_a_machine_that_closes_for_it() {
    virtually(async {
        let (net, _a, _b, mut client, mut server) = pair(slow(), 1).await;
        server.write_all(b"last words").await.unwrap();
        net.kill("b");
        let mut buf = [0; 16];
        assert_eq!(client.read(&mut buf).await.unwrap(), 10);
        assert_eq!(client.read(&mut buf).await.unwrap(), 0);
        assert!(is_crashed(server.read(&mut buf).await));
        net.host("b").listen(80).unwrap();
    });
}

#[test]
fn chance_may_refuse() {
    virtually(async {
        let net = Net::seeded(Faults { refuse: 1_000, ..slow() }, 1);
        let (a, b) = (net.host("a"), net.host("b"));
        let _listener = b.listen(80).unwrap();
        assert_eq!(number(a.connect("b:80").await), ECONNREFUSED);
    });
}
