//! What a meeting channel's lock guards, and how it is kept in order. `mod.rs` says what always holds.

use std::collections::VecDeque;

use super::{
    super::{
        claim::{Claim, Me, claim_parked},
        line::{Node, Phase, WaitList, Wakes},
        op::{RecvOp, SendOp},
        wait::Core,
    },
    MAY_RECV, MAY_SEND, PROMISED,
};

pub(super) struct State<T> {
    pub(super) recv: WaitList,
    pub(super) send: WaitList,
    /// Members of select sets: told when there is something to try, never handed anything.
    pub(super) watch: WaitList,
    /// The values the channel holds; nothing is allocated before the first.
    pub(super) held: Option<Box<Held<T>>>,
    /// How many of them are queued, and how many given back.
    pub(super) queued: u32,
    pub(super) back: u32,
    pub(super) capacity: usize,
    /// Places kept for granted senders and for permits.
    pub(super) reserved: usize,
    /// Senders that were told of a place, and have not run since. None is kept for them.
    pub(super) invited: usize,
    /// A `try_recv` found a waiting task: the next value is wanted.
    pub(super) demand: bool,
    /// Counts values handed to waiting receivers.
    pub(super) ticket: u32,
    /// Values that were taken from senders, for observers: one addition a message, under a lock that is held anyway.
    pub(super) sent: u64,
    /// Several receivers share the end.
    pub(super) shared: bool,
    /// Then: values handed to tasks that have not looked yet. One of them may still be given back, so until then the
    /// end of the channel is not told to the others.
    pub(super) in_hands: u32,
    pub(super) senders_gone: bool,
    /// For senders: nothing is taken any more.
    pub(super) receivers_gone: bool,
    /// The receivers are really gone, so a value that is given back has no home.
    pub(super) abandoned: bool,
}

pub(super) struct Held<T> {
    pub(super) queued: VecDeque<T>,
    /// Values that were handed to receivers which then were cancelled, oldest first, with their tickets.
    pub(super) back: VecDeque<(u32, T)>,
}

/// What a running receiver finds.
pub(super) enum Take<T> {
    Got(T),
    Empty,
    Interrupted,
}

/// What becomes of a running sender's value.
pub(super) enum Offer {
    Done,
    /// A task that had been waiting has it in its hands, and lets those in who wait to send when it looks (`Meet::looked`).
    Handed,
    Full,
    Interrupted,
}

impl<T> State<T> {
    fn held(&mut self) -> &mut Held<T> {
        self.held.get_or_insert_with(|| {
            Box::new(Held { queued: VecDeque::new(), back: VecDeque::new() })
        })
    }

    /// Puts a value at the end of the queue, where the next `try_recv` that wants one will find it.
    pub(super) fn enqueue(&mut self, value: Option<T>) {
        if let Some(value) = value {
            self.sent += 1;
            self.queued += 1;
            self.demand = false;
            self.held().queued.push_back(value);
        }
    }

    /// Keeps a value that a cancelled receive gives back, for whoever receives next.
    pub(super) fn keep(&mut self, ticket: u32, value: T) {
        self.back += 1;
        self.demand = false;
        let back = &mut self.held().back;
        let older = |other: u32| ticket.wrapping_sub(other) as i32 > 0;
        let older = back.iter().take_while(|(other, _)| older(*other)).count();
        let place = mutant!(meet_given_back_out_of_order, older, 0);
        back.insert(place, (ticket, value));
    }

    fn take_kept(&mut self) -> Option<(u32, T)> {
        if self.back == 0 {
            return None;
        }
        self.back -= 1;
        self.held.as_mut()?.back.pop_front()
    }

    fn take_queued(&mut self) -> Option<T> {
        if self.queued == 0 {
            return None;
        }
        self.queued -= 1;
        self.held.as_mut()?.queued.pop_front()
    }

    /// Whether a value in the hands of `node` may still be given back while others are told the end.
    pub(super) fn is_tracked(&self, node: &Node) -> bool {
        self.shared && !node.is_takeable()
    }

    /// Whether nothing is left and nothing will come.
    pub(super) fn ended(&self) -> bool {
        self.senders_gone && self.in_hands == 0
    }

    fn next_ticket(&mut self) -> u32 {
        self.ticket = self.ticket.wrapping_add(1);
        self.ticket
    }

    /// Sends that can complete now; negative when more turns were granted than receivers have stayed.
    pub(super) fn room(&self) -> isize {
        let capacity = self.capacity + mutant!(meet_holds_one_more, 0, 1);
        (capacity + self.recv.len() + usize::from(self.demand)) as isize
            - (self.queued as usize + self.back as usize + self.reserved) as isize
    }

    /// Those among `room` that somebody who waits has to be told of. A waiting receiver's hands come on top of the
    /// capacity; they are for whoever runs, unless places are kept: woken for them as well, two would come where one
    /// nearly always has enough for both.
    fn due(&self) -> isize {
        let extra =
            if self.capacity == 0 { 0 } else { self.recv.len().saturating_sub(self.reserved) };
        self.room() - (extra + self.invited) as isize
    }

    fn has_place(&self) -> bool {
        self.queued as usize + self.back as usize + self.reserved
            < self.capacity + mutant!(meet_holds_one_more, 0, 1)
    }

    /// Whether `core` may send now: not to itself.
    pub(super) fn has_room_for(&self, core: *const Core) -> bool {
        self.room() > 0 && (self.has_place() || self.demand || self.has_other_receiver(core))
    }

    fn has_other_receiver(&self, core: *const Core) -> bool {
        let mut at = self.recv.front();
        while !at.is_null() {
            // SAFETY: it stands in our line and the lock is held.
            unsafe {
                if !std::ptr::eq((*at).core_ptr(), core) {
                    return true;
                }
                at = self.recv.after(at);
            }
        }
        false
    }

    /// Puts `value` into the hands of a waiting receiver that has just been won. Its ticket stays with it should it be
    /// given back and handed over again.
    ///
    /// # Safety
    /// `node` stands in the receivers' line and its owner has been claimed.
    unsafe fn hand_over(&mut self, node: *const Node, ticket: u32, value: T, wakes: &mut Wakes) {
        // SAFETY: receivers' nodes are the first field of a `RecvOp<T>` of this channel; it is claimed, so nobody
        // else writes its slot, and its owner reads it only after `finish`. Attacked by `loom::meet_*`.
        unsafe {
            self.recv.remove(node);
            (*node).set_ticket(ticket);
            if self.is_tracked(&*node) {
                self.in_hands += 1;
            }
            (*node.cast::<RecvOp<T>>()).put(value);
            (*node).finish(Phase::Done, wakes);
        }
    }

    /// Tries to get rid of the value in `value`: to a waiting receiver, into the queue, to whoever demanded it.
    pub(super) fn offer(&mut self, value: &mut Option<T>, me: &Me<'_>, wakes: &mut Wakes) -> Offer {
        let mut at = self.recv.front();
        while !at.is_null() {
            // SAFETY: it stands in our line and the lock is held.
            unsafe {
                let next = self.recv.after(at);
                match me.claim(&*at) {
                    Claim::Won => {
                        let looks = self.capacity > 0 && !(*at).is_takeable();
                        if let Some(value) = value.take() {
                            let ticket = self.next_ticket();
                            self.sent += 1;
                            self.hand_over(at, ticket, value, wakes);
                        }
                        return if looks { Offer::Handed } else { Offer::Done };
                    }
                    Claim::Lost => self.forget_receiver(at),
                    Claim::Own => {}
                    Claim::Interrupted => return Offer::Interrupted,
                }
                at = next;
            }
        }
        if self.has_place() || self.demand {
            self.enqueue(value.take());
            self.tell_watchers(wakes);
            return Offer::Done;
        }
        Offer::Full
    }

    /// A select that has been won elsewhere leaves the line early.
    ///
    /// # Safety
    /// `node` stands in the receivers' line.
    unsafe fn forget_receiver(&mut self, node: *const Node) {
        // SAFETY: the caller's promise.
        unsafe {
            self.recv.remove(node);
            (*node).set_phase(Phase::Idle);
        }
    }

    /// From here senders find nobody; those who wait are told.
    pub(super) fn shut_out(&mut self, wakes: &mut Wakes) {
        self.receivers_gone = true;
        while let Some(node) = self.send.pop() {
            // SAFETY: it stood in our line and the lock is held.
            unsafe { (*node).finish(Phase::Notified, wakes) };
            if mutant!(meet_close_tells_one, false, true) {
                break;
            }
        }
    }

    /// Tells those who wait to receive that nothing will come, if that is so.
    pub(super) fn tell_end(&mut self, wakes: &mut Wakes) {
        while self.ended()
            && let Some(node) = self.recv.pop().or_else(|| self.watch.pop())
        {
            // SAFETY: it stood in our line and the lock is held.
            unsafe { (*node).finish(Phase::Notified, wakes) };
            if mutant!(meet_end_tells_one, false, true) {
                break;
            }
        }
    }

    pub(super) fn tell_watchers(&mut self, wakes: &mut Wakes) {
        if let Some(node) = mutant!(meet_tells_no_set, self.watch.pop(), None) {
            // SAFETY: it stood in our line and the lock is held.
            unsafe { (*node).finish(Phase::Notified, wakes) };
        }
    }

    /// Takes the next value for a running receiver.
    pub(super) fn take(&mut self, me: &Me<'_>, wakes: &mut Wakes) -> Take<T> {
        if let Some(value) = self.take_kept().map(|(_, value)| value).or_else(|| self.take_queued())
        {
            return Take::Got(value);
        }
        let mut at = self.send.front();
        while !at.is_null() {
            // SAFETY: it stands in our line and the lock is held; senders' nodes that are takeable are the first
            // field of a `SendOp<T>` of this channel on the stack of a thread that waits for `finish`.
            unsafe {
                if !(*at).is_takeable() {
                    break;
                }
                let next = self.send.after(at);
                match me.claim(&*at) {
                    Claim::Won => {
                        self.send.remove(at);
                        let value = (*at.cast::<SendOp<T>>()).take();
                        (*at).finish(Phase::Done, wakes);
                        if let Some(value) = value {
                            self.sent += 1;
                            return Take::Got(value);
                        }
                    }
                    Claim::Lost => {
                        self.send.remove(at);
                        (*at).set_phase(Phase::Idle);
                    }
                    Claim::Own => {}
                    Claim::Interrupted => return Take::Interrupted,
                }
                at = next;
            }
        }
        Take::Empty
    }

    /// Brings the lines in order after something has changed: values given back go to waiting receivers, and those
    /// who wait to send get the room there is, first come first served.
    #[inline]
    pub(super) fn settle(&mut self, wakes: &mut Wakes) {
        let may_give_back = self.back > 0 && !self.recv.is_empty();
        if may_give_back || (!self.send.is_empty() && self.due() > 0) {
            self.settle_lines(wakes);
        }
    }

    #[inline(never)]
    fn settle_lines(&mut self, wakes: &mut Wakes) {
        while mutant!(meet_given_back_in_silence, self.back > 0, false) && !self.recv.is_empty() {
            let at = self.recv.front();
            // SAFETY: it stands in our line and the lock is held.
            unsafe {
                if claim_parked(&*at) == Claim::Won {
                    if let Some((ticket, value)) = self.take_kept() {
                        self.hand_over(at, ticket, value, wakes);
                    }
                } else {
                    self.forget_receiver(at);
                }
            }
        }
        let mut at = self.send.front();
        while !at.is_null() && self.due() > 0 {
            // SAFETY: it stands in our line and the lock is held; see `take` for the cast.
            unsafe {
                let next = self.send.after(at);
                if self.has_place() && (*at).is_takeable() {
                    self.send.remove(at);
                    if claim_parked(&*at) == Claim::Won {
                        let value = (*at.cast::<SendOp<T>>()).take();
                        self.enqueue(value);
                        (*at).finish(Phase::Done, wakes);
                        self.tell_watchers(wakes);
                    } else {
                        (*at).set_phase(Phase::Idle);
                    }
                } else if self.has_room_for((*at).core_ptr()) {
                    self.send.remove(at);
                    if mutant!(meet_late_again, (*at).is_late(), false) {
                        self.reserved += 1;
                        (*at).finish(Phase::Granted, wakes);
                    } else {
                        self.invited += 1;
                        (*at).finish(Phase::Invited, wakes);
                    }
                }
                at = next;
            }
        }
    }

    pub(super) fn hint(&self) -> u32 {
        let may_send = self.room() > 0 || self.receivers_gone;
        let may_recv = self.queued > 0
            || self.back > 0
            || self.ended()
            // SAFETY: it stands in our line and the lock is held.
            || (!self.send.is_empty() && unsafe { (*self.send.front()).is_takeable() });
        u32::from(may_send) * MAY_SEND
            + u32::from(may_recv) * MAY_RECV
            + u32::from(!self.send.is_empty()) * PROMISED
    }

    /// A sender that was let in runs, or goes: what was kept or noted for it is no more.
    #[inline]
    pub(super) fn take_turn(&mut self, node: &Node) {
        match node.phase() {
            Phase::Granted => self.unreserve(),
            Phase::Invited => self.invited -= mutant!(meet_guest_stays_counted, 1, 0),
            Phase::Idle | Phase::Queued | Phase::Notified | Phase::Done => return,
        }
        node.set_phase(Phase::Idle);
    }

    /// Gives the place of a granted sender or a permit back.
    pub(super) fn unreserve(&mut self) {
        self.reserved -= mutant!(meet_place_not_given_back, 1, 0);
    }
}
