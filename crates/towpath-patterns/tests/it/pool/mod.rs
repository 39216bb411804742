//! Pools: sizes as values, the process under many schedules, and real load.

mod load;
mod rules;
mod schedules;
mod yard;
