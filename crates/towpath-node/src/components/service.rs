//! `service`: a stand-in for a service that sagas call. It does nothing and says so in its name; networks that ship use it where a bank
//! or a mail server would be, and tests to say which calls fail.
//!
//! ```yaml
//! bank: {uses: service, takes: 20ms, fails: 5%, declines: 2%, in: to_bank, out: answers}
//! ```
//!
//! It answers each call of a [`saga`](super::saga) after `takes`, as many at once as come. Whether a call fails follows from its
//! `idempotency` and attempt alone, so the same happens in every run: of a hundred attempts about `fails` fail in passing, and of a
//! hundred steps about `declines` are refused for good, but never when they are taken back. `ok` is the answer, besides `idempotency`.

use std::{collections::BTreeMap, time::Duration, time::Instant};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use towpath::{BoxError, Ctx, at, rt, select};
use towpath_patterns::yaml::{At, Place, Problem, Span};

use super::{key::hash, tell::Teller};
use crate::{
    component::{Component, Need, Port},
    ports::{Message, Ports},
};

/// Calls under way at once; more wait in front.
const AT_ONCE: usize = 4096;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    takes: Option<Span>,
    fails: Option<At<String>>,
    declines: Option<At<String>>,
    #[serde(default)]
    ok: Map<String, Value>,
}

#[derive(Clone)]
struct Plan {
    takes: Duration,
    /// Of a million.
    fails: u64,
    declines: u64,
    ok: Map<String, Value>,
}

pub(super) fn component() -> Component {
    Component::new("service", "stands in for a service that sagas call: takes, fails, declines, ok")
        .input(Port::new("in").need(Need::Some))
        .output(Port::new("out"))
        .refuses()
        .makes(|options: Options, _| {
            let plan = Plan {
                takes: options.takes.map_or(Duration::ZERO, |Span(takes)| takes),
                fails: share(options.fails.as_ref())?,
                declines: share(options.declines.as_ref())?,
                ok: options.ok,
            };
            Ok(async move |_: Ctx, ports: &mut Ports| run(ports, &plan).await)
        })
}

/// `5%`, or `0.5%`, as parts of a million.
fn share(text: Option<&At<String>>) -> Result<u64, Problem> {
    let Some(At { place, value }) = text else { return Ok(0) };
    let percent =
        value.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    match percent.filter(|it| (0.0..=100.0).contains(it)) {
        Some(percent) => Ok((percent * 10_000.0).round() as u64),
        None => Err(wrong(*place)),
    }
}

fn wrong(place: Place) -> Problem {
    Problem::new(place, "a share is a number from 0 to 100 and a percent sign: 5%")
}

async fn run(ports: &mut Ports, plan: &Plan) -> Result<(), BoxError> {
    let ([input], out) = ports.split(["in"]);
    let mut out = Teller::new(out);
    // By the time at which they are answered, and their number.
    let mut working: BTreeMap<(Instant, u64), Message> = BTreeMap::new();
    let (mut number, mut is_open, mut batch) = (0, true, Vec::new());
    while is_open || !working.is_empty() || !out.is_done() {
        let due = working.first_key_value().map(|((due, _), _)| at(*due));
        let room = AT_ONCE.saturating_sub(working.len() + out.waiting());
        select! {
            told = out.arm() => {
                if out.told(told).is_err() {
                    // Nobody wants answers any more.
                    return Ok(());
                }
            }
            () = due => {}
            many = select::future(input.recv_many(&mut batch, room)), if is_open && room > 0 => { is_open = many > 0; }
        }
        let now = rt::now();
        for call in batch.drain(..) {
            number += 1;
            working.insert((now + plan.takes, number), call);
        }
        while let Some(entry) = working.first_entry()
            && entry.key().0 <= now
        {
            let call = entry.remove();
            match answer(plan, &call) {
                Ok(answer) => out.to("out", call.map(|_| answer)),
                Err(why) => out.refuse(call, why),
            }
        }
    }
    Ok(())
}

/// What a call is answered.
fn answer(plan: &Plan, call: &Value) -> Result<Value, String> {
    let word = |name: &str| call.get(name).and_then(Value::as_str);
    let (Some(step), Some(key), Some(idempotency)) =
        (word("step"), call.get("key"), word("idempotency"))
    else {
        return Err(
            "this is no call of a saga: it has no `step`, `key` or `idempotency`".to_owned()
        );
    };
    let attempt = call.get("attempt").and_then(Value::as_u64).unwrap_or(1);
    let is_undo = call.get("undo").and_then(Value::as_bool).unwrap_or(false);
    let mut answer = json!({"saga": call["saga"], "key": key, "step": step});
    if is_undo {
        answer["undo"] = true.into();
    }
    let dice = |salt: &str| spread(&format!("{salt} {idempotency}")) % 1_000_000;
    if !is_undo && dice("declines") < plan.declines {
        answer["error"] = format!("{step} is declined").into();
        answer["class"] = "refused".into();
    } else if dice(&format!("fails {attempt}")) < plan.fails {
        answer["error"] = format!("{step} is not available at the moment").into();
        answer["class"] = "transient".into();
    } else {
        let mut ok = plan.ok.clone();
        ok.insert("idempotency".to_owned(), idempotency.into());
        answer["ok"] = ok.into();
    }
    Ok(answer)
}

/// A number that looks like chance and follows from the text.
fn spread(text: &str) -> u64 {
    // The last step of MurmurHash3: neighbouring keys end far apart.
    let mut hash = hash(text.as_bytes());
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(key: u64, attempt: u64, undo: bool) -> Value {
        json!({"saga": "pay", "key": key, "step": "charge", "attempt": attempt, "idempotency": format!("{key}/charge"), "undo": undo})
    }

    #[test]
    fn as_many_fail_as_was_said_and_the_same_in_every_run() {
        let plan = Plan { takes: Duration::ZERO, fails: 50_000, declines: 20_000, ok: Map::new() };
        let count = |class: &str, attempt, undo| {
            let answers = (0..10_000).map(|key| answer(&plan, &call(key, attempt, undo)).unwrap());
            answers.filter(|it| it["class"] == class).count()
        };
        assert!((400..600).contains(&count("transient", 1, false)));
        assert!((150..250).contains(&count("refused", 1, false)));
        assert_eq!(
            (count("refused", 1, true), count("refused", 2, false)),
            (0, count("refused", 1, false))
        );
        assert!(answer(&plan, &json!({"key": 1})).is_err());
    }

    #[test]
    fn shares_are_percents() {
        let share = |text: &str| {
            share(Some(&At { place: Place { line: 1, column: 1 }, value: text.to_owned() }))
        };
        assert_eq!((share("5%"), share(" 0.5 %")), (Ok(50_000), Ok(5_000)));
        assert!(share("5").is_err() && share("101%").is_err() && share("x%").is_err());
    }
}
