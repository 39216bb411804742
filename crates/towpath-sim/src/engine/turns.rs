//! What happens on the stacks: turns, steps, and who comes after whom.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    task::{Context, Poll},
    thread,
};

use towpath::rt::sim::{Locals, Op, Point};

use super::{
    bell::Wakes,
    clock::Rings,
    failure::Fault,
    now::{Chosen, Now},
    stack,
    tasks::{Job, State},
    world::{Order, Shaken, World},
};

/// What a process unwinds with that is in the middle of a turn when its schedule is over.
struct Killed;

impl World {
    /// What an idle stack does. False: it is to end.
    pub(super) fn obey(&self, number: usize) -> bool {
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
    pub(super) fn turns(&self, mut task: u32) {
        loop {
            if !self.now.borrow_mut().beat() {
                return self.appoint(&mut self.now.borrow_mut(), None);
            }
            self.turn(task);
            let next = self.choose_next();
            let Some(next) = next else {
                return self.appoint(&mut self.now.borrow_mut(), None);
            };
            let mut now = self.now.borrow_mut();
            if now.tasks.get(next).stack.is_some() {
                self.appoint(&mut now, Some(next));
                return;
            }
            now.current = next;
            task = next;
        }
    }

    pub(super) fn turn(&self, task: u32) {
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
                        now.tasks.put_back(task, Wakes::Poll, waker);
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
            now.main_ends();
        }
    }

    pub(super) fn panicked_turn(&self, payload: Box<dyn std::any::Any + Send>) {
        if payload.is::<Killed>() {
            return;
        }
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        self.fail_panic(text.unwrap_or("a panic without a message"));
        // Its drop is the program's own, and may panic.
        drop(catch_unwind(AssertUnwindSafe(|| drop(payload))));
    }

    pub(super) fn fail_panic(&self, message: &str) {
        let mut now = self.now.borrow_mut();
        let at = now.last_panic.take().filter(|(noted, _)| noted == message).and_then(|(_, at)| at);
        now.fail(Fault::Panic { message: message.into(), at });
    }

    /// Drops what is left of the program, which may do all kinds of things but sleep.
    pub(super) fn sweep(&self) {
        let jobs = self.now.borrow_mut().tasks.take_jobs();
        for job in jobs {
            drop(catch_unwind(AssertUnwindSafe(|| drop(job))));
        }
    }

    /// Lets `next` run, or the root if there is nobody, until `me` is to go on.
    pub(super) fn leave(&self, me: u32, next: Option<u32>) {
        let here = {
            let mut now = self.now.borrow_mut();
            let here = now.on;
            now.tasks.get_mut(me).stack = Some(here);
            self.appoint(&mut now, next);
            here
        };
        self.switch(here);
    }

    /// Lets whoever is appointed run, until whoever is on `here` is.
    #[inline(always)]
    fn switch(&self, here: usize) {
        let mut locals = Locals::new();
        locals.exchange();
        self.hand_over(here);
        locals.exchange();
        if self.ending.get() {
            self.unwind();
        }
    }

    /// Out of a turn that will never be ended otherwise.
    pub(super) fn unwind(&self) {
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
    pub(super) fn choose(&self, me: Option<u32>) -> Option<u32> {
        if self.ending.get() {
            return None;
        }
        if self.outside.has_some() {
            self.hear_outside();
        }
        loop {
            let chosen = self.now.borrow_mut().choose(me);
            match chosen {
                Chosen::Task(task) => return Some(task),
                Chosen::Nobody => return None,
                Chosen::Time => self.pass_time(),
            }
        }
    }

    /// As `choose`, when nobody runs.
    #[inline]
    pub(super) fn choose_next(&self) -> Option<u32> {
        if !self.ending.get() && !self.outside.has_some() {
            let mut now = self.now.borrow_mut();
            if now.is_quiet() {
                return now.choose_next();
            }
        }
        self.choose(None)
    }

    /// Goes on to the next timers, and rings them.
    fn pass_time(&self) {
        let due = {
            let mut now = self.now.borrow_mut();
            now.clock_since = now.steps;
            now.beat();
            let due = now.clock.jump();
            let time = now.clock.elapsed();
            now.trace.jump(time);
            due
        };
        self.ring(due);
    }

    /// Lets the step take the time that it takes.
    fn spend(&self) {
        let due = {
            let mut now = self.now.borrow_mut();
            let cost = now.cost();
            if cost.is_zero() {
                return;
            }
            let due = now.clock.pass(cost);
            let time = now.clock.elapsed();
            now.trace.jump(time);
            due
        };
        self.ring(due);
    }

    fn ring(&self, due: Vec<Rings>) {
        // Wakers may be the program's own: not under the borrow.
        for rings in due {
            match rings {
                Rings::Somebody(timer) => timer.ring(),
                Rings::Sleeper { task, park } => {
                    let mut now = self.now.borrow_mut();
                    if now.tasks.sleeps(task, park) {
                        let step = now.steps;
                        now.tasks.get_mut(task).timed_out = true;
                        now.tasks.make_runnable(task, step);
                    }
                }
            }
        }
    }

    /// Notes what other threads of the system have woken.
    pub(super) fn hear_outside(&self) {
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

    /// A step: `point` is next. `yields`: somebody else goes first, if there is anybody.
    ///
    /// With everything that is usual in it inlined: each return after a change of stacks is one that the processor has
    /// guessed wrongly.
    #[inline(always)]
    pub(super) fn step(&self, point: Point, yields: bool) {
        if self.ending.get() || thread::panicking() || self.laws.is_checking() {
            return;
        }
        if self.shaking.get() != Shaken::No {
            return self.stir(point);
        }
        let mut now = self.now.borrow_mut();
        now.step(point);
        let here = now.on;
        let quiet = now.is_quiet() && !yields && !self.laws.are_any() && !self.outside.has_some();
        let next = if quiet {
            let Some(next) = now.choose_at_step() else { return };
            Some(next)
        } else {
            drop(now);
            let Replaced(next) = match self.look_around(point, yields) {
                Some(replaced) => replaced,
                None => return,
            };
            now = self.now.borrow_mut();
            next
        };
        self.appoint(&mut now, next);
        drop(now);
        self.switch(here);
    }

    /// Somebody was woken for no reason, and does this.
    #[cold]
    fn stir(&self, point: Point) {
        // Waits of these kinds say so each time they look.
        if !matches!(point.op, Op::Join | Op::JoinAll | Op::Select | Op::Done) {
            self.shaking.set(Shaken::Stirred);
        }
    }

    /// The rest of a step at which there is more to look at than who goes on. `None`: whoever runs does.
    #[cold]
    fn look_around(&self, point: Point, yields: bool) -> Option<Replaced> {
        let me = {
            let mut now = self.now.borrow_mut();
            now.look_around(point);
            now.current
        };
        self.spend();
        if self.laws.are_any()
            && let Some(broken) = self.laws.check()
        {
            self.now.borrow_mut().fail(Fault::Law(broken));
        }
        if self.outside.has_some() {
            self.hear_outside();
        }
        let next = if yields {
            let now = self.now.borrow();
            if now.tasks.runnable().is_empty() && now.failure.is_none() {
                return None;
            }
            drop(now);
            self.choose(None)
        } else {
            self.choose(Some(me))
        };
        if next == Some(me) && !yields {
            return None;
        }
        let mut now = self.now.borrow_mut();
        let (step, on) = (now.steps, now.on);
        now.tasks.interrupt(me, step, on);
        Some(Replaced(next))
    }
}

/// Whoever ran stands in line now, and this one goes on in its place; nobody, if the schedule is over.
struct Replaced(Option<u32>);
