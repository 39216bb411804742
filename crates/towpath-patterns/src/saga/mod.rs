//! Sagas: work in several steps, each of which is done, or taken back, whatever crashes meanwhile.
//!
//! A saga is a list of steps. Each step is a call over a channel to the process that does it; beside it stands the call that
//! takes it back. A [`Coordinator`] writes into its journal what it is about to do before it does it, and what came of it
//! before it goes on. So after a crash, any crash, each saga goes on where it was, and ends in one of two ways: all steps
//! done, or everything that was done taken back, the last step first.
//!
//! ```
#![doc = include_str!("../../tests/it/saga/front_page.rs")]
//! ```
//!
//! # What is promised
//! - Every saga ends [`Completed`](Outcome::Completed) or [`Compensated`](Outcome::Compensated), or stands in a list with an
//!   [`Alert`] until a person has looked: paused, in quarantine, or dead.
//! - A step is *in doubt* when it was called and not answered. It is called again with the same idempotency key, and when the
//!   saga turns back it is compensated too, as it may have happened.
//! - **Exactly-once effects** when the effect is a record of the same journal ([`Call::done_with`]): it commits with the news that
//!   the step is done. **Elsewhere at least once, with a stable key**: see [what a process promises](Call) in return.
//! - Compensations run one at a time, in reverse order, each until it succeeds or its tries are used up.
//! - A signal that is told twice with one key is one. A timer that was set rings also after a restart.
//!
//! Not promised: isolation. Others see what the first steps have done before the last is.
//!
//! # When something goes wrong
//! | what | what follows |
//! |---|---|
//! | a step answers [`refuse`](Call::refuse) | the saga turns back |
//! | [`retry`](Call::retry), [`lost`](Call::lost), no answer in time | the call is made again, as [`Backoff`] says; then the saga turns back |
//! | whoever has a call in hand dies, or the coordinator does | the call is made again; after [`DEATHS`] deaths: quarantine, and an alert |
//! | a compensation cannot be done; or a step behind the [`pivot`](Saga::pivot) | dead letter, and an alert; [`resume`](Handle::resume) tries again |
//! | the deadline passes, or the context is cancelled | the saga turns back, unless it is behind its pivot |
//! | the definition has changed | the coordinator does not start, and says which saga needs which version ([`Orphans`]) |
//! | the coordinator starts again with many sagas | they go on at a pace ([`Coordinator::resume_per_second`]) |
//!
//! # How it is built
//! `plan.rs`, `record.rs`, `state.rs` and `decide.rs` are values: a saga is what its records say, and what it does next follows
//! from that and the time. `keep.rs` is the thread with the journal, `run.rs` the loop, `table.rs` what it has in memory.
//! The protocol is modelled in `promela/saga.pml`.
//!
//! Tests: `tests/it/saga/`: against a model, in the simulator with crashes, duplicates and lost replies, and with a real
//! coordinator that is killed.

mod call;
mod coordinator;
mod decide;
mod definition;
mod error;
mod handle;
mod keep;
mod keys;
mod pace;
mod plan;
mod record;
mod run;
mod state;
mod table;

pub use call::{Call, Effect};
pub use coordinator::{
    Coordinator, FINISHED_KEPT, ID_BYTES_MAX, Orphans, PAYLOAD_BYTES_MAX, RESUME_PER_SECOND,
    UNFINISHED_MAX,
};
pub use decide::{Event, Moment, Taken, ToCall, Verdict};
pub use definition::{Action, DEATHS, Saga, TIMEOUT};
pub use error::Error;
pub use handle::{Accepted, Alert, Filter, Handle, History, Outcome, Status, Summary, What};
pub use keys::Keys;
pub use plan::{Backoff, Kind, Millis, Patience, Plan, Step};
pub use record::{FORMAT, How, KINDS, Malformed, Record, Then, Why};
pub use state::{Mark, Misplaced, Phase, State, Work};
