//! The verdicts as a table for people, and as JSON.

use std::fmt;

use serde_json::{Value, json};

use crate::{Fate, judge::Verdict};

/// A table of verdicts.
pub struct Table<'a>(pub &'a [Verdict]);

impl Verdict {
    /// What Towpath makes of the shape when ends are owned.
    pub fn owned_in_words(&self) -> &'static str {
        let alarmed = self.owned.as_ref().is_some_and(|owned| owned.alarm.is_some());
        match self.kernel.fate {
            _ if alarmed => "FALSE ALARM",
            Fate::Unwritable => "cannot be written",
            Fate::Value => "becomes a value",
            Fate::Scoped => "the scope ends it",
            Fate::Detect => "to be detected",
        }
    }

    fn found_in_words(&self) -> String {
        let Some(hunt) = &self.hunt else { return "-".to_owned() };
        match (hunt.schedules_at(50), hunt.schedules_at(99)) {
            (Some(half), Some(most)) => format!("{half} / {most}"),
            (Some(half), None) => format!("{half} / missed by {}", hunt.missed),
            (None, _) => "MISSED".to_owned(),
        }
    }

    fn right_in_words(&self) -> String {
        match &self.hunt {
            Some(hunt) if !hunt.found.is_empty() => {
                format!("{} %", hunt.right * 100 / hunt.found.len() as u64)
            }
            _ => "-".to_owned(),
        }
    }

    fn forced_in_words(&self) -> String {
        let median = self.hunt.as_ref().and_then(|hunt| hunt.forced_median());
        median.map_or("-".to_owned(), |median| median.to_string())
    }

    fn fixed_in_words(&self) -> String {
        match &self.fixed.alarm {
            Some(_) => "FALSE ALARM".to_owned(),
            None => format!("clean in {}", self.fixed.schedules),
        }
    }

    /// Everything, for programs.
    pub fn to_json(&self) -> Value {
        let hunt = self.hunt.as_ref().map(|hunt| {
            json!({
                "seeds_found": hunt.found.len(),
                "seeds_missed": hunt.missed,
                "schedules_p50": hunt.schedules_at(50),
                "schedules_p99": hunt.schedules_at(99),
                "schedules_max": hunt.found.iter().max(),
                "right_place": hunt.right,
                "forced_choices_median": hunt.forced_median(),
                "slowest_ms": hunt.slowest().as_millis() as u64,
                "replays": hunt.replays,
                "replays_unlike": hunt.unlike,
                "kind": hunt.finding.as_ref().map(|finding| format!("{:?}", finding.kind)),
                "summary": hunt.finding.as_ref().map(|finding| finding.summary.clone()),
                "token": hunt.token,
            })
        });
        let calm = |calm: &crate::judge::Calm| {
            json!({
                "schedules": calm.schedules,
                "schedules_per_second": calm.schedules as f64 / calm.time.as_secs_f64(),
                "false_alarm": calm.alarm.as_ref().map(|alarm| alarm.summary.clone()),
            })
        };
        json!({
            "kernel": self.kernel.name,
            "class": format!("{:?}", self.kernel.class),
            "fate": format!("{:?}", self.kernel.fate),
            "plain_go_of_100": self.kernel.go_of_100,
            "bug": hunt,
            "owned": self.owned.as_ref().map(calm),
            "fixed": calm(&self.fixed),
        })
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| kernel | class | plain Go, of 100 | with owned ends | found after schedules, p50 / p99 | right place | \
             forced choices | fixed twin |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for verdict in self.0 {
            let kernel = verdict.kernel;
            let go = kernel.go_of_100.map_or("-".to_owned(), |times| times.to_string());
            writeln!(
                f,
                "| {} | {:?} | {go} | {} | {} | {} | {} | {} |",
                kernel.name,
                kernel.class,
                verdict.owned_in_words(),
                verdict.found_in_words(),
                verdict.right_in_words(),
                verdict.forced_in_words(),
                verdict.fixed_in_words(),
            )?;
        }
        let perfect = self.0.iter().filter(|verdict| verdict.is_perfect()).count();
        writeln!(f, "\n{perfect} of {} kernels as they should be", self.0.len())?;
        self.sum(f)
    }
}

impl Table<'_> {
    /// All kernels together.
    fn sum(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (timers, what) in [(false, "without timers"), (true, "with timers")] {
            let kernels = self.0.iter().filter(|verdict| verdict.kernel.timers == timers);
            let hunts: Vec<_> = kernels.filter_map(|verdict| verdict.hunt.as_ref()).collect();
            let missed = hunts.iter().filter(|hunt| hunt.missed > 0).count();
            let worst = hunts.iter().filter_map(|hunt| hunt.schedules_at(99)).max();
            let worst = worst.map_or("-".to_owned(), |worst| worst.to_string());
            writeln!(
                f,
                "{} bugs {what}: {missed} missed by some seed, the others within {worst} schedules at p99",
                hunts.len()
            )?;
        }
        let alarms = self.0.iter().flat_map(Verdict::calms).filter(|calm| calm.alarm.is_some());
        writeln!(f, "{} false alarms in programs without a bug", alarms.count())?;
        let hunts: Vec<_> = self.0.iter().filter_map(|verdict| verdict.hunt.as_ref()).collect();
        let forced = median(hunts.iter().flat_map(|hunt| hunt.forced.iter().copied()));
        let time = median(hunts.iter().flat_map(|hunt| hunt.times.iter().copied()));
        let slowest = hunts.iter().map(|hunt| hunt.slowest()).max();
        if let (Some(forced), Some(time), Some(slowest)) = (forced, time, slowest) {
            writeln!(
                f,
                "{forced} forced choices are left in the median; found, made smaller and told in {time:.1?}, at most {slowest:.1?}"
            )?;
        }
        let replays: u64 = hunts.iter().map(|hunt| hunt.replays).sum();
        let unlike: u64 = hunts.iter().map(|hunt| hunt.unlike).sum();
        writeln!(f, "{replays} replays, {unlike} of them not the same")
    }
}

fn median<T: Ord>(all: impl Iterator<Item = T>) -> Option<T> {
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    let middle = all.len() / 2;
    all.into_iter().nth(middle)
}
