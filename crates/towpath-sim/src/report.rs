//! What went wrong, for people: who waits for what, who could free them, how it came to that.
//!
//! What always holds: everything here is drawn from one recorded run, so it says the same each time.
//!
//! Who could free somebody is learnt from the run: a process that has used the other side of a channel is taken to have
//! that end still, unless it has ended; a process that has taken a lock and not given it back holds it. A process that has
//! never touched the channel is not named, though it may have an end.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use towpath::{
    probe,
    rt::sim::{Object, Op},
};

use crate::engine::{Event, Failure, Fault, Left, Outcome, Story, Thing, Wait, What, When};

/// A failing schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What kind of failure it is.
    pub kind: FindingKind,
    /// One sentence.
    pub summary: String,
    /// The processes that had not ended, with what they wait for. The process that ran comes first when it matters.
    pub stuck: Vec<Stuck>,
    /// A circle of processes that wait for each other, by name, if there is one.
    pub circle: Vec<String>,
    /// Steps of the run.
    pub step_count: u64,
    /// Virtual time.
    pub time: Duration,
}

/// What kind of failure it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum FindingKind {
    /// Nobody can go on, and the main process has not ended.
    Deadlock,
    /// The main process has ended, and somebody else never will.
    Leak,
    /// Somebody waits although what it waits for is there: it was not woken.
    LostWakeup,
    /// Something stands in line, or has been given what it waited for, and nobody looks at it any more while others wait
    /// for the same thing.
    NeverPolled,
    /// It goes on for ever: somebody starves, or nobody gets anywhere.
    NoEnd,
    /// The main process panicked, or a task whose result nobody will see.
    Panic,
    /// What was said to hold [always](crate::always) does not, or what was said to come [eventually](crate::eventually) has
    /// not come.
    Law,
    /// The same choices gave two different runs: something that the simulator does not govern decides.
    Nondeterminism,
}

/// A process that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stuck {
    /// Its name; `spawned` if it has none.
    pub process: String,
    /// Where it was started.
    pub spawned_at: String,
    /// It is a thread.
    pub is_thread: bool,
    /// It could go on; with [`FindingKind::NoEnd`] it did.
    pub runs: bool,
    /// What it waits for; any of these would bring it on. Empty: something that the simulator does not see.
    pub waits: Vec<StuckWait>,
    /// What it has in line elsewhere, and does not look at.
    pub unpolled: Vec<StuckWait>,
}

/// Something a process waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StuckWait {
    /// In words: `to receive from`, `to send on`, `for its turn at`.
    pub verb: &'static str,
    /// The channel, lock or context: its name, or what it is and where it was made. Empty if it has neither.
    pub object: String,
    /// The name alone.
    pub name: Option<String>,
    /// `file:line:column` of the operation.
    pub at: Option<String>,
    /// Who could free it, and how those are; in words.
    pub helpers: Vec<String>,
}

/// The whole of a story, an operation a line.
pub(crate) fn lines(story: &Story) -> Vec<String> {
    let told = Told::new(story);
    story.events.iter().map(|event| told.line(event)).collect()
}

impl Finding {
    pub(crate) fn new(outcome: &Outcome) -> Option<Self> {
        let failure = outcome.failure.as_ref()?;
        let empty = Story::default();
        let story = outcome.story.as_ref().unwrap_or(&empty);
        let told = Told::new(story);
        let kind = kind(failure, story);
        let stuck = story.left.iter().map(|left| told.stuck(left)).collect();
        Some(Self {
            kind,
            summary: summary(failure, kind, &told),
            stuck,
            circle: told.circle(),
            step_count: outcome.steps,
            time: outcome.time,
        })
    }
}

impl Finding {
    /// What is known of a failure whose run was not recorded.
    pub(crate) fn in_short(failure: &Failure) -> Self {
        let story = Story::default();
        let kind = kind(failure, &story);
        Self {
            kind,
            summary: summary(failure, kind, &Told::new(&story)),
            stuck: Vec::new(),
            circle: Vec::new(),
            step_count: failure.step,
            time: Duration::ZERO,
        }
    }

    /// Two runs of one schedule parted in this line of the story: so said the one, so the other.
    pub(crate) fn of_escape(parted: Option<(usize, &str, &str)>) -> Self {
        let summary = match parted {
            Some((line, one, other)) => format!(
                "two runs of one schedule were not the same: operation {line} was\n    {one}\nand then\n    {other}"
            ),
            None => "two runs of one schedule were not the same, and those after the first were: something is left over \
                     from one run to the next, a static or a thread-local"
                .to_owned(),
        };
        Self {
            kind: FindingKind::Nondeterminism,
            summary,
            stuck: Vec::new(),
            circle: Vec::new(),
            step_count: 0,
            time: Duration::ZERO,
        }
    }
}

fn kind(failure: &Failure, story: &Story) -> FindingKind {
    match failure.fault {
        Fault::Panic { .. } => FindingKind::Panic,
        Fault::Law(_) => FindingKind::Law,
        Fault::NoEnd => FindingKind::NoEnd,
        Fault::Outside => FindingKind::Nondeterminism,
        Fault::LostWakeup(_) => FindingKind::LostWakeup,
        Fault::Deadlock | Fault::Leak if blocked_by_unpolled(story) => FindingKind::NeverPolled,
        Fault::Deadlock => FindingKind::Deadlock,
        Fault::Leak => FindingKind::Leak,
    }
}

/// Whether somebody waits for a thing at which somebody else stands in line without looking.
fn blocked_by_unpolled(story: &Story) -> bool {
    let waited: BTreeSet<_> =
        story.left.iter().flat_map(|left| &left.waits).map(|wait| wait.object).collect();
    let unpolled = story.left.iter().flat_map(|left| &left.unpolled);
    unpolled.map(|wait| wait.object).any(|object| object != 0 && waited.contains(&object))
}

fn summary(failure: &Failure, kind: FindingKind, told: &Told<'_>) -> String {
    match &failure.fault {
        Fault::Panic { message, at } => {
            let at = at.as_deref().map(|at| format!(" at {at}")).unwrap_or_default();
            format!("`{}` panicked{at}: {message}", told.name(failure.task))
        }
        Fault::Law(law) => match law.when {
            When::Always => format!("`{}` does not hold any more", law.name),
            When::Eventually => format!("`{}` has never come true", law.name),
            When::AtTheEnd => format!("`{}` does not hold at the end", law.name),
        },
        Fault::Outside => {
            "a thread that the simulator does not know has woken somebody: start threads with \
             `towpath::rt::spawn_blocking` or a scope, and leave other runtimes outside"
                .to_owned()
        }
        Fault::LostWakeup(task) => format!(
            "lost wake-up: `{}` waits although it could go on; nobody woke it",
            told.name(*task)
        ),
        Fault::NoEnd => format!(
            "no end after {} steps: somebody is starved, or nobody gets anywhere",
            failure.step
        ),
        Fault::Deadlock | Fault::Leak if kind == FindingKind::NeverPolled => {
            "somebody waits for what stands reserved for a future that its own task does not poll"
                .to_owned()
        }
        Fault::Deadlock => {
            "deadlock: nobody can go on, and the main process has not ended".to_owned()
        }
        Fault::Leak => {
            let count = told.story.left.len().max(failure.left.len());
            let (noun, verb) = if count == 1 { ("process", "has") } else { ("processes", "have") };
            format!("leak: the main process has ended, and {count} {noun} {verb} not and will not")
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Send,
    Recv,
    Hold,
}

/// A story and what follows from it.
struct Told<'a> {
    story: &'a Story,
    /// Who has used which side of a thing.
    used: BTreeMap<(u32, Side), BTreeSet<u32>>,
    /// Who started whom.
    children: BTreeMap<u32, Vec<u32>>,
    /// Processes that have not ended.
    left: BTreeMap<u32, &'a Left>,
}

impl<'a> Told<'a> {
    fn new(story: &'a Story) -> Self {
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

    fn name(&self, task: u32) -> &'a str {
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

    fn stuck(&self, left: &Left) -> Stuck {
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
    fn circle(&self) -> Vec<String> {
        let next = |task: u32| -> Vec<u32> {
            let Some(left) = self.left.get(&task) else { return Vec::new() };
            let helpers = left.waits.iter().flat_map(|wait| self.helpers(task, wait));
            helpers.filter(|helper| self.left.contains_key(helper)).collect()
        };
        for &start in self.left.keys() {
            // Breadth first: the shortest way back to where it began.
            let mut came_from = BTreeMap::new();
            let mut queue = std::collections::VecDeque::from([start]);
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

    fn line(&self, event: &Event) -> String {
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

fn verb(op: Op) -> &'static str {
    match op {
        Op::Recv => "to receive from",
        Op::Send => "to send on",
        Op::Reserve => "to reserve a place in",
        Op::Acquire => "for its turn at",
        Op::Notified => "for a notice from",
        Op::All => "for everybody at",
        Op::Foreign => "for something of somebody else's",
        Op::Done => "for the end of a context",
        Op::Join => "for the value of a process",
        Op::JoinAll => "for all processes of its scope",
        Op::Sleep => "for a timer",
        Op::Select => "in a select for something else",
        _ => "for something",
    }
}

fn deed(op: Op) -> &'static str {
    match op {
        Op::Send => "sends on",
        Op::Recv => "receives from",
        Op::Reserve => "reserves a place in",
        Op::TrySend => "tries to send on",
        Op::TryRecv => "tries to receive from",
        Op::TryReserve => "tries to reserve a place in",
        Op::DropSender => "drops the last sender of",
        Op::DropReceiver => "drops the last receiver of",
        Op::Unreserve => "gives back a place in",
        Op::Select => "selects",
        Op::Acquire => "takes",
        Op::Release => "gives back",
        Op::Notified => "begins to listen to",
        Op::Notify => "notifies",
        Op::All => "joins the others at",
        Op::Cancel => "cancels",
        Op::Done => "looks at",
        Op::Spawn => "has started somebody",
        Op::Join => "joins",
        Op::JoinAll => "joins everybody",
        Op::Sleep => "sleeps",
        Op::Park => "parks",
        Op::Yield => "lets others go first",
        _ => "does something with",
    }
}

/// The same for the channel that carries the value of a task.
fn deed_with_value(op: Op) -> &'static str {
    match op {
        Op::Recv | Op::TryRecv => "looks for the value of",
        Op::DropReceiver => "lets go of",
        Op::DropSender => "is over:",
        _ => "gives the value of",
    }
}

fn is_task(thing: &Thing) -> bool {
    thing.what == Some(Object::Result)
}

fn nobody(op: Op) -> Option<&'static str> {
    match op {
        Op::Recv => Some("nobody: no process has ever sent there"),
        Op::Send | Op::Reserve => Some("nobody: no process has ever received there"),
        Op::Notified => Some("nobody: no process has ever notified it"),
        _ => None,
    }
}

fn kind_of(thing: &Thing) -> Option<&'static str> {
    if let Some(kind) = thing.kind {
        return Some(match kind {
            probe::Thing::Mutex => "mutex",
            probe::Thing::RwLock => "read-write lock",
            probe::Thing::Semaphore => "semaphore",
            probe::Thing::Notify => "notification",
            probe::Thing::Barrier => "barrier",
            probe::Thing::WaitGroup => "wait group",
            _ => "channel",
        });
    }
    match thing.what? {
        Object::Channel(Some(0)) => Some("rendezvous"),
        Object::Channel(_) => Some("channel"),
        Object::Lock => Some("lock"),
        Object::Context => Some("context"),
        Object::Result => Some("task"),
        _ => None,
    }
}

/// What a thing is of which nothing is known but what was done to it.
fn nameless(op: Op) -> &'static str {
    match op {
        Op::Acquire | Op::Release => "a lock",
        Op::Notified | Op::Notify => "a notification",
        Op::All => "a barrier",
        Op::Done | Op::Cancel => "a context",
        _ => "",
    }
}

fn size(thing: &Thing) -> Option<String> {
    match thing.what? {
        Object::Channel(Some(0)) => Some("rendezvous".to_owned()),
        Object::Channel(Some(1)) => Some("1 place".to_owned()),
        Object::Channel(Some(places)) => Some(format!("{places} places")),
        Object::Channel(None) => Some("unbounded".to_owned()),
        _ => None,
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.summary)?;
        writeln!(f, "({} steps, {:?} of virtual time)", self.step_count, self.time)?;
        if !self.stuck.is_empty() {
            writeln!(f, "\nwho has not ended")?;
        }
        for stuck in &self.stuck {
            write!(f, "{stuck}")?;
        }
        if let [first, ..] = self.circle.as_slice() {
            writeln!(f, "\na circle: {} → {first}", self.circle.join(" → "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_thread { "thread" } else { "task" };
        writeln!(f, "  `{}`, a {kind} started at {}", self.process, self.spawned_at)?;
        if self.runs {
            writeln!(f, "      could go on")?;
        } else if self.waits.is_empty() {
            writeln!(f, "      waits for something that Towpath does not see")?;
        }
        for wait in &self.waits {
            writeln!(f, "      waits {wait}")?;
        }
        for wait in &self.unpolled {
            writeln!(f, "      has in line, and does not poll, a wait {wait}")?;
        }
        Ok(())
    }
}

impl fmt::Display for StuckWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verb)?;
        if !self.object.is_empty() {
            write!(f, " {}", self.object)?;
        }
        if let Some(at) = &self.at {
            write!(f, ", at {at}")?;
        }
        if !self.helpers.is_empty() {
            write!(f, "; could be freed by {}", self.helpers.join(", or "))?;
        }
        Ok(())
    }
}
