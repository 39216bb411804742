//! The matcher: against brute force, under many schedules, with crashes in the hand-over, and on a real log.

mod brute;
mod hand_over;
mod oracle;
#[cfg(feature = "xes")]
mod orders;
mod schedules;

use std::time::Duration;

use towpath_patterns::matcher::{Output, Rules, Set, Tolerance};

/// What the tests match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Paper {
    Order,
    Goods,
    Bill,
    Payment,
}

/// Every kind of rule, by seconds.
fn rules(within: u64, settle: u64) -> Rules<Paper> {
    Rules::within(Duration::from_secs(within))
        .needs(Paper::Order, 1..=1)
        .needs(Paper::Goods, 1..=2)
        .needs(Paper::Bill, 1..=2)
        .needs(Paper::Payment, 0..=u32::MAX)
        .each(Paper::Bill, Paper::Payment)
        .equal(Paper::Goods, Paper::Bill, Tolerance { amount: 5, per_mille: 0 })
        .after(Paper::Bill, Paper::Goods)
        .settle(Duration::from_secs(settle))
}

/// An output in words, with the ids of its parts in order.
fn words<K: std::fmt::Display>(output: &Output<K, Paper>) -> String {
    let set = |set: &Set<K, Paper>| {
        let ids: Vec<_> = set.parts.iter().map(|part| part.id.to_string()).collect();
        format!(
            "{} [{}] {}..{}",
            set.key,
            ids.join(" "),
            set.opened.as_secs(),
            set.closed.as_secs()
        )
    };
    match output {
        Output::Matched(it) => format!("matched {}", set(it)),
        Output::Void(it) => format!("void {}", set(it)),
        Output::Unmatched { set: it, why, .. } => format!("{why:?} {}", set(it)),
        Output::Stray { part, why } => format!("{why:?} {}#{}", part.key, part.id),
    }
}
