//! Meet: rendezvous, and capacities so small that sender and receiver meet at every message.
//!
//! What always holds, whenever the lock is free:
//! - `room = capacity + waiting receivers + demand - queued - given back - reserved`: so many who run now can send.
//! - Of that, waiting receivers' hands beyond the capacity are due to nobody, nor a place to which somebody who waited has been
//!   *invited*. While more is `due`, no sender waits; except for one whose only partner is its own select, and while a task
//!   has not looked at what was put into its hands: it lets the next in when it does.
//! - Values given back by cancelled receivers are older than everything queued, and are received first.
//! - A waiting task's value leaves it only while that task runs. A waiting thread's value may be taken.
//!
//! One lock guards everything, as in Go's `hchan`; a message passes straight into the waiting receiver. What Go does
//! not have to care about is cancellation, and it decides who moves the value:
//!
//! | the one that waits | who comes along | what happens |
//! |---|---|---|
//! | receiver, task or thread | sender | the value is put into the receiver's hands; done |
//! | ... and the task drops the receive before it looks | | the value goes back and is received next |
//! | sender, thread | receiver | the value is taken; done |
//! | sender, task | receiver | the receiver stands in line and the sender is *invited*: it hands over when its task runs, or passes the turn on when it is dropped |
//! | sender, task | `try_recv` | as above, but nobody stands in line: `demand` remembers that the next value is wanted, and keeps it for the next call |
//!
//! Who is invited has a place that is free, not one that is kept: somebody who runs may be faster. Then it stands in front
//! again, and the next place is kept for it (*granted*). So a stream between two workers goes on while those who waited are on their
//! way, and nobody is overtaken twice in a row by those who run.
//!
//! Why hands beyond the capacity are due to nobody: the message in them has not been received yet, so with it the channel is as
//! full as it was asked to be. Waking a second sender for the place behind it nearly always woke it in vain or made the first park.
//!
//! So a send that was dropped before it finished was never delivered, a message never gets lost with a dropped
//! receive, and `try_recv` makes progress against tasks.

mod state;

use self::state::{Held, Offer, State, Take};
use super::{
    claim::Me,
    gate::Side,
    line::{Node, Phase, WaitList, Wakes},
    lock::{Guard, Lock},
    op::{RecvOp, ReserveOp, SendOp, Step},
    ring::Push,
    seen::Parked,
    wait::Core,
};
use crate::sync::{AtomicU32, Ordering};

pub(crate) struct Meet<T> {
    state: Lock<State<T>>,
    /// What the last holder of the lock left behind, `MAY_SEND` and `MAY_RECV`. A guess for those who do not hold it:
    /// it saves a futile try before waiting, nothing more.
    hint: AtomicU32,
}

const MAY_SEND: u32 = 1;
const MAY_RECV: u32 = 2;
/// A task waits to send: it will hand over once a receiver stands in line.
const PROMISED: u32 = 4;

impl<T> Meet<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            state: Lock::new(State {
                recv: WaitList::new(),
                send: WaitList::new(),
                watch: WaitList::new(),
                held: None,
                queued: 0,
                back: 0,
                capacity,
                reserved: 0,
                invited: 0,
                demand: false,
                ticket: 0,
                sent: 0,
                shared: false,
                in_hands: 0,
                senders_gone: false,
                receivers_gone: false,
                abandoned: false,
            }),
            hint: AtomicU32::new(if capacity > 0 { MAY_SEND } else { 0 }),
        }
    }

    /// Releases the lock, then wakes.
    #[inline]
    fn release(&self, state: Guard<'_, State<T>>, wakes: Wakes) {
        self.hint.store(state.hint(), Ordering::Relaxed);
        drop(state);
        wakes.wake();
    }

    /// Whether a send may be possible now.
    #[inline]
    pub(super) fn may_send(&self) -> bool {
        self.hint.load(Ordering::Relaxed) & MAY_SEND != 0
    }

    /// Whether a receive may be possible now, or as soon as it stands in line.
    #[inline]
    pub(super) fn may_recv_soon(&self) -> bool {
        self.hint.load(Ordering::Relaxed) & (MAY_RECV | PROMISED) != 0
    }

    /// Whether a task waits to send, and nothing can be received before it has run.
    pub(super) fn is_promised(&self) -> bool {
        self.hint.load(Ordering::Relaxed) & (MAY_RECV | PROMISED) == PROMISED
    }

    /// Whether a receive may be possible now.
    #[inline]
    pub(super) fn may_recv(&self) -> bool {
        self.hint.load(Ordering::Relaxed) & MAY_RECV != 0
    }

    pub(super) fn capacity(&self) -> usize {
        self.state.lock().capacity
    }

    pub(super) fn len(&self) -> usize {
        let state = self.state.lock();
        (state.queued + state.back) as usize
    }

    /// Messages that went in and came out, for observers. What was put into a receiver's hands is out.
    pub(super) fn totals(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.sent, state.sent - u64::from(state.queued) - u64::from(state.back))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().receivers_gone
    }

    /// Sends without waiting; on `Done` the value has been taken out of `value`.
    pub(super) fn try_send(&self, value: &mut Option<T>, me: &Me<'_>) -> Push {
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        if state.receivers_gone {
            return Push::Closed;
        }
        if state.room() <= 0 {
            return Push::Full;
        }
        let done = match state.offer(value, me, &mut wakes) {
            Offer::Done | Offer::Handed => Push::Done,
            Offer::Full | Offer::Interrupted => Push::Full,
        };
        self.release(state, wakes);
        done
    }

    /// One try of a send; without success it waits in line.
    ///
    /// # Safety
    /// `op` is pinned and belongs to `me.core`; it is retracted before it goes away.
    pub(super) unsafe fn send_step(&self, op: &SendOp<T>, me: &Me<'_>) -> Step<Push> {
        let node = &op.node;
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        let phase = node.phase();
        let had_turn = matches!(phase, Phase::Granted | Phase::Notified | Phase::Invited);
        if !me.begin() {
            return Step::Interrupted;
        }
        state.take_turn(node);
        if state.receivers_gone {
            me.commit();
            return Step::Ready(Push::Closed);
        }
        if phase == Phase::Granted || state.room() > 0 {
            // SAFETY: the value of an operation in no line is its owner's, and the owner is running us.
            match op.value.with_mut(|value| state.offer(unsafe { &mut *value }, me, &mut wakes)) {
                done @ (Offer::Done | Offer::Handed) => {
                    me.commit();
                    node.set_late(false);
                    if !matches!(done, Offer::Handed) {
                        state.settle(&mut wakes);
                    }
                    self.release(state, wakes);
                    return Step::Ready(Push::Done);
                }
                Offer::Interrupted => {
                    // Our turn, if we had one, is for the next in line.
                    state.settle(&mut wakes);
                    self.release(state, wakes);
                    return Step::Interrupted;
                }
                Offer::Full => {}
            }
        }
        node.set_late(had_turn);
        if !me.may_wait {
            // Its turn stays its own: it will stand at the front.
            node.set_phase(if had_turn { Phase::Notified } else { Phase::Idle });
            me.rollback();
            state.settle(&mut wakes);
            self.release(state, wakes);
            return Step::NotNow;
        }
        node.belongs_to(me);
        // SAFETY: the caller's promise; its phase says it stands in no line.
        unsafe { state.send.push(node, had_turn) };
        me.rollback();
        state.tell_watchers(&mut wakes);
        state.settle(&mut wakes);
        self.release(state, wakes);
        Step::Waiting
    }

    /// Takes a send back.
    ///
    /// # Safety
    /// `op` was stepped on this channel and its owner runs this.
    pub(super) unsafe fn retract_send(&self, node: &Node) {
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        match node.phase() {
            // SAFETY: queued in our senders' line.
            Phase::Queued => unsafe { state.send.remove(node) },
            Phase::Granted | Phase::Invited => state.take_turn(node),
            Phase::Idle | Phase::Notified | Phase::Done => {}
        }
        if node.phase() != Phase::Done {
            node.set_phase(Phase::Idle);
        }
        node.set_late(false);
        mutant!(meet_keeps_its_turn, state.settle(&mut wakes), ());
        self.release(state, wakes);
    }

    /// One try to reserve; without success it waits in line.
    ///
    /// # Safety
    /// As for `send_step`.
    pub(super) unsafe fn reserve_step(&self, op: &ReserveOp, me: &Me<'_>) -> Step<Push> {
        let node = &op.node;
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        let phase = node.phase();
        if !me.begin() {
            return Step::Interrupted;
        }
        if state.receivers_gone {
            state.take_turn(node);
            node.set_phase(Phase::Idle);
            me.commit();
            return Step::Ready(Push::Closed);
        }
        if phase == Phase::Granted {
            // The place kept for us is the permit.
            node.set_phase(Phase::Idle);
            me.commit();
            return Step::Ready(Push::Done);
        }
        state.take_turn(node);
        if state.has_room_for(me.core) {
            state.reserved += 1;
            node.set_phase(Phase::Idle);
            me.commit();
            self.release(state, wakes);
            return Step::Ready(Push::Done);
        }
        let had_turn = matches!(phase, Phase::Notified | Phase::Invited);
        node.set_late(had_turn);
        node.belongs_to(&Me { takeable: false, ..*me });
        // SAFETY: the caller's promise; its phase says it stands in no line.
        unsafe { state.send.push(node, had_turn) };
        me.rollback();
        state.settle(&mut wakes);
        self.release(state, wakes);
        Step::Waiting
    }

    /// Reserves without waiting.
    pub(super) fn try_reserve(&self, me: &Me<'_>) -> Push {
        let mut state = self.state.lock();
        if state.receivers_gone {
            return Push::Closed;
        }
        if !state.has_room_for(me.core) {
            return Push::Full;
        }
        state.reserved += 1;
        self.release(state, Wakes::new());
        Push::Done
    }

    /// Sends on a reserved place. Fails only when the receivers are gone.
    pub(super) fn send_reserved(&self, value: T, me: &Me<'_>) -> Result<(), T> {
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        state.unreserve();
        if state.receivers_gone {
            return Err(value);
        }
        let mut value = Some(value);
        if !matches!(state.offer(&mut value, me, &mut wakes), Offer::Done | Offer::Handed)
            && let Some(value) = value
        {
            // The receiver that was waiting has left: the value waits for the next one.
            state.enqueue(Some(value));
            state.tell_watchers(&mut wakes);
        }
        state.settle(&mut wakes);
        self.release(state, wakes);
        Ok(())
    }

    /// Gives a reserved place back.
    pub(super) fn unreserve(&self) {
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        state.unreserve();
        state.settle(&mut wakes);
        self.release(state, wakes);
    }

    /// Receives without waiting. `Ok(None)`: the senders are gone and nothing is left. `Err`: nothing now; with
    /// `insist` the next value of a waiting task is then kept for the next call.
    pub(super) fn try_recv(&self, me: &Me<'_>, insist: bool) -> Result<Option<T>, ()> {
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        let taken = match state.take(me, &mut wakes) {
            Take::Got(value) => Ok(Some(value)),
            Take::Empty | Take::Interrupted if state.ended() => Ok(None),
            Take::Empty | Take::Interrupted => {
                state.demand |= insist && !state.send.is_empty();
                Err(())
            }
        };
        state.settle(&mut wakes);
        self.release(state, wakes);
        taken
    }

    /// One try of a receive; without success it waits in line.
    ///
    /// # Safety
    /// As for `send_step`.
    pub(super) unsafe fn recv_step(&self, op: &RecvOp<T>, me: &Me<'_>) -> Step<Option<T>> {
        let node = &op.node;
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        if !me.begin() {
            return Step::Interrupted;
        }
        let got = match state.take(me, &mut wakes) {
            Take::Got(value) => Some(value),
            Take::Interrupted => {
                self.release(state, wakes);
                return Step::Interrupted;
            }
            Take::Empty if state.ended() => None,
            Take::Empty => {
                node.belongs_to(me);
                // SAFETY: the caller's promise; its phase says it stands in no line.
                unsafe { state.recv.push(node, node.phase() == Phase::Notified) };
                state.demand = mutant!(meet_demand_stays, false, state.demand);
                me.rollback();
                state.settle(&mut wakes);
                self.release(state, wakes);
                return Step::Waiting;
            }
        };
        node.set_phase(Phase::Idle);
        me.commit();
        state.settle(&mut wakes);
        self.release(state, wakes);
        Step::Ready(got)
    }

    /// Takes a receive back; a value it already has in its hands is received next by somebody else.
    ///
    /// # Safety
    /// `op` was stepped on this channel and its owner runs this.
    pub(super) unsafe fn retract_recv(&self, op: &RecvOp<T>) {
        let node = &op.node;
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        let mut homeless = None;
        match node.phase() {
            // SAFETY: queued in our receivers' line.
            Phase::Queued => unsafe { state.recv.remove(node) },
            Phase::Done => {
                // SAFETY: `Done` says that a value with a ticket was put there, and it is taken once, since the phase
                // changes below.
                let (ticket, value) = unsafe { (node.ticket(), op.get()) };
                if state.is_tracked(node) {
                    state.in_hands -= 1;
                }
                if state.abandoned || mutant!(meet_cancelled_receive_loses, false, true) {
                    homeless = Some(value);
                } else {
                    state.keep(ticket, value);
                    state.tell_watchers(&mut wakes);
                }
            }
            Phase::Idle | Phase::Notified | Phase::Granted | Phase::Invited => {}
        }
        node.set_phase(Phase::Idle);
        state.settle(&mut wakes);
        if state.back == 0 {
            state.tell_end(&mut wakes);
        }
        self.release(state, wakes);
        drop(homeless);
    }

    /// From here several receivers share the end.
    pub(super) fn share(&self) {
        self.state.lock().shared = true;
    }

    /// A receiver has looked at the value that was put into its hands: now there may be room that is due to those who
    /// wait to send.
    ///
    /// Why a look at the hint is enough. Whoever handed the value over left them waiting only if they stood in line then,
    /// under the lock; their coming is in the hint that the hand-over carries to us, and so is that there was room. Who
    /// came later found no room, and whoever makes some lets them in. Attacked by `loom::meet_look_lets_in`.
    #[inline]
    pub(super) fn looked(&self) {
        const BOTH: u32 = MAY_SEND | PROMISED;
        if mutant!(
            meet_look_lets_nobody_in,
            self.hint.load(Ordering::Relaxed) & BOTH == BOTH,
            false
        ) {
            self.let_in();
        }
    }

    #[inline(never)]
    fn let_in(&self) {
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        state.settle(&mut wakes);
        self.release(state, wakes);
    }

    /// As `looked`, on a shared end.
    pub(super) fn confirm(&self, node: &Node) {
        if node.is_takeable() {
            return;
        }
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        state.in_hands -= 1;
        state.settle(&mut wakes);
        if state.back == 0 && state.queued == 0 {
            state.tell_end(&mut wakes);
        }
        self.release(state, wakes);
    }

    /// Runs `f` under the lock.
    pub(super) fn with_line<R>(&self, f: impl FnOnce() -> R) -> R {
        let _state = self.state.lock();
        f()
    }

    /// Shows an observer who waits.
    pub(super) fn look(&self, seen: &mut Vec<(Side, Parked)>) {
        let state = self.state.lock();
        state.recv.look(Side::Recv, seen);
        state.send.look(Side::Send, seen);
    }

    /// How many wait.
    pub(super) fn parked(&self) -> usize {
        let state = self.state.lock();
        state.recv.len() + state.send.len()
    }

    /// Waits until whoever completes `op` for us has let go of it.
    pub(super) fn synchronize(&self) {
        drop(self.state.lock());
    }

    /// Lets a set's member wait to be told, unless there is something to try now. True: it waits.
    ///
    /// # Safety
    /// As for `WaitList::push`; leave by `unwatch`.
    pub(super) unsafe fn watch(&self, node: &Node, core: *const Core, arm: u32) -> bool {
        let mut state = self.state.lock();
        if state.back > 0
            || state.queued > 0
            || state.ended()
            || (!state.send.is_empty() && !state.demand)
        {
            return false;
        }
        node.belongs_to_member(core, arm);
        // SAFETY: the caller's promise.
        unsafe { state.watch.push(node, false) };
        true
    }

    /// # Safety
    /// `node` was given to `watch` on this channel.
    pub(super) unsafe fn unwatch(&self, node: &Node) {
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        match node.phase() {
            // SAFETY: queued in our watchers' line.
            Phase::Queued => unsafe { state.watch.remove(node) },
            Phase::Notified => state.tell_watchers(&mut wakes),
            Phase::Idle | Phase::Granted | Phase::Invited | Phase::Done => {}
        }
        node.set_phase(Phase::Idle);
        self.release(state, wakes);
    }

    pub(super) fn close_senders(&self) {
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        state.senders_gone = true;
        state.tell_end(&mut wakes);
        self.release(state, wakes);
    }

    pub(super) fn senders_gone(&self) -> bool {
        self.state.lock().senders_gone
    }

    /// Both sides close, but what the channel holds, and what may still be given back to it, is received.
    pub(super) fn seal(&self) {
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        state.shut_out(&mut wakes);
        state.senders_gone = true;
        state.tell_end(&mut wakes);
        self.release(state, wakes);
    }

    /// `told` runs when the senders have been told, before what is queued is dropped.
    pub(super) fn close_receivers(&self, told: impl FnOnce()) {
        let mut wakes = Wakes::new();
        let mut state = self.state.lock();
        state.shut_out(&mut wakes);
        state.abandoned = true;
        let held = state.held.take();
        (state.queued, state.back) = (0, 0);
        self.release(state, wakes);
        told();
        // Messages are foreign code: dropped without the lock, oldest first, all of them even when a drop panics.
        if let Some(held) = held {
            let Held { mut queued, mut back } = *held;
            super::drain::drain(|| {
                back.pop_front().map(|(_, value)| value).or_else(|| queued.pop_front())
            });
        }
    }
}
