//! What a set needs: kinds of parts and how many, amounts that must agree, what comes after what, and until when.
//!
//! What always holds: whether a set matches depends on its parts and on nothing else, least of all on the order in which their
//! streams brought them. [`Rules::differences`] is a function of the parts, and a set without differences matches.

use std::{fmt, ops::RangeInclusive, time::Duration};

use super::{Held, Standing, What};

/// Kinds that one set of rules may know.
///
/// A set counts each kind in a place of its own, so that a part costs no look at the others; matches of more than a few streams are
/// better made of several matchers.
pub const KINDS_MAX: usize = 8;

/// A kind of part: an enum of yours, as `Order | Receipt | Invoice`.
pub trait Kind: Copy + Eq + fmt::Debug + Send + Sync + 'static {}

impl<T: Copy + Eq + fmt::Debug + Send + Sync + 'static> Kind for T {}

/// By how much two sums may differ and still be equal: by either of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tolerance {
    /// In the unit of the amounts.
    pub amount: u64,
    /// In thousandths of the larger sum.
    pub per_mille: u32,
}

impl Tolerance {
    /// None: to the cent.
    pub const EXACT: Self = Self { amount: 0, per_mille: 0 };

    fn holds(self, one: i128, other: i128) -> bool {
        let apart = one.abs_diff(other);
        let larger = one.unsigned_abs().max(other.unsigned_abs());
        apart <= u128::from(self.amount) || apart * 1_000 <= larger * u128::from(self.per_mille)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Need<T> {
    kind: T,
    least: u32,
    most: u32,
}

/// Which parts make a set, and until when.
///
/// ```
/// use std::time::Duration;
/// use towpath_patterns::matcher::{Rules, Tolerance};
///
/// #[derive(Clone, Copy, PartialEq, Eq, Debug)]
/// enum Paper { Order, Receipt, Invoice, Payment }
///
/// const DAY: Duration = Duration::from_secs(86_400);
/// let rules = Rules::within(90 * DAY)
///     .needs(Paper::Order, 1..=1)
///     .needs(Paper::Receipt, 1..=u32::MAX)
///     .needs(Paper::Invoice, 1..=u32::MAX)
///     .needs(Paper::Payment, 0..=u32::MAX)
///     .each(Paper::Invoice, Paper::Payment) // every invoice is paid
///     .equal(Paper::Receipt, Paper::Invoice, Tolerance { amount: 0, per_mille: 20 })
///     .after(Paper::Invoice, Paper::Receipt); // no invoice before the first goods
/// assert_eq!(rules.kinds().count(), 4);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "rules do nothing by themselves"]
pub struct Rules<T> {
    needs: Vec<Need<T>>,
    each: Vec<(T, T)>,
    equal: Vec<(T, T, Tolerance)>,
    after: Vec<(T, T)>,
    pub(super) within: Duration,
    pub(super) settle: Duration,
}

/// How many live parts a set has of each kind, in the order of the rules.
pub(super) type Counts = [u32; KINDS_MAX];

impl<T: Kind> Rules<T> {
    /// No parts yet. A set is closed when so much time has passed since its first part, matched or not.
    pub fn within(deadline: Duration) -> Self {
        let settle = Duration::ZERO;
        let (needs, each, equal, after) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { needs, each, equal, after, within: deadline, settle }
    }

    /// A kind, and how many of it there are to be. A kind that is not named here is given back as a stray.
    ///
    /// # Panics
    /// When a kind is named twice, when there are more than [`KINDS_MAX`], or when the range is empty: mistakes of whoever writes the
    /// rules.
    pub fn needs(mut self, kind: T, count: RangeInclusive<u32>) -> Self {
        assert!(self.place(kind).is_none(), "{kind:?} is in these rules already; say it once");
        assert!(self.needs.len() < KINDS_MAX, "more than {KINDS_MAX} kinds; use several matchers");
        let (least, most) = count.into_inner();
        assert!(least <= most, "of {kind:?} from {least} to {most}: no number is right");
        self.needs.push(Need { kind, least, most });
        self
    }

    /// As many of `by` as of `of`: each invoice is paid. Undoing one of `of` takes the last of `by` back with it, if there
    /// are more of those then.
    ///
    /// # Panics
    /// When one of the two is not in these rules.
    pub fn each(mut self, of: T, by: T) -> Self {
        self.each.push((self.known(of), self.known(by)));
        self
    }

    /// The amounts of the two kinds have the same sum, within a tolerance.
    ///
    /// # Panics
    /// When one of the two is not in these rules.
    pub fn equal(mut self, one: T, other: T, tolerance: Tolerance) -> Self {
        self.equal.push((self.known(one), self.known(other), tolerance));
        self
    }

    /// The first of `later` is not before the first of `earlier`, by the time of the parts.
    ///
    /// # Panics
    /// When one of the two is not in these rules.
    pub fn after(mut self, later: T, earlier: T) -> Self {
        self.after.push((self.known(later), self.known(earlier)));
        self
    }

    /// A set that matches stays open for more parts until it has had none for so long. Without it, it is closed as soon as it
    /// matches. The deadline holds all the same.
    pub fn settle(mut self, quiet: Duration) -> Self {
        self.settle = quiet;
        self
    }

    /// The kinds it knows.
    pub fn kinds(&self) -> impl Iterator<Item = T> {
        self.needs.iter().map(|need| need.kind)
    }

    /// Where a kind is counted.
    pub(super) fn place(&self, kind: T) -> Option<usize> {
        self.needs.iter().position(|need| need.kind == kind)
    }

    fn known(&self, kind: T) -> T {
        assert!(self.place(kind).is_some(), "{kind:?} is not in these rules; name it with `needs`");
        kind
    }

    /// The kinds of which there is to be one for each of this.
    pub(super) fn each_of(&self, kind: T) -> impl Iterator<Item = T> {
        self.each.iter().filter(move |(of, _)| *of == kind).map(|(_, by)| *by)
    }

    pub(super) fn count(&self, kind: T, counts: &Counts) -> u32 {
        self.place(kind).map_or(0, |place| counts[place])
    }

    /// Whether the counts are right, which is quickly known and seldom so.
    pub(super) fn may_match(&self, counts: &Counts) -> bool {
        let mut numbers = self.needs.iter().zip(counts);
        numbers.all(|(need, has)| (need.least..=need.most).contains(has)) && self.is_even(counts)
    }

    fn is_even(&self, counts: &Counts) -> bool {
        self.each.iter().all(|(of, by)| self.count(*of, counts) == self.count(*by, counts))
    }

    /// What keeps these parts from being a set that matches; nothing if they do.
    pub fn differences<B>(&self, parts: &[Held<T, B>]) -> Vec<Difference<T>> {
        let live = |kind| parts.iter().filter(move |part| part.is_live(kind));
        let count = |kind| live(kind).count() as u32;
        let sum = |kind| live(kind).map(|part| i128::from(part.amount())).sum::<i128>();
        let first = |kind| live(kind).map(|part| part.at).min();
        let mut found = Vec::new();
        for &Need { kind, least, most } in &self.needs {
            let has = count(kind);
            if has < least {
                found.push(Difference::Missing { kind, has, needs: least });
            } else if has > most {
                found.push(Difference::TooMany { kind, has, most });
            }
        }
        for &(of, by) in &self.each {
            let (has_of, has_by) = (count(of), count(by));
            if has_of != has_by {
                found.push(Difference::Uneven { of, has_of, by, has_by });
            }
        }
        for &(one, other, tolerance) in &self.equal {
            let (sum_one, sum_other) = (sum(one), sum(other));
            if !tolerance.holds(sum_one, sum_other) {
                found.push(Difference::Unequal { one, sum_one, other, sum_other });
            }
        }
        for &(later, earlier) in &self.after {
            if let Some(at) = first(later)
                && first(earlier).is_none_or(|first| at < first)
            {
                found.push(Difference::Early { kind: later, before: earlier });
            }
        }
        for part in parts {
            if matches!(part.standing, Standing::Waits | Standing::Idle) {
                let kind = if let What::UndoLast { kind } = part.what { Some(kind) } else { None };
                found.push(Difference::UndidNothing { kind, id: part.id });
            }
        }
        found
    }

    /// Whether what was there was taken back, and nothing that is needed is left.
    pub(super) fn is_void<B>(&self, parts: &[Held<T, B>], counts: &Counts) -> bool {
        let none = self.needs.iter().zip(counts).all(|(need, has)| need.least == 0 || *has == 0);
        let loose = |part: &Held<T, B>| matches!(part.standing, Standing::Waits | Standing::Idle);
        none && parts.iter().any(|part| part.standing == Standing::Undone)
            && !parts.iter().any(loose)
            && self.is_even(counts)
    }
}

/// What keeps a set from matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference<T> {
    /// Fewer than needed.
    Missing {
        /// Of what.
        kind: T,
        /// How many are there.
        has: u32,
        /// How many at least there should be.
        needs: u32,
    },
    /// More than allowed.
    TooMany {
        /// Of what.
        kind: T,
        /// How many are there.
        has: u32,
        /// How many at most there should be.
        most: u32,
    },
    /// Not as many of one as of the other.
    Uneven {
        /// Of which each needs one of the other.
        of: T,
        /// How many are there of it.
        has_of: u32,
        /// The other.
        by: T,
        /// How many are there of the other.
        has_by: u32,
    },
    /// The sums differ by more than is tolerated.
    Unequal {
        /// A kind.
        one: T,
        /// Its sum.
        sum_one: i128,
        /// Another kind.
        other: T,
        /// Its sum.
        sum_other: i128,
    },
    /// Before what it should have come after.
    Early {
        /// What came early.
        kind: T,
        /// What should have been first.
        before: T,
    },
    /// Something was undone that was not there.
    UndidNothing {
        /// The last of which was to be undone; `None` if one was meant by its id.
        kind: Option<T>,
        /// The id of the part that says so.
        id: u64,
    },
}

impl<T: fmt::Debug> fmt::Display for Difference<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { kind, has, needs } => write!(f, "{has} of {kind:?}, needs {needs}"),
            Self::TooMany { kind, has, most } => write!(f, "{has} of {kind:?}, {most} at most"),
            Self::Uneven { of, has_of, by, has_by } => {
                write!(f, "{has_of} of {of:?} and {has_by} of {by:?}")
            }
            Self::Unequal { one, sum_one, other, sum_other } => {
                write!(f, "{one:?} {sum_one}, {other:?} {sum_other}")
            }
            Self::Early { kind, before } => write!(f, "{kind:?} before {before:?}"),
            Self::UndidNothing { kind: Some(kind), id } => {
                write!(f, "part {id} undoes a {kind:?} that is not there")
            }
            Self::UndidNothing { kind: None, id } => {
                write!(f, "part {id} undoes one that is not there")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Paper {
        Goods,
        Bill,
    }
    use Paper::{Bill, Goods};

    fn held(kind: Paper, at: u64, amount: i64) -> Held<Paper, ()> {
        let what = What::Is { kind, amount };
        let standing = Standing::Live;
        Held { id: at, what, at: Duration::from_secs(at), body: (), standing }
    }

    fn rules() -> Rules<Paper> {
        Rules::within(Duration::MAX).needs(Goods, 1..=2).needs(Bill, 1..=2)
    }

    /// In words, or `matches`.
    fn found(rules: &Rules<Paper>, parts: &[Held<Paper, ()>]) -> String {
        let found: Vec<_> = rules.differences(parts).iter().map(Difference::to_string).collect();
        if found.is_empty() { "matches".to_owned() } else { found.join("; ") }
    }

    #[test]
    fn each_rule_finds_what_it_is_for() {
        let plain = rules();
        let (goods, bill) = (held(Goods, 5, 100), held(Bill, 6, 103));
        assert_eq!(found(&plain, &[]), "0 of Goods, needs 1; 0 of Bill, needs 1");
        assert_eq!(found(&plain, &[bill.clone(), goods.clone()]), "matches");
        let three = [goods.clone(), goods.clone(), goods.clone(), bill.clone()];
        assert_eq!(found(&plain, &three), "3 of Goods, 2 at most");
        let each = rules().each(Goods, Bill);
        let two = [goods.clone(), goods.clone(), bill.clone()];
        assert_eq!(found(&each, &two), "2 of Goods and 1 of Bill");
        let first = rules().after(Goods, Bill);
        assert_eq!(found(&first, &two), "Goods before Bill");
        let undo = Held {
            what: What::UndoLast { kind: Bill },
            standing: Standing::Idle,
            ..held(Bill, 9, 0)
        };
        let idle = [goods, bill, undo];
        assert_eq!(found(&plain, &idle), "part 9 undoes a Bill that is not there");
    }

    #[test]
    fn amounts_are_equal_within_either_tolerance() {
        let parts = |goods, bill| [held(Goods, 1, goods), held(Bill, 2, bill)];
        let within =
            |amount, per_mille| rules().equal(Goods, Bill, Tolerance { amount, per_mille });
        assert_eq!(found(&within(0, 0), &parts(100, 103)), "Goods 100, Bill 103");
        assert_eq!(found(&within(3, 0), &parts(100, 103)), "matches");
        assert_eq!(found(&within(0, 29), &parts(100, 103)), "Goods 100, Bill 103");
        assert_eq!(found(&within(0, 30), &parts(100, 103)), "matches", "of the larger");
        assert_eq!(found(&within(0, 1000), &parts(-100, 103)), "Goods -100, Bill 103");
        let extreme = found(&within(0, 1), &parts(i64::MIN, i64::MAX));
        assert_eq!(extreme, format!("Goods {}, Bill {}", i64::MIN, i64::MAX));
    }

    #[test]
    #[should_panic(expected = "Bill is not in these rules; name it with `needs`")]
    fn a_rule_about_an_unknown_kind_is_a_mistake() {
        let _ = Rules::within(Duration::MAX).needs(Goods, 1..=1).after(Goods, Bill);
    }
}
