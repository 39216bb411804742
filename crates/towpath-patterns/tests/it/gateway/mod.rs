//! The gateway: callers, workers, and whoever leaves or dies in between.

mod schedules;
