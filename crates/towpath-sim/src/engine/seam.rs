//! The world as the program's operations see it.

use std::{
    panic::Location,
    sync::Arc,
    task::Waker,
    time::{Duration, Instant, SystemTime},
};

use towpath::{
    probe::{Arm, Probe},
    rt::sim::{self, Born, BoxCall, BoxTask, Made, Op, Point, Ring},
};

use super::{
    bell::Wakes,
    clock::Rings,
    now::Now,
    tasks::{Job, State},
    world::World,
};
use crate::choice::Kind;

/// The time of day at which a schedule begins: 2026-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

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

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + EPOCH + self.elapsed()
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
            let goes_on = now.beat();
            let late = deadline.is_some_and(|deadline| now.clock.has_passed(deadline));
            let it = now.tasks.get_mut(me);
            // If it was one park too many, nobody goes on.
            if goes_on && std::mem::take(&mut it.token) {
                return true;
            }
            if goes_on && late {
                return false;
            }
            it.parks += 1;
            it.state = State::Parked;
            it.timed_out = false;
            let park = it.parks;
            if let Some(deadline) = deadline {
                now.set_timer(deadline, Rings::Sleeper { task: me, park });
            }
            me
        };
        let next = self.choose_next();
        if next != Some(me) {
            self.leave(me, next);
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

    fn put_back(&self, waker: Waker) {
        // What it got while the schedule ended is nobody's.
        if !self.ending.get() {
            let mut now = self.now.borrow_mut();
            let Now { tasks, current, .. } = &mut *now;
            if tasks.len() > 0 {
                tasks.put_back(*current, Wakes::Park, waker);
            }
        }
    }

    fn ring_at(&self, deadline: Instant, timer: Arc<dyn Ring>) {
        if !self.ending.get() {
            self.now.borrow_mut().set_timer(deadline, Rings::Somebody(timer));
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
        let number = now.objects.made(made.object);
        if let Some(record) = &mut now.record {
            record.made(number, made);
        }
    }

    fn gone(&self, object: usize) {
        // What is dropped while a schedule is put away needs no number.
        if let Ok(mut now) = self.now.try_borrow_mut() {
            now.objects.gone(object);
        }
    }

    fn pending(&self, point: Point) {
        let mut now = self.now.borrow_mut();
        if now.record.is_some() {
            let (object, task) = (now.objects.number(point.object), now.current);
            if let Some(record) = &mut now.record {
                record.pending(task, point, object);
            }
        }
    }

    fn pending_arm(&self, arm: Arm, at: &'static Location<'static>) {
        let (op, object) = Op::of(arm).unwrap_or((Op::Select, 0));
        self.pending(Point { op, object, at: Some(at) });
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
        let name = born.name.map(|name| name.to_owned().into());
        let number = now.tasks.add(job, name, born.at, step);
        let by = now.current;
        if let Some(record) = &mut now.record {
            record.spawn(step, number, by);
        }
    }
}
