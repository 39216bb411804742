//! What follows from a story: who has which side of what, who could free whom, who waits in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use towpath::rt::sim::Op;

use super::{
    Stuck, StuckWait,
    terms::{deed, deed_with_value, is_task, kind_of, nameless, nobody, size, verb},
};
use crate::engine::{Event, Left, Story, Wait, What};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Send,
    Recv,
    Hold,
}

/// A story and what follows from it.
pub(super) struct Told<'a> {
    pub(super) story: &'a Story,
    /// Who has used which side of a thing.
    used: BTreeMap<(u32, Side), BTreeSet<u32>>,
    /// Who started whom.
    children: BTreeMap<u32, Vec<u32>>,
    /// Processes that have not ended.
    left: BTreeMap<u32, &'a Left>,
}

impl<'a> Told<'a> {
    pub(super) fn new(story: &'a Story) -> Self {
        let mut told = Self {
            story,
            used: BTreeMap::new(),
            children: BTreeMap::new(),
            left: story.left.iter().map(|left| (left.task, left)).collect(),
        };
        for event in &story.events {
            match event.what {
                What::Step { op, object, .. } if object != 0 => told.use_of(event.task, op, object),
                What::Spawn { child } => {
                    told.children.entry(event.task).or_default().push(child);
                }
                What::Step { .. } | What::Wake { .. } | What::Choice { .. } => {}
            }
        }
        // What a select looked at is used too, though only the arm that won says so itself.
        for &(task, op, object) in &story.waited {
            if object != 0 && op != Op::Acquire {
                told.use_of(task, op, object);
            }
        }
        for left in &story.left {
            for wait in left.waits.iter().chain(&left.unpolled) {
                match wait.op {
                    // Whoever waits for a lock has not got it.
                    Op::Acquire => told.give_up(left.task, wait.object),
                    op => told.use_of(left.task, op, wait.object),
                }
            }
        }
        told
    }

    fn use_of(&mut self, task: u32, op: Op, object: u32) {
        let side = match op {
            Op::Send | Op::TrySend | Op::Reserve | Op::TryReserve => Side::Send,
            Op::Recv | Op::TryRecv => Side::Recv,
            Op::Acquire => Side::Hold,
            Op::Notify => Side::Send,
            Op::Notified => Side::Recv,
            Op::Release => return self.give_back(task, object),
            _ => return,
        };
        self.used.entry((object, side)).or_default().insert(task);
    }

    fn give_up(&mut self, task: u32, object: u32) {
        if let Some(holders) = self.used.get_mut(&(object, Side::Hold)) {
            holders.remove(&task);
        }
    }

    /// A guard may be dropped by another one than the one who took the lock; then whoever took it has it no more.
    fn give_back(&mut self, task: u32, object: u32) {
        if let Some(holders) = self.used.get_mut(&(object, Side::Hold))
            && !holders.remove(&task)
        {
            holders.pop_first();
        }
    }

    pub(super) fn name(&self, task: u32) -> &'a str {
        let who = self.story.who.get(task as usize);
        who.and_then(|who| who.name.as_deref()).unwrap_or(if task == 0 {
            "main"
        } else {
            "spawned"
        })
    }

    /// Who could end this wait.
    fn helpers(&self, task: u32, wait: &Wait) -> Vec<u32> {
        let thing = self.story.things.get(&wait.object);
        if let Some(at) = thing.filter(|thing| is_task(thing)).and_then(|thing| thing.at) {
            let started =
                |child: &u32| self.story.who.get(*child as usize).is_some_and(|who| who.at == at);
            return self.left.keys().copied().filter(started).collect();
        }
        let side = match wait.op {
            Op::Recv | Op::Notified => Side::Send,
            Op::Send | Op::Reserve => Side::Recv,
            Op::Acquire => Side::Hold,
            Op::Join | Op::JoinAll => {
                let children = self.children.get(&task).into_iter().flatten();
                return children.copied().filter(|child| self.left.contains_key(child)).collect();
            }
            _ => return Vec::new(),
        };
        let used = self.used.get(&(wait.object, side)).into_iter().flatten();
        used.copied().filter(|helper| *helper != task || wait.op != Op::Acquire).collect()
    }

    pub(super) fn stuck(&self, left: &Left) -> Stuck {
        let who = self.story.who.get(left.task as usize);
        Stuck {
            process: self.name(left.task).to_owned(),
            spawned_at: who.map(|who| who.at.to_string()).unwrap_or_default(),
            is_thread: who.is_some_and(|who| who.is_thread),
            runs: left.runnable,
            waits: left.waits.iter().map(|wait| self.wait(left.task, wait)).collect(),
            unpolled: left.unpolled.iter().map(|wait| self.wait(left.task, wait)).collect(),
        }
    }

    fn wait(&self, task: u32, wait: &Wait) -> StuckWait {
        let thing = self.story.things.get(&wait.object);
        let helpers = self.helpers(task, wait);
        let mut words: Vec<_> = helpers.iter().map(|helper| self.helper(task, *helper)).collect();
        if words.is_empty()
            && !thing.is_some_and(is_task)
            && let Some(nobody) = nobody(wait.op)
        {
            words.push(nobody.to_owned());
        }
        let result = thing.is_some_and(is_task);
        StuckWait {
            verb: if result { "for the value of" } else { verb(wait.op) },
            object: self.object(wait.object, wait.op),
            name: thing.and_then(|thing| thing.name.clone()),
            // Where a task's value is waited for is a place in our own code.
            at: wait.at.filter(|_| !result).map(ToString::to_string),
            helpers: words,
        }
    }

    /// How somebody is who could help.
    fn helper(&self, task: u32, helper: u32) -> String {
        let name = self.name(helper);
        let Some(left) = self.left.get(&helper) else {
            return format!("`{name}`, which has ended");
        };
        if helper == task {
            return format!("`{name}` itself");
        }
        let wait = left.waits.first();
        match wait.and_then(|wait| wait.at) {
            _ if left.runnable => format!("`{name}`, which goes on"),
            Some(at) => format!("`{name}`, which waits itself at {at}"),
            None => format!("`{name}`, which waits itself"),
        }
    }

    fn object(&self, object: u32, op: Op) -> String {
        if object == 0 {
            return String::new();
        }
        let Some(thing) = self.story.things.get(&object) else { return nameless(op).to_owned() };
        let kind = kind_of(thing).unwrap_or_else(|| nameless(op));
        match (&thing.name, thing.at) {
            (Some(name), _) if kind.is_empty() => format!("`{name}`"),
            (Some(name), _) => format!("`{name}` ({})", size(thing).as_deref().unwrap_or(kind)),
            (None, Some(at)) if is_task(thing) => format!("the task started at {at}"),
            (None, Some(at)) => format!("the {kind} made at {at}"),
            (None, None) => kind.to_owned(),
        }
    }

    /// A circle of processes of which each waits for the next.
    pub(super) fn circle(&self) -> Vec<String> {
        let next = |task: u32| -> Vec<u32> {
            let Some(left) = self.left.get(&task) else { return Vec::new() };
            let helpers = left.waits.iter().flat_map(|wait| self.helpers(task, wait));
            helpers.filter(|helper| self.left.contains_key(helper)).collect()
        };
        for &start in self.left.keys() {
            // Breadth first: the shortest way back to where it began.
            let mut came_from = BTreeMap::new();
            let mut queue = VecDeque::from([start]);
            while let Some(task) = queue.pop_front() {
                for helper in next(task) {
                    if helper == start {
                        let mut path = vec![task];
                        while let Some(&before) = came_from.get(&path[path.len() - 1]) {
                            path.push(before);
                        }
                        path.reverse();
                        return path.iter().map(|task| self.name(*task).to_owned()).collect();
                    }
                    if helper != start && !came_from.contains_key(&helper) {
                        came_from.insert(helper, task);
                        queue.push_back(helper);
                    }
                }
            }
        }
        Vec::new()
    }

    pub(super) fn line(&self, event: &Event) -> String {
        let what = match event.what {
            What::Step { op, object, .. }
                if self.story.things.get(&object).is_some_and(is_task) =>
            {
                format!("{} {}", deed_with_value(op), self.object(object, op))
            }
            What::Step { op, object, at } => {
                let mut words = deed(op).to_owned();
                let object = self.object(object, op);
                if !object.is_empty() {
                    words = format!("{words} {object}");
                }
                match at {
                    Some(at) => format!("{words} at {at}"),
                    None => words,
                }
            }
            What::Spawn { child } => format!("starts `{}`", self.name(child)),
            What::Wake { woken } => format!("wakes `{}`", self.name(woken)),
            What::Choice { kind, below, value } => {
                format!("has {value} of {below} chosen for it ({kind:?})")
            }
        };
        let Event { step, time, task, .. } = event;
        format!("{step:>6} {:>12} {:<12} {what}", format!("{time:?}"), self.name(*task))
    }
}
