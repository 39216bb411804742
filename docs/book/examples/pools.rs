//! What the chapter on pools shows.

use std::time::Duration;

use towpath::{BoxError, Ctx, rt, scope};
use towpath_patterns::fault::Failure;
use towpath_patterns::pool::{
    Factory, Options, Policy, Pool, Refused, Sizing,
    replay::{KeepAlive, Request, Sized, replay},
};

// ANCHOR: factory
/// A connection that takes a while to open.
struct Connection {
    is_open: bool,
}

struct Connections;

impl Factory for Connections {
    type Instance = Connection;
    type Error = Failure;

    async fn make(&self, _ctx: Ctx) -> Result<Connection, Failure> {
        rt::sleep(Duration::from_millis(80)).await; // a handshake
        Ok(Connection { is_open: true })
    }

    async fn is_healthy(&self, connection: &mut Connection) -> bool {
        connection.is_open
    }
}
// ANCHOR_END: factory

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    scope(&Ctx::root(), |s| async move {
        // ANCHOR: lend
        let options = Options {
            waiting_max: 100,
            wait_max: Duration::from_secs(1),
            uses_max: Some(10_000),
            sizing: Policy { min: 1, ..Policy::default() },
            ..Options::new(2)
        };
        let pool = Pool::start(&s, "connections", Connections, options);

        let first = pool.lend(s.ctx()).await?;
        let second = pool.lend(s.ctx()).await?;
        match pool.lend(s.ctx()).await {
            Err(refused @ Refused::Late { .. }) => println!("{refused}"),
            other => println!("not expected: {other:?}"),
        }
        drop((first, second)); // back to the others
        // ANCHOR_END: lend

        // ANCHOR: broken
        let mut connection = pool.lend(s.ctx()).await?;
        connection.mark_broken(); // from here it must not be cut off
        rt::sleep(Duration::from_millis(5)).await; // half a request is on the wire
        connection.mark_sound();
        connection.is_open = false; // the other side has hung up
        drop(connection);

        let connection = pool.lend(s.ctx()).await?; // another one: that did not pass its check
        println!("open: {}, unhealthy: {}", connection.is_open, pool.snapshot().counts.unhealthy);
        // ANCHOR_END: broken
        Ok(())
    })
    .await?;

    // ANCHOR: replay
    // Every 15 minutes somebody needs one for ten seconds. From a log, it would be yours.
    let log = (1..2_000)
        .map(|n| Request { at: Duration::from_secs(900 * n), lasts: Duration::from_secs(10) });
    let making = Duration::from_millis(80);
    let kept = replay(log.clone(), making, &mut KeepAlive(Duration::from_secs(600)));
    let sizing = Sizing::new(Policy::default());
    let sized = replay(log, making, &mut Sized::new(sizing, Duration::from_secs(30)));
    for (policy, bill) in [("ten minutes", kept), ("pool", sized)] {
        println!(
            "{policy}: {} cold, held {:.0} times as long as used",
            bill.cold,
            bill.held_per_used()
        );
    }
    // ANCHOR_END: replay
    Ok(())
}
