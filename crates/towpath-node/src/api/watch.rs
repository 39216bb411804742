//! Who follows the node: a process that looks at it once in a period and tells all of them what has changed.
//!
//! What always holds:
//! - Nobody follows, nobody looks.
//! - Somebody who comes gets everything first, at the next look, and from then on what has changed since.
//! - A client has room for a few events. When there is none it has stopped reading, and is dropped; it can come again.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    body::Bytes,
    extract::State as Shared,
    http::{StatusCode, Uri},
    response::Response,
};
use futures_util::stream;
use towpath::{Receiver, Sender, TrySendError, after, bounded, select};
use towpath_patterns::yaml::Span;

use super::{
    Api, Place, Rights, delta,
    delta::Told,
    query,
    refusal::Refusal,
    stream::{STILL_HERE, answer, event},
};
use crate::{Node, state::State};

/// From one look to the next: four in a second look like motion.
const PERIOD: Duration = Duration::from_millis(250);

/// Who asks for less gets every second, fourth, … look; so few kinds of followers that telling them costs little.
const EVERY_MAX: u64 = 32;

/// Events for a client that it has not read: two seconds' worth. After that it has stopped, or its line is too slow for this.
const EVENT_CAPACITY: usize = 8;

/// Clients that come between two looks.
const JOIN_CAPACITY: usize = 64;

/// After so many looks without a change a client is told that somebody is there, so that one who has gone is found out.
const QUIET_LOOKS: u32 = 40;

/// The way to the process that looks.
#[derive(Clone)]
pub(super) struct Watch {
    joins: Sender<Client>,
}

/// Looks for those who follow.
#[must_use = "nobody is told anything when this is dropped"]
pub(crate) struct Watching {
    node: Node,
    joins: Receiver<Client>,
    groups: Vec<Group>,
}

struct Client {
    /// In periods.
    every: u64,
    read_only: bool,
    tx: Sender<Bytes>,
}

/// Clients that are told at the same looks.
struct Group {
    every: u64,
    told: Told,
    clients: Vec<Client>,
    /// Those who have not been told anything.
    new: Vec<Client>,
    quiet: u32,
}

pub(super) fn new(node: Node) -> (Watch, Watching) {
    let (tx, joins) = bounded(JOIN_CAPACITY);
    (Watch { joins: tx }, Watching { node, joins, groups: Vec::new() })
}

impl Watching {
    /// Until nobody can come any more.
    ///
    /// # Cancel safety
    /// Dropped before completion, everybody's stream ends.
    pub(crate) async fn run(mut self) {
        for turn in 0_u64.. {
            if self.groups.is_empty() {
                let Some(client) = self.joins.recv().await else { return };
                self.join(client);
            }
            self.look(turn);
            let mut period = after(PERIOD);
            loop {
                let client = select! { biased;
                    client = self.joins.recv() => client,
                    _ = select::future(&mut period) => break,
                };
                let Some(client) = client else { return };
                self.join(client);
            }
        }
    }

    fn join(&mut self, client: Client) {
        let every = client.every;
        match self.groups.iter_mut().find(|group| group.every == every) {
            Some(group) => group.new.push(client),
            None => self.groups.push(Group {
                every,
                // They are all told everything before this is looked at.
                told: Told::new(self.node.state()),
                clients: Vec::new(),
                new: vec![client],
                quiet: 0,
            }),
        }
    }

    fn look(&mut self, turn: u64) {
        let due = |group: &Group| turn.is_multiple_of(group.every) || !group.new.is_empty();
        if !self.groups.iter().any(due) {
            return;
        }
        let state = self.node.state();
        for group in self.groups.iter_mut().filter(|group| due(group)) {
            group.tell(&state);
        }
        self.groups.retain(|group| !group.clients.is_empty());
    }
}

impl Group {
    fn tell(&mut self, now: &State) {
        match self.told.change(now) {
            // Another network: everybody begins anew.
            None => {
                self.new.append(&mut self.clients);
                self.told = Told::new(now.clone());
            }
            Some(change) => {
                let event = if change.is_empty() {
                    self.quiet += 1;
                    (self.quiet >= QUIET_LOOKS).then_some(Bytes::from_static(STILL_HERE))
                } else {
                    Some(event("change", &change))
                };
                if let Some(event) = event {
                    self.quiet = 0;
                    self.clients.retain(|client| client.is_told(&event));
                }
                let processes = delta::processes(&change);
                self.told.advance(now.clone(), &processes);
            }
        }
        if self.new.is_empty() {
            return;
        }
        let whole = [false, true].map(|read_only| {
            let wanted = self.new.iter().any(|client| client.read_only == read_only);
            wanted.then(|| event("state", &State { read_only, ..now.clone() }))
        });
        for client in self.new.drain(..) {
            let event = &whole[usize::from(client.read_only)];
            if event.as_ref().is_some_and(|event| client.is_told(event)) {
                self.clients.push(client);
            }
        }
    }
}

impl Client {
    /// Whether it has taken the event.
    fn is_told(&self, event: &Bytes) -> bool {
        self.tx.try_send(event.clone()).is_ok()
    }
}

/// `GET /events`: the state, and then what changes.
pub(super) async fn events(
    Shared(api): Shared<Api>,
    Extension(rights): Extension<Rights>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let place = api.place()?;
    let every = match query(&uri).find(|(name, _)| name == "every") {
        None => 1,
        Some((_, text)) => periods(&text)?,
    };
    let (tx, rx) = bounded(EVENT_CAPACITY);
    let client = Client { every, read_only: !rights.change, tx };
    api.watch.joins.try_send(client).map_err(|error| {
        let told = match error {
            TrySendError::Full(_) => "too many come at once: come again",
            TrySendError::Closed(_) => "the node ends",
        };
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, told)
    })?;
    Ok(answer(stream::unfold((rx, place), next)))
}

/// The place goes with the stream.
async fn next(
    (mut rx, place): (Receiver<Bytes>, Place),
) -> Option<(Result<Bytes, Infallible>, (Receiver<Bytes>, Place))> {
    let event = rx.recv().await?;
    Some((Ok(event), (rx, place)))
}

/// How many periods a time is: the next power of two.
fn periods(text: &str) -> Result<u64, Refusal> {
    let text = serde_json::Value::from(text);
    let Span(time) = serde_json::from_value(text)
        .map_err(|error| Refusal::wrong(format!("`every`: {error}; write it as 250ms or 2s")))?;
    let periods = time.as_millis().div_ceil(PERIOD.as_millis());
    Ok(u64::try_from(periods).unwrap_or(EVERY_MAX).clamp(1, EVERY_MAX).next_power_of_two())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_periods() {
        for (text, expected) in [("1ms", 1), ("250ms", 1), ("251ms", 2), ("700ms", 4), ("1h", 32)] {
            assert_eq!(periods(text).unwrap(), expected, "{text}");
        }
        assert!(periods("often").is_err());
    }

    #[test]
    fn who_does_not_read_is_dropped() {
        let (tx, rx) = bounded(EVENT_CAPACITY);
        let client = Client { every: 1, read_only: false, tx };
        let event = Bytes::from_static(b"x");
        for _ in 0..EVENT_CAPACITY {
            assert!(client.is_told(&event));
        }
        assert!(!client.is_told(&event));
        drop(rx);
        assert!(!client.is_told(&event));
    }
}
