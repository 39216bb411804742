//! What the chapter on dispatch shows.

use std::time::Duration;

use towpath::{BoxError, Ctx, Receiver, bounded, rt, scope};
use towpath_patterns::dispatch::{
    Dispatch, Event, Geofence, NoPlace, Offer, Point, Policy, Report, Says,
};

/// Decisions that whoever tells riders and drivers may be behind.
const EVENTS: usize = 16;

type Decisions = Receiver<Event<&'static str, &'static str>>;

/// A place so many metres east of the station.
fn at(metres: f64) -> Result<Point, NoPlace> {
    Ok(Point::new(52.0907, 5.1214)?.moved(0.0, metres))
}

/// Says what is decided next.
async fn tell(events: &mut Decisions) -> Option<Event<&'static str, &'static str>> {
    let event = events.recv().await?;
    match &event {
        Event::Offered(Offer { rider, driver, stage, distance_m, .. }) => {
            println!("{driver}, will you take {rider}? ({stage}, {distance_m:.0} m)");
        }
        Event::Matched(Offer { rider, driver, .. }) => println!("{rider} rides with {driver}"),
        Event::Passed { rider, why, .. } => println!("{rider} waits on: {why}"),
        Event::TooLate { driver, .. } => println!("{driver}, that was too late"),
        Event::Backup { rider, .. } => println!("{rider} is in the backup queue"),
        Event::Ended { rider, why, .. } => println!("{rider} is told: {why}"),
        Event::PolicyInForce(number) => println!("policy {number} is in force"),
        other => println!("{other:?}"),
    }
    Some(event)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    scope(&Ctx::root(), |s| async move {
        // ANCHOR: start
        let (out, mut events) = bounded(EVENTS);
        let dispatch = Dispatch::start(&s, "dispatch", Policy::default(), out)?;
        let report = |driver, number, seen, at, says| {
            dispatch.report(Report { driver, number, seen, at, says })
        };
        report("Ada", 1, 0, at(400.0)?, Says::Free).await?;
        report("Eve", 1, 0, at(900.0)?, Says::Free).await?;
        dispatch.request("Bob", at(0.0)?).await?;
        let Some(Event::Offered(first)) = tell(&mut events).await else { return Ok(()) };
        // ANCHOR_END: start

        // ANCHOR: lease
        tell(&mut events).await; // Ada is in a tunnel
        let Some(Event::Offered(second)) = tell(&mut events).await else { return Ok(()) };
        report("Eve", 2, second.lease, at(900.0)?, Says::Accept).await?;
        tell(&mut events).await;
        report("Ada", 2, first.lease, at(450.0)?, Says::Accept).await?;
        tell(&mut events).await;
        // ANCHOR_END: lease

        // ANCHOR: fence
        // Eve said this before she had heard of the match, and it was long under way.
        report("Eve", 3, first.lease, at(900.0)?, Says::Free).await?;
        report("Ada", 3, first.lease, at(450.0)?, Says::Busy).await?;
        rt::sleep(Duration::from_millis(1)).await; // riders and drivers have queues of their own
        dispatch.request("Joe", at(800.0)?).await?;
        tell(&mut events).await;
        tell(&mut events).await;
        // And this is about the match: the ride is over.
        report("Eve", 4, second.lease, at(4000.0)?, Says::Free).await?;
        // ANCHOR_END: fence

        // ANCHOR: policy
        rt::sleep(Duration::from_millis(1)).await;
        dispatch.request("Zoe", at(0.0)?).await?;
        let corners = [(-1e3, -1e3), (-1e3, 6e3), (1e3, 6e3), (1e3, -1e3)];
        let station = at(0.0)?;
        let geofence = Geofence::polygon(corners.map(|(north, east)| station.moved(north, east)))?;
        let shorter = Duration::from_millis(100);
        dispatch.change(Policy { window: shorter, geofence, ..Policy::default() }).await?;
        tell(&mut events).await;
        tell(&mut events).await;
        dispatch.request("Uli", at(-2000.0)?).await?;
        tell(&mut events).await;
        // ANCHOR_END: policy

        // ANCHOR: counters
        let counters = dispatch.counters();
        println!(
            "{} requests, {} late, {} missed",
            counters.requests, counters.late, counters.missed
        );
        // ANCHOR_END: counters
        Ok(())
    })
    .await?;
    Ok(())
}
