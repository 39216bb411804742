//! The core against a model of ten lines: what the world looks like when a saga has ended.
//!
//! A world that loses answers, dies before or after the effect, and forgets what was not durable, plays with one saga; a
//! list of bytes says what happens. Participants keep their promise: one effect for a key, none for a key that was voided.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use towpath_patterns::saga::{
    Backoff, Event, How, Kind, Mark, Moment, Patience, Phase, Plan, Record, State, Step, ToCall,
    Verdict,
};

/// What may be left of a saga's effects when it has ended: all, or none of those that can be taken back.
fn allowed(phase: Phase, plan: &Plan, effects: &BTreeSet<u16>) -> bool {
    let calls = |at: &u16| matches!(plan.steps[usize::from(*at)].kind, Kind::Call { .. });
    let undoable =
        |at: &u16| matches!(plan.steps[usize::from(*at)].kind, Kind::Call { undo: Some(_), .. });
    match phase {
        Phase::Completed => (0..plan.steps.len() as u16).filter(calls).eq(effects.iter().copied()),
        Phase::Compensated => !effects.iter().any(undoable),
        _ => true,
    }
}

struct World {
    plan: Plan,
    state: State,
    /// In the journal, and how many of them survive a crash at least: those that something followed from.
    log: Vec<Record>,
    durable: usize,
    /// Where a group ends.
    groups: Vec<usize>,
    effects: BTreeSet<u16>,
    voided: BTreeSet<u16>,
    undone: Vec<u16>,
    now: u64,
}

impl World {
    fn new(plan: Plan) -> Self {
        let first = Record::Started {
            plan: plan.name.clone(),
            version: plan.version,
            shape: plan.shape(),
            at: 0,
            deadline: None,
            headers: [].into(),
            input: [].into(),
        };
        let state = State::new(&first).unwrap();
        let (log, groups) = (vec![first], vec![1]);
        let (effects, voided, undone) = Default::default();
        Self { plan, state, log, durable: 1, groups, effects, voided, undone, now: 0 }
    }

    fn take(&mut self, event: Event) {
        let moment = Moment { plan: &self.plan, now: self.now, chance: 1 << 63 };
        let mut out = Vec::new();
        self.state.take(event, moment, &mut out);
        self.log.extend(out);
        if *self.groups.last().unwrap() < self.log.len() {
            self.groups.push(self.log.len());
        }
    }

    /// The effect of a call, by a participant that keeps its promise; false if it refuses.
    fn effect(&mut self, call: ToCall) -> bool {
        if call.undo {
            if self.effects.remove(&call.step) {
                assert!(self.undone.iter().all(|it| *it > call.step), "not in reverse: {call:?}");
                self.undone.push(call.step);
            }
            self.voided.insert(call.step);
            return true;
        }
        assert!(self.undone.is_empty(), "{call:?} although {:?} are taken back", self.undone);
        let done: BTreeSet<_> = self.effects.iter().copied().filter(|it| *it > call.step).collect();
        assert!(done.is_empty(), "{call:?} although {done:?} are done");
        !self.voided.contains(&call.step) && {
            self.effects.insert(call.step);
            true
        }
    }

    /// Power off: what was not durable may be gone, but only from the end, and groups as a whole.
    fn crash(&mut self, lost: u8) {
        let keeps: Vec<_> =
            self.groups.iter().copied().filter(|group| *group >= self.durable).collect();
        let keep = keeps[usize::from(lost) % keeps.len()];
        self.log.truncate(keep);
        self.groups.retain(|group| *group <= keep);
        let mut state = State::new(&self.log[0]).unwrap();
        self.log[1..].iter().for_each(|record| state.apply(record).unwrap());
        self.state = state;
        self.take(Event::Reopened);
    }

    /// One thing happens.
    fn step(&mut self, what: u8, how: u8) {
        let Some(call) = self.state.call() else {
            match what % 8 {
                0 => self.crash(how),
                1 if how.is_multiple_of(4) => self.take(Event::Pause("lunch".to_owned())),
                2 if how.is_multiple_of(4) => self.take(Event::Cancel("no".to_owned())),
                3 => {
                    let (name, dedup) = ("go".into(), format!("{}", how % 3).into());
                    self.take(Event::Signal { name, dedup, payload: [how].into() });
                }
                4 => self.take(Event::Resume),
                _ => {
                    self.now += 50;
                    self.take(Event::Tick);
                }
            }
            return;
        };
        // It leaves when the intent is durable.
        self.durable = self.log.len();
        let verdict = match what % 12 {
            0 => {
                self.effect(call);
                return self.crash(how);
            }
            1 => return self.crash(how),
            2 => {
                self.effect(call);
                Verdict::Not(How::TimedOut, String::new())
            }
            3 => Verdict::Not(How::Lost, String::new()),
            4 => {
                self.effect(call);
                Verdict::Not(How::Died, String::new())
            }
            5 if self.state.mark(call.step) == Mark::Clean || call.undo => {
                Verdict::Not(How::Refused, String::new())
            }
            6 => Verdict::Not(How::Unreachable, String::new()),
            7 if how.is_multiple_of(2) => return self.take(Event::Cancel("no".to_owned())),
            8 if how.is_multiple_of(4) => return self.take(Event::Pause("lunch".to_owned())),
            _ if self.effect(call) => Verdict::Done([how].into()),
            _ => Verdict::Not(How::Refused, String::new()),
        };
        let ToCall { step, undo, attempt } = call;
        self.take(Event::Answer { step, undo, attempt, verdict });
    }

    fn check(&self) {
        assert!(
            allowed(self.state.phase(), &self.plan, &self.effects),
            "{:?} with the effects {:?}\n{:#?}",
            self.state.phase(),
            self.effects,
            self.log
        );
        let voided = self.effects.intersection(&self.voided).count();
        assert_eq!(voided, 0, "an effect after it was taken back");
    }
}

fn plan(kinds: &[u8]) -> Plan {
    let backoff = Backoff {
        base: Duration::from_millis(10),
        factor: 2,
        max: Duration::from_millis(40),
        attempts: 3,
    };
    let patience = Patience { timeout: Duration::from_secs(1), backoff };
    let mut steps: Vec<Step> = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        let undo = Some((format!("undo {at}").into(), patience));
        let (name, kind) = match kind % 8 {
            0 => (format!("{at}"), Kind::Sleep(Duration::from_millis(30))),
            1 if !steps.iter().any(|it| &*it.name == "go") => {
                ("go".to_owned(), Kind::Signal(Some(Duration::from_millis(200))))
            }
            2 => (format!("{at}"), Kind::Call { patience, undo: None, pivot: false }),
            3 => (format!("{at}"), Kind::Call { patience, undo: None, pivot: true }),
            _ => (format!("{at}"), Kind::Call { patience, undo, pivot: false }),
        };
        steps.push(Step { name: name.into(), kind });
    }
    Plan { name: "any".into(), version: 1, steps, deaths: 3 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    /// Whatever happens: the effects are those of the model whenever the saga has ended, and once the world is friendly
    /// and somebody resumes what is held, it ends.
    #[test]
    fn a_saga_ends_with_all_its_effects_or_none(
        kinds in prop::collection::vec(any::<u8>(), 1..5),
        script in prop::collection::vec((any::<u8>(), any::<u8>()), 0..60),
    ) {
        let mut world = World::new(plan(&kinds));
        world.take(Event::Tick);
        for (what, how) in script {
            world.step(what, how);
            world.check();
        }
        for _ in 0..200 {
            let (name, dedup) = ("go".into(), "at last".into());
            world.take(Event::Signal { name, dedup, payload: [].into() });
            world.take(Event::Resume);
            if world.state.call().is_some() {
                world.step(11, 1);
            } else {
                world.now += 500;
                world.take(Event::Tick);
            }
            world.check();
            if world.state.is_over() {
                break;
            }
        }
        prop_assert!(world.state.is_over(), "{:#?}\n{:#?}", world.state, world.log);
    }
}
