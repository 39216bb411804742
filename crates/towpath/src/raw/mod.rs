//! The only unsafe code of the crate: queues, waiters and the operations pinned on them.
//!
//! | file | what it is | who tries to break it |
//! |---|---|---|
//! | `lock.rs` | a small lock for a few dozen instructions | `loom::lock_excludes` |
//! | `wait.rs` | whoever waits, task or thread | `loom::waker_*`, `it::cancel` |
//! | `line.rs` | waiting lines of intrusive nodes | `loom::waker_*`, `it::cancel` |
//! | `claim.rs` | who wins when two selects could pair | `loom::select_*` |
//! | `gate.rs` | the two waiting lines of a queue without its own lock | `loom::ring_*`, `loom::list_*` |
//! | `watch.rs` | lasting places in a line, for `SelectSet` | `it::set` |
//! | `ring.rs` | bounded queue, stamped slots | `loom::ring_*`, `it::model` |
//! | `list.rs` | unbounded queue, linked blocks | `loom::list_*`, `it::model` |
//! | `meet/mod.rs`, `meet/state.rs` | rendezvous and tiny capacities under one lock | `loom::meet_*`, `it::model` |
//! | `chan.rs` | the three queues behind one face | `it::model` |
//! | `ends.rs` | the two ends of a channel | `it::streams`, `it::model` |
//! | `seen.rs` | what an observer sees of a channel | `it::observe` |
//! | `op.rs`, `recv.rs`, `send.rs`, `reserve.rs` | operations that can wait, pinned | `it::cancel`, `it::drops` |
//! | `compose.rs` | batches and streams, made of those operations | `it::cancel`, `it::streams` |
//! | `tree.rs` | the tree of contexts, counted and linked | `loom::ctx_*`, `it::ctx` |
//! | `done.rs` | the wait for a context's end, pinned | `loom::ctx_*`, `it::ctx` |
//! | `slot.rs` | a process's job, which its scope can empty | `loom::slot_*`, `it::scope_stress` |
//! | `turnstile.rs`, `turn.rs`, `turns.rs` | permits with a waiting line, and waits for them | `loom::locks_*`, `it::locks` |
//! | `guarded.rs` | a value behind a turnstile | `loom::locks_*`, `it::locks` |
//! | `models.rs` | what models alone reach of `slot.rs` | `loom::slot_*` |
//! | `pin.rs` | pin projections | `it::cancel` |
//!
//! `backoff.rs` (how long to look before parking) and `tied.rs` (what goes with a channel) have no unsafe code.
#![expect(
    unsafe_code,
    reason = "the home of unsafe code; each block argues, the table above says who attacks it"
)]

pub(crate) mod backoff;
pub(crate) mod chan;
pub(crate) mod claim;
pub(crate) mod compose;
pub(crate) mod done;
pub(crate) mod drain;
pub(crate) mod ends;
pub(crate) mod gate;
pub(crate) mod guarded;
pub(crate) mod line;
pub(crate) mod list;
pub(crate) mod lock;
pub(crate) mod meet;
#[cfg(towpath_loom)]
pub mod models;
pub(crate) mod op;
pub(crate) mod pin;
pub(crate) mod recv;
pub(crate) mod reserve;
pub(crate) mod ring;
pub(crate) mod seen;
pub(crate) mod send;
pub(crate) mod slot;
pub(crate) mod tied;
pub(crate) mod tree;
pub(crate) mod turn;
pub(crate) mod turns;
pub(crate) mod turnstile;
pub(crate) mod wait;
pub(crate) mod watch;
