//! The bus on real threads and tasks: many publish, some come and go, everything adds up.

use std::thread;

use towpath_patterns::bus::{Bus, Heard, WhenFull};

const PUBLISHERS: u32 = 3;
const EACH: u32 = if cfg!(miri) { 20 } else { 20_000 };

#[test]
fn nothing_is_unaccounted_for() {
    let bus = Bus::new();
    let rules = [WhenFull::DropOldest, WhenFull::DropNewest, WhenFull::Block];
    let listeners = rules.map(|rule| {
        let mut subscriber = bus.subscribe("p.*").capacity(16).when_full(rule).open().unwrap();
        thread::spawn(move || {
            let (mut heard, mut lost) = (0, 0);
            let mut next = [0; PUBLISHERS as usize];
            while let Some(news) = subscriber.recv_blocking() {
                match news {
                    Heard::Message(message) => {
                        let (from, value) = message.value;
                        assert!(value >= next[from as usize], "order of one publisher");
                        next[from as usize] = value + 1;
                        heard += 1;
                    }
                    Heard::Lagged(count) => lost += count,
                }
            }
            assert_eq!(lost, subscriber.lost());
            assert_eq!(heard + lost, u64::from(PUBLISHERS * EACH));
            (rule, lost)
        })
    });
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|from| {
            let publisher = bus.publisher(&format!("p.{from}")).unwrap();
            thread::spawn(move || {
                for value in 0..EACH {
                    // For whom it is not waited, it may be lost.
                    let _ = publisher.publish_all_blocking((from, value));
                }
            })
        })
        .collect();
    // Somebody comes and goes all the time.
    while publishers.iter().any(|publisher| !publisher.is_finished()) {
        let mut guest = bus.subscribe(">").with_last().open().unwrap();
        let _ = guest.try_recv();
    }
    drop(bus);
    for listener in listeners {
        let (rule, lost) = listener.join().unwrap();
        assert!(rule != WhenFull::Block || lost == 0, "nothing is lost to who waits");
    }
}

#[test]
fn tasks_on_tokio_hear_everything_that_fits() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let bus = Bus::new();
        let listeners: Vec<_> = (0..3)
            .map(|_| {
                let rule = WhenFull::Block;
                let mut subscriber = bus.subscribe("a").when_full(rule).open().unwrap();
                tokio::spawn(async move {
                    let mut sum = 0;
                    while let Some(Heard::Message(message)) = subscriber.recv().await {
                        sum += u64::from(message.value);
                    }
                    (sum, subscriber.lost())
                })
            })
            .collect();
        let publisher = bus.publisher("a").unwrap();
        drop(bus);
        for value in 0..EACH {
            let _ = publisher.publish_all(value).await;
        }
        drop(publisher);
        for listener in listeners {
            assert_eq!(listener.await.unwrap(), (u64::from(EACH) * u64::from(EACH - 1) / 2, 0));
        }
    });
}
