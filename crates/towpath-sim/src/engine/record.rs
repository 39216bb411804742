//! What happened in a schedule, written down while it runs again.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
    panic::Location,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use towpath::{
    probe::{self, Attached, Parked, Probe, Unparked, WaitId},
    rt::sim::{Made, Object, Op, Point},
};

use super::{
    tasks::{State, Tasks},
    world,
};
use crate::choice::Kind;

/// Steps that are kept: the last ones.
const EVENTS_MAX: usize = 20_000;

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) step: u64,
    pub(crate) time: Duration,
    pub(crate) task: u32,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// It was about to do this.
    Step { op: Op, object: u32, at: Option<&'static Location<'static>> },
    /// It started that one.
    Spawn { child: u32 },
    /// It woke that one.
    Wake { woken: u32 },
    /// It, or the world for it, had the choice.
    Choice { kind: Kind, below: u64, value: u64 },
}

/// Something a process waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wait {
    pub(crate) op: Op,
    pub(crate) object: u32,
    pub(crate) at: Option<&'static Location<'static>>,
}

/// A process that has not ended.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub(crate) task: u32,
    /// It could go on.
    pub(crate) runnable: bool,
    /// What its last turn found not to be ready; any of these would bring it on.
    pub(crate) waits: Vec<Wait>,
    /// What stands in line for it although its last turn did not look at it.
    pub(crate) unpolled: Vec<Wait>,
}

/// A process as people call it.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) is_thread: bool,
    /// Where it was started.
    pub(crate) at: &'static Location<'static>,
}

/// A channel, lock or context.
#[derive(Clone, Debug, Default)]
pub(crate) struct Thing {
    pub(crate) name: Option<String>,
    pub(crate) what: Option<Object>,
    /// If it has a name.
    pub(crate) kind: Option<probe::Thing>,
    /// Where it was made.
    pub(crate) at: Option<&'static Location<'static>>,
}

/// A schedule, told from the beginning.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    pub(crate) events: VecDeque<Event>,
    /// By number.
    pub(crate) who: Vec<Who>,
    pub(crate) things: BTreeMap<u32, Thing>,
    pub(crate) left: Vec<Left>,
    /// Who has waited for what, also in a select that then did something else.
    pub(crate) waited: BTreeSet<(u32, Op, u32)>,
}

#[derive(Default)]
pub(crate) struct Record {
    events: VecDeque<Event>,
    time: Duration,
    /// By process.
    pending: Vec<Vec<Wait>>,
    waited: BTreeSet<(u32, Op, u32)>,
    things: BTreeMap<u32, Thing>,
    watch: Arc<Watch>,
    /// Who was left before somebody was woken for no reason.
    left: Option<Vec<Left>>,
}

fn slot<T: Default>(all: &mut Vec<T>, task: u32) -> &mut T {
    let index = task as usize;
    if all.len() <= index {
        all.resize_with(index + 1, T::default);
    }
    &mut all[index]
}

impl Record {
    pub(super) fn probe(&self) -> Arc<dyn Probe> {
        self.watch.clone()
    }

    /// `task` begins a turn: what it found before counts no more.
    pub(super) fn turn(&mut self, task: u32) {
        slot(&mut self.pending, task).clear();
    }

    pub(super) fn step(&mut self, step: u64, time: Duration, task: u32, point: Point, object: u32) {
        self.time = time;
        let Point { op, at, .. } = point;
        self.push(step, task, What::Step { op, object, at });
    }

    pub(super) fn spawn(&mut self, step: u64, child: u32, by: u32) {
        self.push(step, by, What::Spawn { child });
    }

    pub(super) fn wake(&mut self, step: u64, woken: u32, by: u32) {
        self.push(step, by, What::Wake { woken });
    }

    pub(super) fn choice(&mut self, step: u64, task: u32, kind: Kind, below: u64, value: u64) {
        self.push(step, task, What::Choice { kind, below, value });
    }

    fn push(&mut self, step: u64, task: u32, what: What) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(Event { step, time: self.time, task, what });
    }

    pub(super) fn made(&mut self, object: u32, made: Made) {
        let thing = Thing { name: None, what: Some(made.what), kind: None, at: Some(made.at) };
        self.things.insert(object, thing);
    }

    pub(super) fn pending(&mut self, task: u32, point: Point, object: u32) {
        let wait = Wait { op: point.op, object, at: point.at };
        self.waited.insert((task, wait.op, object));
        let pending = slot(&mut self.pending, task);
        if !pending.contains(&wait) {
            pending.push(wait);
        }
    }

    /// What `task` found not to be ready in its last turn.
    pub(super) fn waits_of(&mut self, task: u32) -> Vec<Wait> {
        slot(&mut self.pending, task).clone()
    }

    /// Notes who is left, before anybody is woken to see whether that helps.
    pub(super) fn note_left(&mut self, tasks: &Tasks) {
        let mut left = Vec::new();
        self.watch.with(|watched| left = left_of(&self.pending, watched, tasks));
        self.left = Some(left);
    }

    pub(super) fn into_story(mut self, tasks: &Tasks) -> Story {
        let watched = self.watch.take();
        let left = self.left.take().unwrap_or_else(|| left_of(&self.pending, &watched, tasks));
        for (object, kind, name) in watched.names {
            let thing = self.things.entry(object).or_default();
            (thing.name, thing.kind) = (Some(name), Some(kind));
        }
        let who = tasks.iter().map(|(_, it)| Who {
            name: it.name.clone(),
            is_thread: it.is_thread,
            at: it.at,
        });
        Story {
            events: self.events,
            who: who.collect(),
            things: self.things,
            left,
            waited: self.waited,
        }
    }
}

/// Those who have not ended, with what they wait for.
fn left_of(pending: &[Vec<Wait>], watched: &Watched, tasks: &Tasks) -> Vec<Left> {
    let left = tasks.iter().filter(|(_, it)| it.state != State::Done).map(|(task, it)| {
        let waits = pending.get(task as usize).cloned().unwrap_or_default();
        let stands = watched.stand.values().filter(|(owner, _)| *owner == task);
        let unpolled = stands.flat_map(|(_, arms)| arms.iter().copied());
        let unpolled = unpolled.filter(|stood| {
            !waits.iter().any(|wait| wait.object == stood.object && wait.at == stood.at)
        });
        Left {
            task,
            runnable: matches!(it.state, State::Runnable | State::Running),
            unpolled: unpolled.collect(),
            waits,
        }
    });
    left.collect()
}

/// What the operations themselves tell: who stands in line, and names.
#[derive(Default)]
struct Watch(Mutex<Watched>);

#[derive(Default)]
struct Watched {
    /// By wait: whose it is, and what for.
    stand: BTreeMap<WaitId, (u32, Vec<Wait>)>,
    names: Vec<(u32, probe::Thing, String)>,
}

impl Watch {
    fn take(&self) -> Watched {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with(&self, f: impl FnOnce(&mut Watched)) {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Probe for Watch {
    fn attach(&self, channel: &Attached<'_>) {
        let number = world::with(|world| world.number(channel.id.0 as usize));
        if let Some(number) = number {
            let name = channel.name.as_str().to_owned();
            self.with(|watched| watched.names.push((number, channel.thing, name)));
        }
    }

    fn park(&self, wait: &Parked<'_>) {
        let stood = world::with(|world| {
            let arms = wait.arms().into_iter().filter_map(Op::of);
            let wait_for =
                |(op, address)| Wait { op, object: world.number(address), at: Some(wait.at) };
            (world.current(), arms.map(wait_for).collect())
        });
        if let Some(stood) = stood {
            self.with(|watched| drop(watched.stand.insert(wait.id, stood)));
        }
    }

    fn unpark(&self, wait: &Unparked) {
        self.with(|watched| drop(watched.stand.remove(&wait.id)));
    }
}
