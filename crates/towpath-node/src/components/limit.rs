//! `limit`: lets so many messages through in a second.
//!
//! ```yaml
//! pace: {uses: limit, in: {in: requests, control: limits}, out: paced, per_second: 100, burst: 20, over: wait}
//! ```
//!
//! `burst` (as many as `per_second` if the file does not say) may go through at once after a quiet time. What is over the limit waits, so
//! that slowness is felt at the source, or with `over: refuse` is refused. The limit changes at run time: by a message
//! `{"per_second": 50, "burst": 10}` on the input `control`, of which either may be left out, or by the verb `set`. A change takes effect at
//! once, also for the message that waits, and gives nobody a burst that he has had already.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use serde::Deserialize;
use serde_json::{Value, json};
use towpath::{BoxError, Ctx, select};
use towpath_observe::metrics::families;
use towpath_patterns::{
    limit::{Limit, Rate, TokenBucket},
    yaml::{At, Problem},
};

use crate::{
    component::{Component, Need, Port},
    facet::{Acting, Facet, Measures, Query, Verb},
    ports::{Input, Message, Outputs, Ports},
};

/// The most that is taken for a limit: a token every microsecond; more is none.
const PER_SECOND_MAX: u32 = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    per_second: At<u32>,
    burst: Option<At<u32>>,
    #[serde(default)]
    over: Over,
}

/// What becomes of a message over the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Over {
    #[default]
    Wait,
    Refuse,
}

/// A change, by a message or by the verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    per_second: Option<u32>,
    burst: Option<u32>,
}

/// The limit, and what came of it.
struct Gate {
    bucket: TokenBucket,
    over: Over,
    passed: AtomicU64,
    /// Held up, or refused.
    over_it: AtomicU64,
}

pub(super) fn component() -> Component {
    Component::new("limit", "lets so many messages through in a second, changed at run time")
        .input(Port::new("in"))
        .input(Port::new("control").need(Need::Maybe))
        .output(Port::new("out"))
        .refuses()
        .makes(|options: Options, _| {
            let (rate, over) = (rate(&options)?, options.over);
            Ok(async move |_: Ctx, ports: &mut Ports| {
                let gate = Arc::new(Gate::new(rate, over));
                let _shown = ports.home().show(Shown(gate.clone()));
                let ([messages, control], outputs) = ports.split(["in", "control"]);
                pass(&gate, messages, control, outputs).await
            })
        })
}

fn rate(options: &Options) -> Result<Rate, Problem> {
    let burst = options.burst.as_ref().map_or(options.per_second.value, |burst| burst.value);
    let rate = Rate::per_second(options.per_second.value).with_burst(burst);
    checked(rate).map_err(|why| {
        let is_burst = options.burst.as_ref().filter(|_| why.starts_with("`burst`"));
        Problem::new(is_burst.map_or(options.per_second.place, |burst| burst.place), why)
    })
}

fn checked(rate: Rate) -> Result<Rate, String> {
    for (name, value) in [("per_second", rate.tokens), ("burst", rate.burst)] {
        if !(1..=PER_SECOND_MAX).contains(&value) {
            return Err(format!(
                "`{name}` is 1 to {PER_SECOND_MAX}, and not {value}; pause the process to let nothing through"
            ));
        }
    }
    Ok(rate)
}

impl Gate {
    fn new(rate: Rate, over: Over) -> Self {
        let [passed, over_it] = [const { AtomicU64::new(0) }; 2];
        Self { bucket: TokenBucket::new(rate), over, passed, over_it }
    }

    fn change(&self, change: Change) -> Result<Rate, String> {
        let now = self.bucket.get();
        let tokens = change.per_second.unwrap_or(now.tokens);
        // One that follows the rate goes on to do so.
        let follows = now.burst == now.tokens && change.burst.is_none();
        let burst = if follows { tokens } else { change.burst.unwrap_or(now.burst) };
        let rate = checked(Rate { tokens, burst, ..now })?;
        self.bucket.change(rate).map_err(|error| error.to_string())?;
        Ok(rate)
    }

    fn change_by(&self, change: &Value) -> Result<Rate, String> {
        let read = Change::deserialize(change).map_err(|error| {
            format!("this is no limit: {error}; write {{\"per_second\": 100, \"burst\": 20}}")
        });
        self.change(read?)
    }
}

async fn pass(
    gate: &Gate,
    messages: &mut Input,
    control: &mut Input,
    outputs: &Outputs,
) -> Result<(), BoxError> {
    // Both ends of input are told by `None`; the first of them is no reason to stop.
    let mut controlled = true;
    let mut waiting: Option<Message> = None;
    loop {
        if let Some(message) = waiting.take() {
            select! { biased;
                changed = select::future(control.recv()), if controlled => {
                    controlled = change(gate, changed, outputs).await?;
                    waiting = Some(message);
                }
                _ = select::future(gate.bucket.take(1)) => {
                    gate.passed.fetch_add(1, Relaxed);
                    outputs.send("out", message).await?;
                }
            }
            continue;
        }
        let message = select! { biased;
            changed = select::future(control.recv()), if controlled => {
                controlled = change(gate, changed, outputs).await?;
                continue;
            }
            message = select::future(messages.recv()) => message,
        };
        let Some(message) = message else { return Ok(()) };
        match (gate.bucket.try_take(1), gate.over) {
            (Ok(()), _) => {
                gate.passed.fetch_add(1, Relaxed);
                outputs.send("out", message).await?;
            }
            (Err(_), Over::Wait) => {
                gate.over_it.fetch_add(1, Relaxed);
                waiting = Some(message);
            }
            (Err(why), Over::Refuse) => {
                gate.over_it.fetch_add(1, Relaxed);
                outputs.refuse(message, why).await?;
            }
        }
    }
}

/// False: no more changes will come.
async fn change(gate: &Gate, change: Option<Message>, outputs: &Outputs) -> Result<bool, BoxError> {
    let Some(change) = change else { return Ok(false) };
    if let Err(why) = gate.change_by(&change) {
        outputs.refuse(change, why).await?;
    }
    Ok(true)
}

struct Shown(Arc<Gate>);

impl Facet for Shown {
    fn kind(&self) -> &'static str {
        "limit"
    }

    fn show(&self, _query: &Query) -> Value {
        let gate = &self.0;
        let Rate { tokens, burst, .. } = gate.bucket.get();
        let over = if gate.over == Over::Wait { "held" } else { "refused" };
        json!({
            "per_second": tokens,
            "burst": burst,
            "passed": gate.passed.load(Relaxed),
            over: gate.over_it.load(Relaxed),
        })
    }

    fn measure(&self, to: &mut Measures<'_>) {
        let gate = &self.0;
        let over = if gate.over == Over::Wait { "held" } else { "refused" };
        to.put(&families::LIMIT_PER_SECOND, &[], gate.bucket.get().tokens);
        to.put(&families::LIMIT_MESSAGES, &["passed"], gate.passed.load(Relaxed));
        to.put(&families::LIMIT_MESSAGES, &[over], gate.over_it.load(Relaxed));
    }

    fn verbs(&self) -> &'static [Verb] {
        const SET: Verb = Verb::new("set", "changes the limit: per_second, burst");
        &[SET]
    }

    fn act<'a>(&'a self, verb: &'a str, args: Value) -> Acting<'a> {
        Box::pin(async move {
            if verb != "set" {
                return Err(format!("a limit does not know `{verb}`; it knows `set`").into());
            }
            let Rate { tokens, burst, .. } = self.0.change_by(&args)?;
            Ok(json!({"per_second": tokens, "burst": burst}))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_whole_or_not_made() {
        let gate = Gate::new(Rate::per_second(100), Over::Wait);
        let changed = |change: Value| gate.change_by(&change).map(|it| (it.tokens, it.burst));
        assert_eq!(changed(json!({"per_second": 50})), Ok((50, 50)), "the burst follows");
        assert_eq!(changed(json!({"burst": 7})), Ok((50, 7)));
        assert_eq!(changed(json!({"per_second": 60})), Ok((60, 7)), "and does no more");
        for wrong in [
            json!({"per_second": 0}),
            json!({"burst": 0}),
            json!({"per_second": 1e9}),
            json!({"per_second": -1}),
            json!({"per_minute": 60}),
            json!("fast"),
        ] {
            assert!(changed(wrong.clone()).is_err(), "{wrong}");
        }
        assert_eq!(changed(json!({})), Ok((60, 7)));
        let shown = Shown(Arc::new(gate)).show(&Query::default());
        assert_eq!(shown, json!({"per_second": 60, "burst": 7, "passed": 0, "held": 0}));
    }
}
