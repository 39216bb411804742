//! `load`: a source that makes messages, at a pace.
//!
//! ```yaml
//! orders: {uses: load, every: 10ms, count: 100, message: {id: "{n}", what: tea}, out: orders}
//! ```
//!
//! The word `{n}` stands for the number of the message, from 1; alone it is a number, within other words a part of them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;
use towpath::{BoxError, Ctx, MissedTick, Traced, select, tick};
use towpath_patterns::yaml::Span;

use crate::{
    component::{Component, Port},
    ports::Ports,
};

/// Between two messages, if the file does not say.
const EVERY: Span = Span(Duration::from_secs(1));

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(default = "every")]
    every: Span,
    /// None: for ever.
    count: Option<u64>,
    #[serde(default = "number")]
    message: Value,
}

fn every() -> Span {
    EVERY
}

fn number() -> Value {
    Value::from("{n}")
}

pub(super) fn component() -> Component {
    Component::new("load", "makes messages at a pace: every, count, message with {n} in it")
        .output(Port::new("out"))
        .runs(|options: Options| {
            async move |ctx: Ctx, ports: &mut Ports| {
                // It goes on where it was when it begins again, by another file perhaps.
                let made = ports.home().kept("made", || Ok(AtomicU64::new(0)))?;
                // Who was held up makes up for it: the pace is that of the file, in the long run.
                let mut tick = tick(options.every.0).missed(MissedTick::Burst);
                let from = made.load(Ordering::Relaxed) + 1;
                for n in from..=options.count.unwrap_or(u64::MAX) {
                    select! { biased;
                        _ = ctx.done() => break,
                        _ = tick.recv() => {}
                    }
                    let message = Traced::new(ctx.headers(), filled(&options.message, n));
                    if ports.send("out", message).await.is_err() {
                        // Nobody wants any more.
                        break;
                    }
                    made.store(n, Ordering::Relaxed);
                }
                Ok::<_, BoxError>(())
            }
        })
}

/// The template with the number in it.
pub(super) fn filled(template: &Value, n: u64) -> Value {
    match template {
        Value::String(word) if word == "{n}" => Value::from(n),
        Value::String(word) => Value::from(word.replace("{n}", &n.to_string())),
        Value::Array(items) => items.iter().map(|item| filled(item, n)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), filled(value, n))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_where_the_template_has_them() {
        let template = json!({"id": "{n}", "name": "order {n}", "at": ["{n}", true], "{n}": null});
        let filled = filled(&template, 7);
        assert_eq!(filled, json!({"id": 7, "name": "order 7", "at": [7, true], "{n}": null}));
    }
}
