//! `SelectSet`: many receivers, each message found in constant time.

use std::{collections::BTreeMap, task::Poll, thread};

use towpath::select::SelectSet;

use crate::harness::{
    CAPACITIES, Job, Polled, Rng, Task, channel, impatiently, ready, run, run_tasks, watchdog,
};

#[test]
fn it_yields_messages_ends_and_nothing_else() {
    for capacity in CAPACITIES.into_iter().filter(|&capacity| capacity != Some(0)) {
        let (tx, rx) = channel(capacity);
        let (tx2, rx2) = channel(capacity);
        let mut set = SelectSet::new();
        assert!(set.is_empty() && set.try_next().is_none());
        let (a, b) = (set.recv(rx), set.recv(rx2));
        assert_eq!(set.len(), 2);
        assert!(set.try_next().is_none());
        tx.try_send(1).unwrap();
        assert_eq!(set.try_next(), Some((a, Some(1))));
        assert_eq!(set.try_next(), None);
        // What was queued comes before the end, and the end comes once.
        tx2.try_send(2).unwrap();
        drop(tx2);
        assert_eq!(ready(set.next()), (b, Some(2)));
        assert_eq!(ready(set.next()), (b, None));
        assert_eq!((set.len(), set.try_next()), (1, None));
        assert!(set.remove(b).is_none(), "it is gone");
        assert!(!tx.is_closed());
        assert!(set.remove(a).is_some_and(|rx| !rx.is_closed()));
        assert!(tx.is_closed() && set.is_empty(), "the receiver was ours, and we dropped it");
    }
}

#[test]
#[should_panic(expected = "empty")]
fn an_empty_set_has_no_next() {
    SelectSet::<u64>::new().next_blocking();
}

#[test]
fn members_with_messages_take_turns() {
    let mut set = SelectSet::new();
    let mut keys = BTreeMap::new();
    for member in 0..10 {
        let (tx, rx) = towpath::unbounded();
        (0..50).for_each(|_| tx.try_send(member).unwrap());
        keys.insert(set.recv(rx), (member, tx));
    }
    for round in 0..50 {
        let mut seen = [false; 10];
        for _ in 0..10 {
            let (key, message) = set.next_blocking();
            assert_eq!(message, Some(keys[&key].0));
            assert!(
                !std::mem::replace(&mut seen[keys[&key].0], true),
                "round {round}: twice before the others"
            );
        }
    }
}

#[test]
fn it_wakes_for_any_member_and_only_for_news() {
    for capacity in CAPACITIES {
        let (txs, rxs): (Vec<_>, Vec<_>) = (0..20).map(|_| channel::<usize>(capacity)).unzip();
        let mut set = SelectSet::new();
        let keys: Vec<_> = rxs.into_iter().map(|rx| set.recv(rx)).collect();
        for member in [13, 0, 19, 13] {
            let mut next = Polled::parked(set.next());
            assert!(next.poll().is_pending());
            assert_eq!(next.task.wakes(), 0);
            let mut send = Polled::new(txs[member].send(member));
            let sent = send.poll();
            assert_eq!(next.task.wakes(), 1, "capacity {capacity:?}");
            // On a rendezvous the sending task lets go of its message when its turn comes.
            if sent.is_pending() {
                assert!(next.poll().is_pending());
                assert_eq!(send.finish(), Ok(()));
            }
            assert_eq!(next.poll(), Poll::Ready((keys[member], Some(member))));
        }
    }
}

#[test]
fn a_cancelled_next_loses_nothing() {
    for capacity in CAPACITIES.into_iter().filter(|&capacity| capacity != Some(0)) {
        let (tx, rx) = channel(capacity);
        let mut set = SelectSet::new();
        let key = set.recv(rx);
        let next = Polled::parked(set.next());
        tx.try_send(1).unwrap();
        assert!(next.woken());
        drop(next);
        assert_eq!(ready(set.next()), (key, Some(1)), "capacity {capacity:?}");
        // Taken out while it is told of news, too.
        let next = Polled::parked(set.next());
        tx.try_send(2).unwrap();
        drop(next);
        assert_eq!(set.remove(key).unwrap().try_recv(), Ok(2));
    }
}

#[test]
fn a_set_that_moved_wakes_its_new_task_only() {
    let (tx, rx) = towpath::bounded(1);
    let mut set = SelectSet::new();
    set.recv(rx);
    let (old, new) = (Task::new(), Task::new());
    for task in [&old, &new] {
        let mut next = std::pin::pin!(set.next());
        assert!(task.poll(next.as_mut()).is_pending());
    }
    tx.try_send(1).unwrap();
    assert_eq!((old.wakes(), new.wakes()), (0, 1));
}

#[test]
fn keys_are_not_confused_when_places_are_used_again() {
    let mut set = SelectSet::new();
    let (tx, rx) = towpath::bounded(4);
    let old = set.recv(rx);
    tx.try_send(1).unwrap();
    let rx = set.remove(old).unwrap();
    let (tx2, rx2) = towpath::bounded(4);
    let new = set.recv(rx2);
    assert_ne!(old, new);
    assert!(set.remove(old).is_none());
    tx2.try_send(2).unwrap();
    assert_eq!(set.try_next(), Some((new, Some(2))));
    let again = set.recv(rx);
    assert_eq!(set.try_next(), Some((again, Some(1))), "what was in it meanwhile");
}

#[test]
fn a_thousand_channels_fed_by_tasks_and_threads() {
    const CHANNELS: u64 = 1_024;
    const EACH: u64 = 8;
    for capacity in [0, 1, 4] {
        run(120, async move {
            let mut set = SelectSet::new();
            let (txs, keys): (Vec<_>, Vec<_>) = (0..CHANNELS)
                .map(|_| {
                    let (tx, rx) = towpath::bounded(capacity);
                    (tx, set.recv(rx))
                })
                .unzip();
            let mut seen: BTreeMap<_, u64> = keys.into_iter().map(|key| (key, 0)).collect();
            let mut by_thread = Vec::new();
            for (channel, tx) in (0..).zip(txs) {
                if channel % 2 == 0 {
                    by_thread.push(tx);
                } else {
                    tokio::spawn(async move {
                        for i in 0..EACH {
                            tx.send(i).await.unwrap();
                        }
                    });
                }
            }
            let thread = thread::spawn(move || {
                for i in 0..EACH {
                    by_thread.iter().for_each(|tx| tx.send_blocking(i).unwrap());
                }
            });
            while !set.is_empty() {
                let (key, message) = set.next().await;
                let count = seen.get_mut(&key).unwrap();
                match message {
                    Some(i) => assert_eq!(
                        i,
                        std::mem::replace(count, i + 1),
                        "capacity {capacity}: in order"
                    ),
                    None => assert_eq!(
                        *count, EACH,
                        "capacity {capacity}: the end comes after everything"
                    ),
                }
            }
            assert!(seen.values().all(|&count| count == EACH));
            thread.join().unwrap();
        });
    }
}

#[test]
fn stress_members_come_and_go_while_messages_flow() {
    let mut rng = Rng::announced();
    watchdog(120, || {
        for capacity in CAPACITIES {
            let (txs, rxs): (Vec<_>, Vec<_>) = (0..6).map(|_| channel(capacity)).unzip();
            let mut set = SelectSet::new();
            let mut keys: Vec<_> = rxs.into_iter().map(|rx| set.recv(rx)).collect();
            thread::scope(|s| {
                let mut jobs: Vec<Job<'_>> = Vec::new();
                for (i, tx) in txs.into_iter().enumerate() {
                    let mut rng = rng.fork();
                    if i % 2 == 0 {
                        s.spawn(move || (0..200).for_each(|i| tx.send_blocking(i).unwrap()));
                    } else {
                        jobs.push(Box::pin(async move {
                            for i in 0..200 {
                                // A send that is given up is tried again with the same message.
                                let mut slot = Some(i);
                                while slot.is_some() {
                                    let _ =
                                        impatiently(tx.send_from(&mut slot), rng.below(5)).await;
                                }
                            }
                        }));
                    }
                }
                s.spawn(|| run_tasks(jobs));
                let mut rng = rng.fork();
                let (mut got, mut waiting) = (0, Vec::new());
                run_tasks(vec![Box::pin(async {
                    while !set.is_empty() || !waiting.is_empty() {
                        if rng.one_in(8) && !keys.is_empty() {
                            let key = keys.swap_remove(rng.below(keys.len() as u64) as usize);
                            waiting.extend(set.remove(key));
                        }
                        if rng.one_in(4) || set.is_empty() {
                            keys.extend(waiting.pop().map(|rx| set.recv(rx)));
                        }
                        if set.is_empty() {
                            continue;
                        }
                        let next = if rng.one_in(2) || !waiting.is_empty() {
                            impatiently(set.next(), rng.below(4)).await
                        } else {
                            Some(set.next().await)
                        };
                        got += u64::from(next.is_some_and(|(_, message)| message.is_some()));
                    }
                })]);
                assert_eq!(got, 6 * 200, "capacity {capacity:?}");
            });
        }
    });
}

/// Whether the thread `id` of this process sleeps in the kernel.
#[cfg(target_os = "linux")]
fn sleeps(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
}

#[cfg(target_os = "linux")]
fn this_thread() -> String {
    let path = std::fs::read_link("/proc/thread-self").unwrap();
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn a_thread_that_waits_for_a_set_sleeps() {
    for capacity in CAPACITIES {
        let (tx, rx) = channel::<u64>(capacity);
        let (id_tx, mut id_rx) = towpath::bounded(4);
        watchdog(20, || {
            thread::scope(|s| {
                let waiter = s.spawn(move || {
                    let mut set = SelectSet::new();
                    set.recv(rx);
                    id_tx.send_blocking(this_thread()).unwrap();
                    set.next_blocking().1
                });
                let id = id_rx.recv_blocking().unwrap();
                // Asleep a hundred looks in a row: a thread that spins or yields is found running.
                let mut asleep = 0;
                while asleep < 100 {
                    asleep = if sleeps(&id) { asleep + 1 } else { 0 };
                    thread::yield_now();
                }
                tx.send_blocking(1).unwrap();
                assert_eq!(waiter.join().unwrap(), Some(1));
            });
        });
    }
}

#[test]
fn stress_threads_feed_a_waiting_thread() {
    watchdog(120, || {
        for capacity in CAPACITIES {
            let mut set = SelectSet::new();
            thread::scope(|s| {
                for _ in 0..2 {
                    let (tx, rx) = channel::<u64>(capacity);
                    set.recv(rx);
                    s.spawn(move || {
                        for i in 0..2_000 {
                            tx.send_blocking(i).unwrap();
                            if i % 16 == 0 {
                                thread::yield_now();
                            }
                        }
                    });
                }
                let mut got = 0;
                while !set.is_empty() {
                    got += u64::from(set.next_blocking().1.is_some());
                }
                assert_eq!(got, 4_000);
            });
        }
    });
}
