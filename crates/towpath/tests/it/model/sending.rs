//! The sending half of the world.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::Poll,
};

use towpath::{Permit, Sender, TryReserveError, TrySendError, select};

use super::{
    HANDS_COUNT_BELOW,
    world::{Place, Sending, Sent, Step, World},
};
use crate::harness::{Counted, Polled};

impl World {
    pub(super) fn try_send(&mut self) {
        if self.idle.is_empty() {
            return;
        }
        let must = self.surely_has_room(self.woken_senders());
        let before = self.excess();
        let (id, value) = self.value();
        match self.idle[0].try_send(value) {
            Ok(()) => {
                assert!(!self.closed);
                self.queue.push_back(id);
                self.may_exceed(before);
            }
            Err(TrySendError::Full(back)) => {
                assert!(!must && !self.closed && back.id == id, "there was room")
            }
            Err(TrySendError::Closed(back)) => assert!(self.closed && back.id == id),
        }
    }

    /// After a success: the capacity holds, but for an excess that was there, or a value that was asked for.
    pub(super) fn may_exceed(&self, before: isize) {
        let now = self.excess();
        let limit = before.max(isize::from(self.asked));
        assert!(now <= 0 || now <= limit, "{now} more than the capacity; queue {:?}", self.queue);
    }

    fn start(
        &mut self,
        values: Vec<u64>,
        work: impl FnOnce(Sender<Counted>, Report) -> Pin<Box<dyn Future<Output = ()>>>,
    ) {
        let Some(tx) = self.idle.first().cloned() else { return };
        let report = Report::default();
        let step = Polled::new(work(tx, report.clone()));
        self.clock += 1;
        self.sends.push(Sending {
            step,
            state: report.state,
            begun: report.begun,
            values,
            accepted: 0,
            order: report.order,
            line: Place::new(self.clock),
        });
        self.poll_sender(self.sends.len() - 1);
    }

    pub(super) fn send(&mut self, by_select: bool) {
        let (id, value) = self.value();
        self.start(vec![id], move |tx, report| {
            Box::pin(async move {
                report.begun.set(1);
                let sent = if by_select {
                    select! { sent = tx.send(value) => sent }
                } else {
                    tx.send(value).await
                };
                report.state.set(
                    sent.map_or_else(|back| Sent::Back(Some(back.into_inner().id)), |()| Sent::All),
                );
            })
        });
    }

    pub(super) fn send_all(&mut self, count: u8) {
        let (ids, values): (Vec<_>, Vec<_>) = (0..count).map(|_| self.value()).unzip();
        self.start(ids, move |tx, report| {
            Box::pin(async move {
                let begun = report.begun;
                let values = values.into_iter().inspect(|_| begun.set(begun.get() + 1));
                let sent = tx.send_all(values).await;
                report.state.set(
                    sent.map_or_else(|back| Sent::Back(Some(back.into_inner().id)), |()| Sent::All),
                );
            })
        });
    }

    pub(super) fn reserve(&mut self, by_select: bool) {
        self.start(Vec::new(), move |tx, report| {
            Box::pin(async move {
                let permit = if by_select {
                    select! { permit = tx.reserve() => permit }
                } else {
                    tx.reserve().await
                };
                let Ok(permit) = permit else { return report.state.set(Sent::Back(None)) };
                report.state.set(Sent::Kept);
                report.carry_out(permit).await;
            })
        });
    }

    pub(super) fn try_reserve(&mut self) {
        let Some(tx) = self.idle.first().cloned() else { return };
        let must = self.surely_has_room(self.woken_senders());
        let before = self.excess();
        let report = Report::default();
        let theirs = report.clone();
        let mut step: Step = Polled::new(Box::pin(async move {
            match tx.try_reserve() {
                Ok(permit) => {
                    theirs.state.set(Sent::Kept);
                    theirs.carry_out(permit).await;
                }
                Err(error) => {
                    theirs.state.set(Sent::Back(Some(u64::from(error == TryReserveError::Closed))))
                }
            }
        }));
        let _ = step.poll();
        match report.state.get() {
            Sent::Kept => {
                assert!(!self.closed);
                self.clock += 1;
                let line = Place::new(self.clock);
                let Report { state, begun, order } = report;
                self.permits.push(Sending {
                    step,
                    state,
                    begun,
                    values: Vec::new(),
                    accepted: 0,
                    order,
                    line,
                });
                self.may_exceed(before);
            }
            state => {
                assert!(!must, "there was room");
                assert_eq!(state, Sent::Back(Some(u64::from(self.closed))));
            }
        }
    }

    pub(super) fn poll_sender(&mut self, i: usize) {
        let others =
            self.woken_senders() - usize::from(self.sends[i].line.woken(&self.sends[i].step));
        let newcomer = !self.sends[i].line.parked;
        let woken = self.sends[i].line.woken(&self.sends[i].step);
        let must = (newcomer || woken) && self.surely_has_room(others);
        let before = self.excess();
        let send = &mut self.sends[i];
        let wakes = send.step.task.wakes();
        let finished = send.step.poll().is_ready();
        let state = send.state.get();
        // What has been taken from it has been sent, but for one that still waits or came back.
        let waiting = usize::from(matches!(state, Sent::Not | Sent::Back(Some(_))));
        let accepted = send.begun.get().saturating_sub(waiting);
        self.queue.extend(&send.values[send.accepted..accepted]);
        let progress = accepted > send.accepted;
        send.accepted = accepted;
        match state {
            Sent::Not => {
                assert!(
                    !finished && (!must || progress) && !self.closed,
                    "there was room, or the end, and it waits"
                );
                // It stands in line now, where it stood before; a batch that went on stands at the end.
                if progress {
                    self.clock += 1;
                    send.line.arrived = self.clock;
                }
                if newcomer || progress || send.step.task.wakes() > send.line.wakes_parked {
                    send.line =
                        Place { parked: true, wakes_parked: wakes, wakes_seen: wakes, ..send.line };
                }
            }
            Sent::Kept => {
                let permit = self.sends.remove(i);
                self.permits.push(permit);
            }
            Sent::All => drop(self.sends.remove(i)),
            Sent::Back(value) => {
                assert!(self.closed && value == send.values.get(accepted).copied());
                self.sends.remove(i);
            }
        }
        // A turn that was given for the hands of a receiver stays when that one leaves.
        let from_hands =
            woken && self.capacity.is_some_and(|capacity| capacity < HANDS_COUNT_BELOW);
        if !from_hands && (state != Sent::Not || progress) {
            self.may_exceed(before);
        }
    }

    pub(super) fn use_permit(&mut self, i: usize, value: bool) {
        let mut permit = self.permits.remove(i);
        let order = value.then(|| self.value());
        let (id, value) = order.map_or((None, None), |(id, value)| (Some(id), Some(value)));
        *permit.order.borrow_mut() = Some(value);
        assert!(permit.step.poll().is_ready());
        match (permit.state.get(), id) {
            (Sent::All, Some(id)) => {
                assert!(!self.closed);
                self.queue.push_back(id);
            }
            (Sent::Back(back), Some(id)) => assert!(self.closed && back == Some(id)),
            (state, _) => assert!(id.is_none() && state == Sent::All),
        }
    }
}

/// What a sending future tells the model.
#[derive(Clone)]
struct Report {
    state: Rc<Cell<Sent>>,
    begun: Rc<Cell<usize>>,
    order: Rc<RefCell<Option<Option<Counted>>>>,
}

impl Default for Report {
    fn default() -> Self {
        Self { state: Rc::new(Cell::new(Sent::Not)), begun: Rc::default(), order: Rc::default() }
    }
}

impl Report {
    /// Waits for the model's order what to do with the permit.
    async fn carry_out(self, permit: Permit<'_, Counted>) {
        let order =
            poll_fn(|_| self.order.borrow_mut().take().map_or(Poll::Pending, Poll::Ready)).await;
        let sent = order.map_or(Ok(()), |value| permit.try_send(value));
        self.state
            .set(sent.map_or_else(|back| Sent::Back(Some(back.into_inner().id)), |()| Sent::All));
    }
}
