//! The receiving half of the world.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
};

use towpath::{TryRecvError, select};

use super::world::{Ends, Place, Receiving, World};
use crate::harness::Polled;

impl World {
    /// A single receiver begins to receive in another way.
    pub(super) fn take_back(&mut self) -> bool {
        if matches!(self.ends, Ends::One(_)) {
            while let Some(receive) = self.receives.pop() {
                self.drop_receive(receive);
            }
        }
        !matches!(self.ends, Ends::None)
    }

    pub(super) fn drop_receive(&mut self, receive: Receiving) {
        self.given_back += usize::from(receive.line.woken(&receive.step));
        let stays = receive.stays;
        drop(receive);
        if let (true, Ends::One(rx)) = (stays, &self.ends) {
            drop(rx.borrow_mut().recv());
        }
    }

    pub(super) fn try_recv(&mut self) {
        if !self.take_back() {
            return;
        }
        let hands = self.woken_receivers();
        let got = match &mut self.ends {
            Ends::One(rx) => rx.borrow_mut().try_recv(),
            Ends::Shared(rx) => rx.try_recv(),
            Ends::None => return,
        };
        match got {
            Ok(value) => self.received(value, hands),
            Err(TryRecvError::Empty) => {
                assert!(
                    self.queue.len() <= hands && !self.over(),
                    "something was there: {:?}",
                    self.queue
                );
                self.asked |= !self.sends.is_empty();
            }
            Err(TryRecvError::Closed) => assert!(self.over(), "not the end: {:?}", self.queue),
        }
    }

    /// The senders are gone, and everything was received.
    pub(super) fn over(&self) -> bool {
        self.senders_gone() && self.queue.is_empty()
    }

    pub(super) fn recv(&mut self, limit: usize, by_select: bool, stays: bool) {
        if !self.take_back() {
            return;
        }
        let (got, ended) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(false)));
        let (out, end) = (got.clone(), ended.clone());
        macro_rules! receive {
            ($rx:expr) => {{
                if limit > 0 {
                    let mut batch = Vec::new();
                    let count = $rx.recv_many(&mut batch, limit).await;
                    assert_eq!(count, batch.len());
                    end.set(count == 0);
                    out.borrow_mut().extend(batch);
                } else {
                    let one = if by_select {
                        select! { one = $rx.recv() => one }
                    } else {
                        $rx.recv().await
                    };
                    end.set(one.is_none());
                    out.borrow_mut().extend(one);
                }
            }};
        }
        let step: Pin<Box<dyn Future<Output = ()>>> = match &self.ends {
            Ends::One(rx) if stays => {
                let rx = rx.clone();
                Box::pin(async move {
                    let one = poll_fn(|cx| rx.borrow_mut().poll_recv(cx)).await;
                    end.set(one.is_none());
                    out.borrow_mut().extend(one);
                })
            }
            Ends::One(rx) => {
                let rx = rx.clone();
                #[expect(
                    clippy::await_holding_refcell_ref,
                    reason = "the model lets nobody else borrow it meanwhile"
                )]
                Box::pin(async move {
                    let mut rx = rx.borrow_mut();
                    receive!(rx);
                })
            }
            Ends::Shared(rx) => {
                let mut rx = rx.clone();
                Box::pin(async move { receive!(rx) })
            }
            Ends::None => return,
        };
        self.clock += 1;
        let line = Place::new(self.clock);
        self.receives.push(Receiving { step: Polled::new(step), got, ended, limit, stays, line });
        self.poll_receiver(self.receives.len() - 1);
    }

    pub(super) fn poll_receiver(&mut self, i: usize) {
        let receive = &self.receives[i];
        let hands = self.woken_receivers() - usize::from(receive.line.woken(&receive.step));
        let turn = !receive.line.parked || receive.line.woken(&receive.step);
        let older = if receive.line.woken(&receive.step) { hands + self.given_back } else { hands };
        let over = self.over();
        let receive = &mut self.receives[i];
        let wakes = receive.step.task.wakes();
        if receive.step.poll().is_pending() {
            assert!(
                !turn || (self.queue.len() <= hands && !over),
                "something was there: {:?}",
                self.queue
            );
            if turn {
                self.asked = false;
                receive.line =
                    Place { parked: true, wakes_parked: wakes, wakes_seen: wakes, ..receive.line };
            }
            return;
        }
        let receive = self.receives.remove(i);
        if receive.ended.get() {
            assert!(over, "told the end, and there is {:?}", self.queue);
        }
        let got = receive.got.take();
        let sure = self.queue.len().saturating_sub(hands).min(receive.limit.max(1));
        assert!(
            got.len() >= sure && got.len() <= receive.limit.max(1),
            "{} of at least {sure}",
            got.len()
        );
        got.into_iter().for_each(|value| self.received(value, older));
    }
}
