//! Dispatch: the grid beside looking at everything, the rules as scripts, drivers over a bad line, schedules in virtual time, real rides.

mod grid;
mod line;
#[cfg(feature = "csv")]
mod rides;
mod rules;
mod schedules;
