//! A context that is cancelled with a reason, one that runs out of time, and a value that rides along.
use std::time::Duration;
use towpath::{Cause, Ctx};

struct Tenant(&'static str); // the type is the key

#[tokio::main]
async fn main() {
    let (day, canceller) = Ctx::root().with_cancel();
    let shift = day.with_value(Tenant("north"));

    let tenant = shift.value::<Tenant>(); // an `Option<&Tenant>`
    println!("tenant: {} {}", tenant.map_or("", |tenant| tenant.0), tenant.is_some());

    let pause = shift.with_timeout(Duration::from_millis(10));
    let cause = pause.done().await;
    println!("break over: {}", matches!(cause, Cause::DeadlineExceeded));
    println!("shift over: {}", shift.is_done());

    canceller.cancel("the canal froze");
    if let Cause::Cancelled(reason) = shift.done().await {
        println!("shift over: {reason}");
    }
}
