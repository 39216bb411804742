//! Limits that change: what readers see, what the trail has, who waits and for how long.

mod schedules;
mod threads;
