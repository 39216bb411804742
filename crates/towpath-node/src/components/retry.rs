//! `retry`: sends again, after a while, what others could not handle.
//!
//! ```yaml
//! charge: {uses: pay, in: charges, out: paid, on_error: failed}
//! again:  {uses: retry, in: failed, out: {out: charges, given_up: dead}, key: it.id, attempts: 5, first: 100ms, most: 30s}
//! ```
//!
//! It takes what others refused (`{"error": …, "message": …}`) and sends the message itself to `out` after a delay that is anything up to a
//! ceiling: `first` (100 ms) after the first failure, and twice as much after each, up to `most` (30 s). After `attempts` (5), the first one
//! by others counted, or `within` a time, what was refused goes to `given_up`, whole, or is refused if the file gives that no channel.
//!
//! Attempts are counted by `key`, an expression over the message; without it by the whole message. A count is forgotten when nothing was
//! heard of its key for `forget` (10 min), and after a restart. Messages of one key are not held in order.
//!
//! While 1,000 wait, no more are taken, so a storm of failures slows those who fail. When it is told to end, it sends what waits at once.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;
use towpath::{BoxError, Ctx, at, rt, select};
use towpath_patterns::{
    fault::{Retry, Times, Why},
    yaml::{At, Problem, Span},
};

use crate::{
    component::{Component, Need, Port},
    expr::{Expr, Written},
    ports::{Message, Outputs, Ports},
};

/// Messages that wait for their time: a second's worth of failures at a rate at which nobody should be retrying.
const WAITING_MAX: usize = 1000;

/// Keys whose attempts are counted; beyond it the one that was quiet for longest is forgotten.
const KEYS_MAX: usize = 100_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    key: Option<Written>,
    #[serde(default = "attempts")]
    attempts: At<u32>,
    #[serde(default = "first")]
    first: At<Span>,
    #[serde(default = "most")]
    most: At<Span>,
    within: Option<Span>,
    #[serde(default = "forget")]
    forget: Span,
}

fn by_default<T>(value: T) -> At<T> {
    At { place: Default::default(), value }
}

fn attempts() -> At<u32> {
    by_default(5)
}

fn first() -> At<Span> {
    by_default(Span(Duration::from_millis(100)))
}

fn most() -> At<Span> {
    by_default(Span(Duration::from_secs(30)))
}

fn forget() -> Span {
    Span(Duration::from_secs(600))
}

/// How it is tried again.
struct Policy {
    retry: Retry,
    key: Option<Arc<Expr>>,
    forget: Duration,
}

/// How far a key has got.
#[derive(Clone, Copy, Debug)]
struct Tries {
    failures: u32,
    began: Instant,
    last: Instant,
}

/// What was decided about a failure.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    Again(Instant),
    GiveUp(String),
}

/// The attempts of all keys, least lately heard of first.
#[derive(Default)]
struct Counts {
    keys: IndexMap<String, Tries>,
}

pub(super) fn component() -> Component {
    Component::new("retry", "sends again, after a while, what others could not handle")
        .input(Port::new("in").need(Need::Some))
        .output(Port::new("out"))
        .output(Port::new("given_up").need(Need::Maybe))
        .refuses()
        .makes(|options: Options, _| {
            let policy = Arc::new(policy(options)?);
            Ok(async move |_: Ctx, ports: &mut Ports| {
                let ([failed], outputs) = ports.split(["in"]);
                let mut counts = Counts::default();
                // By time, and by number where the time is the same.
                let mut waiting: BTreeMap<(Instant, u64), Message> = BTreeMap::new();
                let mut number = 0;
                loop {
                    let due = waiting.first_key_value().map(|((time, _), _)| *time);
                    let more = select! { biased;
                        () = at(due.unwrap_or_else(rt::now)), if due.is_some() => {
                            if let Some((_, message)) = waiting.pop_first() {
                                outputs.send("out", message).await?;
                            }
                            continue;
                        }
                        more = select::future(failed.ready()), if waiting.len() < WAITING_MAX => more,
                    };
                    let message = match failed.try_recv() {
                        Some(message) => message,
                        // It was told to pause just now.
                        None if more => continue,
                        None => break,
                    };
                    let decided = match parts(&message, policy.key.as_deref()) {
                        Ok(key) => counts.failed(&policy, key, rt::now(), rt::random()),
                        Err(why) => {
                            outputs.refuse(message, why).await?;
                            continue;
                        }
                    };
                    match decided {
                        Decision::Again(time) => {
                            number += 1;
                            waiting.insert((time, number), message.map(inner));
                        }
                        Decision::GiveUp(why) => give_up(outputs, message, why).await?,
                    }
                }
                for message in waiting.into_values() {
                    outputs.send("out", message).await?;
                }
                Ok::<_, BoxError>(())
            })
        })
}

fn policy(options: Options) -> Result<Policy, Problem> {
    if options.attempts.value < 2 {
        let why = "one attempt is made by others: `attempts` is 2 at least";
        return Err(Problem::new(options.attempts.place, why));
    }
    if options.most.value < options.first.value {
        let place = options.most.place.max(options.first.place);
        return Err(Problem::new(place, "`most` is less than `first`"));
    }
    let delays = (options.first.value.0, options.most.value.0);
    let mut retry = Retry::new(options.attempts.value).with_delays(delays.0, delays.1);
    if let Some(within) = options.within {
        retry = retry.with_total_limit(within.0);
    }
    let key = options.key.map(|key| key.compile()).transpose()?;
    // A key that is forgotten while it waits would be tried for ever.
    Ok(Policy { retry, key, forget: options.forget.0.max(delays.1 * 2) })
}

/// The key of what was refused.
fn parts(refused: &Value, key: Option<&Expr>) -> Result<String, String> {
    let Some(message) = refused.get("message") else {
        return Err("this was not refused by anybody: there is no `message` in it".to_owned());
    };
    match key {
        Some(key) => {
            key.value(message).map(|key| key.to_string()).map_err(|error| error.to_string())
        }
        None => Ok(message.to_string()),
    }
}

/// The message itself.
fn inner(mut refused: Value) -> Value {
    refused.get_mut("message").map(Value::take).unwrap_or_default()
}

async fn give_up(outputs: &Outputs, mut message: Message, why: String) -> Result<(), BoxError> {
    let error = message.get("error").and_then(Value::as_str).unwrap_or_default();
    let why = format!("{why}; at last: {error}");
    if !outputs.has("given_up") {
        outputs.refuse(message.map(inner), why).await?;
        return Ok(());
    }
    if let Some(fields) = message.as_object_mut() {
        fields.insert("error".to_owned(), Value::from(why));
    }
    Ok(outputs.send("given_up", message).await?)
}

impl Counts {
    fn failed(&mut self, policy: &Policy, key: String, now: Instant, chance: u64) -> Decision {
        self.forget(policy.forget, now);
        // The last that was heard of stands at the end.
        let before = self.keys.shift_remove(&key);
        let Tries { failures, began, .. } =
            before.unwrap_or(Tries { failures: 0, began: now, last: now });
        let failures = failures + 1;
        let times = Times { failures, began, now, end: None };
        match policy.retry.next_attempt(times, None, chance) {
            Ok(time) => {
                self.keys.insert(key, Tries { failures, began, last: now });
                Decision::Again(time)
            }
            Err(Why::Attempts) => Decision::GiveUp(format!("given up after {failures} attempts")),
            Err(why) => Decision::GiveUp(format!("given up: {why}")),
        }
    }

    fn forget(&mut self, after: Duration, now: Instant) {
        let old =
            self.keys.values().take_while(|it| now.saturating_duration_since(it.last) > after);
        let old = old.count().max((self.keys.len() + 1).saturating_sub(KEYS_MAX));
        if old > 0 {
            self.keys.drain(..old);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(attempts: u32) -> Policy {
        let second = Duration::from_secs(1);
        Policy {
            retry: Retry::new(attempts)
                .with_delays(second, 8 * second)
                .with_total_limit(60 * second),
            key: None,
            forget: 20 * second,
        }
    }

    #[test]
    fn attempts_of_a_key_are_counted_and_forgotten() {
        let (policy, mut counts, begin) = (policy(3), Counts::default(), rt::now());
        let second = Duration::from_secs(1);
        let mut failed = |key: &str, at: u32| {
            counts.failed(&policy, key.to_owned(), begin + at * second, u64::MAX)
        };
        let ceiling = |decision: Decision, from: u32| match decision {
            Decision::Again(time) => (time - begin).as_secs_f64() - f64::from(from),
            Decision::GiveUp(why) => panic!("{why}"),
        };
        assert!((ceiling(failed("a", 0), 0) - 1.0).abs() < 0.001);
        assert!((ceiling(failed("a", 1), 1) - 2.0).abs() < 0.001);
        assert!((ceiling(failed("b", 1), 1) - 1.0).abs() < 0.001, "each key has its own");
        assert_eq!(failed("a", 3), Decision::GiveUp("given up after 3 attempts".to_owned()));
        assert!((ceiling(failed("a", 4), 4) - 1.0).abs() < 0.001, "and begins anew");
        assert!((ceiling(failed("b", 30), 30) - 1.0).abs() < 0.001, "forgotten");
    }

    #[test]
    fn no_more_keys_are_kept_than_there_may_be() {
        let (policy, mut counts, now) = (policy(3), Counts::default(), rt::now());
        for n in 0..KEYS_MAX + 10 {
            counts.failed(&policy, n.to_string(), now, 0);
        }
        assert_eq!(counts.keys.len(), KEYS_MAX);
        assert!(!counts.keys.contains_key("9") && counts.keys.contains_key("10"));
    }

    #[test]
    fn the_message_is_in_what_was_refused() {
        let refused = json!({"error": "e", "message": {"id": 7, "x": 1}});
        let key = Expr::compile("it.id").unwrap();
        assert_eq!(parts(&refused, Some(&key)), Ok("7".to_owned()));
        assert_eq!(inner(refused), json!({"id": 7, "x": 1}));
        assert!(parts(&json!({"id": 7}), None).unwrap_err().contains("no `message`"));
    }
}
