//! `machine`: a state machine for many keys, by a table in a file.
//!
//! ```yaml
//! life: {uses: machine, table: machines/ride.yaml, key: ride, id: lease, carries: [driver, fare], durable: true, in: [matches, signals],
//!        out: {out: events}, on_error: dead_letters}
//! ```
//!
//! In comes `{"ride": 7, "event": "Match", …}`; out goes the same message with `key`, `from`, `to` and `event` in it, and `do`, a list, if
//! the table says that something is to be done: `{"ride": 7, …, "key": 7, "event": "Match", "from": "Requested", "to": "Matched"}`. What
//! time brings comes out in the same way, with the fields that the instance `carries` and no others. What the table refuses, and what is no event, goes to `on_error`
//! with what would have been possible.
//!
//! | option | means | unless said |
//! |---|---|---|
//! | `table` | a file beside the network file, in the form of the patterns' `machine`; or the table itself. Without guards | |
//! | `key` | the field that says which instance is meant: a whole number or a word | `key` |
//! | `event` | the field that says what happens | `event` |
//! | `events` | what messages call the table's events, where that is something else: `{Clear Invoice: Clear}` | |
//! | `default_event` | what happens when a message does not say it | it is refused |
//! | `id` | the field by which a message is known that comes twice: it is handled once, and goes to `duplicates` from then on, with the
//!   `state` that its instance is in: so whoever sends again learns how it stands, and `null` says that it was forgotten. A message
//!   without it is handled in any case | |
//! | `remember` | how many ids are known, of the latest | 100000 |
//! | `carries` | fields that an instance remembers from the last message that has them; they come out with all that is told of it | |
//! | `keep`, `keep_most` | how long an instance is kept that has come to a final state, and how many of those are kept at most; the others are
//!   forgotten, in memory and in the journal | `1h`, `100000` |
//! | `durable` | it has a journal: what was told survives a crash | `false` |
//! | `again` | states whose instances are told again at each start, with `again: true`, since whoever is told may have forgotten | |
//!
//! `back` takes events as `in` does, from processes that the machine itself sets going: a saga that it starts, and that says how it went.
//! They are taken although what the machine tells waits to be taken, up to 100,000, so that a circle goes on under any load.
//!
//! # What is promised
//! - Events of one key are handled in the order in which they come by one channel.
//! - With `durable`, nothing is told that a crash could undo. What was told and not taken by the next process is told again, so whoever acts
//!   on it knows `key` and `to` and does it once, as a `saga` does.
//! - An event for a key that was forgotten begins a new instance, or is refused by the table's first state. So `keep` is longer than
//!   messages may be late; what is doubled is known by its `id` also then, if it is among the latest that are remembered.
//! - A message that was received and not told is lost in a crash. Whoever must not lose it sends it again, under its `id`.

mod body;
mod facet;
mod fact;
mod table;

use towpath::Ctx;

use crate::{
    component::{Component, Need, Port},
    ports::Ports,
};

pub(super) fn component() -> Component {
    Component::new(
        "machine",
        "a state machine for many keys: table, key, event, id, durable, again",
    )
    .input(Port::new("in").need(Need::Some))
    .input(Port::new("back").need(Need::Maybe))
    .output(Port::new("out").need(Need::Maybe))
    .output(Port::new("duplicates").need(Need::Maybe))
    .refuses()
    .makes_from(|options, site| {
        let plan = std::sync::Arc::new(table::read(options, site)?);
        Ok(async move |ctx: Ctx, ports: &mut Ports| body::run(&ctx, ports, plan).await)
    })
}
