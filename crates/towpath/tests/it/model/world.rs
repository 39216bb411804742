//! The world that an operation changes, and what the oracle knows about it.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future,
    pin::Pin,
    rc::Rc,
};

use towpath::{Receiver, Sender, SharedReceiver};

use super::HANDS_COUNT_BELOW;
use crate::harness::{Census, Counted, Polled, channel};

/// How far a send or a reservation has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sent {
    Not,
    /// A place is kept.
    Kept,
    All,
    /// The channel was closed, and this value came back (`None`: a reservation has none).
    Back(Option<u64>),
}

pub(super) type Step = Polled<Pin<Box<dyn Future<Output = ()>>>>;

/// A send or reservation that is under way, or a permit.
pub(super) struct Sending {
    pub(super) step: Step,
    pub(super) state: Rc<Cell<Sent>>,
    /// Values taken from it so far; the last one may still be waiting.
    pub(super) begun: Rc<Cell<usize>>,
    pub(super) values: Vec<u64>,
    pub(super) accepted: usize,
    /// What to do with a permit.
    pub(super) order: Rc<RefCell<Option<Option<Counted>>>>,
    pub(super) line: Place,
}

/// A place in line.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) arrived: usize,
    pub(super) parked: bool,
    /// Wake-ups before it parked, and at the last look.
    pub(super) wakes_parked: usize,
    pub(super) wakes_seen: usize,
}

pub(super) struct Receiving {
    pub(super) step: Step,
    pub(super) got: Rc<RefCell<Vec<Counted>>>,
    pub(super) ended: Rc<Cell<bool>>,
    pub(super) limit: usize,
    /// Of `poll_recv`, which stays in line until the receiver is used in another way.
    pub(super) stays: bool,
    pub(super) line: Place,
}

impl Place {
    pub(super) fn new(arrived: usize) -> Self {
        Self { arrived, parked: false, wakes_parked: 0, wakes_seen: 0 }
    }

    pub(super) fn woken(&self, step: &Step) -> bool {
        self.parked && step.task.wakes() > self.wakes_parked
    }
}

pub(super) enum Ends {
    One(Rc<RefCell<Receiver<Counted>>>),
    Shared(SharedReceiver<Counted>),
    None,
}

pub(super) struct World {
    pub(super) capacity: Option<usize>,
    pub(super) census: Census,
    pub(super) next_value: u64,
    pub(super) clock: usize,
    pub(super) idle: Vec<Sender<Counted>>,
    pub(super) ends: Ends,
    pub(super) sends: Vec<Sending>,
    pub(super) permits: Vec<Sending>,
    pub(super) receives: Vec<Receiving>,
    /// What was sent and not received, in order.
    pub(super) queue: VecDeque<u64>,
    pub(super) closed: bool,
    /// A `try_recv` found somebody waiting to send, and the next value is wanted.
    pub(super) asked: bool,
    /// Values that a cancelled receive had in its hands, so that another one may already have a younger one.
    pub(super) given_back: usize,
}

impl World {
    pub(super) fn new(capacity: Option<usize>) -> Self {
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
            given_back: 0,
        }
    }

    pub(super) fn value(&mut self) -> (u64, Counted) {
        let id = self.next_value;
        self.next_value += 1;
        (id, self.census.value(id))
    }

    pub(super) fn woken_senders(&self) -> usize {
        self.sends.iter().filter(|send| send.line.woken(&send.step)).count()
    }

    pub(super) fn woken_receivers(&self) -> usize {
        self.receives.iter().filter(|receive| receive.line.woken(&receive.step)).count()
    }

    pub(super) fn waiting_receivers(&self) -> usize {
        self.receives.iter().filter(|receive| receive.line.parked).count()
    }

    pub(super) fn senders_gone(&self) -> bool {
        self.idle.is_empty() && self.sends.is_empty() && self.permits.is_empty()
    }

    /// By how much the channel holds more than its capacity and the waiting receivers' hands.
    pub(super) fn excess(&self) -> isize {
        let Some(capacity) = self.capacity else { return isize::MIN };
        let hands = if capacity < HANDS_COUNT_BELOW { self.waiting_receivers() } else { 0 };
        (self.queue.len() + self.permits.len()) as isize - (capacity + hands) as isize
    }

    /// Whether a send has to succeed, `others` of those who were woken having first claim.
    pub(super) fn surely_has_room(&self, others: usize) -> bool {
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
    pub(super) fn received(&mut self, value: Counted, hands: usize) {
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
        if self.queue.is_empty() {
            self.given_back = 0;
        }
    }

    pub(super) fn settle(&mut self) {
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

    pub(super) fn close(&mut self) {
        let receives = std::mem::take(&mut self.receives);
        drop(receives);
        self.ends = Ends::None;
        self.closed = true;
        self.queue.clear();
    }

    pub(super) fn share(&mut self) {
        if !matches!(self.ends, Ends::One(_)) {
            return;
        }
        self.take_back();
        if let Ends::One(rx) = std::mem::replace(&mut self.ends, Ends::None) {
            let rx = Rc::into_inner(rx).expect("nobody else receives").into_inner();
            self.ends = Ends::Shared(rx.into_shared());
        }
    }

    /// What holds between any two operations.
    pub(super) fn check(&mut self) {
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
            // Who has a message in its hands and has not looked may still give it back; until then the others wait.
            let hands_full = !woken.is_empty();
            assert!(hands_full || !self.over(), "a receiver sleeps though the senders are gone");
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

    pub(super) fn end(mut self) {
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
