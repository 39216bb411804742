//! The shadows' process: commands in, events out, and a clock for those who are silent.
//!
//! Events are made when there is a place for them, so one that waits is never out of date, and commands are taken all the while.

use std::{hash::Hash, time::Duration};

use towpath::{Receiver, Sender, rt};

use super::{Conflict, Event, Patch, View, fleet::Fleet};

/// Commands that are taken in a row before events and the clock are looked at.
const BATCH: usize = 64;

pub(super) enum Command<K, V> {
    Report {
        device: K,
        number: u64,
        patch: Patch<V>,
    },
    Desire {
        device: K,
        unchanged_since: Option<u64>,
        patch: Patch<V>,
        reply: Sender<Result<u64, Conflict>>,
    },
    Get {
        device: K,
        reply: Sender<Option<View<V>>>,
    },
    Forget {
        device: K,
    },
}

/// Serves until every handle is gone and what was to be said is said.
pub(super) async fn keep<K, V>(
    mut commands: Receiver<Command<K, V>>,
    out: Sender<Event<K, V>>,
    silence: Duration,
) where
    K: Clone + Eq + Hash,
    V: Clone + PartialEq,
{
    let mut fleet = Fleet::new(silence);
    let mut is_heard = true;
    loop {
        let due = fleet.next_due().map(towpath::at);
        towpath::select! {
            command = commands.recv() => {
                let Some(command) = command else { break };
                serve(&mut fleet, command);
                for _ in 1..BATCH {
                    let Ok(command) = commands.try_recv() else { break };
                    serve(&mut fleet, command);
                }
            }
            place = out.reserve(), if is_heard && fleet.is_telling() => match place {
                Ok(place) => {
                    if let Some(event) = fleet.next_event() {
                        place.send(event);
                    }
                }
                // Nobody listens any more.
                Err(_) => is_heard = false,
            },
            () = due => fleet.expire(rt::now()),
        }
    }
    while is_heard && fleet.is_telling() {
        if let Some(event) = fleet.next_event() {
            is_heard = out.send(event).await.is_ok();
        }
    }
}

fn serve<K, V>(fleet: &mut Fleet<K, V>, command: Command<K, V>)
where
    K: Clone + Eq + Hash,
    V: Clone + PartialEq,
{
    match command {
        Command::Report { device, number, patch } => {
            fleet.report(rt::now(), device, number, patch);
        }
        // Who does not wait for an answer any more does not want to know.
        Command::Desire { device, unchanged_since, patch, reply } => {
            let _ = reply.try_send(fleet.desire(device, unchanged_since, patch));
        }
        Command::Get { device, reply } => drop(reply.try_send(fleet.view(&device))),
        Command::Forget { device } => fleet.forget(&device),
    }
}
