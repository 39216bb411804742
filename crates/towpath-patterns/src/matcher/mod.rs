//! Several streams of parts in, sets that belong together out, and what does not fit: leftovers, differences, what came too late.
//!
//! ```text
//!   orders   ──▶ ┌─────────┐ ──▶ Matched
//!   receipts ──▶ │ matcher │ ──▶ Unmatched: with its differences ──▶ HandOver ──▶ a saga that compensates
//!   invoices ──▶ └─────────┘ ──▶ Stray: late, twice, no room
//! ```
//!
//! Parts have a key, and those of one key make a set. [`Rules`] say which parts a set needs, how many of each, which amounts have to
//! agree, what comes after what, and until when. One process owns the open sets, so nobody waits for a lock; [`Matcher::start`] makes
//! several of them, each for its share of the keys.
//!
//! ```
//! use std::time::Duration;
//! use towpath::{Ctx, bounded, scope};
//! use towpath_patterns::matcher::{Matcher, Output, Part, Rules};
//!
//! #[derive(Clone, Copy, PartialEq, Eq, Debug)]
//! enum Paper { Order, Invoice }
//!
//! /// Parts and outputs on their way; a few are enough here.
//! const PLACES: usize = 8;
//!
//! # towpath::block_on(async {
//! scope(&Ctx::root(), |s| async move {
//!     let ((orders, at_orders), (invoices, at_invoices)) = (bounded(PLACES), bounded(PLACES));
//!     let (out, mut told) = bounded(PLACES);
//!     let rules = Rules::within(Duration::from_secs(30 * 86_400))
//!         .needs(Paper::Order, 1..=1)
//!         .needs(Paper::Invoice, 1..=1);
//!     s.spawn("matcher", |ctx| Matcher::new(rules).run(ctx, vec![at_orders, at_invoices], out));
//!
//!     invoices.send(Part::new("order 7", 1, Paper::Invoice).into()).await?;
//!     orders.send(Part::new("order 7", 2, Paper::Order).into()).await?;
//!     orders.send(Part::new("order 8", 3, Paper::Order).into()).await?;
//!     let Some(Output::Matched(set)) = told.recv().await else { panic!("both are there") };
//!     assert_eq!((set.key, set.parts.len()), ("order 7", 2));
//!
//!     drop((orders, invoices)); // nothing more will come
//!     let Some(Output::Unmatched { set, differences, .. }) = told.recv().await else { panic!() };
//!     assert_eq!((set.key, differences[0].to_string().as_str()), ("order 8", "0 of Invoice, needs 1"));
//!     Ok(())
//! })
//! .await
//! # }).unwrap();
//! ```
//!
//! # What is promised
//! - Every part that was received comes out once: in one set, or alone as a stray with the reason. Every set comes out once.
//! - Whether a set matches follows from its parts alone. A set is closed once: when it has matched for as long as it is to
//!   [settle](Rules::settle), at its deadline, to make room, or when all streams have ended.
//! - What comes for a closed set is told as [`Stray::Late`], a part with an id that its set has had as [`Stray::Duplicate`]; for as
//!   many closed sets as are [remembered](Matcher::remember). After that the key begins anew.
//! - Parts of one key and one stream are taken in the order of sending.
//! - With [arrival time](Matcher::new) a deadline runs on the clock of the runtime. With [event time](Matcher::event_time) the parts bring
//!   their time: streams are merged by it, and what comes out is the same in every run, however the streams overtake each other.
//! - Memory is bounded: open sets, parts of a set, closed sets that are remembered, parts that wait for a slower stream. What happens
//!   at each bound is declared and [counted](Matcher::watch).
//!
//! Not promised: that open sets survive the process. They are in memory; feed the streams again from where they come from. With event time
//! the same differences come out again, and [`HandOver`] knows them by their id. What was handed over survives.
//!
//! # How it is built
//! `rules.rs`, `state.rs` and `ahead.rs` are values without I/O; `run.rs` is the process; `feed.rs` several of them; `hand_over.rs` the
//! way to a saga, with a journal. [`purchase`] is the three-way match that ships.
//!
//! Tests: `tests/it/matcher/`: against a brute-force matcher, in the simulator, and on a real company's log.

mod ahead;
mod feed;
mod hand_over;
pub mod purchase;
mod rules;
mod run;
mod state;

use std::{fmt, hash::Hash, sync::Arc, time::Duration};

pub use feed::Feed;
pub use hand_over::{AT_ONCE, HandOver, HandOverError, Handed};
pub use rules::{Difference, KINDS_MAX, Kind, Rules, Tolerance};
use run::Shared;
pub use run::{Error, Watch};
pub use state::Counters;
use state::Limits;

/// Sets that may be open, unless said otherwise. One of three parts takes about half a kilobyte.
pub const OPEN_MAX: usize = 1_000_000;

/// Parts that a set may have, unless said otherwise. Each new one is compared with those that are there, so they should be few.
pub const PARTS_MAX: usize = 1_024;

/// Closed sets that are remembered, unless said otherwise. Each takes about a hundred bytes.
pub const REMEMBERED: usize = 65_536;

/// What parts belong together by.
pub trait Key: Clone + Eq + Hash + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Key for K {}

/// What a part is, or does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<T> {
    /// A part of its set.
    Is {
        /// Of this kind.
        kind: T,
        /// For [`Rules::equal`], in your smallest unit.
        amount: i64,
    },
    /// Undoes the part with this id, also when that has not come yet.
    Undo {
        /// Whose.
        id: u64,
    },
    /// Undoes the last part of a kind that counts. So it must come behind it, by the same stream; if there is none it is a difference.
    UndoLast {
        /// Of what.
        kind: T,
    },
}

/// Something that a stream brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<K, T, B = ()> {
    /// Which set it belongs to.
    pub key: K,
    /// What it is known by, among those of its key: one that comes again with the same id is a duplicate.
    pub id: u64,
    /// What it is.
    pub what: What<T>,
    /// When it happened, since an origin that all streams share. With arrival time it is set by the matcher.
    pub at: Duration,
    /// Whatever else there is to it; the matcher does not look.
    pub body: B,
}

impl<K, T> Part<K, T> {
    /// A part of a set, without amount, time or body.
    pub fn new(key: K, id: u64, kind: T) -> Self {
        Self { key, id, what: What::Is { kind, amount: 0 }, at: Duration::ZERO, body: () }
    }

    /// A part that undoes another.
    pub fn undo(key: K, id: u64, undone: u64) -> Self {
        Self { key, id, what: What::Undo { id: undone }, at: Duration::ZERO, body: () }
    }
}

impl<K, T, B> Part<K, T, B> {
    /// The same with an amount, if it is of a kind that may have one.
    #[must_use = "the part is given back"]
    pub fn amount(mut self, amount: i64) -> Self {
        if let What::Is { amount: it, .. } = &mut self.what {
            *it = amount;
        }
        self
    }

    /// The same at another time.
    #[must_use = "the part is given back"]
    pub fn at(mut self, at: Duration) -> Self {
        self.at = at;
        self
    }

    /// The same with a body.
    pub fn body<C>(self, body: C) -> Part<K, T, C> {
        let Self { key, id, what, at, .. } = self;
        Part { key, id, what, at, body }
    }
}

/// What a matcher receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<K, T, B = ()> {
    /// A part.
    Part(Part<K, T, B>),
    /// Nothing older than this will come by this stream: for one that is silent while others wait for it. Means nothing with arrival time.
    Clock(Duration),
}

impl<K, T, B> From<Part<K, T, B>> for Input<K, T, B> {
    fn from(part: Part<K, T, B>) -> Self {
        Self::Part(part)
    }
}

/// Whether a part counts in its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Live,
    /// It was undone.
    Undone,
    /// It has undone another.
    Undid,
    /// It is to undo a part that has not come.
    Waits,
    /// There was nothing that it could undo.
    Idle,
}

/// A part in its set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held<T, B = ()> {
    /// As it came.
    pub id: u64,
    /// As it came.
    pub what: What<T>,
    /// When it happened; with arrival time, when it arrived, since the matcher was started.
    pub at: Duration,
    /// As it came.
    pub body: B,
    /// Whether it counts.
    pub standing: Standing,
}

impl<T: Copy + Eq, B> Held<T, B> {
    /// Whether it is one of this kind that counts.
    pub fn is_live(&self, kind: T) -> bool {
        self.standing == Standing::Live
            && matches!(self.what, What::Is { kind: it, .. } if it == kind)
    }

    /// Its amount; 0 if it undoes another.
    pub fn amount(&self) -> i64 {
        if let What::Is { amount, .. } = self.what { amount } else { 0 }
    }
}

/// The parts of one key that came together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set<K, T, B = ()> {
    /// Whose.
    pub key: K,
    /// How many its matcher had opened before.
    pub number: u64,
    /// When its first part came.
    pub opened: Duration,
    /// When it was closed.
    pub closed: Duration,
    /// In the order in which they were taken.
    pub parts: Vec<Held<T, B>>,
}

impl<K, T, B> Set<K, T, B> {
    /// A number that follows from the ids of the parts, whatever their order: it tells sets of one key apart, and is the same when the
    /// streams are fed again.
    pub fn fingerprint(&self) -> u64 {
        let mut ids: Vec<_> = self.parts.iter().map(|part| part.id).collect();
        ids.sort_unstable();
        // FNV-1a: small, and the same everywhere and for ever.
        let bytes = ids.into_iter().flat_map(u64::to_le_bytes);
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

/// Why a set that does not match was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Its deadline has passed.
    Deadline,
    /// Another one needed the room.
    Evicted,
    /// All streams have ended.
    Ended,
}

/// Why a part is in no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stray {
    /// Its set was closed before it came.
    Late {
        /// Whether that set matched.
        matched: bool,
    },
    /// Its set has had a part with this id.
    Duplicate,
    /// As many sets as are allowed are open.
    Full,
    /// Its set has as many parts as are allowed.
    SetFull,
    /// The rules do not know its kind.
    Unknown,
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late { matched: true } => {
                "its set has matched and was closed; correct what followed from it, or let sets settle for longer"
            }
            Self::Late { matched: false } => {
                "its set was closed unmatched; add it to what became of that, or give sets more time"
            }
            Self::Duplicate => "its set has had a part with this id; nothing is to be done",
            Self::Full => "as many sets as are allowed are open; send it again later, or allow more",
            Self::SetFull => {
                "its set has as many parts as are allowed; look at the key, or allow more"
            }
            Self::Unknown => "the rules do not know its kind; name it there, or send it elsewhere",
        })
    }
}

/// What a matcher has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<K, T, B = ()> {
    /// All that the rules ask for is there.
    Matched(Set<K, T, B>),
    /// A leftover: something is missing, or does not agree.
    Unmatched {
        /// What there is.
        set: Set<K, T, B>,
        /// What is wrong with it; not empty.
        differences: Vec<Difference<T>>,
        /// Why it was closed.
        why: Why,
    },
    /// What there was has been taken back, and nothing that is needed is left.
    Void(Set<K, T, B>),
    /// A part that is in no set.
    Stray {
        /// As it came.
        part: Part<K, T, B>,
        /// Why.
        why: Stray,
    },
}

impl<K, T, B> Output<K, T, B> {
    /// Whether somebody should do something about it: an unmatched set, or a part that came too late.
    pub fn is_difference(&self) -> bool {
        matches!(self, Self::Unmatched { .. } | Self::Stray { why: Stray::Late { .. }, .. })
    }
}

/// What happens to a part that would open a set when as many as are allowed are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is given back as [`Stray::Full`].
    Refuse,
    /// The set that is due first is closed, as [`Why::Evicted`] if it does not match.
    #[default]
    CloseFirst,
}

/// A matcher, before it runs.
#[must_use = "nothing is matched until it runs"]
pub struct Matcher<K, T> {
    rules: Vec<Rules<T>>,
    choose: fn(&K) -> usize,
    limits: Limits,
    /// How many parts may wait for slower streams; `None`: arrival time.
    ahead_max: Option<usize>,
    shared: Arc<Shared>,
}

impl<K: Key, T: Kind> Matcher<K, T> {
    /// One that matches by these rules, by the time at which parts arrive.
    pub fn new(rules: Rules<T>) -> Self {
        Self::by_key(vec![rules], |_| 0)
    }

    /// One with several rules, of which each key has one: `choose` says which, the same one every time. What is beyond the end means the last.
    ///
    /// # Panics
    /// Without rules.
    pub fn by_key(rules: Vec<Rules<T>>, choose: fn(&K) -> usize) -> Self {
        assert!(!rules.is_empty(), "a matcher without rules matches nothing; give it some");
        let limits = Limits {
            open_max: OPEN_MAX,
            when_full: WhenFull::default(),
            parts_max: PARTS_MAX,
            remember: REMEMBERED,
        };
        Self { rules, choose, limits, ahead_max: None, shared: Arc::default() }
    }

    /// Time is what the parts say. A stream brings its parts in the order of their time; a part goes on when every stream has come
    /// further, of those of one time the first stream's first. What is older than its stream was is taken as of now.
    ///
    /// At most `ahead_max` parts wait for slower streams. Then the oldest goes on all the same ([`Counters::hurried`]), and what is the
    /// same in every run ends there: a stream that has nothing to say should send [`Input::Clock`].
    pub fn event_time(mut self, ahead_max: usize) -> Self {
        self.ahead_max = Some(ahead_max);
        self
    }

    /// How many sets may be open, at least one, and what happens when there are more. [`OPEN_MAX`] unless said. Each of several shards may
    /// have as many.
    pub fn open_max(mut self, sets: usize, when_full: WhenFull) -> Self {
        self.limits.open_max = sets.max(1);
        self.limits.when_full = when_full;
        self
    }

    /// How many parts a set may have, at least one; [`PARTS_MAX`] unless said.
    pub fn parts_max(mut self, parts: usize) -> Self {
        self.limits.parts_max = parts.max(1);
        self
    }

    /// How many closed sets are remembered, so that what comes too late is known as such; [`REMEMBERED`] unless said. With 0 a late part
    /// begins a set of its own.
    pub fn remember(mut self, sets: usize) -> Self {
        self.limits.remember = sets;
        self
    }

    /// To look at its counters while it runs.
    pub fn watch(&self) -> Watch {
        Watch::new(Arc::clone(&self.shared))
    }
}

impl<K, T: Clone> Clone for Matcher<K, T> {
    fn clone(&self) -> Self {
        let Self { rules, choose, limits, ahead_max, shared } = self;
        let (rules, shared) = (rules.clone(), Arc::clone(shared));
        Self { rules, choose: *choose, limits: *limits, ahead_max: *ahead_max, shared }
    }
}

impl<K, T: fmt::Debug> fmt::Debug for Matcher<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rules, limits, ahead_max, .. } = self;
        let mut it = f.debug_struct("Matcher");
        it.field("rules", rules).field("limits", limits).field("ahead_max", ahead_max).finish()
    }
}
