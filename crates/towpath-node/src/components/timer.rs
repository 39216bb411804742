//! `timer`: a source that sends a message now and then.
//!
//! ```yaml
//! look:  {uses: timer, every: 5min, out: looks}
//! night: {uses: timer, at: ["03:30", "15:30"], message: {what: report, number: "{n}"}, out: reports}
//! ```
//!
//! `every` counts from the start, and what could not be sent in time is left out: a timer says that it is time, and once is enough. (For a
//! pace that makes up for delays there is `load`.) `at` is times of the day, in UTC; a clock that is set is followed within a minute. `{n}`
//! in `message` is the number of the message, from 1. Without `message` it is just that number. `count` ends it.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::Value;
use towpath::{BoxError, Ctx, MissedTick, Traced, after, rt, select, tick};
use towpath_patterns::yaml::{At, Place, Problem, Span};

use super::load::filled;
use crate::{
    component::{Component, Port},
    ports::Ports,
};

/// How long it sleeps at most before it looks at the clock again, which somebody may have set.
const LOOK: Duration = Duration::from_secs(60);

const DAY: u64 = 24 * 3600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    every: Option<At<Span>>,
    at: Option<At<Times>>,
    message: Option<Value>,
    /// None: for ever.
    count: Option<u64>,
}

/// One time of the day, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Times {
    One(String),
    Several(Vec<String>),
}

/// When.
#[derive(Clone, Debug, PartialEq, Eq)]
enum When {
    Every(Duration),
    /// Seconds of the day, rising.
    At(Vec<u64>),
}

pub(super) fn component() -> Component {
    Component::new("timer", "sends a message every so often, or at times of the day")
        .output(Port::new("out"))
        .source()
        .makes(|options: Options, _| {
            let when = when(options.every, options.at)?;
            let message = options.message.unwrap_or_else(|| Value::from("{n}"));
            let count = options.count.unwrap_or(u64::MAX);
            Ok(async move |ctx: Ctx, ports: &mut Ports| {
                let mut ticks = match when {
                    When::Every(period) => Some(tick(period).missed(MissedTick::Skip)),
                    When::At(_) => None,
                };
                for n in 1..=count {
                    match (&mut ticks, &when) {
                        (Some(ticks), _) => select! { biased;
                            _ = ctx.done() => return Ok(()),
                            _ = ticks.recv() => {}
                        },
                        (None, When::At(times)) => {
                            let due = next(times, rt::wall());
                            loop {
                                let left = due.duration_since(rt::wall()).unwrap_or_default();
                                if left.is_zero() {
                                    break;
                                }
                                select! { biased;
                                    _ = ctx.done() => return Ok(()),
                                    () = after(left.min(LOOK)) => {}
                                }
                            }
                        }
                        (None, When::Every(_)) => {}
                    }
                    let message = Traced::new(ctx.headers(), filled(&message, n));
                    if ports.send("out", message).await.is_err() {
                        break;
                    }
                }
                Ok::<_, BoxError>(())
            })
        })
}

fn when(every: Option<At<Span>>, at: Option<At<Times>>) -> Result<When, Problem> {
    match (every, at) {
        (Some(every), None) => Ok(When::Every(every.value.0)),
        (None, Some(At { place, value })) => {
            let texts = match value {
                Times::One(text) => vec![text],
                Times::Several(texts) => texts,
            };
            let read = |text: &String| {
                second_of_day(text).ok_or_else(|| {
                    Problem::new(
                        place,
                        format!("`{text}` is no time of the day: write \"07:30\" or \"07:30:15\""),
                    )
                })
            };
            let mut times = texts.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            times.sort_unstable();
            times.dedup();
            if times.is_empty() {
                return Err(Problem::new(place, "`at` has no time"));
            }
            Ok(When::At(times))
        }
        (Some(every), Some(_)) => Err(Problem::new(every.place, "give `every` or `at`, not both")),
        (None, None) => Err(Problem::new(Place::default(), "when? give `every` or `at`")),
    }
}

fn second_of_day(text: &str) -> Option<u64> {
    let mut parts = text.split(':').map(|part| {
        let is_two = part.len() == 2 && part.bytes().all(|it| it.is_ascii_digit());
        is_two.then(|| part.parse::<u64>().ok())?
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let is_right = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    is_right.then_some(hour * 3600 + minute * 60 + second)
}

/// The next of these times after `now`.
fn next(times: &[u64], now: SystemTime) -> SystemTime {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let midnight = since.as_secs() / DAY * DAY;
    let of_day = since - Duration::from_secs(midnight);
    let today = times.iter().find(|it| Duration::from_secs(**it) > of_day);
    let seconds = match (today, times.first()) {
        (Some(today), _) => midnight + today,
        (None, first) => midnight + DAY + first.copied().unwrap_or_default(),
    };
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_day_are_read_or_refused() {
        for (text, expected) in [
            ("00:00", Some(0)),
            ("07:30", Some(27_000)),
            ("23:59:59", Some(86_399)),
            ("24:00", None),
            ("7:30", None),
            ("07:60", None),
            ("07", None),
            ("07:30:00:00", None),
            ("aa:bb", None),
            ("+7:30", None),
        ] {
            assert_eq!(second_of_day(text), expected, "{text}");
        }
    }

    #[test]
    fn the_next_time_is_today_or_tomorrow() {
        let at = |day: u64, second: u64| {
            SystemTime::UNIX_EPOCH + Duration::from_secs(day * DAY + second)
        };
        let times = [3600, 7200];
        assert_eq!(next(&times, at(5, 0)), at(5, 3600));
        assert_eq!(next(&times, at(5, 3600)), at(5, 7200), "not the one that is now");
        assert_eq!(next(&times, at(5, 7199) + Duration::from_millis(1)), at(5, 7200));
        assert_eq!(next(&times, at(5, 7200) + Duration::from_millis(1)), at(6, 3600));
    }
}
