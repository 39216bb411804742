//! Times as files write them, in milliseconds since 1970.

use serde_json::Value;

/// A number above this is in milliseconds, below in seconds: the year 5138, and 1973.
const SECONDS_MAX: f64 = 1e11;

/// `2019-03-23 20:21:09`, `2019-03-23T20:21:09.5Z`, `2019-03-23T20:21:09+01:00`, `2019-03-23`, or seconds or milliseconds since 1970.
/// Without a zone it is UTC.
pub(crate) fn millis(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => {
            text.trim().parse().ok().and_then(of_number).or_else(|| of_text(text.trim()))
        }
        Value::Number(number) => number.as_f64().and_then(of_number),
        _ => None,
    }
}

fn of_number(number: f64) -> Option<i64> {
    let millis = if number.abs() < SECONDS_MAX { number * 1000.0 } else { number };
    (millis.is_finite() && millis.abs() < 1e15).then_some(millis.round() as i64)
}

fn of_text(text: &str) -> Option<i64> {
    let digits = |from: usize, len: usize| {
        let digits = text.get(from..from + len)?;
        digits.bytes().all(|it| it.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let mark = |at: usize| text.as_bytes().get(at).copied();
    let (year, month, day) = (digits(0, 4)?, digits(5, 2)?, digits(8, 2)?);
    if (mark(4), mark(7)) != (Some(b'-'), Some(b'-'))
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
    {
        return None;
    }
    let days = days(year, month, day);
    if text.len() == 10 {
        return Some(days * 86_400_000);
    }
    let (hour, minute, second) = (digits(11, 2)?, digits(14, 2)?, digits(17, 2)?);
    let marks = matches!(mark(10), Some(b' ' | b'T' | b't'))
        && (mark(13), mark(16)) == (Some(b':'), Some(b':'));
    if !marks || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let count = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, zone) = rest.split_at(count);
            // Three digits of it are milliseconds.
            let three: String = fraction.chars().chain("000".chars()).take(3).collect();
            ((count > 0).then(|| three.parse::<i64>().ok())??, zone)
        }
    };
    let east = match zone.trim_start().as_bytes() {
        b"" | b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let number = |pair: [u8; 2]| {
                let is_number = pair.iter().all(u8::is_ascii_digit);
                is_number.then(|| i64::from(pair[0] - b'0') * 10 + i64::from(pair[1] - b'0'))
            };
            let (hours, minutes) = match *rest {
                [a, b, b':', c, d] | [a, b, c, d] => (number([a, b])?, number([c, d])?),
                [a, b] => (number([a, b])?, 0),
                _ => return None,
            };
            let ahead = hours * 3_600_000 + minutes * 60_000;
            if *sign == b'+' { ahead } else { -ahead }
        }
        _ => return None,
    };
    Some(days * 86_400_000 + hour * 3_600_000 + minute * 60_000 + second * 1000 + fraction - east)
}

/// Days since 1970, by the civil calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for (value, expected) in [
            (json!("1970-01-01"), Some(0)),
            (json!("2019-03-23 20:21:09"), Some(1_553_372_469_000)),
            (json!("2019-03-23T20:21:09Z"), Some(1_553_372_469_000)),
            (json!("2019-03-23T20:21:09.25Z"), Some(1_553_372_469_250)),
            (json!("2019-03-23T21:21:09.123456+01:00"), Some(1_553_372_469_123)),
            (json!("2019-03-23T15:21:09-0500"), Some(1_553_372_469_000)),
            (json!("2000-02-29 00:00:01"), Some(951_782_401_000)),
            (json!(1_553_372_469), Some(1_553_372_469_000)),
            (json!(1_553_372_469.5), Some(1_553_372_469_500)),
            (json!(1_553_372_469_123_u64), Some(1_553_372_469_123)),
            (json!("1553372469"), Some(1_553_372_469_000)),
            (json!("2019-13-01"), None),
            (json!("2019-03-23 25:00:00"), None),
            (json!("2019-03-23 20:21"), None),
            (json!("2019-03-23T20:21:09 noon"), None),
            (json!("2019-03-23T20:21:09.Z"), None),
            (json!("yesterday"), None),
            (json!(""), None),
            (json!("nan"), None),
            (json!(1e300), None),
            (json!(null), None),
        ] {
            assert_eq!(millis(&value), expected, "{value}");
        }
    }
}
