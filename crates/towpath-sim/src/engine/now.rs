//! How things stand in a schedule: who may run, what time it is, what went wrong.

use rustc_hash::FxHashMap;
use towpath::rt::sim::{Op, Point};

use super::{
    Config, Outcome,
    clock::{Clock, Rings},
    failure::{Failure, Fault},
    hash::Trace,
    record::Record,
    tasks::{State, Tasks},
    world::Order,
};
use crate::choice::{self, CLOCK, Candidate, Choices, Kind};

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
    /// Turns, sleeps and jumps of the clock.
    beats: u64,
    pub(super) trace: Trace,
    /// Who runs, or ran last.
    pub(super) current: u32,
    /// The stack that runs.
    pub(super) on: usize,
    /// Whom the root is to run next.
    pub(super) next: Option<u32>,
    /// Stacks without a turn.
    pub(super) idle: Vec<usize>,
    /// What the next stack that is idle is to do.
    pub(super) order: Order,
    /// The step at which time last had its chance.
    pub(super) clock_since: u64,
    /// The step and the beat at which the main process ended.
    pub(super) main_done: Option<(u64, u64)>,
    pub(super) processes: u64,
    pub(super) objects: FxHashMap<usize, u32>,
    pub(super) objects_seen: u32,
    pub(super) candidates: Vec<Candidate>,
    pub(super) failure: Option<Failure>,
    pub(super) record: Option<Box<Record>>,
    pub(super) last_panic: Option<(String, Option<String>)>,
}

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
            beats: 0,
            trace: Trace::default(),
            current: 0,
            on: 0,
            next: None,
            idle: Vec::new(),
            order: Order::End,
            clock_since: 0,
            main_done: None,
            processes: 0,
            objects: FxHashMap::default(),
            objects_seen: 0,
            candidates: Vec::new(),
            failure: None,
            record: None,
            last_panic: None,
        }
    }

    pub(super) fn begin(&mut self, record: Option<Box<Record>>) {
        self.schedule += 1;
        self.steps = 0;
        self.beats = 0;
        self.trace = Trace::default();
        self.current = 0;
        self.next = None;
        self.clock_since = 0;
        self.main_done = None;
        self.processes = 0;
        self.objects.clear();
        self.objects_seen = 0;
        self.failure = None;
        self.record = record;
        self.last_panic = None;
    }

    pub(super) fn choose(&mut self, me: Option<u32>) -> Chosen {
        if self.failure.is_some() || self.config.leaks && self.main_done.is_some() {
            return Chosen::Nobody;
        }
        let waited = |tasks: &Tasks, task: u32, steps: u64| steps - tasks.get(task).since;
        let first = self.tasks.runnable().front().copied();
        // Nobody is kept waiting for ever: a loop that polls would never see what it waits for.
        if let Some(first) = first
            && waited(&self.tasks, first, self.steps) > self.config.patience
        {
            self.tasks.run(first);
            return Chosen::Task(first);
        }
        let until = self.clock.until_next(|rings| match rings {
            Rings::Somebody(timer) => timer.is_awaited(),
            Rings::Sleeper { task, park } => {
                let it = self.tasks.get(*task);
                it.state == State::Parked && it.parks == *park
            }
        });
        if until.is_none() {
            self.clock_since = self.steps;
        } else if self.steps - self.clock_since > self.config.patience {
            return Chosen::Time;
        }
        if me.is_none() && first.is_none() {
            return if until.is_some() { Chosen::Time } else { Chosen::Nobody };
        }
        let late = until.is_some_and(|until| until <= self.config.stall);
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let tasks = &self.tasks;
        let all = me.into_iter().chain(tasks.runnable().iter().copied());
        candidates.extend(all.map(|task| {
            let it = tasks.get(task);
            Candidate { task, object: it.object, op: op_of(it.op) }
        }));
        if late {
            candidates.push(Candidate { task: CLOCK, object: 0, op: choice::Op::Clock });
        }
        if self.choices.covers_places() {
            // An address is the same for as long as one counts.
            let doing = self.tasks.get(candidates[0].task).doing;
            self.choices.at(doing.map_or(0, |at| std::ptr::from_ref(at).addr() as u64));
        }
        let chosen = candidates[self.choices.task(&candidates)].task;
        self.candidates = candidates;
        if chosen == CLOCK {
            return Chosen::Time;
        }
        if me != Some(chosen) {
            self.tasks.run(chosen);
        }
        Chosen::Task(chosen)
    }

    pub(super) fn step(&mut self, point: Point) {
        self.steps += 1;
        let object = self.object(point.object);
        self.trace.step(self.current, point.op, object, point.at);
        let it = self.tasks.get_mut(self.current);
        it.op = point.op;
        it.object = object;
        it.doing = point.at;
        if let Some(record) = &mut self.record {
            record.step(self.steps, self.clock.elapsed(), self.current, point, object);
        }
        let since_main = self.main_done.map_or(0, |(done, _)| self.steps - done);
        self.check_end(self.steps, since_main);
    }

    /// A turn begins, or somebody sleeps, or time passes. These are no steps, and yet there are programs that do nothing else
    /// and have no end: a loop around a timer, a future that wakes itself. False: this was one too many.
    pub(super) fn beat(&mut self) -> bool {
        if self.failure.is_some() {
            return true;
        }
        self.beats += 1;
        let since_main = self.main_done.map_or(0, |(_, done)| self.beats - done);
        self.check_end(self.beats, since_main);
        self.failure.is_none()
    }

    fn check_end(&mut self, count: u64, since_main: u64) {
        if count > self.config.max_steps {
            self.fail(Fault::NoEnd);
        } else if since_main > self.config.max_steps_after_main {
            self.fail(Fault::Leak);
        }
    }

    /// The main process has ended.
    pub(super) fn end_main(&mut self) {
        self.main_done = Some((self.steps, self.beats));
    }

    /// The number of the object at `address`, in the order in which they appeared; one that is freed takes it along, so that
    /// it does not matter where the allocator puts the next.
    pub(super) fn object(&mut self, address: usize) -> u32 {
        if address == 0 {
            return 0;
        }
        let seen = &mut self.objects_seen;
        *self.objects.entry(address).or_insert_with(|| {
            *seen += 1;
            *seen
        })
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

fn op_of(op: Op) -> choice::Op {
    match op {
        Op::Send | Op::Reserve => choice::Op::Send,
        Op::Recv => choice::Op::Recv,
        Op::TrySend | Op::TryReserve | Op::Unreserve => choice::Op::TrySend,
        Op::TryRecv => choice::Op::TryRecv,
        Op::DropSender | Op::DropReceiver => choice::Op::Close,
        Op::Select => choice::Op::Select,
        Op::Acquire | Op::Notified => choice::Op::Lock,
        Op::Release | Op::Notify => choice::Op::Unlock,
        Op::Cancel => choice::Op::Cancel,
        Op::Spawn => choice::Op::Spawn,
        Op::Join | Op::JoinAll => choice::Op::Join,
        Op::Sleep => choice::Op::Sleep,
        Op::Yield => choice::Op::Yield,
        _ => choice::Op::Other,
    }
}
