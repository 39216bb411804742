//! The world a program runs in: who runs next, what time it is.
//!
//! What always holds:
//! - While a stack runs, one simulated process is `Running`; while the root does, nobody is.
//! - `now` is not borrowed while code of the program runs, nor when stacks are changed.
//! - What happens is a function of the answers of `Choices` and of the program.
//!
//! ```text
//!   root ──resume──► a stack: turn of A … point() asks who goes on
//!     ▲                 │  A itself: returns, nothing is switched
//!     │                 │  B, which has no stack: B's turn begins on another one
//!     └────give up──────┘  C, in the middle of a turn: C's stack is resumed
//! ```
//! Why the turns of tasks run on such stacks too: so a task can be interrupted at every operation, also at one that is not
//! awaited, as on a runtime with several threads. A stack whose turn has ended goes on with the next process that has
//! none, so without interruptions nothing is switched.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;
use towpath::{
    probe::{Arm, Probe},
    rt::sim::{self, Born, BoxCall, BoxTask, Locals, Made, Op, Point, Ring},
};

use super::{
    BoxMain, Config, Outcome,
    bell::{Outside, Wakes},
    clock::{Clock, Rings},
    failure::{Failure, Fault},
    hash::Trace,
    law::Laws,
    record::Record,
    stack::{self, Stack},
    tasks::{Job, State, Tasks},
};
use crate::choice::{self, CLOCK, Candidate, Choices, Kind};

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// Calls `f` with the world this thread is in, if it is in one.
pub(crate) fn with<R>(f: impl FnOnce(&World) -> R) -> Option<R> {
    let world = WORLD.try_with(|world| world.borrow().clone()).ok().flatten();
    world.map(|world| f(&world))
}

/// What a process unwinds with that is in the middle of a turn when its schedule is over.
struct Killed;

pub(crate) struct World {
    now: RefCell<Now>,
    pub(super) laws: Laws,
    outside: Arc<Outside>,
    stacks: RefCell<Vec<Option<Stack>>>,
    /// The schedule is over: nobody is interrupted any more, and whoever would sleep unwinds.
    ending: Cell<bool>,
}

/// How things stand.
struct Now {
    choices: Option<Choices>,
    config: Config,
    tasks: Tasks,
    clock: Clock,
    /// Schedules so far.
    schedule: u64,
    steps: u64,
    trace: Trace,
    /// Who runs, or ran last.
    current: u32,
    /// The stack that runs.
    on: usize,
    /// Whom the root is to run next.
    next: Option<u32>,
    /// Stacks without a turn.
    idle: Vec<usize>,
    /// What the next stack that is idle is to do.
    order: Order,
    /// The step at which time last had its chance.
    clock_since: u64,
    /// The step at which the main process ended.
    main_done: Option<u64>,
    processes: u64,
    objects: FxHashMap<usize, u32>,
    objects_seen: u32,
    candidates: Vec<Candidate>,
    failure: Option<Failure>,
    record: Option<Box<Record>>,
    last_panic: Option<(String, Option<String>)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Turn(u32),
    /// Drop what is left of the program.
    Sweep,
    End,
}

impl World {
    pub(super) fn new(config: Config) -> Rc<Self> {
        Rc::new(Self {
            now: RefCell::new(Now {
                choices: None,
                config,
                tasks: Tasks::default(),
                clock: Clock::new(),
                schedule: 0,
                steps: 0,
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
            }),
            laws: Laws::default(),
            outside: Outside::new(),
            stacks: RefCell::new(Vec::new()),
            ending: Cell::new(false),
        })
    }

    // ---- one schedule, from outside -----------------------------------------------------------------------------

    /// Runs one schedule from beginning to end. `choices` have been told that it begins.
    pub(super) fn run(
        self: &Rc<Self>,
        choices: Choices,
        main: impl FnOnce() -> BoxMain,
        record: Option<Box<Record>>,
    ) -> (Choices, Outcome) {
        {
            let mut now = self.now.borrow_mut();
            now.begin(choices, record);
        }
        let job = Job::Task(main());
        WORLD.set(Some(self.clone()));
        let entered = sim::enter(self.clone());
        self.now.borrow_mut().tasks.add(job, Some("main"), Location::caller(), 0);
        if let Some(first) = self.choose(None) {
            self.now.borrow_mut().next = Some(first);
        }
        while let Some(task) = { self.now.borrow_mut().next.take() } {
            self.resume(task);
        }
        self.judge();
        let outcome = self.now.borrow_mut().outcome();
        self.end();
        drop(entered);
        WORLD.set(None);
        self.laws.clear();
        let mut now = self.now.borrow_mut();
        let choices = now.choices.take();
        (choices.unwrap_or_else(|| unreachable!("given at the beginning")), outcome)
    }

    /// Lets `task` go on, until a stack is given up.
    fn resume(&self, task: u32) {
        let stack = {
            let mut now = self.now.borrow_mut();
            now.current = task;
            match now.tasks.get_mut(task).stack.take() {
                Some(stack) => stack,
                None => {
                    now.order = Order::Turn(task);
                    self.idle_stack(&mut now)
                }
            }
        };
        self.run_stack(stack);
    }

    fn idle_stack(&self, now: &mut Now) -> usize {
        now.idle.pop().unwrap_or_else(|| {
            let mut stacks = self.stacks.borrow_mut();
            let number = stacks.len();
            let body = move || {
                while with(|world| world.obey(number)).unwrap_or(false) {
                    stack::give_up();
                }
            };
            match Stack::new(now.config.stack_bytes, body) {
                Ok(stack) => stacks.push(Some(stack)),
                Err(error) => panic!(
                    "no memory for stack {number} of {} bytes: {error}; give the simulation smaller ones",
                    now.config.stack_bytes
                ),
            }
            number
        })
    }

    fn run_stack(&self, number: usize) {
        self.now.borrow_mut().on = number;
        let stack = self.stacks.borrow_mut()[number].take();
        let Some(mut stack) = stack else { unreachable!("stack {number} runs already") };
        stack.resume();
        self.stacks.borrow_mut()[number] = Some(stack);
    }

    /// Looks at what is left when nobody can go on.
    fn judge(&self) {
        if self.now.borrow().failure.is_none()
            && let Some(broken) = self.laws.unfulfilled()
        {
            self.now.borrow_mut().fail(Fault::Law(broken));
        }
        let left = {
            let mut now = self.now.borrow_mut();
            if now.failure.is_some() || now.tasks.live() == 0 {
                return;
            }
            let fault = if now.main_done.is_none() { Fault::Deadlock } else { Fault::Leak };
            now.fail(fault);
            // The rest takes time, so it is done when the run is recorded.
            if now.record.is_none() {
                return;
            }
            now.failure.as_ref().map(|failure| failure.left.clone()).unwrap_or_default()
        };
        let asleep = left.into_iter().find(|task| self.goes_on_if_shaken(*task));
        if let Some(task) = asleep {
            let mut now = self.now.borrow_mut();
            if let Some(failure) = &mut now.failure {
                failure.fault = Fault::LostWakeup(task);
            }
        }
    }

    /// Wakes `task` for no reason. True: it had one to go on.
    fn goes_on_if_shaken(&self, task: u32) -> bool {
        let (before, steps, wakes) = {
            let mut now = self.now.borrow_mut();
            let wakes = match now.tasks.get(task).state {
                State::Waiting => Wakes::Poll,
                State::Parked => Wakes::Park,
                State::Runnable | State::Running | State::Done => return false,
            };
            let steps = now.steps;
            now.tasks.wake(task, wakes, steps);
            now.tasks.run(task);
            let waits = now.record.as_mut().map(|record| record.waits_of(task));
            (waits.unwrap_or_default(), steps, wakes)
        };
        // With a failure noted nobody else is chosen: exactly this one has its turn.
        self.resume(task);
        let mut now = self.now.borrow_mut();
        let it = now.tasks.get(task);
        let rests = match wakes {
            Wakes::Poll => it.state == State::Waiting,
            Wakes::Park => it.state == State::Parked,
        };
        let stepped = now.steps != steps && wakes == Wakes::Park;
        let others = !now.tasks.runnable().is_empty();
        let after = now.record.as_mut().map(|record| record.waits_of(task)).unwrap_or_default();
        !rests || stepped || others || after != before
    }

    /// Ends everybody who is left.
    fn end(&self) {
        self.ending.set(true);
        let count = self.now.borrow().tasks.len();
        for task in 0..count {
            let mut now = self.now.borrow_mut();
            let Some(stack) = now.tasks.get_mut(task).stack.take() else { continue };
            now.current = task;
            drop(now);
            self.run_stack(stack);
            self.abandon_unless_idle(stack);
        }
        // What the program's futures drop may be anything, so it is dropped where a turn would run.
        let stack = {
            let mut now = self.now.borrow_mut();
            now.order = Order::Sweep;
            self.idle_stack(&mut now)
        };
        self.run_stack(stack);
        self.abandon_unless_idle(stack);
        self.ending.set(false);
        let mut now = self.now.borrow_mut();
        now.tasks.clear();
        now.clock.reset();
    }

    /// A stack that unwinds and sleeps in the middle of it can neither go on nor be unwound.
    fn abandon_unless_idle(&self, number: usize) {
        let now = self.now.borrow();
        if !now.idle.contains(&number)
            && let Some(stack) = self.stacks.borrow_mut()[number].take()
        {
            stack.abandon();
        }
    }

    /// Ends the idle stacks.
    pub(super) fn close(self: &Rc<Self>) {
        WORLD.set(Some(self.clone()));
        loop {
            let number = {
                let mut now = self.now.borrow_mut();
                now.order = Order::End;
                now.idle.pop()
            };
            let Some(number) = number else { break };
            self.run_stack(number);
        }
        WORLD.set(None);
        self.stacks.borrow_mut().clear();
    }

    // ---- on a stack ---------------------------------------------------------------------------------------------

    /// What an idle stack does. False: it is to end.
    fn obey(&self, number: usize) -> bool {
        let order = self.now.borrow().order;
        match order {
            Order::Turn(task) => self.turns(task),
            Order::Sweep => self.sweep(),
            Order::End => return false,
        }
        self.now.borrow_mut().idle.push(number);
        true
    }

    /// Gives `task` its turn, and then whoever is next, as long as they have no stack of their own.
    fn turns(&self, mut task: u32) {
        loop {
            self.turn(task);
            if self.ending.get() {
                return;
            }
            let Some(next) = self.choose(None) else { return };
            let mut now = self.now.borrow_mut();
            if now.tasks.get(next).stack.is_some() {
                now.next = Some(next);
                return;
            }
            now.current = next;
            task = next;
        }
    }

    fn turn(&self, task: u32) {
        let (job, waker) = {
            let mut now = self.now.borrow_mut();
            let Now { tasks, schedule, record, .. } = &mut *now;
            let waker = tasks.waker(task, Wakes::Poll, &self.outside, *schedule);
            let it = tasks.get_mut(task);
            it.woken = false;
            if let Some(record) = record {
                record.turn(task);
            }
            (it.job.take(), waker)
        };
        match job {
            Some(Job::Task(mut future)) => {
                let mut cx = Context::from_waker(&waker);
                let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
                match polled {
                    Ok(Poll::Pending) => {
                        let mut now = self.now.borrow_mut();
                        let step = now.steps;
                        let it = now.tasks.get_mut(task);
                        it.job = Some(Job::Task(future));
                        it.state = State::Waiting;
                        if it.woken {
                            now.tasks.make_runnable(task, step);
                        }
                        return;
                    }
                    Ok(Poll::Ready(())) => {}
                    Err(payload) => self.panicked_turn(payload),
                }
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
                    self.panicked_turn(payload);
                }
            }
            Some(Job::Thread(call)) => {
                if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
                    self.panicked_turn(payload);
                }
            }
            None => unreachable!("a turn without a job"),
        }
        let mut now = self.now.borrow_mut();
        now.tasks.finish(task);
        if task == 0 {
            now.main_done = Some(now.steps);
        }
    }

    fn panicked_turn(&self, payload: Box<dyn std::any::Any + Send>) {
        if payload.is::<Killed>() {
            return;
        }
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        self.fail_panic(text.unwrap_or("a panic without a message"));
        // Its drop is the program's own, and may panic.
        drop(catch_unwind(AssertUnwindSafe(|| drop(payload))));
    }

    fn fail_panic(&self, message: &str) {
        let mut now = self.now.borrow_mut();
        let at = now.last_panic.take().filter(|(noted, _)| noted == message).and_then(|(_, at)| at);
        now.fail(Fault::Panic { message: message.into(), at });
    }

    /// Drops what is left of the program, which may do all kinds of things but sleep.
    fn sweep(&self) {
        let jobs = self.now.borrow_mut().tasks.take_jobs();
        for job in jobs {
            drop(catch_unwind(AssertUnwindSafe(|| drop(job))));
        }
    }

    /// Lets others run, until the root resumes this stack for `me`.
    fn leave(&self, me: u32) {
        {
            let mut now = self.now.borrow_mut();
            let on = now.on;
            now.tasks.get_mut(me).stack = Some(on);
        }
        let mut locals = Locals::new();
        locals.exchange();
        stack::give_up();
        locals.exchange();
        if self.ending.get() {
            self.unwind();
        }
    }

    /// Out of a turn that will never be ended otherwise.
    fn unwind(&self) {
        if thread::panicking() {
            // A second panic would end the program. Nobody comes back here.
            loop {
                stack::give_up();
            }
        }
        resume_unwind(Box::new(Killed));
    }

    // ---- who is next --------------------------------------------------------------------------------------------

    /// Who goes on: `me`, who runs and could, or one of those who may run; it is `Running` then. `None`: nobody, or the
    /// schedule is over.
    fn choose(&self, me: Option<u32>) -> Option<u32> {
        if self.ending.get() {
            return None;
        }
        self.hear_outside();
        loop {
            let due = {
                let mut now = self.now.borrow_mut();
                match now.choose(me) {
                    Chosen::Task(task) => return Some(task),
                    Chosen::Nobody => return None,
                    Chosen::Time => {
                        now.clock_since = now.steps;
                        now.clock.jump()
                    }
                }
            };
            // Wakers may be the program's own: not under the borrow.
            for rings in due {
                match rings {
                    Rings::Somebody(timer) => timer.ring(),
                    Rings::Sleeper { task, park } => {
                        let mut now = self.now.borrow_mut();
                        let step = now.steps;
                        let it = now.tasks.get_mut(task);
                        if it.state == State::Parked && it.parks == park {
                            it.timed_out = true;
                            now.tasks.make_runnable(task, step);
                        }
                    }
                }
            }
        }
    }

    /// Notes what other threads of the system have woken.
    fn hear_outside(&self) {
        for (schedule, task, wakes) in self.outside.take() {
            let mut now = self.now.borrow_mut();
            if schedule == now.schedule {
                now.fail(Fault::Outside);
                let step = now.steps;
                now.tasks.wake(task, wakes, step);
            }
        }
    }

    /// For a waker.
    pub(super) fn wake(&self, schedule: u64, task: u32, wakes: Wakes) {
        let mut now = self.now.borrow_mut();
        if schedule == now.schedule {
            let step = now.steps;
            let by = now.current;
            let goes_on = now.tasks.wake(task, wakes, step);
            if let (true, Some(record)) = (goes_on, &mut now.record) {
                record.wake(step, task, by);
            }
        }
    }

    /// A step: `point` is next, or `next_op` was said to yield.
    fn step(&self, point: Point, yields: bool) {
        if self.ending.get() || thread::panicking() || self.laws.is_checking() {
            return;
        }
        let me = {
            let mut now = self.now.borrow_mut();
            now.step(point);
            now.current
        };
        if let Some(broken) = self.laws.check() {
            self.now.borrow_mut().fail(Fault::Law(broken));
        }
        let next = if yields {
            let mut now = self.now.borrow_mut();
            if now.tasks.runnable().is_empty() && now.failure.is_none() {
                return;
            }
            let step = now.steps;
            drop(now);
            let next = self.choose(None);
            let mut now = self.now.borrow_mut();
            now.tasks.make_runnable(me, step);
            next
        } else {
            let next = self.choose(Some(me));
            if next == Some(me) {
                return;
            }
            let mut now = self.now.borrow_mut();
            let step = now.steps;
            now.tasks.make_runnable(me, step);
            next
        };
        self.now.borrow_mut().next = next;
        self.leave(me);
    }

    // ---- for the rest of the crate ------------------------------------------------------------------------------

    /// A choice of the simulated world.
    pub(crate) fn pick(&self, kind: Kind, below: u64) -> u64 {
        self.now.borrow_mut().pick(kind, below)
    }

    /// Who runs.
    pub(super) fn current(&self) -> u32 {
        self.now.borrow().current
    }

    /// The number of the object at `address`.
    pub(super) fn number(&self, address: usize) -> u32 {
        self.now.borrow_mut().object(address)
    }

    /// Virtual time since the schedule began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now.borrow().clock.elapsed()
    }
}

/// What an arm waits for, if that is an object with an address.
pub(super) fn address_of(arm: Arm) -> Option<(Op, usize)> {
    let (op, id) = match arm {
        Arm::Recv(id) => (Op::Recv, id),
        Arm::Send(id) => (Op::Send, id),
        Arm::Reserve(id) => (Op::Reserve, id),
        _ => return None,
    };
    Some((op, id.0 as usize))
}

/// Who goes on.
enum Chosen {
    Task(u32),
    Time,
    Nobody,
}

impl Now {
    fn begin(&mut self, choices: Choices, record: Option<Box<Record>>) {
        self.choices = Some(choices);
        self.schedule += 1;
        self.steps = 0;
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

    fn choices(&mut self) -> &mut Choices {
        self.choices.as_mut().unwrap_or_else(|| unreachable!("a schedule is under way"))
    }

    fn choose(&mut self, me: Option<u32>) -> Chosen {
        if self.failure.is_some() {
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
        let chosen = candidates[self.choices().task(&candidates)].task;
        self.candidates = candidates;
        if chosen == CLOCK {
            return Chosen::Time;
        }
        if me != Some(chosen) {
            self.tasks.run(chosen);
        }
        Chosen::Task(chosen)
    }

    fn step(&mut self, point: Point) {
        self.steps += 1;
        let object = self.object(point.object);
        self.trace.step(self.current, point.op, object, point.at);
        let it = self.tasks.get_mut(self.current);
        it.op = point.op;
        it.object = object;
        if let Some(record) = &mut self.record {
            record.step(self.steps, self.clock.elapsed(), self.current, point, object);
        }
        let since_main = self.main_done.map_or(0, |done| self.steps - done);
        if self.steps > self.config.max_steps {
            self.fail(Fault::NoEnd);
        } else if since_main > self.config.max_steps_after_main {
            self.fail(Fault::Leak);
        }
    }

    /// The number of the object at `address`, in the order in which they appeared.
    fn object(&mut self, address: usize) -> u32 {
        if address == 0 {
            return 0;
        }
        let seen = &mut self.objects_seen;
        *self.objects.entry(address).or_insert_with(|| {
            *seen += 1;
            *seen
        })
    }

    fn pick(&mut self, kind: Kind, below: u64) -> u64 {
        let value = self.choices().pick(kind, below);
        self.trace.choice(value);
        if let Some(record) = &mut self.record {
            record.choice(self.steps, self.current, kind, below, value);
        }
        value
    }

    /// Only the first failure counts.
    fn fail(&mut self, fault: Fault) {
        if self.failure.is_none() {
            let step = self.steps;
            self.failure = Some(Failure::new(fault, self.current, step, &self.tasks));
        }
    }

    fn outcome(&mut self) -> Outcome {
        let record = self.record.take();
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
        Op::Acquire => choice::Op::Lock,
        Op::Release => choice::Op::Unlock,
        Op::Cancel => choice::Op::Cancel,
        Op::Spawn => choice::Op::Spawn,
        Op::Join | Op::JoinAll => choice::Op::Join,
        Op::Sleep => choice::Op::Sleep,
        Op::Yield => choice::Op::Yield,
        _ => choice::Op::Other,
    }
}

impl sim::World for World {
    fn point(&self, point: Point) {
        self.step(point, false);
    }

    fn give_way(&self) {
        self.step(Point { op: Op::Yield, object: 0, at: None }, true);
    }

    fn now(&self) -> Instant {
        self.now.borrow().clock.now()
    }

    fn arm(&self, n: usize) -> usize {
        if self.ending.get() { 0 } else { self.pick(Kind::Arm, n as u64) as usize }
    }

    fn random(&self) -> u64 {
        if self.ending.get() { 0 } else { self.pick(Kind::Random, u64::MAX) }
    }

    fn spawn(&self, born: Born<'_>, task: BoxTask) {
        self.add(born, Job::Task(task));
    }

    fn spawn_thread(&self, born: Born<'_>, call: BoxCall) {
        self.add(born, Job::Thread(call));
    }

    fn park(&self, deadline: Option<Instant>) -> bool {
        if self.ending.get() {
            self.unwind();
        }
        let me = {
            let mut now = self.now.borrow_mut();
            let me = now.current;
            let late = deadline.is_some_and(|deadline| now.clock.has_passed(deadline));
            let it = now.tasks.get_mut(me);
            if std::mem::take(&mut it.token) {
                return true;
            }
            if late {
                return false;
            }
            it.parks += 1;
            it.state = State::Parked;
            it.timed_out = false;
            let park = it.parks;
            if let Some(deadline) = deadline {
                now.clock.set(deadline, Rings::Sleeper { task: me, park });
            }
            me
        };
        let next = self.choose(None);
        if next != Some(me) {
            self.now.borrow_mut().next = next;
            self.leave(me);
        }
        let mut now = self.now.borrow_mut();
        now.current = me;
        let it = now.tasks.get_mut(me);
        it.token = false;
        !std::mem::take(&mut it.timed_out)
    }

    fn waker(&self) -> Waker {
        let mut now = self.now.borrow_mut();
        let Now { tasks, schedule, current, .. } = &mut *now;
        if self.ending.get() || tasks.len() == 0 {
            return Waker::noop().clone();
        }
        tasks.waker(*current, Wakes::Park, &self.outside, *schedule)
    }

    fn ring_at(&self, deadline: Instant, timer: Arc<dyn Ring>) {
        if !self.ending.get() {
            self.now.borrow_mut().clock.set(deadline, Rings::Somebody(timer));
        }
    }

    fn process_number(&self) -> u64 {
        let mut now = self.now.borrow_mut();
        now.processes += 1;
        now.processes
    }

    fn stack_number(&self) -> usize {
        (self.now.borrow().current as usize + 2) * 4
    }

    fn made(&self, made: Made) {
        let mut now = self.now.borrow_mut();
        now.objects_seen += 1;
        let number = now.objects_seen;
        now.objects.insert(made.object, number);
        if let Some(record) = &mut now.record {
            record.made(number, made);
        }
    }

    fn pending(&self, point: Point) {
        let mut now = self.now.borrow_mut();
        if now.record.is_some() {
            let (object, task) = (now.object(point.object), now.current);
            if let Some(record) = &mut now.record {
                record.pending(task, point, object);
            }
        }
    }

    fn pending_arm(&self, arm: Arm, at: &'static Location<'static>) {
        let mut now = self.now.borrow_mut();
        if now.record.is_some() {
            let (op, address) = address_of(arm).unwrap_or((Op::Select, 0));
            let (object, task) = (now.object(address), now.current);
            let point = Point { op, object: address, at: Some(at) };
            if let Some(record) = &mut now.record {
                record.pending(task, point, object);
            }
        }
    }

    fn recorder(&self) -> Option<Arc<dyn Probe>> {
        let now = self.now.try_borrow().ok()?;
        now.record.as_ref().map(|record| record.probe())
    }

    fn unseen_panic(&self, message: &str) {
        if !self.ending.get() {
            self.fail_panic(message);
        }
    }

    fn panicked(&self, message: &str, at: Option<&Location<'_>>) {
        let at = at.map(ToString::to_string);
        if let Ok(mut now) = self.now.try_borrow_mut() {
            now.last_panic = Some((message.to_owned(), at));
        }
    }
}

impl World {
    fn add(&self, born: Born<'_>, job: Job) {
        if self.ending.get() {
            // Too late; and its drop is the program's own.
            drop(job);
            return;
        }
        let mut now = self.now.borrow_mut();
        let step = now.steps;
        let number = now.tasks.add(job, born.name, born.at, step);
        let by = now.current;
        if let Some(record) = &mut now.record {
            record.spawn(step, number, by);
        }
    }
}
