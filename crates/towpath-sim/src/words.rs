//! What a test that failed says: what happened, the story, and how to see it again.

use std::fmt::{self, Write as _};

use crate::Config;
use crate::campaign::{Cause, Difference, Escaped, Explored, Found, Origin, Trouble};
use crate::orders::replays_of;

/// Lines of a story that are printed. A longer one is cut in its middle: how it began, and how it ended.
const STORY_LINES_MAX: usize = 200;

/// The name by which `cargo test` finds a test: without its crate.
fn filter_of(name: &str) -> &str {
    name.split_once("::").map_or(name, |(_, rest)| rest)
}

/// The whole report of a failure in the test `name`.
pub(crate) fn failure<F: Trouble>(
    name: &str,
    config: &Config,
    explored: &Explored<F>,
    found: &Found<F>,
) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_failure(&mut text, name, config, explored, found);
    text
}

fn write_failure<F: Trouble>(
    text: &mut String,
    name: &str,
    config: &Config,
    explored: &Explored<F>,
    found: &Found<F>,
) -> fmt::Result {
    match &found.origin {
        Origin::Schedule(number) => writeln!(
            text,
            "{name} fails in schedule {number} (seed {:#x}, {}, {} run)",
            config.seed, config.strategy, explored.schedules,
        )?,
        Origin::Committed(place) => {
            writeln!(text, "{name} fails again with the committed token of {place}")?;
        }
        Origin::Replay => writeln!(text, "{name} fails in the replay")?,
    }
    match &found.trouble {
        Cause::Failure(failure) => writeln!(text, "\n{failure}")?,
        Cause::Escaped(escaped) => write_escaped(text, escaped)?,
    }
    write_story(text, &found.story)?;
    let filter = filter_of(name);
    let (before, now) = found.forced;
    let choices = if now == 1 { "choice" } else { "choices" };
    write!(text, "\n{now} {choices} other than the default")?;
    if before != now {
        write!(text, ", made from {before} in {} runs", found.shrink_runs)?;
    }
    writeln!(
        text,
        ". Run it again with\n\n    TOWPATH_REPLAY={} cargo test {filter}\n",
        found.token
    )?;
    if !matches!(found.origin, Origin::Committed(_)) {
        let file = replays_of(name);
        write!(text, "and for ever by a line with the token in {}", file.display())?;
    }
    Ok(())
}

fn write_escaped<F: Trouble>(text: &mut String, escaped: &Escaped<F>) -> fmt::Result {
    writeln!(
        text,
        "\nnon-determinism escaped the simulator: two runs with the same choices were not the same"
    )?;
    match &escaped.difference {
        Some(Difference { line, one, other }) => writeln!(
            text,
            "the first operation that differed is number {line}:\n    once:  {one}\n    again: {other}"
        )?,
        None => writeln!(
            text,
            "the runs after the first were alike, so something is left over from one run to the next: a static, a \
             thread-local, a file"
        )?,
    }
    if let Some(failure) = &escaped.failure {
        writeln!(text, "the first run failed: {failure}")?;
    }
    writeln!(
        text,
        "look for a HashMap that is iterated, the real clock or chance, a real thread, an address that is compared, \
         a select of another library"
    )
}

fn write_story(text: &mut String, story: &[String]) -> fmt::Result {
    if story.is_empty() {
        return Ok(());
    }
    writeln!(text)?;
    let cut = story.len().saturating_sub(STORY_LINES_MAX);
    let head = if cut == 0 { story.len() } else { STORY_LINES_MAX / 4 };
    for line in &story[..head] {
        writeln!(text, "{line}")?;
    }
    if cut > 0 {
        writeln!(text, "... {cut} lines ...")?;
        for line in &story[head + cut..] {
            writeln!(text, "{line}")?;
        }
    }
    Ok(())
}

/// One line about a campaign in which nothing failed.
pub(crate) fn success<F>(name: &str, explored: &Explored<F>) -> String {
    let Explored { schedules, steps, complete, time, coverage, .. } = explored;
    let seconds = time.as_secs_f64();
    let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    let mut text = format!(
        "{name}: {schedules} schedules, {steps} steps in {seconds:.1} s ({:.0} schedules/s, {:.0} steps/s)",
        rate(*schedules),
        rate(*steps),
    );
    if *complete {
        text.push_str("; there are no others");
    }
    if let Some(coverage) = coverage {
        let _ = write!(text, "; {coverage}");
    }
    text
}
