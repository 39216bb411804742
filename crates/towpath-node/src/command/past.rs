//! `towpath errors`, `trace` and `reload`: what went wrong, where messages went, and a change of the file.

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Exit, Failure,
    ask::At,
    table::{Table, time},
};
use crate::state::ErrorState;

#[derive(Args)]
pub(super) struct ListOptions {
    /// How many to list.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    at: At,
}

pub(super) fn errors(options: &ListOptions) -> Result<(), Failure> {
    let errors: Vec<ErrorState> = options.at.get(&format!("/errors?limit={}", options.limit))?;
    if options.at.json {
        println!("{}", json!(errors));
        return Ok(());
    }
    let mut table = Table::new(&[">AGO", ">TIMES", "PROCESS", "KIND", "WHAT"]);
    // The same again and again is told once, as of the last time.
    let same = |one: &ErrorState, other: &ErrorState| {
        (&one.process, &one.kind, &one.text) == (&other.process, &other.kind, &other.text)
    };
    for equal in errors.chunk_by(same) {
        let [last, ..] = equal else { continue };
        let what = last.text.lines().next().unwrap_or_default().to_owned();
        let times = equal.len().to_string();
        table.row([time(last.ago_ms), times, last.process.clone(), last.kind.clone(), what]);
    }
    table.print();
    Ok(())
}

#[derive(Args)]
pub(super) struct TraceOptions {
    /// Only the trace with this number, or whose number begins so.
    trace: Option<String>,
    #[command(flatten)]
    list: ListOptions,
}

/// A trace, as a node tells it.
#[derive(Deserialize)]
struct Trace {
    trace: String,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Span {
    id: String,
    parent: Option<String>,
    links: Vec<Link>,
    name: String,
    channel: Option<String>,
    start_us: u64,
    end_us: u64,
    status: String,
    why: Option<String>,
}

#[derive(Deserialize)]
struct Link {
    trace: String,
}

pub(super) fn trace(options: &TraceOptions) -> Result<(), Failure> {
    let ListOptions { limit, at } = &options.list;
    // Whoever looks for one looks through all that are kept.
    let limit = if options.trace.is_some() { usize::MAX } else { *limit };
    let mut traces: Vec<Value> = at.get(&format!("/traces?limit={limit}"))?;
    if let Some(begin) = &options.trace {
        traces.retain(|it| it["trace"].as_str().is_some_and(|id| id.starts_with(begin.as_str())));
        if traces.is_empty() {
            return Err(format!(
                "there is no trace {begin} among the last: `towpath trace` lists them"
            )
            .into());
        }
    }
    if at.json {
        println!("{}", json!(traces));
        return Ok(());
    }
    if traces.is_empty() {
        println!(
            "no traces yet: give channels `trace: parent` in the network file; of what begins here `towpath run --sample` says how much is recorded"
        );
    }
    let traces: Vec<Trace> = serde_json::from_value(Value::Array(traces)).map_err(|error| {
        format!("the node tells traces in a way that this program does not know: {error}")
    })?;
    for trace in &traces {
        print!("{}", waterfall(trace));
    }
    Ok(())
}

/// Letters across which a trace is drawn.
const LANE: usize = 40;

/// A trace as a tree, with what took how long and when.
fn waterfall(trace: &Trace) -> String {
    let Trace { trace, spans } = trace;
    let begin = spans.iter().map(|it| it.start_us).min().unwrap_or(0);
    let whole = spans.iter().map(|it| it.end_us).max().unwrap_or(0).saturating_sub(begin).max(1);
    let mut text = format!("{trace}  {:.3} ms\n", whole as f64 / 1e3);
    let widest = spans.iter().map(|it| it.name.chars().count()).max().unwrap_or(0);
    for (span, depth) in ordered(spans) {
        // As many as there are letters between, so what is shorter than one has one.
        let place = |us: u64| (us.saturating_sub(begin) * LANE as u64 / whole) as usize;
        let from = place(span.start_us).min(LANE - 1);
        let to = place(span.end_us).clamp(from + 1, LANE);
        let lane = format!("{}{}", " ".repeat(from), "=".repeat(to - from));
        let name = format!("{}{}", "  ".repeat(depth.min(DEPTH_MAX)), span.name);
        let took = span.end_us.saturating_sub(span.start_us) as f64 / 1e3;
        let behind = span.channel.as_ref().map_or(String::new(), |it| format!("  from {it}"));
        let width = widest + 2 * DEPTH_MAX;
        text.push_str(&format!("  {name:width$}  {took:>10.3} ms  |{lane:LANE$}|{behind}"));
        for link in &span.links {
            text.push_str(&format!("  linked to {}", link.trace));
        }
        if span.status != "ok" {
            text.push_str(&format!("  {}: {}", span.status, span.why.as_deref().unwrap_or("?")));
        }
        text.push('\n');
    }
    text
}

/// Steps to the right, at most: a long way is a long list.
const DEPTH_MAX: usize = 8;

/// Each behind its parent, with how far it is below the first.
fn ordered(spans: &[Span]) -> Vec<(&Span, usize)> {
    let is_root = |span: &Span| {
        span.parent.as_ref().is_none_or(|parent| !spans.iter().any(|it| it.id == *parent))
    };
    // The last in front: it is a stack.
    let mut open: Vec<(&Span, usize)> =
        spans.iter().filter(|it| is_root(it)).map(|it| (it, 0)).rev().collect();
    let mut all = Vec::new();
    while let Some((span, depth)) = open.pop() {
        all.push((span, depth));
        let below = spans.iter().filter(|it| it.parent.as_ref() == Some(&span.id));
        open.extend(below.map(|it| (it, depth + 1)).rev());
    }
    all
}

#[derive(Args)]
pub(super) struct ReloadOptions {
    /// Says what would change, and changes nothing.
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    at: At,
}

pub(super) fn reload(options: &ReloadOptions) -> Result<(), Failure> {
    let done = options.at.post("/reload", &json!({"plan": options.plan}))?;
    if options.at.json {
        println!("{done}");
    } else {
        print!("{}", told(&done));
    }
    if done["rolled_back"].is_null() { Ok(()) } else { Err(Exit::silent().into()) }
}

/// A reload in words.
pub(super) fn told(done: &Value) -> String {
    let changes = done["changes"].as_array().map_or(&[][..], Vec::as_slice);
    let mut text = String::new();
    for it in changes {
        let word = |name: &str| it[name].as_str().unwrap_or("?");
        text.push_str(&format!(
            "{} {} {}: {}\n",
            word("change"),
            word("what"),
            word("name"),
            word("words")
        ));
    }
    let renewed = done["renewed"].as_array().map_or(&[][..], Vec::as_slice);
    for told in renewed.iter().filter_map(Value::as_str) {
        text.push_str(&format!("{told}\n"));
    }
    if changes.is_empty() && renewed.is_empty() {
        text.push_str("nothing changes\n");
    } else if done["done"] == true && !changes.is_empty() {
        text.push_str("done\n");
    }
    if let Some(why) = done["rolled_back"].as_str() {
        text.push_str(&format!("the network goes on as it was: {why}\n"));
    }
    text
}
