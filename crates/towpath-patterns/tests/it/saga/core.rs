//! The core alone: what happens goes in as a script, what is written comes out.
//!
//! In a script: `done`, `refuse`, `retry`, `lost`, `late` (no answer in time), `die`, `stop` answer the call under way;
//! `old done` answers the call before it; `crash` reads the records again, as after a restart; `+50` lets 50 ms pass.

use std::time::Duration;

use towpath_patterns::saga::{
    Backoff, Event, How, Kind, Moment, Patience, Plan, Record, State, Step, Taken, Then, ToCall,
    Verdict, Why,
};

const PATIENCE: Patience = Patience {
    timeout: Duration::from_secs(1),
    backoff: Backoff {
        base: Duration::from_millis(10),
        factor: 2,
        max: Duration::from_millis(40),
        attempts: 3,
    },
};

/// Steps as words: `a/A` has a compensation, `a` has none, `a!` is the pivot, `~20` sleeps, `?s` waits for a signal,
/// `?s20` for at most 20 ms.
fn plan(words: &str) -> Plan {
    let step = |word: &str| {
        let call = |undo: Option<&str>, pivot| Kind::Call {
            patience: PATIENCE,
            undo: undo.map(|name| (name.into(), PATIENCE)),
            pivot,
        };
        let (name, kind) = if let Some(time) = word.strip_prefix('~') {
            (word, Kind::Sleep(Duration::from_millis(time.parse().unwrap())))
        } else if let Some(name) = word.strip_prefix('?') {
            let (name, time) = name.split_at(1);
            (name, Kind::Signal(time.parse().ok().map(Duration::from_millis)))
        } else if let Some((name, undo)) = word.split_once('/') {
            (name, call(Some(undo), false))
        } else if let Some(name) = word.strip_suffix('!') {
            (name, call(None, true))
        } else {
            (word, call(None, false))
        };
        Step { name: name.into(), kind }
    };
    let steps = words.split_whitespace().map(step).collect();
    Plan { name: "test".into(), version: 1, steps, deaths: 3 }
}

fn short(record: &Record) -> String {
    let then = |then: &Then| match then {
        Then::Retry(at) => format!("again at {at}"),
        Then::GiveUp => "given up".to_owned(),
    };
    match record {
        Record::Started { .. } => "started".to_owned(),
        Record::StepIntent { step, attempt } => format!("call {step}.{attempt}"),
        Record::StepDone { step, .. } => format!("done {step}"),
        Record::StepFailed { step, how, then: next, .. } => {
            format!("{step} {how:?}, {}", then(next)).to_lowercase()
        }
        Record::CompIntent { step, attempt } => format!("undo {step}.{attempt}"),
        Record::CompDone { step } => format!("undone {step}"),
        Record::CompFailed { step, how, then: next, .. } => {
            format!("not undone {step} {how:?}, {}", then(next)).to_lowercase()
        }
        Record::TimerSet { step, due: u64::MAX, .. } => format!("wait {step}"),
        Record::TimerSet { step, due, .. } => format!("wait {step} until {due}"),
        Record::TimerFired { step } => format!("rung {step}"),
        Record::Signal { name, .. } => format!("signal {name}"),
        Record::Paused { why: Why::Asked, .. } => "paused".to_owned(),
        Record::Paused { why: Why::Quarantine, .. } => "quarantine".to_owned(),
        Record::Resumed => "resumed".to_owned(),
        Record::Cancelled { .. } => "cancelled".to_owned(),
        Record::DeadLettered { step, .. } => format!("dead at {step}"),
        Record::Completed => "completed".to_owned(),
        Record::Compensated => "compensated".to_owned(),
    }
}

/// Runs a script from 1,000 ms on, with pauses as long as they may be. Words in `[ ]` say that nothing was written.
fn run(words: &str, deadline: Option<u64>, script: &str) -> String {
    let plan = plan(words);
    let first = Record::Started {
        plan: "test".into(),
        version: 1,
        shape: plan.shape(),
        at: 1_000,
        deadline,
        headers: [].into(),
        input: [].into(),
    };
    let mut state = State::new(&first).unwrap();
    let mut all = vec![first];
    let mut now = 1_000;
    let mut told = Vec::new();
    for word in std::iter::once("tick").chain(script.split(';').map(str::trim)) {
        let (word, back) = match word.strip_prefix("old ") {
            Some(word) => (word, 1),
            None => (word, 0),
        };
        let answer = |verdict| {
            let at = state.call().unwrap_or(ToCall { step: state.step(), undo: false, attempt: 9 });
            let ToCall { step, undo, attempt } = at;
            Event::Answer { step, undo, attempt: attempt - back, verdict }
        };
        let not = |how| answer(Verdict::Not(how, word.to_owned()));
        let event = match word {
            "tick" => Event::Tick,
            "done" => answer(Verdict::Done((*b"out").into())),
            "refuse" => not(How::Refused),
            "retry" => not(How::Failed),
            "lost" => not(How::Lost),
            "late" => not(How::TimedOut),
            "die" => not(How::Died),
            "stop" => not(How::Stopped),
            "pause" => Event::Pause("lunch".to_owned()),
            "resume" => Event::Resume,
            "cancel" => Event::Cancel("changed my mind".to_owned()),
            "crash" => {
                state = State::new(&all[0]).unwrap();
                all[1..].iter().for_each(|record| state.apply(record).unwrap());
                Event::Reopened
            }
            word if word.starts_with('+') => {
                now += word[1..].parse::<u64>().unwrap();
                Event::Tick
            }
            word => {
                let (name, dedup) = word.strip_prefix("tell ").unwrap().split_once(' ').unwrap();
                let payload = (*b"in").into();
                Event::Signal { name: name.into(), dedup: dedup.into(), payload }
            }
        };
        let mut out = Vec::new();
        let taken = state.take(event, Moment { plan: &plan, now, chance: u64::MAX }, &mut out);
        let words: Vec<_> = out.iter().map(short).collect();
        told.push(match taken {
            Taken::Noted => words.join(", "),
            Taken::Ignored => "-".to_owned(),
            Taken::TooLate => "too late".to_owned(),
        });
        all.extend(out);
        let mut again = State::new(&all[0]).unwrap();
        all[1..].iter().for_each(|record| again.apply(record).unwrap());
        assert_eq!(again, state, "the records do not give the state after `{word}`");
    }
    told.join("; ")
}

#[track_caller]
fn check(words: &str, script: &str, expected: &str) {
    assert_eq!(run(words, None, script), expected, "{words}: {script}");
}

#[test]
fn all_steps_in_order_and_it_is_completed() {
    check(
        "a/A b/B c",
        "done; done; done",
        "call 0.1; done 0, call 1.1; done 1, call 2.1; done 2, completed",
    );
}

#[test]
fn a_refusal_turns_back_and_takes_back_what_was_done_in_reverse() {
    check(
        "a/A b c/C d/D",
        "done; done; done; refuse; done; done",
        "call 0.1; done 0, call 1.1; done 1, call 2.1; done 2, call 3.1; 3 refused, given up, undo 2.1; \
         undone 2, undo 0.1; undone 0, compensated",
    );
    check("a/A", "refuse", "call 0.1; 0 refused, given up, compensated");
}

#[test]
fn what_is_in_doubt_is_called_again_and_taken_back_too() {
    check(
        "a/A",
        "late; +10; lost; +20; late; done",
        "call 0.1; 0 timedout, again at 1010; call 0.2; 0 lost, again at 1030; call 0.3; \
         0 timedout, given up, undo 0.1; undone 0, compensated",
    );
    // In doubt once, and refused then: it may have happened the first time.
    check(
        "a/A",
        "lost; +10; refuse; done",
        "call 0.1; 0 lost, again at 1010; call 0.2; 0 refused, given up, undo 0.1; undone 0, compensated",
    );
    // Answered each time that nothing was done: there is nothing to take back.
    check(
        "a/A",
        "retry; +10; retry; +20; retry",
        "call 0.1; 0 failed, again at 1010; call 0.2; 0 failed, again at 1030; call 0.3; \
         0 failed, given up, compensated",
    );
}

#[test]
fn a_late_success_counts_and_a_late_failure_does_not() {
    check(
        "a/A",
        "late; +10; old done",
        "call 0.1; 0 timedout, again at 1010; call 0.2; done 0, completed",
    );
    check("a/A", "late; +10; old refuse", "call 0.1; 0 timedout, again at 1010; call 0.2; -");
    check("a/A", "late; done", "call 0.1; 0 timedout, again at 1010; -");
}

#[test]
fn after_a_crash_the_call_is_made_again_with_the_next_number() {
    check(
        "a/A b/B",
        "done; crash; done",
        "call 0.1; done 0, call 1.1; 1 crashed, again at 1000, call 1.2; done 1, completed",
    );
    check(
        "a/A b/B",
        "done; refuse; crash; done",
        "call 0.1; done 0, call 1.1; 1 refused, given up, undo 0.1; \
         not undone 0 crashed, again at 1000, undo 0.2; undone 0, compensated",
    );
}

#[test]
fn deaths_lead_to_quarantine_and_count_as_no_tries() {
    check(
        "a/A",
        "die; +10; crash; die; resume; done",
        "call 0.1; 0 died, again at 1010; call 0.2; 0 crashed, again at 1010, call 0.3; \
         0 died, again at 1050, quarantine; resumed, call 0.4; done 0, completed",
    );
    // An orderly stop is no death.
    check(
        "a",
        "stop; +1; stop; +2; stop; +3; stop; +4; done",
        "call 0.1; 0 stopped, again at 1001; call 0.2; 0 stopped, again at 1002; call 0.3; \
         0 stopped, again at 1004; call 0.4; 0 stopped, again at 1007; call 0.5; done 0, completed",
    );
}

#[test]
fn a_compensation_that_cannot_be_done_is_a_dead_letter_that_can_be_resumed() {
    check(
        "a/A b",
        "done; refuse; retry; +10; lost; +20; retry; resume; refuse; resume; done",
        "call 0.1; done 0, call 1.1; 1 refused, given up, undo 0.1; not undone 0 failed, again at 1010; \
         undo 0.2; not undone 0 lost, again at 1030; undo 0.3; not undone 0 failed, given up, dead at 0; \
         resumed, undo 0.4; not undone 0 refused, given up, dead at 0; resumed, undo 0.5; undone 0, compensated",
    );
}

#[test]
fn behind_the_pivot_there_is_no_way_back() {
    check(
        "a/A b! c",
        "done; cancel; done; refuse; cancel; resume; done",
        "call 0.1; done 0, call 1.1; too late; done 1, call 2.1; 2 refused, again at 1000, dead at 2; \
         too late; resumed, call 2.2; done 2, completed",
    );
    // Refused, the pivot did not happen: there is a way back. In doubt there is none.
    check(
        "a/A b!",
        "done; refuse; done",
        "call 0.1; done 0, call 1.1; 1 refused, given up, undo 0.1; undone 0, compensated",
    );
    check(
        "b!",
        "lost; +10; refuse",
        "call 0.1; 0 lost, again at 1010; call 0.2; 0 refused, again at 1010, dead at 0",
    );
}

#[test]
fn a_cancellation_waits_for_the_call_under_way() {
    check(
        "a/A b/B",
        "done; cancel; done; done; done",
        "call 0.1; done 0, call 1.1; cancelled; done 1, undo 1.1; undone 1, undo 0.1; undone 0, compensated",
    );
    check(
        "a/A b/B",
        "done; cancel; refuse; done",
        "call 0.1; done 0, call 1.1; cancelled; 1 refused, given up, undo 0.1; undone 0, compensated",
    );
    check(
        "a/A",
        "cancel; late; done",
        "call 0.1; cancelled; 0 timedout, given up, undo 0.1; undone 0, compensated",
    );
    check(
        "a/A",
        "late; cancel; done",
        "call 0.1; 0 timedout, again at 1010; cancelled, undo 0.1; undone 0, compensated",
    );
    check(
        "a/A ~50",
        "done; cancel; done",
        "call 0.1; done 0, wait 1 until 1050; cancelled, undo 0.1; undone 0, compensated",
    );
}

#[test]
fn a_deadline_turns_back_once() {
    let told = run("a/A b/B", Some(1_500), "done; +500; done; done; done");
    assert_eq!(
        told,
        "call 0.1; done 0, call 1.1; cancelled; done 1, undo 1.1; undone 1, undo 0.1; undone 0, compensated"
    );
    let told = run("a/A b! c", Some(1_500), "done; done; +500; done");
    assert_eq!(told, "call 0.1; done 0, call 1.1; done 1, call 2.1; -; done 2, completed");
}

#[test]
fn sleeps_ring_when_their_time_has_come_also_after_a_crash() {
    check(
        "~50 a",
        "+49; crash; +1; done",
        "wait 0 until 1050; -; -; rung 0, call 1.1; done 1, completed",
    );
    check(
        "~50 a",
        "pause; +60; resume; done",
        "wait 0 until 1050; paused; -; resumed, rung 0, call 1.1; done 1, completed",
    );
}

#[test]
fn signals_are_kept_until_somebody_waits_and_two_with_one_key_are_one() {
    check(
        "a ?s b",
        "tell s 1; tell s 1; done; done",
        "call 0.1; signal s; -; done 0, wait 1, done 1, call 2.1; done 2, completed",
    );
    check(
        "?s ?s20",
        "tell s 1; crash; tell s 2",
        "wait 0; signal s, done 0, wait 1 until 1020; -; signal s, done 1, completed",
    );
    check(
        "a/A ?s20",
        "done; tell t 1; +20; done",
        "call 0.1; done 0, wait 1 until 1020; signal t; rung 1, 1 refused, given up, undo 0.1; undone 0, compensated",
    );
    check(
        "a! ?s20",
        "done; +20; resume; tell s 1",
        "call 0.1; done 0, wait 1 until 1020; rung 1, 1 refused, again at 1020, dead at 1; resumed, wait 1 until 1040; signal s, done 1, completed",
    );
}

#[test]
fn who_is_paused_calls_nobody_but_hears_what_was_under_way() {
    check(
        "a/A b/B",
        "pause; pause; done; tick; crash; resume; done",
        "call 0.1; paused; -; done 0; -; -; resumed, call 1.1; done 1, completed",
    );
    check(
        "a/A b/B",
        "done; pause; cancel; refuse; resume; done",
        "call 0.1; done 0, call 1.1; paused; cancelled; 1 refused, given up; resumed, undo 0.1; undone 0, compensated",
    );
    check("a", "resume", "call 0.1; -");
}

#[test]
fn what_is_over_stays_over() {
    check(
        "a",
        "done; done; cancel; pause; resume; tell s 1; crash",
        "call 0.1; done 0, completed; -; -; -; -; -; -",
    );
}

/// Every record in every state that the scripts above reach: it fits or is refused, and what is refused changes nothing.
#[test]
fn a_record_that_does_not_fit_changes_nothing() {
    let records = super::records_of_all_kinds();
    let plan = plan("a/A b/B");
    let first = Record::Started {
        plan: "test".into(),
        version: 1,
        shape: plan.shape(),
        at: 0,
        deadline: None,
        headers: [].into(),
        input: [].into(),
    };
    // Breadth first, each state once, four records deep.
    let mut states = vec![State::new(&first).unwrap()];
    let (mut from, mut refused) = (0, 0);
    for _ in 0..4 {
        let to = states.len();
        for at in from..to {
            for record in &records {
                let mut state = states[at].clone();
                match state.apply(record) {
                    Ok(()) if !states.contains(&state) => states.push(state),
                    Ok(()) => {}
                    Err(misplaced) => {
                        assert_eq!(state, states[at], "{misplaced}");
                        refused += 1;
                    }
                }
            }
        }
        from = to;
    }
    assert!(states.len() > 200 && refused > 3_000, "{} states, {refused} refused", states.len());
    for record in &records {
        let over = states.iter().filter(|state| state.is_over());
        assert!(over.clone().count() > 0);
        over.for_each(|state| assert!(state.clone().apply(record).is_err(), "{record:?}"));
    }
}
