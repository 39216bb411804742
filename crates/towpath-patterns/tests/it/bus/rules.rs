//! One step after the other: patterns, policies, last values, the end.

use std::sync::Arc;

use towpath::block_on;
use towpath_patterns::bus::{Bus, Heard, Published, WhenFull};

use super::hear_all;

#[test]
fn a_subscriber_hears_what_its_pattern_matches_and_nothing_else() {
    let bus = Bus::new();
    let mut paid = bus.subscribe("rides.*.paid").open().unwrap();
    let mut rides = bus.subscribe("rides.>").open().unwrap();
    let mut all = bus.subscribe(">").open().unwrap();
    for (value, topic) in
        ["rides.1.paid", "rides.1.begun", "rides.1.tips.paid", "weather"].into_iter().enumerate()
    {
        let _ = bus.publish(topic, value as u32).unwrap();
    }
    assert_eq!(hear_all(&mut paid), "0");
    assert_eq!(hear_all(&mut rides), "0 1 2");
    assert_eq!(hear_all(&mut all), "0 1 2 3");
}

#[test]
fn a_publisher_learns_who_listened_and_who_lost() {
    let bus = Bus::new();
    let publisher = bus.publisher("a").unwrap();
    assert_eq!(publisher.publish(0), Published { listeners: 0, lost: 0 });
    let _slow = bus.subscribe("a").capacity(1).open().unwrap();
    let _quick = bus.subscribe("*").open().unwrap();
    assert_eq!(publisher.publish(1), Published { listeners: 2, lost: 0 });
    assert_eq!(publisher.publish(2), Published { listeners: 2, lost: 1 });
    let listeners = bus.listeners();
    assert_eq!(
        listeners.iter().map(|it| (&*it.pattern, it.lost)).collect::<Vec<_>>(),
        [("a", 1), ("*", 0)]
    );
}

#[test]
fn each_subscriber_loses_by_its_own_rule() {
    let bus = Bus::new();
    let [mut oldest, mut newest, mut block] =
        [WhenFull::DropOldest, WhenFull::DropNewest, WhenFull::Block]
            .map(|rule| bus.subscribe("a").capacity(2).when_full(rule).open().unwrap());
    let publisher = bus.publisher("a").unwrap();
    let lost: usize = (1..=5).map(|value| publisher.publish(value).lost).sum();
    assert_eq!(lost, 9);
    assert_eq!(oldest.lost() + newest.lost() + block.lost(), 9);
    drop((bus, publisher));
    assert_eq!(hear_all(&mut oldest), "-3 4 5 end");
    assert_eq!(hear_all(&mut newest), "1 2 -3 end");
    assert_eq!(hear_all(&mut block), "1 2 -3 end");
}

#[test]
fn the_message_is_shared_and_not_copied() {
    struct NotClone(#[expect(dead_code, reason = "it is there to be pointed at")] [u8; 64]);
    let bus = Bus::new();
    let mut subscribers = [1, 2, 3].map(|_| bus.subscribe(">").open().unwrap());
    let _ = bus.publish("a", NotClone([0; 64])).unwrap();
    let heard: Vec<_> = subscribers
        .iter_mut()
        .map(|subscriber| match subscriber.try_recv().unwrap() {
            Heard::Message(message) => message,
            Heard::Lagged(_) => panic!("nothing was lost"),
        })
        .collect();
    assert!(heard.iter().all(|message| Arc::ptr_eq(message, &heard[0])));
    assert_eq!(Arc::strong_count(&heard[0]), 3);
}

#[test]
fn last_values_come_first_and_each_once() {
    let bus = Bus::new();
    let gates = ["gates.b", "gates.a"].map(|topic| bus.publisher(topic).unwrap().keeping_last());
    for (gate, value) in gates.iter().zip([10, 20]) {
        let _ = gate.publish(value);
        let _ = gate.publish(value + 1);
    }
    let _ = bus.publish("gates.c", 30).unwrap(); // not kept
    let mut without = bus.subscribe("gates.*").open().unwrap();
    let mut late = bus.subscribe("gates.*").capacity(1).with_last().open().unwrap();
    assert_eq!(hear_all(&mut without), "");
    assert_eq!(hear_all(&mut late), "21 11", "in the order of the topics");
    let _ = gates[0].publish(12);
    assert_eq!(hear_all(&mut late), "12");
    assert_eq!(bus.forget("gates.b").unwrap().value, 12);
    assert!(bus.last("gates.b").is_none());
    assert_eq!(hear_all(&mut bus.subscribe(">").with_last().open().unwrap()), "21");
}

#[test]
fn it_ends_when_the_last_who_can_publish_is_gone() {
    let bus = Bus::new();
    let mut subscriber = bus.subscribe("a").open().unwrap();
    let publisher = bus.publisher("a").unwrap();
    let copy = publisher.clone();
    drop((bus, publisher));
    let _ = copy.publish(1);
    assert_eq!(hear_all(&mut subscriber), "1");
    let _ = copy.publish(2);
    drop(copy);
    assert_eq!(hear_all(&mut subscriber), "2 end");
    assert_eq!(block_on(subscriber.recv()), None, "it stays so");
    assert_eq!(subscriber.recv_blocking(), None);
}

#[test]
fn who_leaves_is_forgotten_with_what_waited() {
    let bus = Bus::new();
    let publisher = bus.publisher("a").unwrap().keeping_last();
    let subscriber = bus.subscribe("a").open().unwrap();
    let _ = publisher.publish(Arc::new(1));
    let kept = bus.last("a").unwrap();
    assert_eq!(Arc::strong_count(&kept), 3);
    drop(subscriber);
    assert_eq!(Arc::strong_count(&kept), 2);
    assert_eq!(publisher.publish(Arc::new(2)).listeners, 0);
    assert!(bus.listeners().is_empty());
}

#[test]
fn a_batch_has_messages_and_losses_in_order() {
    let bus = Bus::new();
    let mut subscriber = bus.subscribe("a").capacity(2).open().unwrap();
    let publisher = bus.publisher("a").unwrap();
    for value in 1..=4 {
        let _ = publisher.publish(value);
    }
    let mut batch = Vec::new();
    assert_eq!(block_on(subscriber.recv_many(&mut batch, 0)), 0);
    assert_eq!(block_on(subscriber.recv_many(&mut batch, 2)), 2);
    assert_eq!(block_on(subscriber.recv_many(&mut batch, 9)), 1);
    drop((bus, publisher));
    assert_eq!(block_on(subscriber.recv_many(&mut batch, 9)), 0);
    let values: Vec<_> = batch.iter().map(|heard| heard.message().map(|it| it.value)).collect();
    assert_eq!(values, [None, Some(3), Some(4)]);
}

#[test]
fn a_losing_arm_loses_no_message() {
    let bus = Bus::new();
    let mut subscriber = bus.subscribe("a").open().unwrap();
    let publisher = bus.publisher("a").unwrap();
    block_on(async {
        for round in 0..100 {
            let late = towpath::select! {
                heard = subscriber.recv() => panic!("{heard:?} from nowhere"),
                _ = towpath::after(std::time::Duration::ZERO) => round,
            };
            let _ = publisher.publish(late);
            towpath::select! {
                biased;
                heard = subscriber.recv() => {
                    assert_eq!(heard.unwrap().message().unwrap().value, round);
                }
                default => panic!("it is there"),
            }
            towpath::select! {
                _ = subscriber.recv() => panic!("it came once"),
                default => {}
            }
        }
    });
}

#[test]
#[should_panic(expected = "give it at least 1")]
fn no_capacity_is_refused() {
    let _ = Bus::<u32>::new().subscribe("a").capacity(0);
}
