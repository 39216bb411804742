//! Runs Towpath programs, unchanged, under every schedule: one seed, virtual time, a replay token.
//!
//! A program built with Towpath waits in Towpath's operations and nowhere else. So a test can decide at each of them who goes
//! on, let an hour pass in no time, and look for the order in which the program hangs, leaks or panics. What it finds it
//! makes small, tells as a story, and puts into one word that replays it anywhere.
//!
//! - [A test that passes](#a-test-that-passes), [one that fails](#one-that-fails), [again](#again-and-for-ever)
//! - [What is found](#what-is-found-without-being-asked), [what is explored](#what-is-explored),
//!   [what is not seen](#what-is-not-seen)
//! - [Strategies](#strategies), [the environment](#the-environment), [cost](#cost), [the world](#the-world)
//!
//! # A test that passes
//! ```toml
//! [dev-dependencies]
//! towpath-sim = { path = "…/crates/towpath-sim" }
//! ```
//!
//! That turns on the attribute `#[towpath::test]`; a build without tests has nothing of it. What stands below the attribute is
//! an ordinary async function, and what it calls is the code that you ship:
//!
//! ```no_run
#![doc = include_str!("../tests/it/front_page/passes.rs")]
//! ```
//!
//! `cargo test` runs a thousand schedules of this, each of half an hour of virtual time, in some milliseconds. The attribute
//! takes `schedules`, `seed`, `strategy`, `max_steps`, `leaks` and `step_cost`; the function may return a `Result`, whose error is a
//! failure. [`Sim`] is the same without an attribute, and tells how it went:
//!
//! ```
//! use towpath_sim::{FindingKind, Sim};
//!
//! let report = Sim::new().schedules(100).explore(|| async {
//!     let (_tx, mut rx) = towpath::rendezvous::<u8>();
//!     rx.recv().await;
//! });
//! assert_eq!(report.finding().unwrap().kind, FindingKind::Deadlock);
//! ```
//!
//! # One that fails
//! Can you see the order in which this hangs?
//!
//! ```no_run
#![doc = include_str!("../tests/it/front_page/fails.rs")]
//! ```
//!
//! A hundred milliseconds are plenty of time, on an idle machine. On a busy one the cashier may come too late:
//!
//! ```text
#![doc = include_str!("../tests/golden/front_page.txt")]
//! ```
//!
//! First what is wrong; then who has not ended, what each waits for and who could free it; then the whole run, an operation
//! a line: the step, the virtual time, who, what and where. Processes, channels (`tx.named("bills")`) and locks
//! (`Mutex::new(0).named("till")`) appear by the names that you give them.
//!
//! # Again, and for ever
//! The word that begins with `tp1-` is the schedule, without the choices that made no difference. In any process and on any
//! machine
//!
//! ```text
//! TOWPATH_REPLAY=tp1-0m0g600001y9r cargo test every_bill_is_in_the_total
//! ```
//!
//! runs it alone, with the same operations in the same order. To keep it, write it into
//! `tests/replays/<test>.txt` below the manifest of the crate, where `<test>` is the path of the test with `__` for `::`. The
//! report names that file. One token a line; what follows a `#` is a remark. These run first, whenever the test runs.
//!
//! A token belongs to the program it was found in. After a change that adds or removes operations, in it or in Towpath, it may
//! replay another schedule, which does no harm.
//!
//! # What is found without being asked
//! | [`FindingKind`] | what it is |
//! |---|---|
//! | `Deadlock` | nobody can go on, no timer is set, and the test has not ended: proved, not timed out. With the circle, if there is one |
//! | `Leak` | the test has ended, and somebody else never will. `leaks = "allow"` allows it |
//! | `LostWakeup` | somebody waits although what it waits for is there |
//! | `NeverPolled` | a future stands in line, or has been given what it waited for, and its task does not poll it while others wait ("futurelock") |
//! | `NoEnd` | it goes on for ever: somebody starves, or nobody gets anywhere |
//! | `Panic` | in the test, or in a task whose result nobody will see |
//! | `Law` | what you said with [`always`] or [`eventually`] is not so, or a [`Ledger`] was not balanced: something was lost or doubled |
//! | `Nondeterminism` | two runs of one schedule were not the same |
//!
//! # What is explored
//! Everything that could go one way or another is a choice in one stream:
//!
//! - *Who goes on.* Each send, receive, select, lock, notice, spawn, join, cancel and each drop of the last end is a place where
//!   others may go first, also where nothing is awaited (`try_send`), as on a runtime with many threads. Blocking threads
//!   (`spawn_blocking`, `send_blocking` and so on) are processes like tasks.
//! - *Which arm* of a select is taken, of those that are ready.
//! - *Whether timers are late or early.* With nobody able to run, time jumps to the next timer. While somebody is, it may pass
//!   all the same, to a timer that is at most [`Config::stall`] ahead, as on a machine that is slow. So a timeout beats what it
//!   guards, and a timer of an hour does not ring before a message that is on its way.
//! - *How long an operation takes*, if [`Sim::step_cost`] allows it more than nothing: a process may find that time has passed
//!   since it looked at the clock.
//! - *Random numbers*, from `towpath::rt::random`, and [`choose`], which asks the schedule on purpose.
//! - *What the [disk](disk), the [network](net) and [machines](node) do*: delays, faults, crashes.
//!
//! The default everywhere is what is plainest: whoever runs goes on, else whoever has waited longest; the first arm; no
//! fault. A failing schedule is made smaller by putting choices back to that.
//!
//! # What is not seen
//! - *Orderings of memory.* Processes take turns on one thread, so an atomic that needs `Acquire` and has `Relaxed` works here.
//!   That is for [loom](https://docs.rs/loom), with which Towpath's own core is checked.
//! - *What is between two operations* is one step. Code that shares data in its own way (atomics, a lock of `std`) says
//!   [`yield_point`] where others should come between.
//! - *A lock of the standard library that is held across an operation*, `try_send` among them. If whoever is let in there wants
//!   the same lock, the only thread waits for itself, and the test hangs; after twenty seconds without a step a warning says what to
//!   look for. Give the lock back before the operation, or use [`towpath::sync::Mutex`], with `lock().await` or
//!   `lock_blocking()`: then the hang, if there is one, is found.
//! - *Other runtimes, real threads, the real clock, the order of a `HashMap`.* What needs tokio's runtime (`tokio::spawn`,
//!   `tokio::time`, sockets) panics, as there is none; use `towpath::rt` and [`net`]. A thread of `std` that wakes somebody fails the
//!   test and is named as what it is; one that is only waited for looks like a hang. Chance that comes from anywhere else is
//!   caught by running every failing schedule, and those numbered 0, 1, 2, 4, 8 and so on, twice: if the two differ, that is
//!   reported, with the first operation that was different where the stories show it.
//! - *Waits for other libraries' futures* are waited for rightly, but the report can only say that Towpath does not see for what.
//!
//! # Strategies
//! | [`Strategy`] | as a word | who decides |
//! |---|---|---|
//! | `Random` | `random` | each candidate alike |
//! | `Pct` | `pct` | random priorities with few changes: Burckhardt, Kothari, Musuvathi, Nagarakatte, "A randomized scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010 |
//! | `Pos` | `pos` | random priorities of operations, drawn again after a race: Yuan, Yang, Gu, "Partial order aware concurrency sampling", CAV 2018 |
//! | `Exhaustive` | `exhaustive` | each schedule once, the fewest departures from the default first: Emmi, Qadeer, Rakamarić, "Delay-bounded scheduling", POPL 2011; [`Report::complete`] says when there are no others |
//! | `Portfolio` | `portfolio` | all of these in turn, and walks that lean: few pre-emptions, one process starved, timers early, timers late |
//!
//! The portfolio is the default, because each strategy is blind somewhere. Its first schedule has no pre-emption at all. Shrinking is
//! delta debugging (Zeller and Hildebrandt, 2002), moved to lists whose later items depend on earlier ones.
//!
//! # The environment
//! | variable | what it does |
//! |---|---|
//! | `TOWPATH_REPLAY=tp1-…` | runs this schedule alone |
//! | `TOWPATH_SIM_SCHEDULES=100_000` | tries so many, in place of the test's own number |
//! | `TOWPATH_SIM_SEED=0x51ee7` | tries others |
//! | `TOWPATH_SIM_BUDGET=60` | goes on for so many seconds, whatever number that is: for the night |
//!
//! With schedules or a budget the test also prints a line, to be seen with `-- --nocapture`: how many schedules and steps
//! there were, how fast, how many schedules differed, and at how many places of the program which answers were given.
//!
//! # Cost
//! A program that is built without this crate has nothing of it: the hooks are empty functions. With it, and outside a
//! simulation, an operation looks at one flag of its thread. In a simulation there are no threads, no system calls and no waiting;
//! where the schedule lets the same process go on, nothing is switched. A debug build tries thousands of short schedules a
//! second on one core, a release build many more; `TOWPATH_SIM_BUDGET=5` says how many of yours. Only a schedule that fails is
//! recorded, when it is run again.
//!
//! # The world
//! - [`disk`]: a disk that loses in a crash what a real one may lose.
//! - [`net`]: a network that delays, drops, cuts and forgets.
//! - [`node`]: machines with both, which crash whole and come back.
//!
//! Their time is that of Towpath's runtime, and their chance that of the simulation or of a seed, so they work under any
//! runtime; in a simulation their faults are part of the schedule, and are shrunk and replayed with it.
//!
//! # What always holds
//! - A schedule is a function of the program and of its choices: the same seed tries the same schedules, everywhere.
//! - 0 is the default of every choice, and a token holds only the others.
//! - What is reported was seen twice: a failing schedule is run again before anybody hears of it.

mod ambient;
mod campaign;
mod chance;
mod choice;
mod config;
pub mod disk;
mod engine;
mod laws;
pub mod net;
pub mod node;
mod orders;
mod real;
mod report;
mod run;
mod sim;
mod words;

pub use ambient::{choose, elapsed};
pub use config::{Config, Leaks, Strategy};
pub use laws::{Ledger, always, eventually};
pub use report::{Finding, FindingKind, Stuck, StuckWait};
pub use run::{Failed, Report};
pub use sim::{Sim, TestResult};
pub use towpath::rt::sim::yield_point;
