//! What a kernel says about itself.

use std::{future::Future, pin::Pin};

/// One run of a program, from its main process's first line to its last.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A program: every call starts afresh.
#[derive(Clone, Copy)]
pub struct Program {
    /// Starts it.
    pub start: fn() -> Running,
}

impl Program {
    /// Wraps a function that starts the program; see [`program!`](crate::program).
    pub const fn new(start: fn() -> Running) -> Self {
        Self { start }
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Program(..)")
    }
}

/// A [`Program`] of an `async fn()`.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        $crate::Program::new(|| Box::pin($main()))
    };
}

/// What the bug is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Channels alone.
    Chan,
    /// Channels and contexts or timers.
    ChanCtx,
    /// A channel and a condition.
    ChanCond,
    /// A condition alone.
    Cond,
    /// A channel and a lock.
    ChanLock,
    /// A channel and a wait group.
    ChanGroup,
    /// A wait group alone.
    Group,
    /// A channel used against its rules.
    Misuse,
    /// Something is read before it is written.
    Order,
    /// Locks alone.
    Lock,
    /// A leak that large code bases keep making.
    Leak,
    /// Only Rust's futures have it.
    Rust,
}

/// What Towpath's owned ends and scopes make of the shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It cannot be written: it does not compile, or there is no such call.
    Unwritable,
    /// Where it hung there is now a value: an error, or the end of a stream.
    Value,
    /// The scope ends whoever would have hung.
    Scoped,
    /// A cycle of channels, or a wait for an event that a live holder never produces: to be detected.
    Detect,
}

/// How the bug shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Symptom {
    /// The main process waits for ever.
    Deadlock,
    /// The main process ends, and somebody is left who waits for ever or goes on for ever.
    Leak,
    /// An assertion fails, or another panic.
    Panic,
    /// It goes on for ever without getting anywhere; somebody starves.
    Livelock,
    /// A future that holds a place in a line, a lock or a permit is not polled while its task waits for the same thing.
    NeverPolled,
    /// Somebody waits for what is there already, since nobody woke them.
    LostWakeup,
}

/// Who is expected to be found stuck, and where: the operation stands on a line of the kernel's source that ends with
/// the comment `// stuck: PROCESS`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stuck {
    /// The name the process was spawned with; `main` for the main process, `spawned` for a detached task without a name.
    pub process: &'static str,
    /// The name of the channel, lock or whatever it waits for; `None` where such a thing has no name.
    pub object: Option<&'static str>,
}

/// A bug in a few lines.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// Where the shape was first seen, as the studies call it: `grpc_1275`.
    pub name: &'static str,
    /// What it is made of.
    pub class: Class,
    /// The shape, in words.
    pub shape: &'static str,
    /// What Towpath makes of it.
    pub fate: Fate,
    /// The shape with owned ends. `None`: it cannot be written; `note` says why. With [`Fate::Value`] and
    /// [`Fate::Scoped`] it runs without a bug in every schedule, and asserts the value that stands in the place of the hang.
    pub owned: Option<Program>,
    /// With shared handles, as in Go: it has the bug. Not for [`Fate::Detect`], where `owned` has it.
    pub shared: Option<Program>,
    /// Without the bug.
    pub fixed: Program,
    /// How the bug shows.
    pub symptom: Symptom,
    /// Who is stuck then; any of these is right. Empty for panics.
    pub stuck: &'static [Stuck],
    /// It needs a timer to ring at the right moment.
    pub timers: bool,
    /// How often plain Go shows it in 100 runs, where the study says so.
    pub go_of_100: Option<u32>,
    /// What else there is to say: why it cannot be written, which value stands for the hang.
    pub note: &'static str,
    /// The text of the file it is in.
    pub source: &'static str,
}

impl Kernel {
    /// The program that has the bug, if one can be written at all.
    pub fn buggy(&self) -> Option<Program> {
        match self.fate {
            Fate::Detect => self.owned,
            Fate::Unwritable | Fate::Value | Fate::Scoped => self.shared,
        }
    }

    /// The lines, counted from 1, at which `process` is expected to be found. Where the kernel has a module of its own
    /// in its file, `mod NAME {` to `}` at the margin, only those in it.
    pub fn lines_of(&self, process: &str) -> impl Iterator<Item = u32> {
        let (mark, opening) = (format!("// stuck: {process}"), format!("mod {} {{", self.name));
        let first = self.source.lines().position(|line| line == opening);
        let module = self.source.lines().zip(1..).skip(first.unwrap_or(0));
        let within = module.take_while(move |(line, _)| first.is_none() || *line != "}");
        within.filter(move |(line, _)| line.trim_end().ends_with(&mark)).map(|(_, number)| number)
    }
}
