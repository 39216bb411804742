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
//!     │                 │  B, which has no stack: B's turn begins on another one, which A resumes
//!     └────give up──────┘  C, in the middle of a turn: A resumes C's stack, or gives up to it if C has resumed A
//! ```
//! Why the turns of tasks run on such stacks too: so a task can be interrupted at every operation, also at one that is not
//! awaited, as on a runtime with several threads. A stack whose turn has ended goes on with the next process that has
//! none, so without interruptions nothing is switched.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use towpath::rt::sim;

use super::{
    BoxMain, Config, Outcome,
    bell::{Outside, Wakes},
    failure::Fault,
    law::Laws,
    now::Now,
    record::Record,
    stack::{self, Stack, Stacks},
    tasks::{Job, State},
};
use crate::{
    chance,
    choice::{Choices, Kind},
};

thread_local! {
    static WORLD: Cell<Option<&'static World>> = const { Cell::new(None) };
    /// Worlds that nobody uses.
    static IDLE: RefCell<Vec<&'static World>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with the world this thread is in, if it is in one.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&World) -> R) -> Option<R> {
    WORLD.get().map(f)
}

pub(crate) struct World {
    pub(super) now: RefCell<Now>,
    pub(crate) laws: Laws,
    pub(super) outside: Arc<Outside>,
    stacks: Stacks,
    /// The schedule is over: nobody is interrupted any more, and whoever would sleep unwinds.
    pub(super) ending: Cell<bool>,
    /// Somebody is woken for no reason: nobody is interrupted, and what is done is noted.
    pub(super) shaking: Cell<Shaken>,
    /// For the disk and the network.
    chance: Rc<RefCell<chance::Schedule>>,
}

/// In place of a stack: the thread's own, from which a schedule is run.
pub(super) const ROOT: usize = usize::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Turn(u32),
    /// Drop what is left of the program.
    Sweep,
    End,
}

/// What somebody has done who was woken for no reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shaken {
    /// Nobody was.
    No,
    /// Nothing yet, but to look again.
    Still,
    /// Something new.
    Stirred,
}

impl World {
    /// A world of this thread that nobody uses, or a new one.
    ///
    /// A world is never freed, so that each operation of a program finds it without counting who has it; what is in it is.
    /// A thread makes as many as it has engines at one time, which is nearly always one.
    pub(super) fn open(config: Config) -> &'static Self {
        if let Some(world) = IDLE.with_borrow_mut(Vec::pop) {
            world.now.borrow_mut().config = config;
            return world;
        }
        Box::leak(Box::new(Self {
            now: RefCell::new(Now::new(config)),
            laws: Laws::default(),
            outside: Outside::new(),
            stacks: Stacks::default(),
            ending: Cell::new(false),
            shaking: Cell::new(Shaken::No),
            chance: Rc::new(RefCell::new(chance::Schedule)),
        }))
    }

    // ---- one schedule, from outside -----------------------------------------------------------------------------

    /// Runs one schedule from beginning to end. `choices` have been told that it begins.
    pub(super) fn run(
        &'static self,
        choices: &mut Choices,
        main: impl FnOnce() -> BoxMain,
        record: Option<Box<Record>>,
    ) -> Outcome {
        {
            let mut now = self.now.borrow_mut();
            now.begin(record);
            std::mem::swap(&mut now.choices, choices);
        }
        let job = Job::Task(main());
        WORLD.set(Some(self));
        let entered = (sim::enter(self), chance::enter(self.chance.clone()));
        {
            let mut now = self.now.borrow_mut();
            let at = now.config.at;
            now.tasks.add(job, Some("main".into()), at, 0);
        }
        let first = self.choose(None);
        self.appoint(&mut self.now.borrow_mut(), first);
        self.hand_over(ROOT);
        self.judge();
        let outcome = self.now.borrow_mut().outcome();
        self.end();
        drop(entered);
        WORLD.set(None);
        self.laws.clear();
        std::mem::swap(&mut self.now.borrow_mut().choices, choices);
        outcome
    }

    /// Says that `next` goes on: on its stack, or with a turn on one that is idle. With nobody the root does.
    #[inline(always)]
    pub(super) fn appoint(&self, now: &mut Now, next: Option<u32>) {
        now.on = match next {
            None => ROOT,
            Some(task) => {
                now.current = task;
                match now.tasks.get_mut(task).stack.take() {
                    Some(stack) => stack,
                    None => {
                        now.order = Order::Turn(task);
                        self.idle_stack(now)
                    }
                }
            }
        };
    }

    /// Lets those run who are appointed, until whoever is on `here` is.
    ///
    /// A stack that waits is resumed from here, without the root in between. One that waits for another which it has itself
    /// resumed is under this one: it is reached by giving up. So each change of stacks is one, or as many as were saved before.
    #[inline(always)]
    pub(super) fn hand_over(&self, here: usize) {
        loop {
            let on = self.now.borrow().on;
            if on == here {
                return;
            }
            if on == ROOT || !self.stacks.run(on) {
                stack::give_up();
            }
        }
    }

    fn idle_stack(&self, now: &mut Now) -> usize {
        now.idle.pop().unwrap_or_else(|| self.new_stack(now))
    }

    #[cold]
    fn new_stack(&self, now: &Now) -> usize {
        let number = self.stacks.len();
        let body = move || {
            while with(|world| world.obey(number)).unwrap_or(false) {
                stack::give_up();
            }
        };
        match Stack::new(now.config.stack_bytes, body) {
            Ok(stack) => self.stacks.add(stack),
            Err(error) => panic!(
                "no memory for stack {number} of {} bytes: {error}; give the simulation smaller ones",
                now.config.stack_bytes
            ),
        }
        number
    }

    /// Runs the stack until it is given up.
    fn run_stack(&self, number: usize) {
        let there = self.stacks.run(number);
        assert!(there, "stack {number} was abandoned");
    }

    /// Looks at what is left when nobody can go on.
    fn judge(&self) {
        if self.now.borrow().failure.is_none()
            && self.now.borrow().tasks.live() == 0
            && let Some(broken) = self.laws.check_at_the_end()
        {
            self.now.borrow_mut().fail(Fault::Law(broken));
        }
        let left = {
            let mut now = self.now.borrow_mut();
            let left_alone = now.config.leaks && now.main_done.is_some();
            if now.failure.is_some() || now.tasks.live() == 0 || left_alone {
                return;
            }
            let fault = if now.main_done.is_none() { Fault::Deadlock } else { Fault::Leak };
            now.fail(fault);
            // The rest takes time, so it is done when the run is recorded.
            let Now { record: Some(record), tasks, .. } = &mut *now else { return };
            record.note_left(tasks);
            now.failure.as_ref().map(|failure| failure.left.clone()).unwrap_or_default()
        };
        let mut left = left.into_iter().map(|(task, _)| task);
        let asleep = left.find(|task| self.goes_on_if_shaken(*task));
        if let Some(task) = asleep {
            let mut now = self.now.borrow_mut();
            if let Some(failure) = &mut now.failure {
                failure.fault = Fault::LostWakeup(task);
            }
        }
    }

    /// Wakes `task` for no reason. True: it had one to go on.
    fn goes_on_if_shaken(&self, task: u32) -> bool {
        let (before, wakes) = {
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
            (waits.unwrap_or_default(), wakes)
        };
        // With a failure noted nobody else is chosen: exactly this one has its turn.
        self.shaking.set(Shaken::Still);
        self.appoint(&mut self.now.borrow_mut(), Some(task));
        self.hand_over(ROOT);
        let stirred = self.shaking.replace(Shaken::No) == Shaken::Stirred;
        let mut now = self.now.borrow_mut();
        let it = now.tasks.get(task);
        let rests = match wakes {
            Wakes::Poll => it.state == State::Waiting,
            Wakes::Park => it.state == State::Parked,
        };
        let others = !now.tasks.runnable().is_empty();
        let after = now.record.as_mut().map(|record| record.waits_of(task)).unwrap_or_default();
        !rests || stirred || others || after != before
    }

    /// Ends everybody who is left.
    fn end(&self) {
        if self.now.borrow().tasks.live() > 0 {
            self.end_those_left();
        }
        let mut now = self.now.borrow_mut();
        now.tasks.clear();
        now.clock.reset();
    }

    fn end_those_left(&self) {
        self.ending.set(true);
        let count = self.now.borrow().tasks.len();
        for task in 0..count {
            let mut now = self.now.borrow_mut();
            let Some(stack) = now.tasks.get_mut(task).stack.take() else { continue };
            now.current = task;
            now.on = stack;
            drop(now);
            self.run_stack(stack);
            self.abandon_unless_idle(stack);
        }
        // What the program's futures drop may be anything, so it is dropped where a turn would run.
        let stack = {
            let now = &mut *self.now.borrow_mut();
            now.order = Order::Sweep;
            now.on = self.idle_stack(now);
            now.on
        };
        self.run_stack(stack);
        self.abandon_unless_idle(stack);
        self.ending.set(false);
    }

    /// A stack that unwinds and sleeps in the middle of it can neither go on nor be unwound.
    fn abandon_unless_idle(&self, number: usize) {
        let now = self.now.borrow();
        if !now.idle.contains(&number) {
            self.stacks.abandon(number);
        }
    }

    /// Ends the idle stacks.
    pub(super) fn close(&'static self) {
        WORLD.set(Some(self));
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
        self.stacks.clear();
        // After a panic of our own nothing is certain, and a thread that ends needs no other world.
        if !std::thread::panicking() {
            // Schedules go on being counted: there may be wakers of earlier ones.
            let mut now = self.now.borrow_mut();
            *now = Now { schedule: now.schedule, ..Now::new(Config::default()) };
            drop(now);
            IDLE.try_with(|idle| idle.borrow_mut().push(self)).ok();
        }
    }

    // ---- for the rest of the crate ------------------------------------------------------------------------------

    /// A choice of the simulated world.
    pub(crate) fn pick(&self, kind: Kind, below: u64) -> u64 {
        if self.ending.get() { 0 } else { self.now.borrow_mut().pick(kind, below) }
    }

    /// Who runs.
    pub(super) fn current(&self) -> u32 {
        self.now.borrow().current
    }

    /// The number of the object at `address`.
    pub(super) fn number(&self, address: usize) -> u32 {
        self.now.borrow_mut().objects.number(address)
    }

    /// Virtual time since the schedule began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now.borrow().clock.elapsed()
    }
}
