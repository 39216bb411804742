//! `towpath errors`, `trace` and `reload`: what went wrong, where messages went, and a change of the file.

use clap::Args;
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

pub(super) fn trace(options: &TraceOptions) -> Result<(), Failure> {
    let ListOptions { limit, at } = &options.list;
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
        println!("no traces: give a channel `trace: true` in the network file to have them");
    }
    for trace in &traces {
        println!("{}", trace["trace"].as_str().unwrap_or("?"));
        let spans = trace["spans"].as_array().map_or(&[][..], Vec::as_slice);
        let begin = spans.iter().filter_map(|it| it["start_us"].as_u64()).min().unwrap_or(0);
        for span in spans {
            let at = |name: &str| span[name].as_u64().unwrap_or(begin);
            let word = |name: &str| span[name].as_str().unwrap_or("-");
            println!(
                "  {:>10.3} ms  {:>10.3} ms  {}  {}  {}",
                (at("start_us") - begin) as f64 / 1e3,
                at("end_us").saturating_sub(at("start_us")) as f64 / 1e3,
                word("process"),
                word("name"),
                word("status"),
            );
        }
    }
    Ok(())
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
