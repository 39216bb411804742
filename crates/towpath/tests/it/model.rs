//! Every operation against an oracle: a `VecDeque` of what was sent, and two lines of those who wait.
//!
//! The oracle knows what must happen and what may. Somebody who does not have to wait may be faster than one who is
//! just being woken, and a waiting receiver's hands may serve as one more place; within that the answers are fixed:
//! - Messages come out in the order in which they went in, but for those in the hands of other receivers.
//! - Queued messages and kept places never exceed the capacity and the waiting receivers.
//! - Who could go on has been woken, the first in line first. (That is checked after each operation, so that a lost
//!   wake-up shows at once.)
//! - A failed send gives its value back; at the end every value was dropped once.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::Poll,
};

use proptest::prelude::*;
use towpath::{Receiver, Sender, SharedReceiver, TryRecvError, TrySendError, select};

use crate::harness::{CAPACITIES, Census, Counted, Polled, channel, watchdog};

/// Up to this capacity a message may pass straight into a waiting receiver's hands, which so are one more place.
const HANDS_COUNT_BELOW: usize = 4;

#[derive(Clone, Debug)]
enum Operation {
    TrySend,
    Send {
        by_select: bool,
    },
    SendAll(u8),
    Reserve {
        by_select: bool,
    },
    TryReserve,
    PollSender(u8),
    DropSender(u8),
    UsePermit(u8),
    DropPermit(u8),
    TryRecv,
    Recv {
        by_select: bool,
    },
    RecvMany(u8),
    PollNext,
    PollReceiver(u8),
    DropReceiver(u8),
    /// Polls everybody who was woken, until nobody is.
    Settle,
    DropIdleSender,
    CloneSender,
    Share,
    Close,
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let i = || any::<u8>();
    prop_oneof![
        5 => Just(TrySend),
        6 => any::<bool>().prop_map(|by_select| Send { by_select }),
        2 => (1..6_u8).prop_map(SendAll),
        3 => any::<bool>().prop_map(|by_select| Reserve { by_select }),
        2 => Just(TryReserve),
        5 => i().prop_map(PollSender),
        3 => i().prop_map(DropSender),
        3 => i().prop_map(UsePermit),
        2 => i().prop_map(DropPermit),
        6 => Just(TryRecv),
        6 => any::<bool>().prop_map(|by_select| Recv { by_select }),
        2 => (1..6_u8).prop_map(RecvMany),
        2 => Just(PollNext),
        5 => i().prop_map(PollReceiver),
        4 => i().prop_map(DropReceiver),
        3 => Just(Settle),
        1 => Just(DropIdleSender),
        1 => Just(CloneSender),
        1 => Just(Share),
        1 => prop::bool::weighted(0.2).prop_map(|close| if close { Close } else { Settle }),
    ]
}

/// How far a send or a reservation has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sent {
    Not,
    /// A place is kept.
    Kept,
    All,
    /// The channel was closed, and this value came back (`None`: a reservation has none).
    Back(Option<u64>),
}

type Step = Polled<Pin<Box<dyn Future<Output = ()>>>>;

/// A send or reservation that is under way, or a permit.
struct Sending {
    step: Step,
    state: Rc<Cell<Sent>>,
    /// Values taken from it so far; the last one may still be waiting.
    begun: Rc<Cell<usize>>,
    values: Vec<u64>,
    accepted: usize,
    /// What to do with a permit.
    order: Rc<RefCell<Option<Option<Counted>>>>,
    line: Place,
}

/// A place in line.
#[derive(Clone, Copy)]
struct Place {
    arrived: usize,
    parked: bool,
    /// Wake-ups before it parked, and at the last look.
    wakes_parked: usize,
    wakes_seen: usize,
}

struct Receiving {
    step: Step,
    got: Rc<RefCell<Vec<Counted>>>,
    ended: Rc<Cell<bool>>,
    limit: usize,
    /// Of `poll_recv`, which stays in line until the receiver is used in another way.
    stays: bool,
    line: Place,
}

impl Place {
    fn new(arrived: usize) -> Self {
        Self { arrived, parked: false, wakes_parked: 0, wakes_seen: 0 }
    }

    fn woken(&self, step: &Step) -> bool {
        self.parked && step.task.wakes() > self.wakes_parked
    }
}

enum Ends {
    One(Rc<RefCell<Receiver<Counted>>>),
    Shared(SharedReceiver<Counted>),
    None,
}

struct World {
    capacity: Option<usize>,
    census: Census,
    next_value: u64,
    clock: usize,
    idle: Vec<Sender<Counted>>,
    ends: Ends,
    sends: Vec<Sending>,
    permits: Vec<Sending>,
    receives: Vec<Receiving>,
    /// What was sent and not received, in order.
    queue: VecDeque<u64>,
    closed: bool,
    /// A `try_recv` found somebody waiting to send, and the next value is wanted.
    asked: bool,
}

impl World {
    fn new(capacity: Option<usize>) -> Self {
        let (tx, rx) = channel(capacity);
        Self {
            capacity,
            census: Census::default(),
            next_value: 0,
            clock: 0,
            idle: vec![tx],
            ends: Ends::One(Rc::new(RefCell::new(rx))),
            sends: Vec::new(),
            permits: Vec::new(),
            receives: Vec::new(),
            queue: VecDeque::new(),
            closed: false,
            asked: false,
        }
    }

    fn value(&mut self) -> (u64, Counted) {
        let id = self.next_value;
        self.next_value += 1;
        (id, self.census.value(id))
    }

    // ---- what the oracle knows -----------------------------------------------------------------------------------

    fn woken_senders(&self) -> usize {
        self.sends.iter().filter(|send| send.line.woken(&send.step)).count()
    }

    fn woken_receivers(&self) -> usize {
        self.receives.iter().filter(|receive| receive.line.woken(&receive.step)).count()
    }

    fn waiting_receivers(&self) -> usize {
        self.receives.iter().filter(|receive| receive.line.parked).count()
    }

    fn senders_gone(&self) -> bool {
        self.idle.is_empty() && self.sends.is_empty() && self.permits.is_empty()
    }

    /// By how much the channel holds more than its capacity and the waiting receivers' hands.
    fn excess(&self) -> isize {
        let Some(capacity) = self.capacity else { return isize::MIN };
        let hands = if capacity < HANDS_COUNT_BELOW { self.waiting_receivers() } else { 0 };
        (self.queue.len() + self.permits.len()) as isize - (capacity + hands) as isize
    }

    /// Whether a send has to succeed, `others` of those who were woken having first claim.
    fn surely_has_room(&self, others: usize) -> bool {
        match self.capacity {
            _ if self.closed => false,
            None => true,
            Some(0) => {
                self.waiting_receivers() - self.woken_receivers() > self.permits.len() + others
                    && self.queue.is_empty()
            }
            Some(capacity) => self.queue.len() + self.permits.len() + others < capacity,
        }
    }

    /// One message came out while `hands` other receivers may hold older ones.
    fn received(&mut self, value: Counted, hands: usize) {
        let at = self.queue.iter().position(|&id| id == value.id);
        let at = at.unwrap_or_else(|| {
            panic!("{} was never sent, or came twice; queue {:?}", value.id, self.queue)
        });
        assert!(
            at <= hands,
            "{} came before {:?}, of which {hands} may be in others' hands",
            value.id,
            self.queue
        );
        self.queue.remove(at);
    }

    // ---- sending -------------------------------------------------------------------------------------------------

    fn try_send(&mut self) {
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
    fn may_exceed(&mut self, before: isize) {
        let now = self.excess();
        let limit = before.max(isize::from(self.asked));
        assert!(now <= 0 || now <= limit, "{now} more than the capacity; queue {:?}", self.queue);
        if now > before.max(0) {
            self.asked = false;
        }
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

    fn send(&mut self, by_select: bool) {
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

    fn send_all(&mut self, count: u8) {
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

    fn reserve(&mut self, by_select: bool) {
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

    fn try_reserve(&mut self) {
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
                Err(error) => theirs
                    .state
                    .set(Sent::Back(Some(u64::from(error == towpath::TryReserveError::Closed)))),
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

    fn poll_sender(&mut self, i: usize) {
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
        let from_hands = woken && self.capacity.is_some_and(|capacity| capacity < HANDS_COUNT_BELOW);
        if !from_hands && (state != Sent::Not || progress) {
            self.may_exceed(before);
        }
    }

    fn use_permit(&mut self, i: usize, value: bool) {
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

    // ---- receiving -----------------------------------------------------------------------------------------------

    /// A single receiver begins to receive in another way.
    fn take_back(&mut self) -> bool {
        if matches!(self.ends, Ends::One(_)) {
            while let Some(receive) = self.receives.pop() {
                self.drop_receive(receive);
            }
        }
        !matches!(self.ends, Ends::None)
    }

    fn drop_receive(&mut self, receive: Receiving) {
        let stays = receive.stays;
        drop(receive);
        if let (true, Ends::One(rx)) = (stays, &self.ends) {
            drop(rx.borrow_mut().recv());
        }
    }

    fn try_recv(&mut self) {
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
    fn over(&self) -> bool {
        self.senders_gone() && self.queue.is_empty()
    }

    fn recv(&mut self, limit: usize, by_select: bool, stays: bool) {
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

    fn poll_receiver(&mut self, i: usize) {
        let receive = &self.receives[i];
        let hands = self.woken_receivers() - usize::from(receive.line.woken(&receive.step));
        let turn = !receive.line.parked || receive.line.woken(&receive.step);
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
        got.into_iter().for_each(|value| self.received(value, hands));
    }

    // ---- all together --------------------------------------------------------------------------------------------

    fn settle(&mut self) {
        for _ in 0..1_000 {
            if let Some(i) = self.sends.iter().position(|send| send.line.woken(&send.step)) {
                self.poll_sender(i);
            } else if let Some(i) =
                self.receives.iter().position(|receive| receive.line.woken(&receive.step))
            {
                self.poll_receiver(i);
            } else {
                return;
            }
            self.check();
        }
        panic!("they wake each other for ever");
    }

    fn close(&mut self) {
        let receives = std::mem::take(&mut self.receives);
        drop(receives);
        self.ends = Ends::None;
        self.closed = true;
        self.queue.clear();
    }

    fn share(&mut self) {
        if !matches!(self.ends, Ends::One(_)) {
            return;
        }
        self.take_back();
        if let Ends::One(rx) = std::mem::replace(&mut self.ends, Ends::None) {
            let rx = Rc::into_inner(rx).expect("nobody else receives").into_inner();
            self.ends = Ends::Shared(rx.into_shared());
        }
    }

    fn run(&mut self, operation: &Operation) {
        let pick = |i: &u8, n: usize| usize::from(*i) % n;
        match operation {
            Operation::TrySend => self.try_send(),
            Operation::Send { by_select } if !self.idle.is_empty() => self.send(*by_select),
            Operation::SendAll(count) if !self.idle.is_empty() => self.send_all(*count),
            Operation::Reserve { by_select } => self.reserve(*by_select),
            Operation::TryReserve => self.try_reserve(),
            Operation::PollSender(i) if !self.sends.is_empty() => {
                self.poll_sender(pick(i, self.sends.len()))
            }
            Operation::DropSender(i) if !self.sends.is_empty() => {
                drop(self.sends.remove(pick(i, self.sends.len())))
            }
            Operation::UsePermit(i) if !self.permits.is_empty() => {
                self.use_permit(pick(i, self.permits.len()), true)
            }
            Operation::DropPermit(i) if !self.permits.is_empty() => {
                self.use_permit(pick(i, self.permits.len()), false)
            }
            Operation::TryRecv => self.try_recv(),
            Operation::Recv { by_select } => self.recv(0, *by_select, false),
            Operation::RecvMany(limit) => self.recv(usize::from(*limit), false, false),
            Operation::PollNext if matches!(self.ends, Ends::One(_)) => self.recv(0, false, true),
            Operation::PollReceiver(i) if !self.receives.is_empty() => {
                self.poll_receiver(pick(i, self.receives.len()))
            }
            Operation::DropReceiver(i) if !self.receives.is_empty() => {
                let receive = self.receives.remove(pick(i, self.receives.len()));
                self.drop_receive(receive);
            }
            Operation::Settle => self.settle(),
            Operation::DropIdleSender => drop(self.idle.pop()),
            Operation::CloneSender => self.idle.extend(self.idle.first().cloned()),
            Operation::Share => self.share(),
            Operation::Close => self.close(),
            _ => {}
        }
        self.check();
    }

    /// What holds between any two operations.
    fn check(&mut self) {
        let (woken, sleeping): (Vec<_>, Vec<_>) = self
            .sends
            .iter()
            .filter(|send| send.line.parked)
            .partition(|send| send.line.woken(&send.step));
        if !sleeping.is_empty() {
            assert!(!self.surely_has_room(woken.len()), "a sender sleeps though there is room");
            assert!(!self.closed, "a sender sleeps though the receivers are gone");
        }
        let (woken, sleeping): (Vec<_>, Vec<_>) = self
            .receives
            .iter()
            .filter(|receive| receive.line.parked)
            .partition(|receive| receive.line.woken(&receive.step));
        if !sleeping.is_empty() {
            assert!(self.queue.len() <= woken.len(), "a receiver sleeps over {:?}", self.queue);
            assert!(!self.senders_gone(), "a receiver sleeps though the senders are gone");
        }
        in_turn(self.sends.iter_mut().map(|send| (&mut send.line, &send.step)), "senders");
        in_turn(
            self.receives.iter_mut().map(|receive| (&mut receive.line, &receive.step)),
            "receivers",
        );
        let hands = self.woken_receivers();
        let len = match (&self.ends, self.idle.first()) {
            (_, Some(tx)) => tx.len(),
            (Ends::Shared(rx), None) => rx.len(),
            _ => return,
        };
        assert!(
            (self.queue.len().saturating_sub(hands)..=self.queue.len()).contains(&len),
            "len() {len}, queue {:?}",
            self.queue
        );
    }

    fn end(mut self) {
        self.settle();
        let census = self.census.clone();
        drop(self);
        census.all_dropped_once();
    }
}

/// Those who were just woken came before all who still sleep.
fn in_turn<'a>(line: impl Iterator<Item = (&'a mut Place, &'a Step)>, who: &str) {
    let (mut last_woken, mut first_asleep) = (0, usize::MAX);
    for (place, step) in line.filter(|(place, _)| place.parked) {
        let wakes = step.task.wakes();
        if wakes > place.wakes_seen {
            last_woken = last_woken.max(place.arrived);
        } else if !place.woken(step) {
            first_asleep = first_asleep.min(place.arrived);
        }
        place.wakes_seen = wakes;
    }
    assert!(
        last_woken < first_asleep,
        "{who}: {last_woken} was woken while {first_asleep}, who came first, sleeps"
    );
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
    async fn carry_out(self, permit: towpath::Permit<'_, Counted>) {
        let order =
            poll_fn(|_| self.order.borrow_mut().take().map_or(Poll::Pending, Poll::Ready)).await;
        let sent = order.map_or(Ok(()), |value| permit.try_send(value));
        self.state
            .set(sent.map_or_else(|back| Sent::Back(Some(back.into_inner().id)), |()| Sent::All));
    }
}

fn check(capacity: Option<usize>, shared: bool, operations: &[Operation]) {
    let mut world = World::new(capacity);
    if shared {
        world.share();
    }
    operations.iter().for_each(|operation| world.run(operation));
    world.end();
}

fn explore(shared: bool) {
    for capacity in CAPACITIES {
        let config =
            ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() };
        let mut runner = prop::test_runner::TestRunner::new(config);
        let operations = prop::collection::vec(operation(), 1..80);
        let found = watchdog(300, || {
            runner.run(&operations, |operations| {
                check(capacity, shared, &operations);
                Ok(())
            })
        });
        if let Err(error) = found {
            panic!("capacity {capacity:?}, shared {shared}: {error}");
        }
    }
}

#[test]
fn one_receiver_agrees_with_the_oracle() {
    explore(false);
}

#[test]
fn shared_receivers_agree_with_the_oracle() {
    explore(true);
}
