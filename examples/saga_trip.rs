//! A trip of three bookings, of which the last fails: hotel, flight, car.
//!
//! Nobody can book all three in one transaction. So each booking has a cancellation, and a saga sees to it that in the end
//! all three are booked or none is. Its coordinator writes to a journal what it is about to do before it does it; here it is
//! stopped in the middle of a trip, and the next one goes on from there.

use std::path::PathBuf;
use std::time::Duration;

use towpath::{BoxError, Ctx, Receiver, Scope, Sender, bounded, scope, select};
use towpath_journal::Writer;
use towpath_patterns::saga::{Action, Call, Coordinator, Keys, Outcome, Record, Saga};

/// Calls that wait for an agency: more than this story has.
const CALLS: usize = 16;

/// Keys that an agency remembers: more than this story has, and years' worth of trips in a real one.
const KEYS: usize = 1_000;

/// Where agencies say what they did.
type Diary = Sender<String>;

/// Books and cancels. A call that comes twice is one, by its key.
async fn agency(ctx: Ctx, mut calls: Receiver<Call>, diary: Diary) -> Result<(), BoxError> {
    let mut keys = Keys::new(KEYS);
    loop {
        let call = select! {
            call = calls.recv() => call,
            _ = ctx.done() => None,
        };
        let Some(call) = call.and_then(|call| keys.fresh(call)) else {
            if ctx.is_done() {
                return Ok(());
            }
            continue;
        };
        if call.action() == "book car" && call.input() == b"to the islands" {
            diary.send(format!("{}: {}: no cars there", call.saga(), call.action())).await?;
            call.refuse("there are no cars on the islands");
            continue;
        }
        // What a step has answered is known to those behind it and to its cancellation.
        let booking = call.output_of(call.step()).map(String::from_utf8_lossy);
        let of = booking.map(|it| format!(" ({it})")).unwrap_or_default();
        diary.send(format!("{}: {}{of}", call.saga(), call.action())).await?;
        let receipt = format!("{} no. 1", call.step());
        keys.done(call, receipt.into_bytes());
    }
}

/// The same definition in every life of the coordinator.
fn trip(agency: &Sender<Call>) -> Saga {
    let action = |name: &str| Action::new(name, agency);
    Saga::new("trip")
        .step(action("book hotel"), action("cancel hotel"))
        .signal("guest agrees", None)
        .step(action("book flight"), action("cancel flight"))
        .step(action("book car"), action("cancel car"))
}

/// One life of the coordinator, with what happens in it.
async fn office(
    s: Scope,
    writer: Writer,
    life: u32,
    agency: Sender<Call>,
    diary: Diary,
) -> Result<(), BoxError> {
    let sagas = Coordinator::new().define(trip(&agency)).start(&s, "sagas", writer).await?;
    if life == 1 {
        sagas.start("trip", "lake", *b"to the lake").await?;
        sagas.signal("lake", "guest agrees", "mail 1", *b"yes").await?;
        let outcome = sagas.outcome("lake").await?;
        diary.send(format!("lake: {}", words(&outcome))).await?;
        sagas.start("trip", "islands", *b"to the islands").await?;
        let waits = |it: &Record| matches!(it, Record::TimerSet { signal: Some(_), .. });
        while !sagas.show("islands").await?.records.iter().any(waits) {
            towpath::rt::sleep(Duration::from_millis(1)).await;
        }
        diary.send("islands: waits for the guest, and the office closes".to_owned()).await?;
    } else {
        diary.send("the office opens again".to_owned()).await?;
        sagas.signal("islands", "guest agrees", "mail 2", *b"yes").await?;
        let outcome = sagas.outcome("islands").await?;
        diary.send(format!("islands: {}", words(&outcome))).await?;
    }
    s.cancel("the office closes");
    Ok(())
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Completed { .. } => "all is booked".to_owned(),
        Outcome::Compensated { reason, .. } => format!("nothing is booked: {reason}"),
        Outcome::DeadLettered { reason, .. } => format!("somebody must look: {reason}"),
    }
}

/// The agency is somebody else's: it does not close when the office does.
async fn story(s: Scope, folder: PathBuf) -> Result<(), BoxError> {
    let (calls, at_agency) = bounded(CALLS);
    let (diary, mut said) = towpath::unbounded();
    let told = diary.clone();
    s.spawn("agency", move |ctx| agency(ctx, at_agency, told));
    for life in [1, 2] {
        let writer = Writer::open(&folder)?;
        let (calls, diary) = (calls.clone(), diary.clone());
        scope(s.ctx(), |s| office(s, writer, life, calls, diary)).await?;
    }
    while let Ok(line) = said.try_recv() {
        println!("{line}");
    }
    s.cancel("the story is told");
    Ok(())
}

fn main() -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_owned();
    towpath::block_on(scope(&Ctx::root(), |s| story(s, path)))?;
    Ok(())
}
