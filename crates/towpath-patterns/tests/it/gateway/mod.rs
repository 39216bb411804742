//! The gateway: callers, workers, and whoever leaves or dies in between.
//!
//! The simulated tests run a bounded number of schedules; for the night: `TOWPATH_SIM_SCHEDULES=100_000`, in a release build.

mod flights;
mod hedging;
mod live;
mod overload;
mod schedules;
mod storm;
mod upstreams;
