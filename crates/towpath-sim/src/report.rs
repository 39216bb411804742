//! What went wrong, for people: who waits for what, who could free them, how it came to that.
//!
//! What always holds: everything here is drawn from one recorded run, so it says the same each time.
//!
//! Who could free somebody is learnt from the run: a process that has used the other side of a channel is taken to have
//! that end still, unless it has ended; a process that has taken a lock and not given it back holds it. A process that has
//! never touched the channel is not named, though it may have an end.

mod terms;
mod told;

use std::{collections::BTreeSet, fmt, time::Duration};

use self::told::Told;
use crate::engine::{Failure, Fault, Outcome, Story, When};

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
