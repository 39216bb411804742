//! How things stand in a schedule: who may run, what time it is, what went wrong.

use std::time::{Duration, Instant};

use towpath::rt::sim::Point;

use super::{
    Config, Outcome,
    clock::{Clock, Rings},
    failure::{Failure, Fault},
    hash::Trace,
    objects::Objects,
    record::Record,
    tasks::Tasks,
    world::{Order, ROOT},
};
use crate::{
    choice::{CLOCK, Choices, Kind},
    real::Pulse,
};

/// How things stand.
pub(super) struct Now {
    /// Those of the schedule that is under way; else any.
    pub(super) choices: Choices,
    pub(super) config: Config,
    pub(super) tasks: Tasks,
    pub(super) clock: Clock,
    /// Schedules so far.
    pub(super) schedule: u64,
    pub(super) steps: u64,
    pub(super) pulse: Pulse,
    /// Up to this step nobody has waited for too long.
    pub(super) patient_until: u64,
    /// A schedule that goes on after this one does not end.
    pub(super) last_step: u64,
    /// Before this step there is nothing to look at but who goes on: nobody is impatient, no timer is set, nobody takes notes
    /// and nothing has failed. So a step asks one question instead of ten.
    pub(super) quiet_before: u64,
    /// Turns, sleeps and jumps of the clock.
    pub(super) beats: u64,
    pub(super) trace: Trace,
    /// Who runs, or ran last.
    pub(super) current: u32,
    /// The stack that runs, or is to.
    pub(super) on: usize,
    /// Stacks without a turn.
    pub(super) idle: Vec<usize>,
    /// What the next stack that is idle is to do.
    pub(super) order: Order,
    /// The step at which time last had its chance.
    pub(super) clock_since: u64,
    /// The step and the beat at which the main process ended.
    pub(super) main_done: Option<(u64, u64)>,
    pub(super) processes: u64,
    pub(super) objects: Objects,
    pub(super) failure: Option<Failure>,
    pub(super) record: Option<Box<Record>>,
    pub(super) last_panic: Option<(String, Option<String>)>,
}

/// What the clock has to say.
enum Look {
    /// No timer is awaited.
    Nothing,
    /// Time has been kept waiting for long.
    Due,
    /// There is a timer; it may ring already if it is near.
    Later { near: bool },
}

/// How long a step may take has so many answers: nothing, and powers of two of a largest time, so that from one campaign both
/// what is nearly at once and what takes long is heard of.
const COSTS: u64 = 8;

/// Who goes on.
pub(super) enum Chosen {
    Task(u32),
    Time,
    Nobody,
}

impl Now {
    pub(super) fn new(config: Config) -> Self {
        Self {
            choices: Choices::none(),
            config,
            tasks: Tasks::default(),
            clock: Clock::new(),
            schedule: 0,
            steps: 0,
            pulse: Pulse::default(),
            patient_until: 0,
            last_step: 0,
            quiet_before: 0,
            beats: 0,
            trace: Trace::default(),
            current: 0,
            on: ROOT,
            idle: Vec::new(),
            order: Order::End,
            clock_since: 0,
            main_done: None,
            processes: 0,
            objects: Objects::default(),
            failure: None,
            record: None,
            last_panic: None,
        }
    }

    pub(super) fn begin(&mut self, record: Option<Box<Record>>) {
        self.schedule += 1;
        self.steps = 0;
        self.pulse.beat();
        self.patient_until = self.config.patience;
        self.last_step = self.config.max_steps;
        self.beats = 0;
        self.trace = Trace::default();
        self.current = 0;
        self.on = ROOT;
        self.clock_since = 0;
        self.main_done = None;
        self.processes = 0;
        self.objects.clear();
        self.failure = None;
        self.record = record;
        self.last_panic = None;
        // The first choice looks at everything, and finds out.
        self.quiet_before = 0;
    }

    /// Looks how long nothing will have to be looked at.
    fn foresee(&mut self) {
        let quiet = self.failure.is_none()
            && self.record.is_none()
            && !self.clock.is_set()
            && self.config.step_cost.is_zero()
            && !self.choices.covers_places()
            && !(self.config.leaks && self.main_done.is_some());
        let loud = self.patient_until.min(self.last_step).saturating_add(1);
        self.quiet_before = if quiet { loud } else { 0 };
    }

    /// Whether who goes on is all that there is to look at.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.steps < self.quiet_before
    }

    /// Who goes on at a quiet step in place of whoever runs, which then stands in line; `None`: the same.
    #[inline(always)]
    pub(super) fn choose_at_step(&mut self) -> Option<u32> {
        let Self { tasks, choices, current, steps, on, .. } = self;
        tasks.choose_at_step(*current, *steps, *on, |candidates| choices.task(candidates))
    }

    /// The rest of a step that is not quiet.
    pub(super) fn look_around(&mut self, point: Point) {
        self.pulse.beat();
        if let Some(record) = &mut self.record {
            let object = self.tasks.get(self.current).object;
            record.step(self.steps, self.clock.elapsed(), self.current, point, object);
        }
        if self.steps > self.last_step {
            self.fail_endless(self.steps);
        }
    }

    /// How long this step takes, if that may be anything but nothing.
    pub(super) fn cost(&mut self) -> Duration {
        if self.config.step_cost.is_zero() || self.failure.is_some() {
            return Duration::ZERO;
        }
        match self.pick(Kind::Cost, COSTS) {
            0 => Duration::ZERO,
            // The largest answer is the whole, each smaller one half of the next.
            chosen => self.config.step_cost / (1 << (COSTS - 1 - chosen)),
        }
    }

    /// Sets a timer.
    pub(super) fn set_timer(&mut self, deadline: Instant, rings: Rings) {
        if !self.clock.is_set() {
            self.clock_since = self.steps;
        }
        self.clock.set(deadline, rings);
        self.quiet_before = 0;
    }

    /// Who is next, as nobody runs; `None`: nobody can. At a quiet moment.
    #[inline]
    pub(super) fn choose_next(&mut self) -> Option<u32> {
        let Self { tasks, choices, .. } = self;
        tasks.choose_next(|candidates| choices.task(candidates))
    }

    pub(super) fn choose(&mut self, me: Option<u32>) -> Chosen {
        let chosen = self.choose_now(me);
        self.foresee();
        chosen
    }

    fn choose_now(&mut self, me: Option<u32>) -> Chosen {
        if self.failure.is_some() || self.config.leaks && self.main_done.is_some() {
            return Chosen::Nobody;
        }
        // Nobody is kept waiting for ever: a loop that polls would never see what it waits for.
        if self.steps > self.patient_until
            && let Some(first) = self.impatient()
        {
            self.tasks.run(first);
            return Chosen::Task(first);
        }
        let first = self.tasks.first();
        let mut late = false;
        if self.clock.is_set() {
            match self.look_at_clock() {
                Look::Due => return Chosen::Time,
                Look::Later { .. } if me.is_none() && first.is_none() => return Chosen::Time,
                Look::Later { near } => late = near,
                Look::Nothing => {}
            }
        } else {
            self.clock_since = self.steps;
        }
        if me.is_none() && first.is_none() {
            return Chosen::Nobody;
        }
        if self.choices.covers_places() {
            self.say_place(me.or(first));
        }
        let choices = &mut self.choices;
        match self.tasks.choose_with(me, late, |candidates| choices.task(candidates)) {
            CLOCK => Chosen::Time,
            chosen => Chosen::Task(chosen),
        }
    }

    /// Who has waited for too long, if anybody has.
    #[cold]
    fn impatient(&mut self) -> Option<u32> {
        let first = self.tasks.first();
        let since = first.map_or(self.steps, |first| self.tasks.get(first).since);
        // Whoever is in line behind the first came later.
        self.patient_until = since + self.config.patience;
        first.filter(|_| self.steps > self.patient_until)
    }

    /// What the clock has to say.
    #[inline(never)]
    fn look_at_clock(&mut self) -> Look {
        let until = self.clock.until_next(|rings| match rings {
            Rings::Somebody(timer) => timer.is_awaited(),
            Rings::Sleeper { task, park } => self.tasks.sleeps(*task, *park),
        });
        match until {
            None => {
                self.clock_since = self.steps;
                Look::Nothing
            }
            Some(_) if self.steps - self.clock_since > self.config.patience => Look::Due,
            Some(until) => Look::Later { near: until <= self.config.stall },
        }
    }

    /// For coverage: where the default candidate is.
    #[cold]
    fn say_place(&mut self, default: Option<u32>) {
        // An address is the same for as long as one counts.
        let doing = default.and_then(|task| self.tasks.get(task).doing);
        self.choices.at(doing.map_or(0, |at| std::ptr::from_ref(at).addr() as u64));
    }

    /// Whoever runs is about to do this. What else is to be done about it is in `look_around`.
    #[inline(always)]
    pub(super) fn step(&mut self, point: Point) {
        self.steps += 1;
        let object = self.objects.number(point.object);
        self.trace.step(self.current, point.op, object, point.at);
        let it = self.tasks.get_mut(self.current);
        it.op = point.op;
        it.object = object;
        it.doing = point.at;
    }

    /// A turn begins, or somebody sleeps, or time passes. These are no steps, and yet there are programs that do nothing else
    /// and have no end: a loop around a timer, a future that wakes itself. False: this was one too many.
    pub(super) fn beat(&mut self) -> bool {
        if self.failure.is_some() {
            return true;
        }
        self.beats += 1;
        self.pulse.beat();
        let after_main = self.main_done.map(|(_, beats)| beats + self.config.max_steps_after_main);
        if self.beats > after_main.unwrap_or(u64::MAX).min(self.config.max_steps) {
            self.fail_endless(self.beats);
        }
        self.failure.is_none()
    }

    /// The main process has ended.
    pub(super) fn main_ends(&mut self) {
        self.main_done = Some((self.steps, self.beats));
        self.last_step = self.last_step.min(self.steps + self.config.max_steps_after_main);
        self.quiet_before = 0;
    }

    #[cold]
    fn fail_endless(&mut self, count: u64) {
        let endless = count > self.config.max_steps;
        self.fail(if endless { Fault::NoEnd } else { Fault::Leak });
    }

    pub(super) fn pick(&mut self, kind: Kind, below: u64) -> u64 {
        let value = self.choices.pick(kind, below);
        self.trace.choice(value);
        if let Some(record) = &mut self.record {
            record.choice(self.steps, self.current, kind, below, value);
        }
        value
    }

    /// Only the first failure counts.
    pub(super) fn fail(&mut self, fault: Fault) {
        if self.failure.is_none() {
            // One that makes no steps is counted by its turns.
            let step = if fault == Fault::NoEnd { self.steps.max(self.beats) } else { self.steps };
            self.failure = Some(Failure::new(fault, self.current, step, &self.tasks));
            self.quiet_before = 0;
        }
    }

    pub(super) fn outcome(&mut self) -> Outcome {
        let record = self.record.take();
        // Also what is no step must be the same in two runs: how long it took, and how it ended.
        self.trace.end(self.clock.elapsed(), self.failure.is_some());
        Outcome {
            steps: self.steps,
            hash: self.trace.hash(),
            time: self.clock.elapsed(),
            story: record.map(|record| record.into_story(&self.tasks)),
            failure: self.failure.take(),
        }
    }
}
