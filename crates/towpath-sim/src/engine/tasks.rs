//! The simulated processes of one schedule.
//!
//! What always holds: a process is in one state; `line` has those that are `Runnable`, in the order in which they became so,
//! and nobody twice, behind a place for the one that runs. So it is the list of candidates as it stands.

use std::{borrow::Cow, panic::Location, sync::Arc, task::Waker};

use towpath::rt::sim::{BoxCall, Op};

use super::BoxMain;
use super::bell::{Kept, Outside, Wakes};
use crate::choice::{self, CLOCK, Candidate};

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
    pub(super) name: Option<Cow<'static, str>>,
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
}

impl Task {
    fn new(
        job: Job,
        name: Option<Cow<'static, str>>,
        at: &'static Location<'static>,
        since: u64,
    ) -> Self {
        Self {
            state: State::Runnable,
            is_thread: matches!(job, Job::Thread(_)),
            job: Some(job),
            name,
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
        }
    }
}

pub(super) struct Tasks {
    all: Vec<Task>,
    /// After [`OTHERS`] those who may run. What they do next does not change before they do.
    line: Vec<Candidate>,
    live: usize,
    /// By number, then by what they end.
    bells: Vec<[Kept; 2]>,
}

/// In front of the line: whoever runs.
const FIRST: Candidate = Candidate { task: 0, object: 0, op: choice::Op::Other };

/// Where the line of the others begins.
const OTHERS: usize = 1;

/// Time may pass.
const TIME: Candidate = Candidate { task: CLOCK, object: 0, op: choice::Op::Clock };

impl Default for Tasks {
    fn default() -> Self {
        Self { all: Vec::new(), line: vec![FIRST], live: 0, bells: Vec::new() }
    }
}

impl Tasks {
    pub(super) fn clear(&mut self) {
        let used = self.all.len();
        self.all.clear();
        self.bells.iter_mut().take(used).flatten().for_each(Kept::end);
        self.line.truncate(OTHERS);
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

    #[inline]
    pub(super) fn get(&self, task: u32) -> &Task {
        &self.all[task as usize]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, task: u32) -> &mut Task {
        &mut self.all[task as usize]
    }

    pub(super) fn add(
        &mut self,
        job: Job,
        name: Option<Cow<'static, str>>,
        at: &'static Location<'static>,
        step: u64,
    ) -> u32 {
        let number = self.len();
        self.all.push(Task::new(job, name, at, step));
        if self.bells.len() < self.all.len() {
            self.bells.push(Default::default());
        }
        self.line.push(Candidate { task: number, object: 0, op: choice::Op::Spawn });
        self.live += 1;
        number
    }

    /// Those who may run.
    pub(super) fn runnable(&self) -> &[Candidate] {
        &self.line[OTHERS..]
    }

    /// Who may run and has waited longest.
    #[inline]
    pub(super) fn first(&self) -> Option<u32> {
        self.line.get(OTHERS).map(|first| first.task)
    }

    /// Calls `choose` with `me`, who runs, and those who may. If it chooses another one, that one runs, and `me` stands at the
    /// end of the line with the stack that it is `on`.
    #[inline(always)]
    pub(super) fn choose_at_step(
        &mut self,
        me: u32,
        step: u64,
        on: usize,
        choose: impl FnOnce(&[Candidate]) -> usize,
    ) -> Option<u32> {
        if self.line.len() == OTHERS {
            return None;
        }
        let candidate = self.candidate(me);
        self.line[0] = candidate;
        let place = choose(&self.line);
        if place == 0 {
            return None;
        }
        let behind = &mut self.line[place..];
        let chosen = behind[0].task;
        // By hand, since there are few.
        for at in 1..behind.len() {
            behind[at - 1] = behind[at];
        }
        if let Some(last) = behind.last_mut() {
            *last = candidate;
        }
        let it = self.get_mut(me);
        it.state = State::Runnable;
        it.since = step;
        it.stack = Some(on);
        self.get_mut(chosen).state = State::Running;
        Some(chosen)
    }

    /// Calls `choose` with those who may run, if there are any; the one it chooses runs.
    #[inline(always)]
    pub(super) fn choose_next(
        &mut self,
        choose: impl FnOnce(&[Candidate]) -> usize,
    ) -> Option<u32> {
        let others = &mut self.line[OTHERS..];
        if others.is_empty() {
            return None;
        }
        let place = choose(others);
        let chosen = others[place].task;
        // By hand, since there are few.
        for at in place + 1..others.len() {
            others[at - 1] = others[at];
        }
        self.line.pop();
        self.get_mut(chosen).state = State::Running;
        Some(chosen)
    }

    /// Calls `choose` with `me`, who runs, and those who may, and with time if it may pass; says whom it chose.
    pub(super) fn choose_with(
        &mut self,
        me: Option<u32>,
        time: bool,
        choose: impl FnOnce(&[Candidate]) -> usize,
    ) -> u32 {
        let from = match me {
            Some(me) => {
                self.line[0] = self.candidate(me);
                0
            }
            None => OTHERS,
        };
        if time {
            self.line.push(TIME);
        }
        let place = from + choose(&self.line[from..]);
        let task = self.line[place].task;
        if time {
            self.line.pop();
        }
        if place != 0 && task != CLOCK {
            if place + 1 == self.line.len() {
                self.line.pop();
            } else {
                self.line.remove(place);
            }
            self.get_mut(task).state = State::Running;
        }
        task
    }

    #[inline]
    fn candidate(&self, task: u32) -> Candidate {
        let it = self.get(task);
        Candidate { task, object: it.object, op: op_of(it.op) }
    }

    pub(super) fn make_runnable(&mut self, task: u32, step: u64) {
        let it = self.get_mut(task);
        debug_assert!(!matches!(it.state, State::Runnable | State::Done));
        it.state = State::Runnable;
        it.since = step;
        let candidate = self.candidate(task);
        self.line.push(candidate);
    }

    /// Puts `me` at the end of the line, which was not chosen by `choose_with` just now, and notes the stack it is on.
    #[inline]
    pub(super) fn interrupt(&mut self, me: u32, step: u64, on: usize) {
        let it = self.get_mut(me);
        it.state = State::Runnable;
        it.since = step;
        it.stack = Some(on);
        let candidate = self.candidate(me);
        self.line.push(candidate);
    }

    /// Takes `task`, which is runnable, out of the list to run it.
    pub(super) fn run(&mut self, task: u32) {
        let place = self.runnable().iter().position(|other| other.task == task);
        debug_assert!(place.is_some(), "{task} is not runnable");
        if let Some(place) = place {
            self.line.remove(OTHERS + place);
        }
        self.get_mut(task).state = State::Running;
    }

    pub(super) fn finish(&mut self, task: u32) {
        let it = self.get_mut(task);
        it.state = State::Done;
        self.live -= 1;
    }

    /// Whether it sleeps in its park of this number.
    pub(super) fn sleeps(&self, task: u32, park: u64) -> bool {
        let it = self.get(task);
        it.state == State::Parked && it.parks == park
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

    /// A waker, to be lent.
    pub(super) fn waker(
        &mut self,
        task: u32,
        wakes: Wakes,
        outside: &Arc<Outside>,
        schedule: u64,
    ) -> Waker {
        self.bells[task as usize][wakes as usize].take(outside, schedule, task, wakes)
    }

    /// A waker that was lent, of the same process and kind.
    pub(super) fn put_back(&mut self, task: u32, wakes: Wakes, waker: Waker) {
        self.bells[task as usize][wakes as usize].put_back(waker);
    }

    /// The jobs of those who are between turns, and what they were.
    pub(super) fn take_jobs(&mut self) -> Vec<Job> {
        self.all.iter_mut().filter_map(|task| task.job.take()).collect()
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
