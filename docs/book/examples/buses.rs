//! What the chapter on the bus shows.

use towpath::BoxError;
use towpath_patterns::bus::{Bus, Heard, Subscriber, WhenFull};

/// Tells what a subscriber hears until there is no more.
async fn tell(who: &str, mut subscriber: Subscriber<u32>) {
    let mut heard = Vec::new();
    while let Some(news) = subscriber.recv().await {
        heard.push(match news {
            Heard::Message(message) => format!("{}={}", message.topic, message.value),
            Heard::Lagged(missed) => format!("({missed} lost)"),
        });
    }
    println!("{who}: {}", heard.join(" "));
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // ANCHOR: patterns
    let bus = Bus::new();
    let paid = bus.subscribe("rides.*.paid").open()?;
    let rides = bus.subscribe("rides.>").open()?;
    for (topic, value) in [("rides.1.begun", 1), ("rides.1.paid", 12), ("weather.now", 20)] {
        let _ = bus.publish(topic, value)?;
    }
    drop(bus); // the end, for both
    tell("paid", paid).await;
    tell("rides", rides).await;
    // ANCHOR_END: patterns

    // ANCHOR: policies
    /// What each of them may be behind.
    const BEHIND: usize = 2;
    let bus = Bus::new();
    let newest = bus.subscribe("count").capacity(BEHIND).when_full(WhenFull::DropNewest).open()?;
    let oldest = bus.subscribe("count").capacity(BEHIND).when_full(WhenFull::DropOldest).open()?;
    let publisher = bus.publisher("count")?;
    for value in 1..=5 {
        let published = publisher.publish(value); // returns at once
        if published.lost > 0 {
            println!("{value}: {} of {} have lost one", published.lost, published.listeners);
        }
    }
    drop((bus, publisher));
    tell("newest", newest).await;
    tell("oldest", oldest).await;
    // ANCHOR_END: policies

    // ANCHOR: block
    let bus = Bus::new();
    let audit = bus.subscribe("count").capacity(BEHIND).when_full(WhenFull::Block).open()?;
    let publisher = bus.publisher("count")?;
    drop(bus);
    let counting = towpath::rt::spawn(async move {
        for value in 1..=5 {
            let _ = publisher.publish_all(value).await; // waits for room
        }
    });
    tell("audit", audit).await;
    counting.await.map_err(|_| "the publisher has panicked")?;
    // ANCHOR_END: block

    // ANCHOR: last
    let bus = Bus::new();
    let gate = bus.publisher("gates.north")?.keeping_last();
    let _ = gate.publish(0);
    let _ = gate.publish(100);
    let late = bus.subscribe("gates.*").with_last().open()?;
    let _ = gate.publish(50);
    drop((bus, gate));
    tell("late", late).await;
    // ANCHOR_END: last

    // ANCHOR: select
    let bus = Bus::new();
    let mut news = bus.subscribe("news").open()?;
    let (orders, mut rx) = towpath::rendezvous::<&str>();
    let _ = bus.publish("news", 7)?;
    towpath::select! {
        heard = news.recv() => println!("heard: {heard:?}"),
        order = rx.recv() => println!("an order: {order:?}"),
    }
    // ANCHOR_END: select
    drop(orders);
    Ok(())
}
