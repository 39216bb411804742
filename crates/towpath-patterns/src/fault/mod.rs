//! Errors are messages: they have a class, a policy says what is done about it, and nothing is lost on the way.
//!
//! - [`Class`] and [`Classify`]: what kind of failure it is; [`Policy`]: what is done about it.
//! - [`Retry`]: exponential delays with full jitter, limits of time, a shared [`Budget`]; [`Breaker`]: when to stop asking.
//! - [`Worker`]: a process that handles messages, for which no message is the end.
//! - [`Errors`]: the error channel. Processes tell, one process counts, samples and raises [`Alert`]s.
//! - [`dead`]: dead letters on a journal: list, show, group, edit, replay.
//!
//! ```
//! use towpath::{Ctx, scope};
//! use towpath_journal::Writer;
//! use towpath_patterns::fault::{Errors, Failure, Worker, dead::{DeadLetters, Letter}};
//!
//! /// Orders that wait for the parser, and alerts for the pager.
//! const ORDERS: usize = 16;
//!
//! struct Order(&'static str);
//!
//! /// What we want to do with each message. It may fail, and panic.
//! async fn price(_ctx: Ctx, order: &Order) -> Result<(), Failure> {
//!     let price: u32 = order.0.parse().map_err(Failure::schema)?;
//!     assert_ne!(price, 0, "nobody thought of a price of nothing");
//!     Ok(())
//! }
//!
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path();
//! # towpath::block_on(async {
//! # let ctx = Ctx::root();
//! let (tx, orders) = towpath::bounded(ORDERS);
//! let (alerts, _pager) = towpath::bounded(ORDERS);
//! let writer = Writer::open(path)?;
//! for order in ["3", "ten", "0", "7"] {
//!     tx.send(Order(order)).await?;
//! }
//! drop(tx);
//! scope(&ctx, |s| async move {
//!     let errors = Errors::start(&s, "errors", vec![], alerts);
//!     let dead = DeadLetters::open(&s, "dead orders", writer)?;
//!     let worker = Worker::new("pricer", orders, price)
//!         .with_errors(&errors)
//!         .with_dead_letters(dead.clone(), |order: &Order| Letter::new(order.0));
//!     s.spawn("pricer", |ctx| worker.run(ctx)).await?;
//!
//!     let groups = dead.groups().await?;
//!     let found: Vec<_> = groups.iter().map(|it| (it.class.as_str(), it.letters)).collect();
//!     assert_eq!(found, [("schema", 1), ("panic", 1)]); // "ten", and "0" after three tries
//!     assert_eq!(errors.snapshot().await.unwrap().handled["pricer"], 2);
//!     Ok(())
//! })
//! .await?;
//! # Ok::<_, towpath::BoxError>(()) }).unwrap();
//! ```

mod breaker;
mod budget;
mod class;
pub mod dead;
mod errors;
mod policy;
mod report;
mod retry;
mod tally;
mod watch;
mod worker;

pub use breaker::{Breaker, Call, Circuit, Refused, Tolerance};
pub use budget::Budget;
pub use class::{Class, Classify, Failure, cause_of};
pub use errors::{Errors, Source};
pub use policy::{Policy, Rule, Then};
pub use report::{Fault, Report, Verdict};
pub use retry::{GaveUp, Retry, Times, Why};
pub use tally::{Line, Snapshot};
pub use watch::{Alert, Condition};
pub use worker::{Handle, Settled, Settlement, Stopped, Worker};
