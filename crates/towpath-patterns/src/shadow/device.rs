//! One device's shadow, as a value: reports and wishes come in, a version and a difference come out.
//!
//! What always holds:
//! - The version counts changes: it goes up by one with each report or wish that changes anything, and with nothing else.
//! - The number of the last report only goes up.

use std::{error, fmt, sync::Arc};

use super::Patch;

/// Named values, sorted by name.
///
/// A vector: devices have few fields, and there are many devices.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fields<V>(Vec<(Arc<str>, V)>);

impl<V> Fields<V> {
    /// A field's value.
    pub fn get(&self, field: &str) -> Option<&V> {
        let index = self.0.binary_search_by(|(name, _)| (**name).cmp(field)).ok()?;
        Some(&self.0[index].1)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V: PartialEq> Fields<V> {
    /// Applies a patch; whether anything is different now. Names that are new here go through `shared`.
    fn apply(&mut self, patch: Patch<V>, shared: &mut impl FnMut(Arc<str>) -> Arc<str>) -> bool {
        let mut changed = false;
        for (name, value) in patch.fields {
            match (self.0.binary_search_by(|(other, _)| other.cmp(&name)), value) {
                (Ok(index), Some(value)) => {
                    changed |= self.0[index].1 != value;
                    self.0[index].1 = value;
                }
                (Ok(index), None) => {
                    changed = true;
                    self.0.remove(index);
                }
                (Err(index), Some(value)) => {
                    changed = true;
                    // Exactly: a device that has its fields has all of them.
                    self.0.reserve_exact(1);
                    self.0.insert(index, (shared(name), value));
                }
                (Err(_), None) => {}
            }
        }
        changed
    }
}

/// A shadow, as it was when somebody asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View<V> {
    /// Changes so far.
    pub version: u64,
    /// What the device has said.
    pub reported: Fields<V>,
    /// What it should be.
    pub desired: Fields<V>,
    /// Whether it has reported lately.
    pub online: bool,
}

/// A wish that came too late: the shadow has changed since it was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conflict {
    /// The version that was looked at.
    pub expected: u64,
    /// The version now.
    pub version: u64,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { expected, version } = self;
        write!(
            f,
            "the shadow is at version {version}, not at {expected}; look again and decide anew"
        )
    }
}

impl error::Error for Conflict {}

/// What a report has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Report {
    /// Nothing: a later one, or the same, was there already.
    Old,
    /// It was taken; what it says is as desired, or nobody desires anything of it.
    Taken,
    /// It was taken, and says something else than what is desired.
    Contradicts,
}

/// One device.
pub(super) struct Device<V> {
    version: u64,
    last_report: u64,
    reported: Fields<V>,
    desired: Fields<V>,
}

impl<V: Clone + PartialEq> Device<V> {
    pub(super) fn new() -> Self {
        let none = || Fields(Vec::new());
        Self { version: 0, last_report: 0, reported: none(), desired: none() }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The device says so, for the `number`-th time.
    pub(super) fn report(
        &mut self,
        number: u64,
        patch: Patch<V>,
        shared: &mut impl FnMut(Arc<str>) -> Arc<str>,
    ) -> Report {
        if number <= self.last_report {
            return Report::Old;
        }
        self.last_report = number;
        let contradicts = patch.fields.iter().any(|(name, value)| {
            let desired = self.desired.get(name);
            desired.is_some() && desired != value.as_ref()
        });
        self.version += u64::from(self.reported.apply(patch, shared));
        if contradicts { Report::Contradicts } else { Report::Taken }
    }

    /// Somebody wishes so; the new version.
    pub(super) fn desire(
        &mut self,
        unchanged_since: Option<u64>,
        patch: Patch<V>,
        shared: &mut impl FnMut(Arc<str>) -> Arc<str>,
    ) -> Result<u64, Conflict> {
        if let Some(expected) = unchanged_since
            && expected != self.version
        {
            return Err(Conflict { expected, version: self.version });
        }
        self.version += u64::from(self.desired.apply(patch, shared));
        Ok(self.version)
    }

    /// What the device should set to be as desired.
    pub(super) fn diff(&self) -> Patch<V> {
        let differs = |(name, value): &&(Arc<str>, V)| self.reported.get(name) != Some(value);
        let wanted = self.desired.0.iter().filter(differs);
        Patch { fields: wanted.map(|(name, value)| (name.clone(), Some(value.clone()))).collect() }
    }

    pub(super) fn view(&self, online: bool) -> View<V> {
        let Self { version, reported, desired, .. } = self;
        View { version: *version, reported: reported.clone(), desired: desired.clone(), online }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(fields: &[(&str, Option<u32>)]) -> Patch<u32> {
        Patch { fields: fields.iter().map(|(name, value)| ((*name).into(), *value)).collect() }
    }

    /// Runs a script of `r<number>:field=value`, `d:field=value` and `d<version>:…`, and tells version, answer and diff.
    fn check(script: &str, expected: &[&str]) {
        let mut device = Device::new();
        let told = script.split("; ").map(|step| {
            let (who, what) = step.split_once(':').unwrap();
            let (name, value) = what.split_once('=').unwrap();
            let patch = patch(&[(name, value.parse().ok())]);
            let answer = match who.split_at(1) {
                ("r", number) => {
                    format!("{:?}", device.report(number.parse().unwrap(), patch, &mut |it| it))
                }
                (_, since) => match device.desire(since.parse().ok(), patch, &mut |it| it) {
                    Ok(version) => version.to_string(),
                    Err(conflict) => format!("not {}", conflict.expected),
                },
            };
            let diff = device.diff();
            let diff: Vec<_> =
                diff.fields().map(|(name, value)| format!("{name}={}", value.unwrap())).collect();
            format!("{answer} v{} [{}]", device.version(), diff.join(" "))
        });
        assert_eq!(told.collect::<Vec<_>>(), expected, "{script}");
    }

    #[test]
    fn a_wish_differs_until_it_is_reported() {
        check(
            "r1:t=5; d:t=7; r2:t=6; r3:t=7",
            &["Taken v1 []", "2 v2 [t=7]", "Contradicts v3 [t=7]", "Taken v4 []"],
        );
    }

    #[test]
    fn old_reports_change_nothing() {
        check(
            "r2:t=5; r2:t=6; r1:t=7; r9:t=8",
            &["Taken v1 []", "Old v1 []", "Old v1 []", "Taken v2 []"],
        );
    }

    #[test]
    fn what_changes_nothing_has_no_version() {
        check(
            "r1:t=5; r2:t=5; d:t=5; d:t=5; d:u=-",
            &["Taken v1 []", "Taken v1 []", "2 v2 []", "2 v2 []", "2 v2 []"],
        );
    }

    #[test]
    fn a_wish_that_looked_at_an_older_version_is_refused() {
        check(
            "d0:t=1; d0:t=2; d1:t=2; r1:u=1; d2:t=3",
            &["1 v1 [t=1]", "not 0 v1 [t=1]", "2 v2 [t=2]", "Taken v3 [t=2]", "not 2 v3 [t=2]"],
        );
    }

    #[test]
    fn fields_come_and_go() {
        check(
            "r1:a=1; d:a=2; r2:a=-; d:a=-",
            &["Taken v1 []", "2 v2 [a=2]", "Contradicts v3 [a=2]", "4 v4 []"],
        );
    }
}
