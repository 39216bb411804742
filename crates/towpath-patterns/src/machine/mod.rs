//! State machines as tables: every event in every state is handled or refused, and the table can be read, drawn and kept.
//!
//! ```
//! use std::time::SystemTime;
//! use towpath_patterns::machine;
//!
//! /// What a door remembers.
//! #[derive(Default)]
//! pub struct Log { opened: u32 }
//!
//! machine! {
//!     /// A door with a lock.
//!     pub machine Door(Log) -> &'static str, version 1;
//!
//!     /// How a door can be.
//!     pub enum State { initial Closed, Open, Locked }
//!     /// What can be done to a door.
//!     pub enum Event { Push, Pull, Turn { key: u32 } }
//!
//!     Closed {
//!         Push => Open / count,
//!         Pull => stay,
//!         Turn if fits => Locked,
//!         Turn => refuse "the key does not fit",
//!     }
//!     Open {
//!         Pull => Closed,
//!         Push => stay,
//!         Turn => refuse "an open door cannot be locked",
//!     }
//!     Locked {
//!         Turn if fits => Closed,
//!         Turn => refuse "the key does not fit",
//!         _ => refuse "the door is locked",
//!     }
//! }
//!
//! fn fits(_: &Log, event: &Event, _: SystemTime) -> bool {
//!     matches!(event, Event::Turn { key: 7 })
//! }
//!
//! fn count(log: &mut Log, _: &Event, _: SystemTime) -> Option<&'static str> {
//!     log.opened += 1;
//!     Some("creak")
//! }
//!
//! let now = SystemTime::UNIX_EPOCH; // time comes in, nothing here looks at a clock
//! let mut door = Door::start(Log::default());
//! assert_eq!(door.on(&Event::Push, now)?.decisions, ["creak"]);
//! let refused = door.on(&Event::Turn { key: 7 }, now).unwrap_err();
//! assert_eq!(refused.to_string(), "Turn is refused in state Open: an open door cannot be locked");
//! assert_eq!((door.state(), door.data().opened), (State::Open, 1));
//! # Ok::<(), machine::Refused>(())
//! ```
//!
//! A state or an event that is forgotten does not compile; nor does a pair of them that nobody thought of, a state that cannot be
//! reached, one that cannot be left, an arm that is never taken, guards that leave a hole. What [`machine!`](crate::machine!) takes is
//! written there.
//!
//! # What always holds
//! - A machine is a value. It does no I/O, knows no clock and no chance: event and time come in, decisions come out.
//! - A refused event changed nothing, and says why.
//! - Guards only look. Actions change the data of one instance and may say one decision each.
//!
//! # The same in YAML
//! [`Table::from_yaml`] reads a table at run time and makes the same checks, with line and column; [`Bindings`] give its guards and
//! actions their functions, and a [`Bound`] table runs as the macro's machine does.
//!
//! ```
//! use towpath_patterns::machine::Table;
//!
//! let error = Table::from_yaml("door.yaml", "
//! machine: door
//! version: 1
//! states:
//!   Closed: {initial: true}
//!   Open:
//! events: [Push, Pull]
//! rules:
//!   Closed:
//!     Push: {to: Opne}
//!     _: stay
//!   Open:
//!     Pull: {to: Closed}
//!     Push: stay
//! ").unwrap_err();
//! assert_eq!(error.to_string(), "\
//! door.yaml:10:16: there is no state `Opne`; did you mean `Open`?
//!   10 |     Push: {to: Opne}
//!                       ^");
//! ```
//!
//! | in a file | means |
//! |---|---|
//! | `states: {Name: {initial: true}}` | exactly one; `final: true`: nothing leads out; `after: 30d` with `then: Event`: time brings it |
//! | `rules: {State: {Event: arms}}` | `A \| B` for several; `_` for every event not named in that state, or for every state |
//! | `{to: State}`, `stay`, `{refuse: why}` | where an arm leads |
//! | `if: g`, `unless: g` (or lists) | its guards; arms are tried in order |
//! | `do: a` (or a list) | its actions, in order |
//!
//! # Running many
//! [`Keyed`] is a process that keeps an instance for every key: millions, without a task for each. With a journal it survives
//! crashes. [`order`] is a machine that ships, the life of an order.

mod bound;
mod check;
mod export;
mod instance;

pub mod keyed;
pub mod order;
pub mod purchase;
mod table;
mod yaml;

#[doc(hidden)]
pub mod generated;

pub use bound::{BindError, Bindings, Bound};
pub use instance::{Event, Instance, Machine, Refused, State, Transition, Verdict};

pub use crate::yaml::{LoadError, Place, Problem};
pub use keyed::Keyed;
pub use table::State as StateRow;
pub use table::{Arm, EventId, Guard, Outcome, StateId, Table, Timeout};
