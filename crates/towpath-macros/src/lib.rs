//! The attribute `#[towpath::test]`, which `towpath` hands on with its feature `sim`, and what is behind
//! `towpath_patterns::machine!`. Nobody depends on this crate by name.
#![forbid(unsafe_code)]

mod args;
mod expand;
mod machine;
mod names;

use proc_macro::TokenStream;

/// Runs an async function as a test under many schedules.
///
/// The function is an ordinary one without parameters, and the program in it ordinary Towpath code. It may return `()` or
/// `Result<(), E>`; an error, a panic, a deadlock, a leak or a process that starves fails the test, with the story of the
/// schedule and a token that replays it.
///
/// ```ignore
/// #[towpath::test(schedules = 5000)]
/// async fn both_are_counted() {
///     let (tx, mut rx) = towpath::bounded(1);
///     // ..
/// }
/// ```
///
/// | argument | meaning | without it |
/// |---|---|---|
/// | `schedules = N` | tries so many | 1000 |
/// | `seed = N` | which ones | 0 |
/// | `strategy = ".."` | `random`, `pct`, `pos`, `exhaustive` or `portfolio` | `portfolio` |
/// | `max_steps = N` | a schedule with more steps goes on for ever | 50000 |
/// | `leaks = ".."` | `allow`: processes may be left at the end; or `forbid` | `forbid` |
/// | `step_cost = ".."` | an operation may take up to so much virtual time, such as `5ms`; in `ns`, `us`, `ms` or `s` | none |
///
/// In the environment, `TOWPATH_REPLAY=tp1-..` runs one schedule alone, and `TOWPATH_SIM_SCHEDULES`, `TOWPATH_SIM_SEED` and
/// `TOWPATH_SIM_BUDGET` (in seconds) replace what the attribute says. Tokens in `tests/replays/<test>.txt` below the crate's
/// manifest, one a line, run first.
///
/// Other attributes stay with the test: `#[should_panic]`, `#[ignore = ".."]`, `#[cfg(..)]`, doc comments.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::test(args.into(), item.into()).into()
}

/// Behind `towpath_patterns::machine!`, which puts the path of its crate in front.
#[doc(hidden)]
#[proc_macro]
pub fn machine(tokens: TokenStream) -> TokenStream {
    machine::machine(tokens.into()).into()
}
