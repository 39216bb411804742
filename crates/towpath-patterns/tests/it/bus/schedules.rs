//! The bus under many schedules: what its module promises, each promise a test.

use std::{collections::BTreeMap, time::Duration};

use towpath::{Ctx, rt, scope, sync::Notify};
use towpath_patterns::bus::{Bus, Heard, Subscriber, WhenFull};
use towpath_sim::yield_point;

/// Hears everything up to the end: values of each publisher (the topic), and how many were lost.
async fn listen(mut subscriber: Subscriber<u32>) -> (BTreeMap<String, Vec<u32>>, u64) {
    let (mut heard, mut lost) = (BTreeMap::<String, Vec<u32>>::new(), 0);
    while let Some(news) = subscriber.recv().await {
        match news {
            Heard::Message(message) => {
                heard.entry(message.topic.to_string()).or_default().push(message.value);
            }
            Heard::Lagged(count) => lost += count,
        }
    }
    assert_eq!(lost, subscriber.lost(), "every loss is told");
    (heard, lost)
}

#[towpath::test]
async fn what_is_heard_and_what_is_told_as_lost_add_up() {
    const EACH: u32 = 4;
    let bus = Bus::new();
    let listeners: Vec<_> = [WhenFull::DropOldest, WhenFull::DropNewest, WhenFull::Block]
        .into_iter()
        .map(|rule| bus.subscribe("p.*").capacity(2).when_full(rule).open().unwrap())
        .map(|subscriber| rt::spawn(listen(subscriber)))
        .collect();
    for name in ["p.a", "p.b"] {
        let publisher = bus.publisher(name).unwrap();
        rt::spawn(async move {
            for value in 0..EACH {
                let _ = publisher.publish(value);
                yield_point();
            }
        });
    }
    drop(bus);
    for listener in listeners {
        let (heard, lost) = listener.await.unwrap();
        let all: u64 = heard.values().map(|values| values.len() as u64).sum();
        assert_eq!(all + lost, u64::from(2 * EACH));
        assert!(
            heard.values().all(|values| values.is_sorted()),
            "order of one publisher: {heard:?}"
        );
    }
}

#[towpath::test]
async fn who_waits_for_room_loses_nothing() {
    let bus = Bus::new();
    let rule = WhenFull::Block;
    let slow = bus.subscribe("*").capacity(1).when_full(rule).named("slow").open().unwrap();
    let other = bus.subscribe("a").capacity(1).when_full(rule).open().unwrap();
    let listeners = [slow, other].map(|subscriber| rt::spawn(listen(subscriber)));
    let publishers = ["a", "b"].map(|topic| {
        let publisher = bus.publisher(topic).unwrap();
        rt::spawn(async move {
            for value in 0..3 {
                assert_eq!(publisher.publish_all(value).await.lost, 0);
            }
        })
    });
    drop(bus);
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let [slow, other] = listeners;
    let expected = ["a", "b"].map(|topic| (topic.to_owned(), vec![0, 1, 2]));
    assert_eq!(slow.await.unwrap(), (BTreeMap::from(expected.clone()), 0));
    assert_eq!(other.await.unwrap(), (expected.into_iter().take(1).collect(), 0));
}

/// Each needs a place at two of the three, and they have one subscriber in common.
#[towpath::test]
async fn two_who_wait_for_two_do_not_wait_for_each_other() {
    let bus = Bus::new();
    let one = |pattern| {
        let subscribing = bus.subscribe(pattern).capacity(1).when_full(WhenFull::Block);
        subscribing.open().unwrap()
    };
    let listeners = [one("x.*"), one("*.y"), one("x.>")].map(|it| rt::spawn(listen(it)));
    for topic in ["x.y", "z.y", "x.z"] {
        let publisher = bus.publisher(topic).unwrap();
        rt::spawn(async move {
            let _ = publisher.publish_all(1).await;
            let _ = publisher.publish_all(2).await;
        });
    }
    drop(bus);
    for listener in listeners {
        let (heard, lost) = listener.await.unwrap();
        assert_eq!((heard.len(), lost), (2, 0));
        assert!(heard.values().all(|values| values == &[1, 2]), "{heard:?}");
    }
}

#[towpath::test]
async fn a_dropped_publish_all_has_published_nothing() {
    let bus = Bus::new();
    let mut free = bus.subscribe("a").open().unwrap();
    let mut full = bus.subscribe("a").capacity(1).when_full(WhenFull::Block).open().unwrap();
    let publisher = bus.publisher("a").unwrap();
    let _ = publisher.publish_all(1).await;
    let reader = rt::spawn(async move {
        rt::sleep(Duration::from_millis(1)).await;
        let mut heard = Vec::new();
        while let Some(news) = full.recv().await {
            heard.push(news.message().unwrap().value);
        }
        heard
    });
    let in_time = towpath::select! {
        _ = towpath::select::future(publisher.publish_all(2)) => true,
        _ = towpath::after(Duration::from_millis(1)) => false,
    };
    // Its place is free again: this does not wait for ever.
    let _ = publisher.publish_all(3).await;
    drop((bus, publisher));
    let expected: &[u32] = if in_time { &[1, 2, 3] } else { &[1, 3] };
    assert_eq!(reader.await.unwrap(), expected);
    for &value in expected {
        assert_eq!(free.recv().await.unwrap().message().unwrap().value, value);
    }
    assert_eq!(free.recv().await, None);
}

#[towpath::test]
async fn who_leaves_lets_those_go_on_who_wait_for_it() {
    let bus = Bus::new();
    let leaver = bus.subscribe("a").capacity(1).when_full(WhenFull::Block).open().unwrap();
    let publisher = bus.publisher("a").unwrap();
    let leaving = rt::spawn(async move {
        yield_point();
        drop(leaver);
    });
    for value in 0..3 {
        let _ = publisher.publish_all(value).await;
    }
    leaving.await.unwrap();
    assert_eq!(publisher.publish(9).listeners, 0);
}

/// Two publish the same kept topic while somebody subscribes: it hears the last value and all later ones, as one who was
/// there from the beginning heard them.
#[towpath::test]
async fn between_the_last_value_and_the_next_nothing_is_missing() {
    let bus = Bus::new();
    let early = bus.subscribe("t").open().unwrap();
    let early = rt::spawn(listen(early));
    for base in [10, 20] {
        let publisher = bus.publisher("t").unwrap().keeping_last();
        rt::spawn(async move {
            for value in base..base + 3 {
                let _ = publisher.publish(value);
                yield_point();
            }
        });
    }
    yield_point();
    let late = bus.subscribe("t").with_last().open().unwrap();
    drop(bus);
    let (late, _) = listen(late).await;
    let (early, _) = early.await.unwrap();
    let (early, late) = (&early["t"], &late["t"]);
    assert_eq!(early.len(), 6);
    assert!(early.ends_with(late), "{early:?} {late:?}");
}

#[towpath::test]
async fn a_subscriber_and_a_channel_in_one_select() {
    let bus = Bus::new();
    let mut news = bus.subscribe("n").open().unwrap();
    let (orders, mut rx) = towpath::rendezvous();
    let publisher = bus.publisher("n").unwrap();
    drop(bus);
    rt::spawn(async move {
        for value in 0..3 {
            let _ = publisher.publish(value);
            yield_point();
        }
    });
    rt::spawn(async move {
        for value in 10..13 {
            orders.send(value).await.unwrap();
        }
    });
    let (mut heard, mut received) = (Vec::new(), Vec::new());
    let mut open = 2;
    while open > 0 {
        towpath::select! {
            news = news.recv(), if heard.last() != Some(&None) => {
                open -= usize::from(news.is_none());
                heard.push(news.map(|news| news.message().unwrap().value));
            }
            order = rx.recv(), if received.last() != Some(&None) => {
                open -= usize::from(order.is_none());
                received.push(order);
            }
        }
    }
    assert_eq!(heard, [Some(0), Some(1), Some(2), None]);
    assert_eq!(received, [Some(10), Some(11), Some(12), None]);
}

#[towpath::test]
async fn threads_and_tasks_on_one_bus() {
    let bus = Bus::new();
    let told = std::sync::Arc::new(Notify::new());
    let mut subscriber = bus.subscribe("a").capacity(1).when_full(WhenFull::Block).open().unwrap();
    let ready = told.clone();
    let heard = scope(&Ctx::root(), |s| async move {
        s.spawn_blocking("publisher", move |_| {
            ready.notified_blocking();
            let publisher = bus.publisher("a")?;
            for value in 0..3 {
                let _ = publisher.publish_all_blocking(value);
            }
            Ok::<_, towpath_patterns::bus::TopicError>(())
        });
        let listener = s.spawn_blocking("listener", move |_| {
            told.notify_one();
            let mut heard = Vec::new();
            while let Some(news) = subscriber.recv_blocking() {
                heard.push(news.message().map(|message| message.value));
            }
            Ok::<_, towpath_patterns::bus::TopicError>(heard)
        });
        Ok(listener.await?)
    });
    assert_eq!(heard.await.unwrap(), [Some(0), Some(1), Some(2)]);
}
