//! The report in words.
//!
//! One sentence a process: who waits, for what, where, for how long, and who alone could help. A `select` has a line
//! for each arm.

use std::{
    fmt::{self, Display, Formatter, Write as _},
    time::Duration,
};

use super::{
    Grade,
    graph::is_ready,
    report::{LostWakeup, Report, StuckSet, Why},
    snapshot::{Arm, Channel, Ends, Kind, Known, ProcessId, Resource, State, Wait},
};

/// Sentences about one thing, unless all are asked for with `{:#}`.
const LINES_MAX: usize = 12;

/// Names in one sentence.
const NAMES_MAX: usize = 4;

/// The surest findings first; at most a dozen lines for each, all of them with `{:#}`.
impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let grades = [Grade::Proven, Grade::Likely, Grade::Suspect];
        let counts: Vec<_> = grades
            .into_iter()
            .map(|grade| (grade, self.count(grade)))
            .filter(|c| c.1 > 0)
            .collect();
        let stuck: usize = counts.iter().map(|count| count.1).sum();
        let all = self.snapshot.processes.len();
        if stuck == 0 {
            writeln!(f, "none of {all} processes is stuck")?;
        } else {
            let counts = counts.iter().map(|(grade, count)| format!("{count} {grade}"));
            let be = if stuck == 1 { "is" } else { "are" };
            writeln!(f, "{stuck} of {all} processes {be} stuck: {}", list(counts, usize::MAX))?;
        }
        let sets = self.stuck_sets();
        let shown = shown(f, sets.len());
        let rest = sets.len() - shown;
        for set in sets.take(shown) {
            Display::fmt(&set, f)?;
        }
        if rest > 0 {
            writeln!(f, "and {rest} more sets")?;
        }
        self.lost_wakeups().try_for_each(|lost| Display::fmt(&lost, f))
    }
}

/// A heading, a line for each member, and the names of those behind them.
impl Display for StuckSet<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let nodes = self.member_nodes();
        let names = list(self.members().map(|process| process.name.to_string()), NAMES_MAX);
        let what = match (self.is_cycle(), nodes.len()) {
            (true, 1) => "waits for itself",
            (true, _) => "wait for each other",
            (false, _) => "waits for what nobody can bring",
        };
        let unless = match self.grade() {
            Grade::Suspect => ", unless somebody unknown helps",
            Grade::Likely | Grade::Proven => "",
        };
        writeln!(f, "{}: {names} {what}{unless}", self.grade())?;
        lines(f, self.report, nodes)?;
        let behind = self.follower_nodes();
        if !behind.is_empty() {
            let names = behind.iter().map(|&node| {
                let name = &self.report.process_at(node).name;
                match self.report.grade_at(node) {
                    Some(grade) if grade != self.grade() => format!("{name} ({grade})"),
                    _ => name.to_string(),
                }
            });
            let max = if f.alternate() { usize::MAX } else { NAMES_MAX };
            let whom = if nodes.len() == 1 { "it" } else { "them" };
            writeln!(f, "  behind {whom}: {}", list(names, max))?;
        }
        Ok(())
    }
}

impl Display for LostWakeup<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "LOST WAKE-UP on `{}`", self.resource().name)?;
        lines(f, self.report, self.waiting)
    }
}

impl Display for Why<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = &self.report.process_at(self.chain[0]).name;
        match self.grade() {
            Some(grade) => writeln!(f, "{name} is stuck, {grade}")?,
            None if self.has_ended() => writeln!(f, "{name} is over")?,
            None => writeln!(f, "{name} is not stuck")?,
        }
        lines(f, self.report, &self.chain)
    }
}

/// `PROVEN`, `LIKELY` or `SUSPECT`.
impl Display for Grade {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Proven => "PROVEN",
            Self::Likely => "LIKELY",
            Self::Suspect => "SUSPECT",
        })
    }
}

fn lines(f: &mut Formatter<'_>, report: &Report, nodes: &[u32]) -> fmt::Result {
    let shown = shown(f, nodes.len());
    for &node in &nodes[..shown] {
        line(f, report, node)?;
    }
    match nodes.len() - shown {
        0 => Ok(()),
        rest => writeln!(f, "  and {rest} more"),
    }
}

/// How many of `all` are printed. One more line says no less than "and 1 more".
fn shown(f: &Formatter<'_>, all: usize) -> usize {
    if f.alternate() || all <= LINES_MAX + 1 { all } else { LINES_MAX }
}

fn line(f: &mut Formatter<'_>, report: &Report, node: u32) -> fmt::Result {
    let process = report.process_at(node);
    let name = &process.name;
    match process.state {
        State::Running => return writeln!(f, "  {name} runs"),
        State::Ended => return writeln!(f, "  {name} is over"),
        State::Parked => {}
    }
    let mut waits = report.waits_at(node).peekable();
    if waits.peek().is_none() {
        return writeln!(f, "  {name} waits, nobody knows for what");
    }
    let word = |arm: &Arm| words(report, process.id, arm);
    waits.try_for_each(|wait| match &wait.arms[..] {
        [] => writeln!(f, "  {name} waits for nothing, and so for ever,{}", place(wait)),
        [arm] => {
            let (what, who) = word(arm);
            writeln!(f, "  {name} waits {what}{}{who}", place(wait))
        }
        arms => {
            writeln!(f, "  {name} waits{}", place(wait))?;
            arms.iter().enumerate().try_for_each(|(at, arm)| {
                let (what, who) = word(arm);
                let or = if at == 0 { "either" } else { "or" };
                writeln!(f, "    {or} {what}{who}")
            })
        }
    })
}

/// ` at src/dispatch.rs:10:5 for 3.2 s`
fn place(wait: &Wait) -> String {
    let mut place = String::new();
    if let Some(at) = &wait.at {
        let _ = write!(place, " at {at}"); // a string takes everything
    }
    let _ = write!(place, " for {}", time(wait.age));
    place
}

/// What an arm waits for, and who can help.
fn words(report: &Report, me: ProcessId, arm: &Arm) -> (String, String) {
    let Some(resource) = report.resource_of(arm) else {
        let what = match arm {
            Arm::Timer { remaining } => format!("for a timer ({} to go)", time(*remaining)),
            Arm::Outside => "for the world outside".into(),
            Arm::Foreign => "for a future of which nothing is known".into(),
            _ => "for something of which nothing is known".into(),
        };
        return (what, String::new());
    };
    let what = wish(arm, resource);
    if is_ready(arm, resource) {
        return (what, "; there is nothing to wait for".into());
    }
    let who = |ends: &Ends| people(report, me, ends, None);
    let who = match (arm, &resource.kind) {
        (Arm::Send(_) | Arm::Reserve(_), Kind::Channel(Channel { receivers, kept: 0, .. })) => {
            can(&who(receivers), "receive")
        }
        (Arm::Send(_) | Arm::Reserve(_), Kind::Channel(Channel { receivers, .. })) => {
            let keeper = Some("whoever keeps a place".to_owned());
            can(&people(report, me, receivers, keeper), "make room")
        }
        (Arm::Recv(_), Kind::Channel(channel)) => can(&who(&channel.senders), "send"),
        (Arm::Lock(_), Kind::Lock { holders }) => format!("; held by {}", who(holders)),
        (Arm::Acquire { .. }, Kind::Semaphore { holders, .. }) => {
            can(&who(holders), "give permits back")
        }
        (Arm::Notified(_), Kind::Notify { notifiers, .. }) => can(&who(notifiers), "notify"),
        (Arm::All(_), Kind::Group { members }) => format!("; missing {}", who(members)),
        (Arm::Done(_), Kind::Context { parent, cancellers, .. }) => {
            let parent = parent.map(|parent| match report.places.resources.get(parent.0) {
                Some(at) => {
                    format!("whoever ends `{}`", report.snapshot.resources[at as usize].name)
                }
                None => "a context of which nothing is known".to_owned(),
            });
            can(&people(report, me, cancellers, parent), "end it")
        }
        _ => "; which is something else, so nothing is known".into(),
    };
    (what, who)
}

fn can(people: &str, what: &str) -> String {
    match people {
        "" => format!("; nobody can {what}"),
        people => format!("; only {people} can {what}"),
    }
}

/// ``to send on `paid` (capacity 0)``
fn wish(arm: &Arm, Resource { name, kind, .. }: &Resource) -> String {
    let state = match (arm, kind) {
        (Arm::Send(_) | Arm::Reserve(_) | Arm::Recv(_), Kind::Channel(channel)) => {
            format!(" ({})", channel_state(matches!(arm, Arm::Recv(_)), channel))
        }
        (Arm::Acquire { .. }, Kind::Semaphore { free, .. }) => format!(" ({free} free)"),
        _ => String::new(),
    };
    match arm {
        Arm::Send(_) => format!("to send on `{name}`{state}"),
        Arm::Reserve(_) => format!("to reserve a place in `{name}`{state}"),
        Arm::Recv(_) => format!("to receive on `{name}`{state}"),
        Arm::Lock(_) => format!("for the lock `{name}`"),
        Arm::Acquire { permits: 1, .. } => format!("for a permit of `{name}`{state}"),
        Arm::Acquire { permits, .. } => format!("for {permits} permits of `{name}`{state}"),
        Arm::Notified(_) => format!("to be notified by `{name}`"),
        Arm::All(_) => format!("for all of `{name}`"),
        Arm::Done(_) => format!("for the end of `{name}`"),
        Arm::Timer { .. } | Arm::Outside | Arm::Foreign => format!("for `{name}`"),
    }
}

fn channel_state(receives: bool, channel: &Channel) -> String {
    let Channel { capacity, queued, kept, senders, receivers, .. } = channel;
    let mut state = match (capacity, queued) {
        (Some(0), _) => "capacity 0".to_owned(),
        (None, _) if !receives => "unbounded".to_owned(),
        (_, 0) if receives => "empty".to_owned(),
        (_, queued) if receives => format!("{queued} queued"),
        (Some(capacity), queued) if queued >= capacity => format!("full, capacity {capacity}"),
        (Some(capacity), queued) => format!("{queued} queued, capacity {capacity}"),
        (None, _) => unreachable!("an unbounded channel was dealt with above"),
    };
    if *kept > 0 {
        let _ = write!(state, ", {kept} kept"); // a string takes everything
    }
    if if receives { senders.total == 0 } else { receivers.total == 0 } {
        state.push_str(", closed");
    }
    state
}

/// Everybody who could hold one of these ends.
fn people(report: &Report, me: ProcessId, ends: &Ends, also: Option<String>) -> String {
    let mut unknown = ends.unknown();
    let mut names = Vec::new();
    for holder in &ends.holders {
        let at = report.places.processes.get(holder.process.0);
        match at.map(|at| report.process_at(at)).filter(|process| process.state != State::Ended) {
            Some(process) => {
                let name =
                    if process.id == me { "itself".to_owned() } else { process.name.to_string() };
                let seen = if holder.known == Known::Observed { " (as last seen)" } else { "" };
                names.push(name + seen);
            }
            None => unknown += holder.ends,
        }
    }
    match unknown.min(ends.total) {
        0 => {}
        1 => names.push("1 unknown holder".into()),
        unknown => names.push(format!("{unknown} unknown holders")),
    }
    if ends.outside > 0 {
        names.push("the world outside".into());
    }
    names.extend(also);
    list(names.into_iter(), NAMES_MAX)
}

/// `a, b and c`, or `a, b, c and 7 more`.
fn list(names: impl ExactSizeIterator<Item = String>, max: usize) -> String {
    let all = names.len();
    let shown = if all <= max { all } else { max - 1 };
    let mut list = String::new();
    for (at, name) in names.take(shown).enumerate() {
        list.push_str(match at {
            0 => "",
            at if at + 1 == all => " and ",
            _ => ", ",
        });
        list.push_str(&name);
    }
    if shown < all {
        let _ = write!(list, " and {} more", all - shown); // a string takes everything
    }
    list
}

/// `350 ms`, `3.2 s`, `2 min 5 s`, `3 h 20 min`
fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{seconds}.{} s", time.subsec_millis() / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}
