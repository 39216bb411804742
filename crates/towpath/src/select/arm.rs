//! What an arm of a select is: the public trait, and the arms that are not channels.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use crate::{
    Receiver, Sender, SharedReceiver,
    channel::{Receiving, Reserving, Sending, SendingFrom},
    raw::claim::Me,
    rt,
    waitfor::Arm,
};

/// Something a select can wait for: a receive, a send, a timer, a context, a queue of another kind.
///
/// A select calls [`poll_arm`](Self::poll_arm) until one arm of it answers `Ready`, then [`complete`](Self::complete)
/// on that arm and [`retract`](Self::retract) on the others. An arm that only looks at a condition is short:
///
/// ```
/// use std::{pin::Pin, sync::atomic::{AtomicBool, Ordering}, task::Poll};
/// use towpath::select::{ArmContext, SelectArm};
///
/// /// Ready once the flag is up. (It never wakes anybody: a real one registers `cx.waker()` somewhere.)
/// struct Flag<'a>(&'a AtomicBool);
///
/// impl SelectArm for Flag<'_> {
///     type Output = ();
///     fn poll_arm(self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
///         if self.0.load(Ordering::Acquire) && cx.commit() { Poll::Ready(()) } else { Poll::Pending }
///     }
///     fn complete(self: Pin<&mut Self>) {}
/// }
///
/// let up = AtomicBool::new(true);
/// towpath::select_blocking! { _ = Flag(&up) => println!("up") }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an arm of a select",
    label = "not a select arm",
    note = "arms are channel operations such as `rx.recv()` and `tx.send(value)`, timers such as `after(..)`, an `Option` of those, and types that implement `SelectArm`",
    note = "any other future joins through `towpath::select::future(..)`"
)]
pub trait SelectArm {
    /// What the arm yields when it wins.
    type Output;

    /// Looks whether the arm can win now. If not, and [`ArmContext::may_wait`] says so, arranges that the waker is
    /// woken when to look again.
    ///
    /// `Ready` means: this arm has won, and [`ArmContext::commit`] was called and answered `true`. When `commit`
    /// answers `false` another arm has won meanwhile: the arm must be as if nothing had happened, and answer
    /// `Pending`.
    fn poll_arm(self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()>;

    /// Hands out the result, once, after `poll_arm` was `Ready`.
    fn complete(self: Pin<&mut Self>) -> Self::Output;

    /// Another arm has won: leave nothing behind. The arm may be used again.
    fn retract(self: Pin<&mut Self>) {}

    /// A cheap guess, made before `poll_arm` so that a select with many arms looks only at those worth it. False: not
    /// ready now, as far as can be seen without effort.
    ///
    /// An arm that has something to do in `poll_arm` before anybody can make it ready (a step of its own, a registration that is
    /// not made yet) answers true until that is done: a select that has looked everywhere else may not poll it otherwise.
    fn may_be_ready(&self) -> bool {
        true
    }

    /// The other side will act as soon as this arm stands in line, and not before. When chance picks such an arm, the
    /// select lets it stand there for a round before it tries the others, which may be ready all the time.
    fn is_promised(&self) -> bool {
        false
    }

    /// Whether the arm takes part at all; `None` does not, as a nil channel in Go.
    fn is_enabled(&self) -> bool {
        true
    }

    /// For observers: names what it waits for. What is left out is as if nobody could ever enable it.
    fn waits_for(&self, each: &mut dyn FnMut(Arm)) {
        each(Arm::Foreign);
    }
}

/// What a select tells its arms.
pub struct ArmContext<'a> {
    me: Me<'a>,
    /// `None` while arms are only tried.
    waker: Option<&'a Waker>,
    insists: bool,
    thread: Option<&'a Cell<Option<Instant>>>,
    exposed: &'a Cell<bool>,
    foreign: &'a Cell<bool>,
    meets: &'a Cell<bool>,
}

/// What one select shares with all its arms.
pub(super) struct Shared<'a> {
    pub(super) core: &'a crate::raw::wait::Core,
    /// How many arms take part.
    pub(super) arms: u32,
    /// Some arm stands in a line.
    pub(super) exposed: &'a Cell<bool>,
    /// Some arm may wake us without telling the core.
    pub(super) foreign: &'a Cell<bool>,
    /// Some arm's other side may be waiting for us to stand in line.
    pub(super) meets: &'a Cell<bool>,
    /// On a thread: when to look again at the latest.
    pub(super) thread: Option<&'a Cell<Option<Instant>>>,
    /// No waiting afterwards: a `try_recv` may leave its demand behind.
    pub(super) insists: bool,
}

impl<'a> ArmContext<'a> {
    pub(super) fn new(shared: &Shared<'a>, arm: u32, waker: Option<&'a Waker>) -> Self {
        Self {
            me: Me {
                core: shared.core,
                arm,
                arms: shared.arms,
                exposed: shared.exposed.get(),
                takeable: shared.thread.is_some(),
                may_wait: waker.is_some(),
            },
            waker,
            insists: shared.insists,
            thread: shared.thread,
            exposed: shared.exposed,
            foreign: shared.foreign,
            meets: shared.meets,
        }
    }

    /// Wins the select for this arm, or finds out that another arm has won: see [`SelectArm::poll_arm`].
    #[must_use = "when this is false another arm has won"]
    pub fn commit(&mut self) -> bool {
        self.me.commit_ready()
    }

    /// Whether the select will wait if no arm is ready. If not, leave nothing behind.
    pub fn may_wait(&self) -> bool {
        self.waker.is_some()
    }

    /// Whom to wake when to look again. A waker that does nothing while `may_wait` is false.
    pub fn waker(&mut self) -> &'a Waker {
        self.foreign.set(true);
        self.waker.unwrap_or(Waker::noop())
    }

    /// On a thread, asks to look again at `when` and answers true; a task needs a timer of its own.
    pub(crate) fn look_again_at(&self, when: Instant) -> bool {
        let Some(earliest) = self.thread else { return false };
        earliest.set(Some(earliest.get().map_or(when, |other| other.min(when))));
        true
    }

    pub(crate) fn me(&self) -> &Me<'a> {
        &self.me
    }

    pub(crate) fn insists(&self) -> bool {
        self.insists
    }

    /// Trying again and again is no use: the other side may be waiting for us to stand in line.
    pub(crate) fn meets(&self) {
        self.meets.set(true);
    }

    /// The arm stands in a line now, where others see it.
    pub(crate) fn expose(&mut self) {
        self.exposed.set(true);
        self.me.exposed = true;
    }
}

impl fmt::Debug for ArmContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArmContext").field("may_wait", &self.may_wait()).finish_non_exhaustive()
    }
}

/// `None` never wins: Go's nil channel.
impl<A: SelectArm> SelectArm for Option<A> {
    type Output = A::Output;

    fn poll_arm(self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        self.as_pin_mut().map_or(Poll::Pending, |arm| arm.poll_arm(cx))
    }

    fn complete(self: Pin<&mut Self>) -> A::Output {
        match self.as_pin_mut() {
            Some(arm) => arm.complete(),
            None => unreachable!("a disabled arm never wins"),
        }
    }

    fn retract(self: Pin<&mut Self>) {
        if let Some(arm) = self.as_pin_mut() {
            arm.retract();
        }
    }

    fn may_be_ready(&self) -> bool {
        self.as_ref().is_some_and(SelectArm::may_be_ready)
    }

    fn is_promised(&self) -> bool {
        self.as_ref().is_some_and(SelectArm::is_promised)
    }

    fn is_enabled(&self) -> bool {
        self.as_ref().is_some_and(SelectArm::is_enabled)
    }

    fn waits_for(&self, each: &mut dyn FnMut(Arm)) {
        if let Some(arm) = self {
            arm.waits_for(each);
        }
    }
}

/// A pinned arm by reference, to be used in several selects in a row.
impl<A: SelectArm> SelectArm for Pin<&mut A> {
    type Output = A::Output;

    fn poll_arm(mut self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        (*self).as_mut().poll_arm(cx)
    }

    fn complete(mut self: Pin<&mut Self>) -> A::Output {
        (*self).as_mut().complete()
    }

    fn retract(mut self: Pin<&mut Self>) {
        (*self).as_mut().retract();
    }

    fn may_be_ready(&self) -> bool {
        (**self).may_be_ready()
    }

    fn is_promised(&self) -> bool {
        (**self).is_promised()
    }

    fn is_enabled(&self) -> bool {
        (**self).is_enabled()
    }

    fn waits_for(&self, each: &mut dyn FnMut(Arm)) {
        (**self).waits_for(each);
    }
}

/// A future as an arm. It is polled while the select waits; when another arm wins it is dropped, unless it was given
/// as a pinned reference.
///
/// It must be cancel-safe for that. Should it finish at the very moment in which another party claims the select,
/// its result is dropped with it.
///
/// ```
/// # towpath::block_on(async {
/// let (_tx, mut rx) = towpath::bounded::<u32>(1);
/// let answer = towpath::select! {
///     value = rx.recv() => value,
///     value = towpath::select::future(async { 42 }) => Some(value),
/// };
/// assert_eq!(answer, Some(42));
/// # });
/// ```
pub fn future<F: Future>(future: F) -> FutureArm<F> {
    FutureArm { state: crate::raw::pin::Pair::new(future, None) }
}

/// A future as an arm; made by [`future`].
#[must_use = "an arm does nothing until it is selected on"]
pub struct FutureArm<F: Future> {
    /// The future and, once it has finished, its result.
    state: crate::raw::pin::Pair<F, Option<F::Output>>,
}

impl<F: Future> SelectArm for FutureArm<F> {
    type Output = F::Output;

    fn poll_arm(mut self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        let (future, result) = crate::raw::pin::future_arm(self.as_mut());
        if result.is_none() {
            match future.poll(&mut Context::from_waker(cx.waker())) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(value) => *result = Some(value),
            }
        }
        if cx.commit() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn complete(mut self: Pin<&mut Self>) -> F::Output {
        match crate::raw::pin::future_arm(self.as_mut()).1.take() {
            Some(value) => value,
            None => unreachable!("completed without having been ready"),
        }
    }
}

impl<F: Future> FutureArm<F> {
    pub(crate) fn state_mut(&mut self) -> &mut crate::raw::pin::Pair<F, Option<F::Output>> {
        &mut self.state
    }
}

impl<F: Future> fmt::Debug for FutureArm<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FutureArm(..)")
    }
}

/// Receiving on an `Option` of a receiver, in a select: `None` disables the arm. In scope inside `select!`.
pub trait OptionReceiver {
    /// The message type.
    type Item;

    /// [`Receiver::recv`], or a disabled arm.
    #[track_caller]
    fn recv(&mut self) -> Option<Receiving<'_, Self::Item>>;
}

impl<T> OptionReceiver for Option<Receiver<T>> {
    type Item = T;

    #[track_caller]
    fn recv(&mut self) -> Option<Receiving<'_, T>> {
        Some(self.as_mut()?.recv())
    }
}

impl<T> OptionReceiver for Option<SharedReceiver<T>> {
    type Item = T;

    #[track_caller]
    fn recv(&mut self) -> Option<Receiving<'_, T>> {
        Some(self.as_mut()?.recv())
    }
}

impl<T> OptionReceiver for Option<&mut Receiver<T>> {
    type Item = T;

    #[track_caller]
    fn recv(&mut self) -> Option<Receiving<'_, T>> {
        Some(self.as_mut()?.recv())
    }
}

/// Sending on an `Option` of a sender, in a select: `None` disables the arm. In scope inside `select!`.
pub trait OptionSender<T> {
    /// [`Sender::send`], or a disabled arm.
    #[track_caller]
    fn send(&self, value: T) -> Option<Sending<'_, T>>;
    /// [`Sender::send_from`], or a disabled arm.
    #[track_caller]
    fn send_from<'a>(&'a self, slot: &'a mut Option<T>) -> Option<SendingFrom<'a, T>>;
    /// [`Sender::reserve`], or a disabled arm.
    #[track_caller]
    fn reserve(&self) -> Option<Reserving<'_, T>>;
}

impl<T> OptionSender<T> for Option<Sender<T>> {
    #[track_caller]
    fn send(&self, value: T) -> Option<Sending<'_, T>> {
        Some(self.as_ref()?.send(value))
    }

    #[track_caller]
    fn send_from<'a>(&'a self, slot: &'a mut Option<T>) -> Option<SendingFrom<'a, T>> {
        Some(self.as_ref()?.send_from(slot))
    }

    #[track_caller]
    fn reserve(&self) -> Option<Reserving<'_, T>> {
        Some(self.as_ref()?.reserve())
    }
}

impl<T> OptionSender<T> for Option<&Sender<T>> {
    #[track_caller]
    fn send(&self, value: T) -> Option<Sending<'_, T>> {
        Some(self.as_ref()?.send(value))
    }

    #[track_caller]
    fn send_from<'a>(&'a self, slot: &'a mut Option<T>) -> Option<SendingFrom<'a, T>> {
        Some(self.as_ref()?.send_from(slot))
    }

    #[track_caller]
    fn reserve(&self) -> Option<Reserving<'_, T>> {
        Some(self.as_ref()?.reserve())
    }
}

/// The arms worth a look, drawn at random one at a time, each order as likely as any other.
pub(super) struct Shuffle {
    few: [u8; Self::FEW],
    len: usize,
    /// Instead of `few`, when arms have numbers that do not fit.
    many: Vec<u32>,
    /// Random bits, of which each draw uses sixteen.
    random: u64,
    draws: u32,
}

impl Shuffle {
    const FEW: usize = 64;

    #[inline]
    pub(super) fn new() -> Self {
        Self { few: [0; Self::FEW], len: 0, many: Vec::new(), random: 0, draws: 0 }
    }

    #[inline]
    pub(super) fn add(&mut self, arm: u32) {
        if (arm as usize) < Self::FEW {
            self.few[self.len] = arm as u8;
            self.len += 1;
        } else {
            self.many.push(arm);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0 && self.many.is_empty()
    }

    /// Takes `arm` out, one of the first `FEW`. False: it is not there.
    pub(super) fn remove(&mut self, arm: u32) -> bool {
        let place = self.few[..self.len].iter().position(|&other| u32::from(other) == arm);
        if let Some(place) = place {
            self.len -= 1;
            self.few[place] = self.few[self.len];
        }
        place.is_some()
    }

    /// A few of `count` arms by chance, to be looked at before the others are even considered: often enough one of
    /// them is ready. Each is as likely as the others, so the choice stays fair.
    #[inline]
    pub(super) fn guess(&mut self, count: u32, mut ready: impl FnMut(u32) -> bool) -> Option<u32> {
        const GUESSES: u32 = 3;
        match count {
            0 => None,
            1 => ready(0).then_some(0),
            2 => {
                let first = self.below(2) as u32;
                [first, 1 - first].into_iter().find(|&arm| ready(arm))
            }
            _ if count as usize > Self::FEW => None,
            _ => (0..GUESSES).map(|_| self.below(count as usize) as u32).find(|&arm| ready(arm)),
        }
    }

    /// A random number below `n`, exact to one part in 1,000.
    #[inline]
    fn below(&mut self, n: usize) -> usize {
        if n == 1 {
            return 0;
        }
        if n > Self::FEW || rt::sim::is_active() {
            return rt::random_arm(n);
        }
        if self.draws == 0 {
            self.random = rt::random();
            self.draws = 4;
        }
        self.draws -= 1;
        let bits = (self.random & 0xffff) as usize;
        self.random >>= 16;
        (bits * n) >> 16
    }
}

/// Fisher and Yates' shuffle (1938), as far as it is needed.
impl Iterator for Shuffle {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let left = self.len + self.many.len();
        if left == 0 {
            return None;
        }
        let pick = self.below(left);
        if pick >= self.len {
            return Some(self.many.swap_remove(pick - self.len));
        }
        let arm = self.few[pick];
        self.len -= 1;
        self.few[pick] = self.few[self.len];
        Some(u32::from(arm))
    }
}
