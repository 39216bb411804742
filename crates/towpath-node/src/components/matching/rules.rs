//! What makes a set, as a file says it, and what a message is in it.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;
use towpath_patterns::{
    matcher::{
        KINDS_MAX, Kind, Matcher, OPEN_MAX, Rules, Tolerance, What, WhenFull,
        purchase::{Paper, Way},
    },
    yaml::{At, Place, Problem, Span, hint},
};

use super::super::key::{Key, id_of};

/// How long a set waits for its parts, unless the file says otherwise.
const WINDOW: Duration = Duration::from_secs(30 * 86_400);

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    rules: Option<Preset>,
    way: Option<At<OneWay>>,
    parts: Option<At<IndexMap<String, At<Value>>>>,
    #[serde(default)]
    each: IndexMap<String, At<String>>,
    #[serde(default)]
    equal: Vec<At<(String, String)>>,
    #[serde(default)]
    after: IndexMap<String, At<String>>,
    tolerance: Option<At<Value>>,
    window: Option<Span>,
    settle: Option<Span>,
    time: Option<String>,
    key: Option<String>,
    part: Option<String>,
    amount: Option<String>,
    id: Option<String>,
    others: Option<bool>,
    open_max: Option<At<usize>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Preset {
    Purchase,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OneWay {
    ThreeWayAfter,
    ThreeWayBefore,
    TwoWay,
    Consignment,
}

/// A kind of the file, by its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part(u8);

/// Everything that a process goes by.
#[derive(Clone)]
pub(super) struct Plan<T> {
    pub(super) matcher: Matcher<Key, T>,
    pub(super) fields: Fields,
    /// What a word of the file, or of the log, is.
    what: fn(&[String], &str) -> Option<What<T>>,
    name: fn(&[String], T) -> String,
    names: Arc<[String]>,
    /// Whether messages of no kind are passed over.
    pub(super) others: bool,
}

/// Where things stand in a message.
#[derive(Clone)]
pub(super) struct Fields {
    key: String,
    part: String,
    amount: String,
    id: String,
    time: Option<String>,
}

#[derive(Clone)]
pub(super) enum Made {
    General(Plan<Part>),
    Purchase(Plan<Paper>),
}

impl Made {
    /// # Errors
    /// What is wrong with the options.
    pub(super) fn of(options: Options) -> Result<Self, Problem> {
        let tolerance = tolerance(options.tolerance.as_ref())?;
        let window = options.window.map_or(WINDOW, |Span(span)| span);
        let settle = options.settle.map_or(Duration::ZERO, |Span(span)| span);
        if let Some(At { place, value: 0 }) = options.open_max {
            return Err(Problem::new(place, "at least one set has to be allowed"));
        }
        match options.rules {
            Some(Preset::Purchase) => {
                if let Some(parts) = &options.parts {
                    let message =
                        "`rules: purchase` says which parts there are: leave out one of the two";
                    return Err(Problem::new(parts.place, message));
                }
                let way = match options.way.as_ref().map_or(OneWay::ThreeWayAfter, |it| it.value) {
                    OneWay::ThreeWayAfter => Way::ThreeWayAfter,
                    OneWay::ThreeWayBefore => Way::ThreeWayBefore,
                    OneWay::TwoWay => Way::TwoWay,
                    OneWay::Consignment => Way::Consignment,
                };
                let rules = way.rules(window, settle, tolerance);
                let fields = Fields::of(&options, "case", "activity");
                Ok(Self::Purchase(Plan {
                    matcher: matcher(rules, &options),
                    fields,
                    what: |_, activity| Paper::of_activity(activity).map(|(_, what)| what),
                    name: |_, paper| format!("{paper:?}").to_lowercase(),
                    names: Arc::new([]),
                    others: options.others.unwrap_or(true),
                }))
            }
            None => {
                if let Some(way) = &options.way {
                    return Err(Problem::new(way.place, "`way` belongs to `rules: purchase`"));
                }
                let (rules, names) = general(&options, tolerance, window, settle)?;
                let is = |names: &[String], word: &str| {
                    let kind = names.iter().position(|name| name == word)?;
                    Some(What::Is { kind: Part(kind as u8), amount: 0 })
                };
                Ok(Self::General(Plan {
                    matcher: matcher(rules, &options),
                    fields: Fields::of(&options, "key", "part"),
                    what: is,
                    name: |names, Part(kind)| names[usize::from(kind)].clone(),
                    names: names.into(),
                    others: options.others.unwrap_or(false),
                }))
            }
        }
    }
}

fn matcher<T: Kind>(rules: Rules<T>, options: &Options) -> Matcher<Key, T> {
    /// There is one stream, so nothing waits for another.
    const AHEAD: usize = 1;
    let open_max = options.open_max.as_ref().map_or(OPEN_MAX, |it| it.value);
    let matcher = Matcher::new(rules).open_max(open_max, WhenFull::CloseFirst);
    if options.time.is_some() { matcher.event_time(AHEAD) } else { matcher }
}

fn general(
    options: &Options,
    tolerance: Tolerance,
    window: Duration,
    settle: Duration,
) -> Result<(Rules<Part>, Vec<String>), Problem> {
    let Some(At { place, value: parts }) = &options.parts else {
        let place = Place { line: 0, column: 0 };
        return Err(Problem::new(place, "say which `parts` make a set, or `rules: purchase`"));
    };
    if parts.len() > KINDS_MAX || parts.is_empty() {
        let message =
            format!("a set has from 1 to {KINDS_MAX} kinds of parts, and here are {}", parts.len());
        return Err(Problem::new(*place, message));
    }
    let names: Vec<String> = parts.keys().cloned().collect();
    let kind = |place: Place, name: &str| {
        let found = names.iter().position(|it| it == name);
        found.map(|kind| Part(kind as u8)).ok_or_else(|| {
            let hint = hint(name, names.iter().map(String::as_str));
            Problem::new(place, format!("there is no part `{name}`{hint}"))
        })
    };
    let mut rules = Rules::within(window).settle(settle);
    for (index, At { place, value }) in parts.values().enumerate() {
        let (least, most) = range(value).ok_or_else(|| {
            Problem::new(
                *place,
                "how many there are is a number, or from one to another: 1, 1.., 0..3",
            )
        })?;
        rules = rules.needs(Part(index as u8), least..=most);
    }
    for (of, by) in &options.each {
        rules = rules.each(kind(by.place, of)?, kind(by.place, &by.value)?);
    }
    for At { place, value: (one, other) } in &options.equal {
        rules = rules.equal(kind(*place, one)?, kind(*place, other)?, tolerance);
    }
    for (later, earlier) in &options.after {
        rules = rules.after(kind(earlier.place, later)?, kind(earlier.place, &earlier.value)?);
    }
    Ok((rules, names))
}

/// `1`, `1..`, `0..3`.
fn range(value: &Value) -> Option<(u32, u32)> {
    if let Some(number) = value.as_u64() {
        let number = u32::try_from(number).ok()?;
        return Some((number, number));
    }
    let (least, most) = value.as_str()?.split_once("..")?;
    let least = least.trim().parse().ok()?;
    let most = if most.trim().is_empty() { u32::MAX } else { most.trim().parse().ok()? };
    (least <= most).then_some((least, most))
}

/// `2%`, or an amount.
fn tolerance(value: Option<&At<Value>>) -> Result<Tolerance, Problem> {
    let Some(At { place, value }) = value else { return Ok(Tolerance::EXACT) };
    let wrong =
        || Problem::new(*place, "a tolerance is a share, as 2% or 0.5%, or an amount, as 0.05");
    match value {
        Value::Number(_) => {
            let amount =
                hundredths(value).and_then(|it| u64::try_from(it).ok()).ok_or_else(wrong)?;
            Ok(Tolerance { amount, per_mille: 0 })
        }
        Value::String(text) => {
            let percent =
                text.trim().strip_suffix('%').and_then(|it| it.trim().parse::<f64>().ok());
            let percent = percent.filter(|it| (0.0..=100.0).contains(it)).ok_or_else(wrong)?;
            Ok(Tolerance { amount: 0, per_mille: (percent * 10.0).round() as u32 })
        }
        _ => Err(wrong()),
    }
}

/// An amount in hundredths.
fn hundredths(value: &Value) -> Option<i64> {
    let amount = (value.as_f64()? * 100.0).round();
    // What is larger is not exact any more.
    (amount.abs() < 9e15).then_some(amount as i64)
}

impl Fields {
    fn of(options: &Options, key: &str, part: &str) -> Self {
        let or =
            |word: &Option<String>, other: &str| word.clone().unwrap_or_else(|| other.to_owned());
        Self {
            key: or(&options.key, key),
            part: or(&options.part, part),
            amount: or(&options.amount, "amount"),
            id: or(&options.id, "id"),
            time: options.time.clone(),
        }
    }
}

/// What a message is.
pub(super) struct Found<T> {
    pub(super) key: Key,
    /// None: it has none of its own.
    pub(super) id: Option<u64>,
    pub(super) what: What<T>,
    pub(super) at: Duration,
}

impl<T: Kind> Plan<T> {
    /// What a message is; `None` if it is of no kind.
    ///
    /// # Errors
    /// In words.
    pub(super) fn find(&self, message: &Value) -> Result<Option<Found<T>>, String> {
        let Fields { key, part, amount, id, time } = &self.fields;
        let at = match time {
            None => Duration::ZERO,
            Some(field) => since(message.get(field)).ok_or_else(|| {
                format!(
                    "field `{field}` is the time of a part, in seconds or milliseconds since 1970"
                )
            })?,
        };
        let what = if let Some(undo) = message.get("undo") {
            let id = undo.as_u64().ok_or("`undo` is the `id` of another part, a number")?;
            What::Undo { id }
        } else {
            let Some(word) = message.get(part).and_then(Value::as_str) else {
                return Err(format!("the message has no field `{part}`, which says what it is"));
            };
            match (self.what)(&self.names, word) {
                Some(What::Is { kind, .. }) => {
                    let amount = match message.get(amount) {
                        None | Some(Value::Null) => 0,
                        Some(value) => hundredths(value).ok_or_else(|| {
                            format!("field `{amount}` is an amount, so it is a number")
                        })?,
                    };
                    What::Is { kind, amount }
                }
                Some(what) => what,
                None if self.others => return Ok(None),
                None => {
                    let hint = hint(word, self.names.iter().map(String::as_str));
                    return Err(format!("there is no part `{word}`{hint}"));
                }
            }
        };
        Ok(Some(Found { key: Key::of(message, key)?, id: id_of(message, id)?, what, at }))
    }

    /// What the file calls a kind.
    pub(super) fn name(&self, kind: T) -> String {
        (self.name)(&self.names, kind)
    }
}

/// A time, as a number.
fn since(value: Option<&Value>) -> Option<Duration> {
    /// A number above this is in milliseconds, below in seconds: the years 1973 and 5138.
    const SECONDS_MAX: f64 = 1e11;
    let number = value?.as_f64()?;
    let seconds = if number < SECONDS_MAX { number } else { number / 1000.0 };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use towpath_patterns::yaml;

    use super::*;

    fn made(text: &str) -> Result<Made, String> {
        let told = |it: Problem| format!("{}:{} {}", it.place.line, it.place.column, it.message);
        yaml::read(&yaml::parse(text).unwrap()).and_then(Made::of).map_err(told)
    }

    #[test]
    fn messages_are_what_their_fields_say() {
        let Ok(Made::General(plan)) = made(
            "parts: {order: 1, bill: 1..}\nkey: item\ntime: at\nequal: [[order, bill]]\ntolerance: 2%\n",
        ) else {
            panic!()
        };
        let found = plan
            .find(&json!({"item": 7, "part": "bill", "amount": 12.345, "id": 9, "at": 1500}))
            .unwrap()
            .unwrap();
        assert_eq!(
            (found.key, found.id, found.at),
            (Key::Number(7), Some(9), Duration::from_secs(1500))
        );
        assert_eq!(found.what, What::Is { kind: Part(1), amount: 1235 });
        assert_eq!(plan.name(Part(1)), "bill");
        let undo = plan.find(&json!({"item": 7, "undo": 9, "at": 1.5e12})).unwrap().unwrap();
        assert_eq!((undo.what, undo.at.as_secs()), (What::Undo { id: 9 }, 1_500_000_000));
        let wrong = plan.find(&json!({"item": 7, "part": "bil", "at": 1})).err().unwrap();
        assert_eq!(wrong, "there is no part `bil`; did you mean `bill`?");
        assert!(plan.find(&json!({"item": 7, "part": "bill"})).err().unwrap().contains("`at`"));
    }

    #[test]
    fn papers_are_known_by_their_activity() {
        let Ok(Made::Purchase(plan)) = made("rules: purchase\n") else { panic!() };
        let found = plan
            .find(&json!({"case": "4507_1", "activity": "Record Goods Receipt"}))
            .unwrap()
            .unwrap();
        assert_eq!(found.what, What::Is { kind: Paper::Receipt, amount: 0 });
        assert!(
            plan.find(&json!({"case": "4507_1", "activity": "Change Price"})).unwrap().is_none()
        );
        assert_eq!(plan.name(Paper::Clearing), "clearing");
    }

    #[test]
    fn what_is_wrong_with_the_rules_is_told_at_its_place() {
        let told = |text: &str| made(text).err().unwrap();
        assert_eq!(
            told("parts: {a: 1, b: some}\n"),
            "1:18 how many there are is a number, or from one to another: 1, 1.., 0..3"
        );
        assert_eq!(
            told("parts: {a: 1}\neach: {a: c}\n"),
            "2:11 there is no part `c`; did you mean `a`?"
        );
        assert!(told("parts: {}\n").starts_with("1:8 a set has from 1 to 8 kinds"));
        assert!(told("window: 1d\n").contains("say which `parts` make a set"));
        assert!(told("parts: {a: 1}\nway: two_way\n").contains("belongs to `rules: purchase`"));
        assert!(told("rules: purchase\nparts: {a: 1}\n").starts_with("2:8 `rules: purchase` says"));
        assert!(told("parts: {a: 1}\ntolerance: much\n").starts_with("2:12 a tolerance is"));
        assert!(told("rules: purchases\n").contains("did you mean `purchase`?"));
    }
}
