//! The simulated processes of one schedule.
//!
//! What always holds: a process is in one state; `runnable` lists those that are `Runnable`, in the order in which they
//! became so, and nobody twice.

use std::{collections::VecDeque, panic::Location, sync::Arc, task::Waker};

use towpath::rt::sim::{BoxCall, Op};

use super::BoxMain;
use super::bell::{self, Outside, Wakes};

/// What a process has to do.
pub(super) enum Job {
    Task(BoxMain),
    Thread(BoxCall),
}

/// How far a process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// It may go on: it begins a turn, or goes on in the middle of one.
    Runnable,
    Running,
    /// Its future waits to be woken.
    Waiting,
    /// It sleeps in the middle of a turn.
    Parked,
    Done,
}

pub(super) struct Task {
    pub(super) state: State,
    /// Between turns; `None` while it has one, and at the end.
    pub(super) job: Option<Job>,
    pub(super) is_thread: bool,
    pub(super) name: Option<Box<str>>,
    pub(super) at: &'static Location<'static>,
    /// The stack on which it is in the middle of a turn.
    pub(super) stack: Option<usize>,
    /// Woken since its turn began.
    pub(super) woken: bool,
    /// Its park has been ended since the last one.
    pub(super) token: bool,
    /// Its parks so far.
    pub(super) parks: u64,
    /// Its park has come to its deadline.
    pub(super) timed_out: bool,
    /// The step at which it became runnable.
    pub(super) since: u64,
    /// What it does next.
    pub(super) op: Op,
    pub(super) object: u32,
    /// Where it does it.
    pub(super) doing: Option<&'static Location<'static>>,
    wakers: [Option<Waker>; 2],
}

impl Task {
    fn new(job: Job, name: Option<&str>, at: &'static Location<'static>, since: u64) -> Self {
        Self {
            state: State::Runnable,
            is_thread: matches!(job, Job::Thread(_)),
            job: Some(job),
            name: name.map(Into::into),
            at,
            stack: None,
            woken: false,
            token: false,
            parks: 0,
            timed_out: false,
            since,
            op: Op::Spawn,
            object: 0,
            doing: None,
            wakers: [None, None],
        }
    }
}

#[derive(Default)]
pub(super) struct Tasks {
    all: Vec<Task>,
    runnable: VecDeque<u32>,
    live: usize,
}

impl Tasks {
    pub(super) fn clear(&mut self) {
        self.all.clear();
        self.runnable.clear();
        self.live = 0;
    }

    pub(super) fn len(&self) -> u32 {
        self.all.len() as u32
    }

    /// How many have not ended.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Task)> {
        (0..).zip(&self.all)
    }

    pub(super) fn get(&self, task: u32) -> &Task {
        &self.all[task as usize]
    }

    pub(super) fn get_mut(&mut self, task: u32) -> &mut Task {
        &mut self.all[task as usize]
    }

    pub(super) fn add(
        &mut self,
        job: Job,
        name: Option<&str>,
        at: &'static Location<'static>,
        step: u64,
    ) -> u32 {
        let number = self.len();
        self.all.push(Task::new(job, name, at, step));
        self.runnable.push_back(number);
        self.live += 1;
        number
    }

    pub(super) fn runnable(&self) -> &VecDeque<u32> {
        &self.runnable
    }

    pub(super) fn make_runnable(&mut self, task: u32, step: u64) {
        let it = self.get_mut(task);
        debug_assert!(!matches!(it.state, State::Runnable | State::Done));
        it.state = State::Runnable;
        it.since = step;
        self.runnable.push_back(task);
    }

    /// Takes `task`, which is runnable, out of the list to run it.
    pub(super) fn run(&mut self, task: u32) {
        let place = self.runnable.iter().position(|other| *other == task);
        debug_assert!(place.is_some(), "{task} is not runnable");
        if let Some(place) = place {
            self.runnable.remove(place);
        }
        self.get_mut(task).state = State::Running;
    }

    pub(super) fn finish(&mut self, task: u32) {
        let it = self.get_mut(task);
        it.state = State::Done;
        it.wakers = [None, None];
        self.live -= 1;
    }

    /// True: it was news, and the process goes on.
    pub(super) fn wake(&mut self, task: u32, wakes: Wakes, step: u64) -> bool {
        let Some(it) = self.all.get_mut(task as usize) else { return false };
        let waits = match wakes {
            Wakes::Poll => {
                it.woken = true;
                State::Waiting
            }
            Wakes::Park => {
                it.token = true;
                State::Parked
            }
        };
        let goes_on = it.state == waits;
        if goes_on {
            self.make_runnable(task, step);
        }
        goes_on
    }

    pub(super) fn waker(
        &mut self,
        task: u32,
        wakes: Wakes,
        outside: &Arc<Outside>,
        schedule: u64,
    ) -> Waker {
        let slot = &mut self.get_mut(task).wakers[wakes as usize];
        slot.get_or_insert_with(|| bell::waker(outside, schedule, task, wakes)).clone()
    }

    /// The jobs of those who are between turns, and what they were.
    pub(super) fn take_jobs(&mut self) -> Vec<Job> {
        self.all.iter_mut().filter_map(|task| task.job.take()).collect()
    }
}
