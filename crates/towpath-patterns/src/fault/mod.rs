//! Errors as messages.
pub mod dead;
mod breaker;
mod budget;
mod class;
mod policy;
mod report;
mod retry;

pub use breaker::{Breaker, Call, Circuit, Refused, Tolerance};
pub use budget::Budget;
pub use class::{Class, Classify, Failure, cause_of};
pub use policy::{Policy, Rule, Then};
pub use report::{Fault, Report, Verdict};
pub use retry::{GaveUp, Retry, Times, Why};
