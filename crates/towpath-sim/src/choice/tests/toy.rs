//! A toy program: processes that are lists of steps on shared numbers, one step at a time.

use super::super::{CLOCK, Candidate, Choices, Kind, Op};

/// One step of a process. Numbers, locks and so on are named by small numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Touches an object and changes nothing.
    Touch(usize),
    /// Reads a number into the process's register.
    Load(usize),
    /// Writes the register plus one.
    Store(usize),
    /// Adds one to the number if it is this.
    Advance(usize, u64),
    Lock(usize),
    Unlock(usize),
    /// Waits until the number is this, looking again and again.
    Spin(usize, u64),
    /// Waits until time has passed.
    Sleep,
    /// Draws a number below the second into the first.
    Draw(usize, u64),
}

/// A program.
#[derive(Clone, Debug)]
pub(crate) struct Toy {
    pub(crate) processes: Vec<Vec<Step>>,
    pub(crate) steps_max: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) numbers: [u64; 4],
    /// Who made each step.
    pub(crate) order: Vec<u32>,
    /// Processes that were left waiting.
    pub(crate) stuck: Vec<u32>,
    pub(crate) steps: u64,
    /// It was still going on.
    pub(crate) unfinished: bool,
}

impl Toy {
    pub(crate) fn new(processes: Vec<Vec<Step>>) -> Self {
        Self { processes, steps_max: 100_000 }
    }

    /// Two processes that each add one to number 0, not atomically, after some steps on things of their own.
    pub(crate) fn lost_update(padding: usize) -> Self {
        let adds = |own: usize| {
            let mut steps = vec![Step::Touch(own); padding];
            steps.extend([Step::Load(0), Step::Store(0)]);
            steps.extend(vec![Step::Touch(own); padding]);
            steps
        };
        Self::new(vec![adds(2), adds(3)])
    }

    /// Number 0 reaches `depth` only if two processes take turns exactly so often; each has `padding` steps in between.
    pub(crate) fn turns(depth: u64, padding: usize) -> Self {
        let mut processes = vec![Vec::new(), Vec::new()];
        for turn in 0..depth {
            // The second begins, so that the default order is wrong from the start.
            let process = &mut processes[(turn as usize + 1) % 2];
            process.extend(vec![Step::Touch(3); padding]);
            process.push(Step::Advance(0, turn));
        }
        Self::new(processes)
    }

    /// Two processes that take two locks in opposite orders.
    pub(crate) fn crossed_locks() -> Self {
        let takes = |one, other| {
            vec![Step::Lock(one), Step::Lock(other), Step::Unlock(other), Step::Unlock(one)]
        };
        Self::new(vec![takes(0, 1), takes(1, 0)])
    }

    /// Runs it and tells the choices that it is over. `begin`, `follow` or `replay` was called on them.
    pub(crate) fn run(&self, choices: &mut Choices) -> End {
        let end = self.go(choices);
        choices.end();
        end
    }

    /// Runs it, as an engine does.
    pub(crate) fn go(&self, choices: &mut Choices) -> End {
        let mut world = World {
            toy: self,
            next: vec![0; self.processes.len()],
            registers: vec![0; self.processes.len()],
            numbers: [0; 4],
            held: [None; 4],
            awake: vec![true; self.processes.len()],
        };
        let mut queue: Vec<u32> = (0..self.processes.len() as u32).collect();
        let mut end =
            End { numbers: [0; 4], order: vec![], stuck: vec![], steps: 0, unfinished: false };
        loop {
            let mut candidates: Vec<_> =
                queue.iter().filter_map(|task| world.candidate(*task)).collect();
            if world.awake.contains(&false) {
                candidates.push(Candidate { task: CLOCK, object: 0, op: Op::Clock });
            }
            if candidates.is_empty() {
                break;
            }
            if end.steps == self.steps_max {
                end.unfinished = true;
                break;
            }
            end.steps += 1;
            let chosen = candidates[choices.task(&candidates)].task;
            if chosen == CLOCK {
                world.awake.fill(true);
                continue;
            }
            end.order.push(chosen);
            world.step(chosen, choices);
            // Who was passed over has waited longer; who ran is the default again only if it comes first.
            let runs_on = world.candidate(chosen).is_some();
            queue.retain(|task| *task != chosen);
            if runs_on {
                queue.insert(0, chosen);
            } else {
                queue.push(chosen);
            }
        }
        end.numbers = world.numbers;
        end.stuck = (0..)
            .zip(&world.next)
            .filter_map(|(task, next)| {
                (*next < self.processes[task as usize].len()).then_some(task)
            })
            .collect();
        end
    }
}

struct World<'a> {
    toy: &'a Toy,
    next: Vec<usize>,
    registers: Vec<u64>,
    numbers: [u64; 4],
    held: [Option<u32>; 4],
    awake: Vec<bool>,
}

impl World<'_> {
    fn next(&self, task: u32) -> Option<Step> {
        self.toy.processes[task as usize].get(self.next[task as usize]).copied()
    }

    fn candidate(&self, task: u32) -> Option<Candidate> {
        let step = self.next(task)?;
        let (object, op) = match step {
            Step::Lock(lock) if self.held[lock].is_some() => return None,
            _ if !self.awake[task as usize] => return None,
            Step::Lock(lock) => (10 + lock, Op::Lock),
            Step::Unlock(lock) => (10 + lock, Op::Unlock),
            Step::Load(number) => (20 + number, Op::Recv),
            Step::Store(number) | Step::Advance(number, _) => (20 + number, Op::Send),
            Step::Touch(number) => (20 + number, Op::Other),
            Step::Spin(number, _) => (20 + number, Op::TryRecv),
            Step::Sleep => (30 + task as usize, Op::Sleep),
            Step::Draw(number, _) => (20 + number, Op::Other),
        };
        Some(Candidate { task, object: object as u32, op })
    }

    fn step(&mut self, task: u32, choices: &mut Choices) {
        let Some(step) = self.next(task) else { return };
        let me = task as usize;
        match step {
            Step::Touch(_) => {}
            Step::Load(number) => self.registers[me] = self.numbers[number],
            Step::Store(number) => self.numbers[number] = self.registers[me] + 1,
            Step::Advance(number, from) => {
                self.numbers[number] += u64::from(self.numbers[number] == from);
            }
            Step::Lock(lock) => self.held[lock] = Some(task),
            Step::Unlock(lock) => self.held[lock] = None,
            Step::Spin(number, until) if self.numbers[number] != until => return,
            Step::Spin(..) => {}
            Step::Sleep => self.awake[me] = false,
            Step::Draw(number, below) => self.numbers[number] = choices.pick(Kind::Random, below),
        }
        self.next[me] += 1;
    }
}
