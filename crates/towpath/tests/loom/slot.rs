//! The place of a process's job: one party at a time has it, and it is dropped once, whoever comes last.

use std::{pin::Pin, sync::Arc};

use loom::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};
use towpath::models::{Fate, JobSlot};

use super::{Parcel, Tally, model};

/// A job that is dropped once. (That two never have it at once is seen by loom: the slot keeps it in a cell of loom's.)
struct Job {
    turns: AtomicUsize,
    _once: Parcel,
}

type Slot = Pin<Arc<JobSlot<Job>>>;

/// The tally is not part of the model: it is looked at when the job has gone.
fn slot(tally: &Arc<Tally>) -> Slot {
    Arc::pin(JobSlot::new(Job { turns: AtomicUsize::new(0), _once: tally.parcel(1) }))
}

fn turn(slot: &Slot, done: bool) -> Fate {
    slot.as_ref().turn(|job| {
        // A point at which others may come in between.
        job.turns.fetch_add(1, Relaxed);
        done
    })
}

fn dropped(fates: &[Fate]) -> usize {
    fates.iter().filter(|fate| **fate == Fate::Dropped).count()
}

/// The scope empties it while it has a turn that does not finish it: one of them drops it, at once or at the turn's end.
#[test]
fn slot_is_emptied_in_a_turn() {
    model(|| {
        let tally = Tally::new();
        let slot = slot(&tally);
        let theirs = slot.clone();
        let turns = thread::spawn(move || turn(&theirs, false));
        let emptied = slot.empty();
        let turned = turns.join().unwrap();
        assert_eq!(dropped(&[emptied, turned]), 1, "{emptied:?} {turned:?}");
        assert_eq!(slot.empty(), Fate::Missed);
        assert_eq!(turn(&slot, true), Fate::Missed);
        assert!(!slot.is_running());
    });
}

/// Two empty it while its last turn runs.
#[test]
fn slot_is_emptied_twice_while_it_ends() {
    model(|| {
        let tally = Tally::new();
        let slot = slot(&tally);
        let (theirs, others) = (slot.clone(), slot.clone());
        let turns = thread::spawn(move || turn(&theirs, true));
        let empties = thread::spawn(move || others.empty());
        let fates = [slot.empty(), turns.join().unwrap(), empties.join().unwrap()];
        assert_eq!(dropped(&fates), 1, "{fates:?}");
        assert_eq!(slot.empty(), Fate::Missed);
    });
}

/// One turn after the other sees what the one before has done, and two at once never have it.
#[test]
fn slot_turns_exclude_each_other() {
    model(|| {
        let tally = Tally::new();
        let slot = slot(&tally);
        let theirs = slot.clone();
        let turns = thread::spawn(move || turn(&theirs, false));
        let own = turn(&slot, false);
        let other = turns.join().unwrap();
        assert!(own == Fate::Elsewhere || other == Fate::Elsewhere, "{own:?} {other:?}");
        assert_eq!(turn(&slot, true), Fate::Dropped);
    });
}
