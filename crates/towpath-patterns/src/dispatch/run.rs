//! The dispatcher's process: one select over riders, drivers, policies, the clock, and room for what is to be told.

use std::{hash::Hash, sync::Arc, time::Duration};

use towpath::{Ctx, Receiver, Sender, TryReserveError, at, rt, select};

use super::{Counters, Decider, Event, Input, Policy, Report};
use crate::limit::{Limit, Numbers};

/// Messages of a kind that are taken in a row before anything else is looked at: a tenth of a millisecond.
const BATCH: usize = 64;

/// Decisions that wait for a slow listener before riders and drivers wait too. Timers go on, so there may be some more: one for
/// each rider who waits.
const UNTOLD_MAX: usize = 4096;

/// How long the last decisions are offered to a listener who does not take them.
const FAREWELL: Duration = Duration::from_secs(1);

/// The numbers that everybody may look at.
pub(super) type Board = Numbers<{ Counters::COUNT }>;

/// What comes in, each in a queue of its own. `None` when nobody can send any more.
pub(super) struct Inbox<R, D> {
    pub(super) riders: Option<Receiver<Input<R, D>>>,
    pub(super) drivers: Option<Receiver<Report<D>>>,
    pub(super) policies: Option<Receiver<Policy>>,
}

/// Decides until nobody can ask any more, nobody listens, or the context ends.
pub(super) async fn keep<R, D>(
    ctx: Ctx,
    mut inbox: Inbox<R, D>,
    mut decider: Decider<R, D>,
    out: Sender<Event<R, D>>,
    board: Arc<Board>,
) where
    R: Clone + Eq + Hash,
    D: Clone + Eq + Hash,
{
    loop {
        decider.advance(rt::now());
        if !tell(&mut decider, &out) {
            break;
        }
        show(&board, &decider);
        let Inbox { riders, drivers, policies } = &mut inbox;
        if riders.is_none() && drivers.is_none() && policies.is_none() {
            break;
        }
        let due = decider.next_due().map(at);
        let (is_telling, has_room) = (decider.events() > 0, decider.events() < UNTOLD_MAX);
        select! {
            _ = ctx.done() => break,
            () = out.closed() => break,
            policy = policies.recv() => match policy {
                Some(policy) => decider.on(rt::now(), Input::Policy(policy)),
                None => inbox.policies = None,
            },
            asked = riders.as_mut().map(Receiver::recv), if has_room => match asked {
                Some(asked) => {
                    decider.on(rt::now(), asked);
                    more(riders, |asked| decider.on(rt::now(), asked));
                }
                None => inbox.riders = None,
            },
            report = drivers.as_mut().map(Receiver::recv), if has_room => match report {
                Some(report) => {
                    decider.on(rt::now(), Input::Report(report));
                    more(drivers, |report| decider.on(rt::now(), Input::Report(report)));
                }
                None => inbox.drivers = None,
            },
            place = out.reserve(), if is_telling => match place {
                Ok(place) => {
                    if let Some(event) = decider.next_event() {
                        place.send(event);
                    }
                }
                Err(_) => break,
            },
            () = due => {}
        }
    }
    decider.stop(rt::now());
    show(&board, &decider);
    let end = rt::now() + FAREWELL;
    while let Some(event) = decider.next_event() {
        select! {
            biased;
            sent = out.send(event) => {
                if sent.is_err() {
                    return;
                }
            }
            () = at(end) => return,
        }
    }
}

/// Takes what else is there, without waiting.
fn more<T>(receiver: &mut Option<Receiver<T>>, mut take: impl FnMut(T)) {
    let Some(receiver) = receiver else { return };
    for _ in 1..BATCH {
        let Ok(message) = receiver.try_recv() else { return };
        take(message);
    }
}

/// Tells as much as there is room for; false when nobody listens.
fn tell<R, D>(decider: &mut Decider<R, D>, out: &Sender<Event<R, D>>) -> bool
where
    R: Clone + Eq + Hash,
    D: Clone + Eq + Hash,
{
    while decider.events() > 0 {
        match out.try_reserve() {
            Ok(place) => {
                if let Some(event) = decider.next_event() {
                    place.send(event);
                }
            }
            Err(TryReserveError::Full) => return true,
            Err(TryReserveError::Closed) => return false,
        }
    }
    true
}

fn show<R: Clone + Eq + Hash, D: Clone + Eq + Hash>(board: &Board, decider: &Decider<R, D>) {
    // Numbers are never refused.
    let _ = board.change(decider.counters().to_array());
}
