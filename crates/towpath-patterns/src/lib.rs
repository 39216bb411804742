//! What systems of processes are made of, packaged: errors as messages, state machines, sagas, a bus, limits, device shadows.
//!
//! Each pattern is processes and channels that a user could have written. It takes receivers, gives senders, lives in a
//! scope, and runs unchanged in the simulator. State machines do no I/O.
#![forbid(unsafe_code)]

pub mod bus;
pub mod fault;
pub mod gateway;
mod leb128;
pub mod limit;
pub mod log;
pub mod machine;
pub mod saga;
pub mod shadow;
#[cfg(feature = "xes")]
pub mod xes;

#[doc(hidden)]
pub use towpath_macros::machine as __machine;

/// Writes a state machine: its states, its events, and for every pair of them what happens. The module
/// [`machine`](mod@machine) begins with one.
///
/// ```text
/// machine! {
///     pub machine Name(Data) -> Decision, version 1;        what an instance remembers; what its actions say
///
///     pub enum State { initial First, Second, final Last }  docs and attributes stay where they are
///     pub enum Event { One, Two(u8), Three { four: u8 } }   an enum like any other; derive what you need
///
///     First {                                               `First | Second { .. }` for several
///         after 30d => One,                                 an event that time brings: ms, s, min, h, d
///         One => Second / action / other,                   into a state, doing something on the way
///         Two if guard && !other => stay,                   handled, and the state stays
///         Two => refuse "why",                              arms are tried in order
///         _ => refuse "why",                                every event that this state does not name
///     }
///     _ { Three => stay }                                   in every state that does not name it
/// }
/// ```
///
/// Guards are functions `fn(&Data, &Event, SystemTime) -> bool`, actions `fn(&mut Data, &Event, SystemTime) -> Option<Decision>`.
///
/// It makes both enums, a unit struct `Name` that is a [`Machine`](machine::Machine), and on it `start(data)`, which gives an
/// [`Instance`](machine::Instance), `table()` and `bindings()`.
///
/// # Errors
/// At compile time, all at once and each at its place: a pair without a rule, rules in two places, names that were not declared (and
/// what was probably meant), a state that cannot be reached or left, guards that leave a hole, an arm that is never taken, an event
/// that is refused everywhere, a final state that is left.
#[macro_export]
macro_rules! machine {
    ($($tokens:tt)*) => { $crate::__machine! { $crate; $($tokens)* } };
}
