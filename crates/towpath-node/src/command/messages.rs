//! `towpath tap`, `inject`, `pause` and `resume`: messages as they go by, and what one can do to them.

use std::{
    io::{Read as _, Write as _, stdin, stdout},
    ops::ControlFlow,
};

use clap::Args;
use serde_json::{Value, json};

use super::{
    Exit, Failure,
    ask::{At, part},
};

/// Bytes of a message on the standard input: what the node takes.
const MESSAGE_BYTES_MAX: u64 = 8 << 20;

#[derive(Args)]
pub(super) struct TapOptions {
    /// Which channel.
    channel: String,
    /// Ends after the first message.
    #[arg(long, conflicts_with = "count")]
    once: bool,
    /// Ends after so many messages.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Only messages for which this holds, as `it.fare > 50`.
    #[arg(long = "where", value_name = "EXPR")]
    filter: Option<String>,
    #[command(flatten)]
    at: At,
}

pub(super) fn tap(options: &TapOptions) -> Result<(), Failure> {
    let mut path = format!("/tap/{}?", part(&options.channel));
    if let Some(count) = options.count.or(options.once.then_some(1)) {
        path.push_str(&format!("limit={count}&"));
    }
    if let Some(filter) = &options.filter {
        path.push_str(&format!("where={}", part(filter)));
    }
    options.at.follow(&path, |name, event| {
        let mut out = stdout().lock();
        let written = match (name, options.at.json) {
            ("message", false) => match event.get("message") {
                Some(message) => writeln!(out, "{message}"),
                None => writeln!(out, "(a message, which may not be seen here)"),
            },
            ("message", true) => writeln!(out, "{event}"),
            ("missed", _) => {
                eprintln!("{} messages went by too fast to be seen", event["missed"]);
                Ok(())
            }
            _ => Ok(()),
        };
        // Who reads this has gone, as `head` does: that is an end and no mistake.
        let is_end = written.and_then(|()| out.flush()).is_err();
        Ok(if is_end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
}

#[derive(Args)]
pub(super) struct InjectOptions {
    /// Which channel.
    channel: String,
    /// The message as JSON; `-` reads it from the standard input.
    message: String,
    #[command(flatten)]
    at: At,
}

pub(super) fn inject(options: &InjectOptions) -> Result<(), Failure> {
    let mut text = options.message.clone();
    if text == "-" {
        text.clear();
        stdin().take(MESSAGE_BYTES_MAX).read_to_string(&mut text)?;
    }
    let message: Value = serde_json::from_str(&text).map_err(|error| {
        Exit::usage(format!("the message is no JSON: {error}; a word stands in quotes: '\"word\"'"))
    })?;
    let told =
        options.at.post(&format!("/channels/{}/inject", part(&options.channel)), &message)?;
    said(&options.at, &told, &format!("put into {}", options.channel));
    Ok(())
}

#[derive(Args)]
pub(super) struct ProcessOptions {
    /// Which process.
    process: String,
    #[command(flatten)]
    at: At,
}

pub(super) fn pause(options: &ProcessOptions) -> Result<(), Failure> {
    told(options, "pause", "takes nothing more until `towpath resume`")
}

pub(super) fn resume(options: &ProcessOptions) -> Result<(), Failure> {
    told(options, "resume", "goes on")
}

fn told(options: &ProcessOptions, order: &str, words: &str) -> Result<(), Failure> {
    let path = format!("/processes/{}/{order}", part(&options.process));
    let told = options.at.post(&path, &json!({}))?;
    said(&options.at, &told, &format!("{} {words}", options.process));
    Ok(())
}

/// Says what was done, in words or as JSON.
pub(super) fn said(at: &At, told: &Value, words: &str) {
    if at.json {
        println!("{told}");
    } else {
        println!("{words}");
    }
}
