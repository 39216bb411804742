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
use towpath_journal::{Options, Writer};
use towpath_patterns::fault::{Failure, Fault, dead::Letter};

/// Runs the body in a scope; everything has ended when it returns.
fn in_scope<F, Fut>(body: F)
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = Result<(), towpath::BoxError>>,
{
    block_on(scope(&towpath::Ctx::root(), body)).unwrap();
}

/// Bytes of a segment on a simulated disk: small, so that letters fill several.
const SEGMENT: u64 = 2048;

/// A journal on a simulated disk.
fn writer(disk: &towpath_sim::disk::Disk) -> Result<Writer, towpath_journal::Error> {
    Options::new().segment_bytes(SEGMENT).open_on(crate::sim_disk::sim_disk(disk), "/dead")
}

/// A letter that failed for this reason.
fn letter(payload: &str, reason: &str) -> Letter {
    let fault = Fault::of("parser", &Failure::schema(reason.to_owned()));
    Letter::new(payload.as_bytes()).with_fault(fault)
}
