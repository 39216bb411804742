//! Request and reply: callers, a bounded queue, and workers; no task for a caller that waits.
//!
//! ```
//! use towpath::{Ctx, scope};
//! use towpath_patterns::gateway::{Call, Gateway, Options};
//!
//! # towpath::block_on(async {
//! scope(&Ctx::root(), |s| async move {
//!     let doubling = Gateway::start(&s, "doubling", Options::new(2), async |call: Call<u32, u32>| {
//!         let answer = 2 * call.request();
//!         call.answer(answer);
//!     });
//!     assert_eq!(doubling.call(s.ctx(), 21).await, Ok(42));
//!     Ok(())
//! })
//! .await
//! # }).unwrap();
//! ```

mod adapt;
mod call;
mod desk;
mod flight;
mod handle;
mod hedge;
#[cfg(feature = "http")]
pub mod http;
mod line;
mod options;
mod refused;
mod snapshot;
mod times;
pub mod upstream;
mod worker;

pub use adapt::Adaptive;
pub use call::Call;
pub use flight::SingleFlight;
pub use handle::Gateway;
pub use hedge::{Hedge, HedgeSnapshot};
pub use options::{Options, Patience};
pub use refused::Refused;
pub use snapshot::Snapshot;
pub use upstream::Upstreams;
