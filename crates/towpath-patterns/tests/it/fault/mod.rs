//! Errors as messages: retries, workers, the error channel, dead letters.

mod breaker;
mod crash;
mod dead;
mod errors;
mod kill;
mod replay;
mod retry;
mod worker;

use towpath::{Scope, block_on, scope};
use towpath_patterns::fault::{Failure, Fault, dead::Letter};

/// Runs the body in a scope; everything has ended when it returns.
fn in_scope<F, Fut>(body: F)
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = Result<(), towpath::BoxError>>,
{
    block_on(scope(&towpath::Ctx::root(), body)).unwrap();
}

/// A letter that failed for this reason.
fn letter(payload: &str, reason: &str) -> Letter {
    let fault = Fault::of("parser", &Failure::schema(reason.to_owned()));
    Letter::new(payload.as_bytes()).with_fault(fault)
}
