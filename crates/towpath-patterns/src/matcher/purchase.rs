//! The three-way match of purchase orders: what was ordered, what was received, what was billed and paid.
//!
//! Written from the documentation of the BPI Challenge 2019 (B. van Dongen, 4TU.ResearchData,
//! doi 10.4121/uuid:d06aff4b-79f0-45e6-8ec8-e19730c248f1, CC BY 4.0), a log of a company that knows four ways to match an item:
//!
//! | way | what there must be |
//! |---|---|
//! | [`Way::ThreeWayAfter`] | goods, then invoices, each cleared |
//! | [`Way::ThreeWayBefore`] | goods and invoices in any order, each invoice cleared |
//! | [`Way::TwoWay`] | invoices, each cleared; goods or not |
//! | [`Way::Consignment`] | goods, and no invoice on this level |
//!
//! In each there is one order. What the vendor writes may come at any time, before the order too. A cancellation undoes the last goods
//! receipt or invoice; that of a cleared invoice undoes the clearing with it. A deleted or blocked item is an
//! order that is undone, until it is reactivated.
//!
//! Amounts are compared if they are there: goods received with invoices, within a tolerance. The log has none, and does not say
//! which item matches in which way.

use std::{sync::Arc, time::Duration};

use super::{Part, Rules, Tolerance, What};

/// What papers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Paper {
    /// What the vendor writes: bills and memos.
    Vendor,
    /// The item is ordered.
    Order,
    /// Goods are received.
    Receipt,
    /// An invoice is recorded.
    Invoice,
    /// An invoice is paid.
    Clearing,
}

/// By which stream a paper comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Purchasing: orders, and what vendors write.
    Orders = 0,
    /// The warehouse: goods receipts.
    Receipts = 1,
    /// Accounting: invoices and clearings.
    Invoices = 2,
}

impl Stream {
    /// All of them, in the order in which a matcher is given them: of one minute, orders come first and invoices last.
    pub const ALL: [Self; 3] = [Self::Orders, Self::Receipts, Self::Invoices];
}

impl Paper {
    /// The stream that brings it, and its cancellations.
    pub fn stream(self) -> Stream {
        match self {
            Self::Vendor | Self::Order => Stream::Orders,
            Self::Receipt => Stream::Receipts,
            Self::Invoice | Self::Clearing => Stream::Invoices,
        }
    }

    /// What an activity of the log means for the match, and by which stream it comes; `None` for one that means nothing to it.
    pub fn of_activity(activity: &str) -> Option<(Stream, What<Self>)> {
        let is = |kind: Self| (kind.stream(), What::Is { kind, amount: 0 });
        let undo = |kind: Self| (kind.stream(), What::UndoLast { kind });
        Some(match activity {
            "Vendor creates invoice" | "Vendor creates debit memo" => is(Self::Vendor),
            "Create Purchase Order Item" | "Reactivate Purchase Order Item" => is(Self::Order),
            "Delete Purchase Order Item" | "Block Purchase Order Item" => undo(Self::Order),
            "Record Goods Receipt" => is(Self::Receipt),
            "Cancel Goods Receipt" => undo(Self::Receipt),
            "Record Invoice Receipt" | "Record Subsequent Invoice" => is(Self::Invoice),
            "Cancel Invoice Receipt" | "Cancel Subsequent Invoice" => undo(Self::Invoice),
            "Clear Invoice" => is(Self::Clearing),
            _ => return None,
        })
    }
}

/// How an item is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Three-way, invoice after the goods.
    ThreeWayAfter,
    /// Three-way, invoice before the goods.
    ThreeWayBefore,
    /// Two-way: goods receipts are not asked for.
    TwoWay,
    /// Consignment: billed elsewhere.
    Consignment,
}

impl Way {
    /// All four, in the order of [`rules_of_all`].
    pub const ALL: [Self; 4] =
        [Self::ThreeWayAfter, Self::ThreeWayBefore, Self::TwoWay, Self::Consignment];

    /// The rules of this way. An item that matches stays open for more deliveries until it was quiet for `settle`, and every item is
    /// closed when `deadline` has passed since its first paper.
    pub fn rules(self, deadline: Duration, settle: Duration, tolerance: Tolerance) -> Rules<Paper> {
        const ANY: u32 = u32::MAX;
        let (receipts, invoices) = match self {
            Self::ThreeWayAfter | Self::ThreeWayBefore => (1..=ANY, 1..=ANY),
            Self::TwoWay => (0..=ANY, 1..=ANY),
            Self::Consignment => (1..=ANY, 0..=0),
        };
        let rules = Rules::within(deadline)
            .needs(Paper::Vendor, 0..=ANY)
            .needs(Paper::Order, 1..=1)
            .needs(Paper::Receipt, receipts)
            .needs(Paper::Invoice, invoices)
            .needs(Paper::Clearing, 0..=ANY)
            .each(Paper::Invoice, Paper::Clearing)
            .settle(settle);
        match self {
            Self::ThreeWayAfter => rules.after(Paper::Invoice, Paper::Receipt).equal(
                Paper::Receipt,
                Paper::Invoice,
                tolerance,
            ),
            Self::ThreeWayBefore => rules.equal(Paper::Receipt, Paper::Invoice, tolerance),
            Self::TwoWay | Self::Consignment => rules,
        }
    }
}

/// The rules of all four ways, in the order of [`Way::ALL`]: for a matcher [by key](super::Matcher::by_key), with `way as usize`.
pub fn rules_of_all(
    deadline: Duration,
    settle: Duration,
    tolerance: Tolerance,
) -> Vec<Rules<Paper>> {
    Way::ALL.map(|way| way.rules(deadline, settle, tolerance)).into()
}

/// Papers of many items, each with the stream that brings it.
pub type Papers = Vec<(Stream, Part<Arc<str>, Paper>)>;

/// The papers of a log, in the order of their time; keyed by the item, known by their place in its trace. What is dated before `since` is
/// taken as of then: vendors date their papers by hand, a few of them decades off.
///
/// # Errors
/// Those of the log; [`ErrorKind::NotALog`](crate::xes::ErrorKind::NotALog) when a trace lacks its name, or a paper its time.
#[cfg(feature = "xes")]
pub fn papers<R: std::io::BufRead>(
    log: &mut crate::xes::Log<R>,
    since: Duration,
) -> Result<Papers, crate::xes::Error> {
    use crate::xes::{ErrorKind, error};
    let lacks = |number: usize, what| {
        let what = format!("trace {number} of the log lacks {what}; mend the file");
        error(ErrorKind::NotALog, 0, what)
    };
    let mut papers = Vec::new();
    let mut number = 0;
    while let Some(trace) = log.next_trace()? {
        number += 1;
        let name = trace.name().ok_or_else(|| lacks(number, "its name"))?;
        let key = Arc::<str>::from(name);
        for (event, id) in trace.events.iter().zip(1..) {
            let Some((stream, what)) = event.name().and_then(Paper::of_activity) else { continue };
            let seconds = event.seconds().ok_or_else(|| lacks(number, "the time of a paper"))?;
            let at = Duration::from_secs(seconds.try_into().unwrap_or(0)).max(since);
            papers.push((stream, Part { key: key.clone(), id, what, at, body: () }));
        }
    }
    // Stable: what happened in one minute stays in the order of its trace.
    papers.sort_by_key(|(_, part)| part.at);
    Ok(papers)
}
