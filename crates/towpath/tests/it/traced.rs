//! Headers go where their message goes: through every kind of channel, every way of receiving, and back.

use std::{
    mem::size_of,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use towpath::{
    Ctx, Headers, Receiver, SelectSet, Sender, Traced, bounded, rendezvous, select,
    select_blocking, unbounded,
};

const PLACES: usize = 4;

type Message = Traced<u32>;

fn kinds() -> [(Sender<Message>, Receiver<Message>); 5] {
    [rendezvous(), bounded(1), bounded(2), bounded(PLACES), unbounded()]
}

fn order(n: u32) -> Ctx {
    Ctx::root().with_headers(Headers::new(format!("order {n}").into_bytes()))
}

/// The message of [`order`] `n`, which carries `n` too.
#[track_caller]
fn check(n: u32, message: Option<Message>) {
    let (ctx, value) = message.expect("a message").under(&Ctx::root());
    assert_eq!((ctx.headers(), value), (order(n).headers(), n));
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_channel_without_headers_keeps_no_room_for_them() {
    assert_eq!(size_of::<Traced<u64>>(), size_of::<u64>() + 2 * size_of::<usize>());
    assert_eq!(size_of::<Option<Traced<u64>>>(), size_of::<Option<u64>>() + 2 * size_of::<usize>());
}

#[test]
fn headers_arrive_with_their_message_on_every_kind_of_channel() {
    for (tx, mut rx) in kinds() {
        std::thread::scope(|threads| {
            threads.spawn(move || {
                for n in 0..8 {
                    tx.send_blocking(order(n).traced(n)).unwrap();
                }
                towpath::block_on(async {
                    tx.send_under(&order(8), 8).await.unwrap();
                    tx.reserve().await.unwrap().send(order(9).traced(9));
                    select! { sent = tx.send_under(&order(10), 10) => sent.unwrap() }
                    tx.send_all((11..14).map(|n| order(n).traced(n))).await.unwrap();
                });
            });
            check(0, rx.recv_blocking());
            select_blocking! { message = rx.recv() => check(1, message) }
            towpath::block_on(async {
                check(2, rx.recv().await);
                select! { message = rx.recv() => check(3, message) }
                let mut batch = Vec::new();
                while batch.len() < 6 {
                    let left = 6 - batch.len();
                    assert!(rx.recv_many(&mut batch, left).await > 0);
                }
                (4..).zip(batch).for_each(|(n, message)| check(n, Some(message)));
            });
            let mut rx = rx.into_shared();
            check(10, rx.recv_blocking());
            (11..14).for_each(|n| check(n, rx.recv_blocking()));
            assert_eq!(rx.recv_blocking(), None);
        });
    }
}

#[test]
fn a_message_handed_to_a_receive_that_is_dropped_keeps_its_headers() {
    for (tx, mut rx) in kinds() {
        let mut recv = Box::pin(rx.recv());
        assert!(poll_once(recv.as_mut()).is_pending());
        tx.try_send(order(1).traced(1)).unwrap();
        drop(recv);
        check(1, rx.try_recv().ok());
        drop(rx);
        let back = tx.try_send(order(2).traced(2)).unwrap_err().into_inner();
        check(2, Some(back));
    }
}

#[test]
fn a_send_that_is_taken_back_keeps_its_headers() {
    let (tx, mut rx) = rendezvous();
    let mut slot = Some(order(1).traced(1));
    assert!(poll_once(pin!(tx.send_from(&mut slot))).is_pending());
    check(1, slot.take());
    drop(slot);
    assert!(poll_once(pin!(rx.recv())).is_pending());
}

#[test]
fn headers_come_out_of_a_set() {
    let mut set = SelectSet::new();
    let (txs, rxs): (Vec<_>, Vec<_>) = kinds().into_iter().skip(1).unzip();
    let keys: Vec<_> = rxs.into_iter().map(|rx| set.recv(rx)).collect();
    for (n, (tx, key)) in (0..).zip(txs.iter().zip(keys)) {
        tx.try_send(order(n).traced(n)).unwrap();
        let (from, message) = set.next_blocking();
        assert_eq!(from, key);
        check(n, message);
    }
}

#[test]
fn what_is_sent_on_is_linked_to_what_was_received() {
    let (tx, mut first) = unbounded();
    let (on, mut second) = unbounded();
    let service = Ctx::root().with_headers(Headers::new(*b"service"));
    tx.try_send(order(1).child().traced(1)).unwrap();
    tx.try_send(Traced::from(2)).unwrap();
    for n in 1..=2 {
        let (ctx, value) = first.try_recv().unwrap().under(&service);
        on.try_send(ctx.child().traced(value + n)).unwrap();
    }
    assert_eq!(second.try_recv().unwrap(), Traced::new(order(1).headers(), 2));
    assert_eq!(second.try_recv().unwrap().into_parts(), (Headers::none(), 4));
}

#[test]
fn the_receivers_context_decides_when_the_work_ends() {
    let (sender, canceller) = Ctx::root().with_cancel();
    let message = sender.traced(1);
    canceller.cancel("the sender has gone home");
    let (service, stop) = Ctx::root().with_cancel();
    let (ctx, _) = message.under(&service);
    assert!(!ctx.is_done());
    stop.cancel("closing time");
    assert!(ctx.is_done());
}
