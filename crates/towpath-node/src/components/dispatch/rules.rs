//! By what rules riders get drivers: as a file says it, as an operator changes it, as the dashboard shows it.

use serde::Deserialize;
use serde_json::{Value, json};
use towpath_patterns::{
    dispatch::{BadPolicy, Geofence, Point, Policy},
    yaml::{At, Place, Problem, Span},
};

/// What the file says of a process; and, but for the first words, what messages at `policy` and the verb `set` change.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    durable: Option<At<bool>>,
    drivers_accept: Option<At<bool>>,
    ride: Option<At<String>>,
    over: Option<At<Vec<String>>>,
    window: Option<At<Span>>,
    near_km: Option<At<f64>>,
    radius_km: Option<At<f64>>,
    geofence: Option<At<Value>>,
    deadline: Option<At<Span>>,
    margin: Option<At<Span>>,
    lease: Option<At<Span>>,
    gather: Option<At<Span>>,
    waiting_max: Option<At<usize>>,
    drivers_max: Option<At<usize>>,
    silence: Option<At<Span>>,
}

/// What does not change while it runs.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// Whether matches survive crashes.
    pub(super) durable: bool,
    /// Whether every driver takes every rider, so that nobody asks.
    pub(super) drivers_accept: bool,
    /// The field of a request that says which ride it is.
    pub(super) ride: String,
    /// States in which a ride is over, in messages at `rides`; `None`: every message there says so.
    pub(super) over: Option<Vec<String>>,
    /// The first rules.
    pub(super) policy: Policy,
}

impl Change {
    /// As the options of a process.
    ///
    /// # Errors
    /// What is wrong with them, at its place.
    pub(super) fn options(self) -> Result<Options, Problem> {
        fn or<T>(word: Option<At<T>>, default: T) -> T {
            word.map_or(default, |it| it.value)
        }
        let drivers_accept = self.drivers_accept.as_ref().is_none_or(|it| it.value);
        let mut policy = Policy::default();
        if drivers_accept {
            policy.lease = None;
        }
        let policy = self.of(&policy)?;
        Ok(Options {
            durable: or(self.durable, false),
            drivers_accept,
            ride: or(self.ride, "id".to_owned()),
            over: self.over.map(|it| it.value),
            policy,
        })
    }

    /// From a message, or from somebody at the dashboard.
    ///
    /// # Errors
    /// In words.
    pub(super) fn from_message(message: Value) -> Result<Self, String> {
        let change: Self = serde_json::from_value(message).map_err(|error| error.to_string())?;
        let Self { durable, drivers_accept, ride, over, .. } = &change;
        if durable.is_some() || drivers_accept.is_some() || ride.is_some() || over.is_some() {
            return Err("`durable`, `drivers_accept`, `ride` and `over` do not change while it runs: change the file".to_owned());
        }
        Ok(change)
    }

    /// The rules with this changed.
    ///
    /// # Errors
    /// What is wrong with them then, at the place of a word that may be why.
    pub(super) fn of(&self, before: &Policy) -> Result<Policy, Problem> {
        let mut policy = before.clone();
        let metres = |km: &At<f64>| km.value * 1000.0;
        if let Some(near_km) = &self.near_km {
            policy.near_m = metres(near_km);
        }
        if let Some(radius_km) = &self.radius_km {
            policy.wide_m = metres(radius_km);
            if self.near_km.is_none() {
                // Who draws the wide circle closer means the near one too.
                policy.near_m = policy.near_m.min(policy.wide_m);
            }
        }
        if let Some(At { place, value }) = &self.geofence {
            policy.geofence = geofence(value).map_err(|why| Problem::new(*place, why))?;
        }
        for (span, it) in [
            (&self.window, &mut policy.window),
            (&self.deadline, &mut policy.deadline),
            (&self.margin, &mut policy.margin),
            (&self.gather, &mut policy.gather),
            (&self.silence, &mut policy.silence),
        ] {
            if let Some(At { value: Span(span), .. }) = span {
                *it = *span;
            }
        }
        if let Some(At { value: Span(lease), place }) = &self.lease {
            if policy.lease.is_none() {
                let message = "a lease is how long a driver may think about an offer, and here drivers are not asked: say `drivers_accept: false`";
                return Err(Problem::new(*place, message));
            }
            policy.lease = Some(*lease);
        }
        for (count, it) in [
            (&self.waiting_max, &mut policy.waiting_max),
            (&self.drivers_max, &mut policy.drivers_max),
        ] {
            if let Some(At { value, .. }) = count {
                *it = *value;
            }
        }
        policy.check().map_err(|why| Problem::new(self.place_of(why), told(why)))?;
        Ok(policy)
    }

    /// Where the word stands that is probably wrong.
    fn place_of(&self, why: BadPolicy) -> Place {
        fn at<T>(it: &Option<At<T>>) -> Option<Place> {
            it.as_ref().map(|it| it.place)
        }
        let place = match why {
            BadPolicy::Radius => at(&self.radius_km).or(at(&self.near_km)),
            BadPolicy::Window => {
                at(&self.window).or(at(&self.deadline)).or(at(&self.gather)).or(at(&self.margin))
            }
            BadPolicy::Lease => at(&self.lease).or(at(&self.silence)),
            _ => at(&self.waiting_max).or(at(&self.drivers_max)),
        };
        place.unwrap_or(Place { line: 1, column: 1 })
    }
}

/// In the words of the file.
fn told(why: BadPolicy) -> String {
    match why {
        BadPolicy::Radius => "the radii are wrong: 0 <= near_km <= radius_km".to_owned(),
        BadPolicy::Lease => "`lease` and `silence` are longer than nothing".to_owned(),
        other => other.to_string(),
    }
}

/// One polygon, `[[lat, lon], …]`, or a list of them; null is everywhere.
fn geofence(value: &Value) -> Result<Geofence, String> {
    const FORM: &str =
        "a geofence is a list of corners, each [latitude, longitude], or a list of such lists";
    if value.is_null() {
        return Ok(Geofence::everywhere());
    }
    let rings = value.as_array().ok_or(FORM)?;
    let is_one = rings
        .first()
        .is_some_and(|first| point(first).is_ok() || first.get(0).is_some_and(Value::is_number));
    let ring = |ring: &Value| -> Result<Vec<Point>, String> {
        ring.as_array().ok_or(FORM)?.iter().map(point).collect()
    };
    let rings = if is_one {
        vec![ring(value)?]
    } else {
        rings.iter().map(ring).collect::<Result<_, _>>()?
    };
    Geofence::polygons(rings).map_err(|error| error.to_string())
}

/// A place as messages have it.
///
/// # Errors
/// In words.
pub(super) fn point(value: &Value) -> Result<Point, String> {
    let number = |index| value.get(index).and_then(Value::as_f64);
    match (number(0), number(1), value.as_array().map(Vec::len)) {
        (Some(lat), Some(lon), Some(2)) => Point::new(lat, lon).map_err(|error| error.to_string()),
        _ => Err("a place is [latitude, longitude], in degrees".to_owned()),
    }
}

/// The rules as people see them, in the words of the file.
pub(super) fn shown(policy: &Policy) -> Value {
    let ms = |span: std::time::Duration| format!("{}ms", span.as_millis());
    json!({
        "window": ms(policy.window),
        "near_km": policy.near_m / 1000.0,
        "radius_km": policy.wide_m / 1000.0,
        "deadline": ms(policy.deadline),
        "margin": ms(policy.margin),
        "lease": policy.lease.map(ms),
        "gather": ms(policy.gather),
        "waiting_max": policy.waiting_max,
        "drivers_max": policy.drivers_max,
        "silence": ms(policy.silence),
        "geofence": policy.geofence != Geofence::everywhere(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use towpath_patterns::yaml;

    use super::*;

    fn changed(text: &str) -> Result<Policy, String> {
        let change: Change = yaml::read(&yaml::parse(text).unwrap()).map_err(|it| it.message)?;
        let before = Policy { lease: None, ..Policy::default() };
        change
            .of(&before)
            .map_err(|it| format!("{}:{} {}", it.place.line, it.place.column, it.message))
    }

    #[test]
    fn what_is_said_changes_and_the_rest_stays() {
        let policy = changed("window: 200ms\nradius_km: 3\nwaiting_max: 7\n").unwrap();
        assert_eq!(
            (policy.window, policy.wide_m, policy.near_m),
            (Duration::from_millis(200), 3000.0, 1000.0)
        );
        assert_eq!((policy.waiting_max, policy.deadline), (7, Policy::default().deadline));
        assert_eq!(changed("radius_km: 0.5\n").unwrap().near_m, 500.0);
        let fenced = changed("geofence: [[0, 0], [0, 1], [1, 1]]\n").unwrap().geofence;
        assert!(
            fenced.contains(&Point::new(0.4, 0.9).unwrap())
                && !fenced.contains(&Point::new(0.9, 0.4).unwrap())
        );
        let two = changed("geofence: [[[0, 0], [0, 1], [1, 1]], [[5, 5], [5, 6], [6, 6]]]\n")
            .unwrap()
            .geofence;
        assert!(two.contains(&Point::new(5.4, 5.9).unwrap()));
    }

    #[test]
    fn the_words_of_a_file_are_those_of_a_message() {
        let change = Change::from_message(json!({"window": "100ms", "near_km": 0.25})).unwrap();
        let policy = change.of(&Policy::default()).unwrap();
        assert_eq!((policy.window.as_millis(), policy.near_m), (100, 250.0));
        assert_eq!(shown(&policy)["near_km"], 0.25);
        assert!(
            Change::from_message(json!({"durable": true})).unwrap_err().contains("change the file")
        );
        assert!(Change::from_message(json!({"windw": "1s"})).unwrap_err().contains("`windw`"));
    }

    #[test]
    fn what_cannot_be_followed_is_told_at_its_place() {
        let told = |text| changed(text).unwrap_err();
        assert_eq!(
            told("near_km: 2\nradius_km: 1\n"),
            "2:12 the radii are wrong: 0 <= near_km <= radius_km"
        );
        assert!(told("window: 5s\n").starts_with("1:9 no time is left after the window"));
        assert!(told("window: 0.3\n").starts_with("a span of time is"));
        assert!(told("lease: 1s\n").contains("drivers_accept: false"));
        assert!(told("radius: 1\n").contains("did you mean `radius_km`?"));
        assert!(
            told("geofence: [[0, 0], [0, 1]]\n")
                .starts_with("1:11 polygon 0 has fewer than three corners")
        );
        assert!(told("geofence: [[0, 200], [0, 1], [1, 1]]\n").contains("no place on the earth"));
        assert!(told("drivers_max: 0\n").starts_with("1:14 waiting_max and drivers_max"));
    }
}
