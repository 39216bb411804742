//! Spans of time as tables write them: a whole number and a unit, `250ms`, `90s`, `15min`, `2h`, `30d`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// Units with their milliseconds, small to large.
pub(crate) const UNITS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The longest span that is taken: a century. A longer one is a slip of the pen, and adding it to a date could overflow.
const MILLIS_MAX: u64 = 100 * 366 * 86_400_000;

/// Reads a span, or says what one looks like.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "a span of time is a whole number and a unit: 250ms, 90s, 15min, 2h or 30d, and at most a century";
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| FORM)?;
    let (_, size) = UNITS.iter().find(|(known, _)| *known == unit.trim_start()).ok_or(FORM)?;
    let millis = number.checked_mul(*size).filter(|millis| (1..=MILLIS_MAX).contains(millis));
    millis.map(Duration::from_millis).ok_or(FORM)
}

/// A span of time as files write it: `250ms`, `90s`, `15min`, `2h`, `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a span of time such as 250ms, 90s, 15min, 2h or 30d")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                parse(text).map(Span).map_err(E::custom)
            }
        }

        from.deserialize_str(Visitor)
    }
}
