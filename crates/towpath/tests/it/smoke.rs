//! Every kind of channel, every kind of party, once.

use std::thread;

use towpath::{bounded, rendezvous, select, select_blocking, unbounded};

fn each_capacity(mut check: impl FnMut(towpath::Sender<u64>, towpath::Receiver<u64>)) {
    for capacity in [0, 1, 2, 3, 4, 5, 128] {
        let (tx, rx) = bounded(capacity);
        check(tx, rx);
    }
    let (tx, rx) = unbounded();
    check(tx, rx);
}

#[test]
fn threads_stream() {
    each_capacity(|tx, mut rx| {
        let sender = thread::spawn(move || (0..10_000).for_each(|i| tx.send_blocking(i).unwrap()));
        for i in 0..10_000 {
            assert_eq!(rx.recv_blocking(), Some(i));
        }
        assert_eq!(rx.recv_blocking(), None);
        sender.join().unwrap();
    });
}

#[test]
fn tasks_stream() {
    let rt =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    each_capacity(|tx, mut rx| {
        rt.block_on(async {
            let sender = tokio::spawn(async move {
                for i in 0..10_000 {
                    tx.send(i).await.unwrap();
                }
            });
            let receiver = tokio::spawn(async move {
                for i in 0..10_000 {
                    assert_eq!(rx.recv().await, Some(i));
                }
                assert_eq!(rx.recv().await, None);
            });
            sender.await.unwrap();
            receiver.await.unwrap();
        });
    });
}

#[test]
fn task_to_thread_and_back() {
    let rt =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    each_capacity(|tx, mut rx| {
        let sender = rt.spawn(async move {
            for i in 0..3_000 {
                tx.send(i).await.unwrap();
            }
        });
        for i in 0..3_000 {
            assert_eq!(rx.recv_blocking(), Some(i));
        }
        rt.block_on(sender).unwrap();
    });
    each_capacity(|tx, mut rx| {
        let receiver = rt.spawn(async move {
            for i in 0..3_000 {
                assert_eq!(rx.recv().await, Some(i));
            }
        });
        (0..3_000).for_each(|i| tx.send_blocking(i).unwrap());
        rt.block_on(receiver).unwrap();
    });
}

#[test]
fn many_to_many_threads() {
    each_capacity(|tx, rx| {
        let rx = rx.into_shared();
        let sum: u64 = thread::scope(|s| {
            for _ in 0..4 {
                let tx = tx.clone();
                s.spawn(move || (0..5_000).for_each(|i| tx.send_blocking(i).unwrap()));
            }
            drop(tx);
            let receivers: Vec<_> = (0..4)
                .map(|_| {
                    let mut rx = rx.clone();
                    s.spawn(move || {
                        let mut sum = 0;
                        while let Some(i) = rx.recv_blocking() {
                            sum += i;
                        }
                        sum
                    })
                })
                .collect();
            receivers.into_iter().map(|r| r.join().unwrap()).sum()
        });
        assert_eq!(sum, 4 * (0..5_000).sum::<u64>());
    });
}

#[test]
fn select_task_meets_select_thread() {
    let rt =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (tx, mut rx) = rendezvous::<u64>();
    let (tx2, mut rx2) = rendezvous::<u64>();
    let task = rt.spawn(async move {
        let mut sent = 0u64;
        for i in 0..5_000 {
            select! {
                r = tx.send(i) => { r.unwrap(); sent += 1; }
                r = tx2.send(i) => { r.unwrap(); sent += 1; }
            }
        }
        sent
    });
    let mut got = 0u64;
    for i in 0..5_000 {
        let v = select_blocking! {
            v = rx.recv() => v,
            v = rx2.recv() => v,
        };
        assert_eq!(v, Some(i));
        got += 1;
    }
    assert_eq!(rt.block_on(task).unwrap(), got);
}
