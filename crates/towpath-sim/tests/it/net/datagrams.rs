//! Datagrams: with no faults each arrives once and in order; with faults none is made up.

use std::collections::BTreeMap;

use proptest::prelude::*;
use towpath_sim::net::{Faults, Latency, Net};

use super::*;

/// Sends numbers from two hosts to a third, some time apart, and returns what came from each.
fn sent_and_came(faults: Faults, seed: u64, gaps: Vec<u8>) -> [Vec<u32>; 2] {
    virtually(async move {
        let net = Net::seeded(faults, seed);
        let (a, b, c) = (net.host("a"), net.host("b"), net.host("c"));
        let (a, b, c) = (a.bind(0).unwrap(), b.bind(0).unwrap(), c.bind(53).unwrap());
        for (number, gap) in gaps.iter().enumerate() {
            let bytes = (number as u32).to_be_bytes();
            a.send_to(&bytes, "c:53").unwrap();
            b.send_to(&bytes, c.addr()).unwrap();
            towpath::rt::sleep(millis(u64::from(*gap))).await;
        }
        let mut came = [Vec::new(), Vec::new()];
        while let Some(result) = within(millis(10_000), c.recv_from()).await {
            let (bytes, from) = result.unwrap();
            let number = u32::from_be_bytes(bytes.try_into().unwrap());
            came[usize::from(from.host() == "b")].push(number);
        }
        came
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn without_faults_each_arrives_once_and_in_order(
        gaps in prop::collection::vec(0..20_u8, 0..60),
        longest in 0..100_u64,
        seed in any::<u64>(),
    ) {
        let latency = Latency::between(Duration::ZERO, millis(longest));
        let count = gaps.len() as u32;
        for came in sent_and_came(Faults { latency, ..Faults::default() }, seed, gaps) {
            prop_assert_eq!(came, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn with_faults_none_is_made_up(
        gaps in prop::collection::vec(0..20_u8, 0..60),
        seed in any::<u64>(),
    ) {
        let count = gaps.len() as u32;
        for came in sent_and_came(Faults::hostile(), seed, gaps) {
            let mut copies = BTreeMap::new();
            for number in came {
                prop_assert!(number < count);
                *copies.entry(number).or_insert(0) += 1;
            }
            prop_assert!(copies.values().all(|copies| *copies <= 2));
        }
    }
}

#[test]
fn losses_doubles_and_overtaking_happen() {
    let gaps = vec![1; 500];
    let [came, _] = sent_and_came(Faults::hostile(), 4, gaps);
    let mut numbers = came.clone();
    numbers.sort_unstable();
    numbers.dedup();
    assert!(numbers.len() < 500, "some were lost");
    assert!(numbers.len() < came.len(), "some came twice");
    assert!(!came.is_sorted(), "some were overtaken");
}

#[test]
fn a_cut_drops_what_is_sent_and_what_is_on_its_way() {
    virtually(async {
        let latency = Latency::constant(millis(10));
        let net = Net::seeded(Faults { latency, ..Faults::default() }, 1);
        let (a, b) = (net.host("a").bind(1).unwrap(), net.host("b").bind(1).unwrap());
        a.send_to(b"there in time", "b:1").unwrap();
        towpath::rt::sleep(millis(12)).await;
        a.send_to(b"on its way", "b:1").unwrap();
        net.cut(&["a"], &["b"]);
        a.send_to(b"too late", "b:1").unwrap();
        b.send_to(b"the other way", "a:1").unwrap();
        assert_eq!(b.recv_from().await.unwrap().0, b"there in time");
        assert!(within(millis(1_000), b.recv_from()).await.is_none());
        assert_eq!(a.recv_from().await.unwrap().0, b"the other way");
        net.heal();
        assert!(within(millis(1_000), b.recv_from()).await.is_none());
        a.send_to(b"again", "b:1").unwrap();
        assert_eq!(b.recv_from().await.unwrap().0, b"again");
    });
}

#[test]
fn a_socket_says_what_it_can_know() {
    virtually(async {
        const EMSGSIZE: i32 = 90;
        let net = Net::seeded(Faults::default(), 1);
        let host = net.host("a");
        let socket = host.bind(53).unwrap();
        assert_eq!(number(host.bind(53)), EADDRINUSE);
        assert_eq!(number(socket.send_to(b"x", "nowhere:1")), EHOSTUNREACH);
        assert_eq!(number(socket.send_to(&vec![0; 65_508], "a:53")), EMSGSIZE);
        // Nobody listens there, and nobody says so.
        socket.send_to(b"x", "a:54").unwrap();
        socket.send_to(&vec![1; 65_507], "a:53").unwrap();
        assert_eq!(socket.recv_from().await.unwrap().0.len(), 65_507);
        drop(socket);
        let socket = host.bind(53).unwrap();
        assert!(within(millis(1_000), socket.recv_from()).await.is_none());
    });
}
