//! The life of an item of a purchase order, as a real company describes it: the three-way match of order, goods and invoice.
//!
//! Written by hand from the documentation of the BPI Challenge 2019 (B. van Dongen, 4TU.ResearchData,
//! doi 10.4121/uuid:d06aff4b-79f0-45e6-8ec8-e19730c248f1, CC BY 4.0), which knows four ways to match:
//!
//! | way | what must be there before an invoice is cleared |
//! |---|---|
//! | three-way, invoice after the goods | goods receipt, then invoice |
//! | three-way, invoice before the goods | both; the invoice is blocked until the goods are there |
//! | two-way | the invoice alone |
//! | consignment | no invoice on this level at all |
//!
//! ```text
//!   Requested ─▶ Ordered ─goods─▶ Received ─invoice─▶ Matched ─clear─▶ Settled
//!                   │ └──invoice─▶ Invoiced ──goods──────▲                │ more goods, more invoices
//!                   └──────▶ Deleted ◀────────────────────────────────────┘
//! ```
//!
//! What always holds:
//! - An invoice is cleared only when goods are there and something is left to clear. A log does not say which items match two-way, so an
//!   item that was cleared without goods is a deviation here, and the reason says so.
//! - A cancellation undoes what is there: no goods receipt or invoice is cancelled that was not recorded.
//! - What the vendor does (bills, confirmations) can happen at any time, before the item exists too.
//! - Many receipts and many invoices are fine; rent is one item with twelve of each. Amounts are not compared: the log's are not here.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// What an item remembers: what was recorded and not undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// Goods receipts.
    pub receipts: u32,
    /// Invoices that wait to be cleared.
    pub open: u32,
    /// Invoices that were cleared.
    pub cleared: u32,
    /// Whether somebody holds the item back.
    pub is_held: bool,
}

crate::machine! {
    /// An item of a purchase order.
    pub machine PurchaseItem(Data) -> (), version 1;

    /// How far an item is.
    #[derive(Serialize, Deserialize)]
    pub enum State {
        /// Somebody wants it; there is no order yet.
        initial Requested,
        /// Ordered; neither goods nor invoice.
        Ordered,
        /// Goods without an open invoice.
        Received,
        /// An invoice without goods: blocked.
        Invoiced,
        /// Goods and an open invoice.
        Matched,
        /// All invoices are cleared.
        Settled,
        /// Taken out of the order.
        Deleted,
    }

    /// What can happen to an item.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Event {
        /// A requisition is made or released.
        Request,
        /// The shopping cart of the procurement system (SRM) goes on.
        Cart,
        /// The cart could not be handed over.
        CartFailed,
        /// The cart is deleted.
        CartDeleted,
        /// The item is ordered.
        Create,
        /// The order is approved or released.
        Approve,
        /// Quantity, price, terms or place are changed.
        Change,
        /// The vendor confirms the order.
        VendorConfirms,
        /// The vendor writes an invoice or a debit memo.
        VendorBills,
        /// A service was rendered.
        ServiceSheet,
        /// Goods are received.
        Receive,
        /// A goods receipt is undone.
        CancelReceipt,
        /// An invoice is recorded.
        Invoice,
        /// An invoice is undone.
        CancelInvoice,
        /// Payment is blocked.
        Block,
        /// The block is lifted.
        Unblock,
        /// An invoice is cleared: paid.
        Clear,
        /// The item is held back.
        Hold,
        /// The item is deleted.
        Delete,
        /// The item is taken back, from being deleted or held.
        Reactivate,
    }

    Requested {
        Create => Ordered,
        Request | Cart | CartFailed | CartDeleted | Approve | VendorBills | VendorConfirms => stay,
        _ => refuse "the item is not ordered yet",
    }
    Ordered {
        Receive => Received / receive,
        Invoice => Invoiced / invoice,
        Delete => Deleted,
        CancelReceipt => refuse "there is no goods receipt to cancel",
        CancelInvoice => refuse "there is no invoice to cancel",
        Clear => refuse "there is no invoice to clear",
        Block | Unblock => refuse "there is no invoice to block or free",
    }
    Received {
        Receive => stay / receive,
        Invoice => Matched / invoice,
        CancelReceipt if is_last_receipt => Ordered / cancel_receipt,
        CancelReceipt => stay / cancel_receipt,
        CancelInvoice => refuse "there is no invoice to cancel",
        Clear => refuse "there is no invoice to clear",
        Block | Unblock => refuse "there is no invoice to block or free",
        Delete => refuse "goods were received and are not paid",
    }
    Invoiced {
        Receive => Matched / receive,
        Invoice => stay / invoice,
        CancelInvoice if is_last_open => Ordered / cancel_open,
        CancelInvoice => stay / cancel_open,
        Block => stay,
        CancelReceipt => refuse "there is no goods receipt to cancel",
        Clear => refuse "no goods are there: right for a two-way match only, which the log does not tell",
        Unblock => refuse "no goods are there: the invoice stays blocked until they are",
        Delete => refuse "an invoice is open",
    }
    Matched {
        Receive => stay / receive,
        Invoice => stay / invoice,
        CancelReceipt if is_last_receipt => Invoiced / cancel_receipt,
        CancelReceipt => stay / cancel_receipt,
        CancelInvoice if is_last_open && has_cleared => Settled / cancel_open,
        CancelInvoice if is_last_open => Received / cancel_open,
        CancelInvoice => stay / cancel_open,
        Clear if is_last_open => Settled / clear,
        Clear => stay / clear,
        Block | Unblock => stay,
        Delete => refuse "an invoice is open",
    }
    Settled {
        Receive => stay / receive,
        Invoice => Matched / invoice,
        CancelReceipt if is_last_receipt => refuse "these goods are paid: cancel the invoice first",
        CancelReceipt => stay / cancel_receipt,
        CancelInvoice if is_last_cleared => Received / cancel_cleared,
        CancelInvoice => stay / cancel_cleared,
        Delete => Deleted,
        Clear => refuse "every invoice is cleared already",
        Block | Unblock => refuse "every invoice is cleared already",
    }
    Deleted {
        Reactivate if has_cleared => Settled,
        Reactivate => Ordered,
        VendorBills | VendorConfirms | Cart | CartFailed | CartDeleted => stay,
        _ => refuse "the item is deleted",
    }
    _ {
        Cart | CartFailed | VendorBills | VendorConfirms | Approve | Change | ServiceSheet => stay,
        Hold => stay / hold,
        Reactivate if is_held => stay / free,
        Reactivate => refuse "the item is neither deleted nor held",
        Create => refuse "the item is ordered already",
        Request => refuse "a requisition comes before the order",
        CartDeleted => refuse "the cart is deleted, and its order lives on",
    }
}

/// Activities of the log and what they mean here.
const ACTIVITIES: &[(&str, Event)] = &[
    ("Create Purchase Requisition Item", Event::Request),
    ("Release Purchase Requisition", Event::Request),
    ("SRM: Created", Event::Cart),
    ("SRM: Complete", Event::Cart),
    ("SRM: Incomplete", Event::Cart),
    ("SRM: Held", Event::Cart),
    ("SRM: Awaiting Approval", Event::Cart),
    ("SRM: Document Completed", Event::Cart),
    ("SRM: In Transfer to Execution Syst.", Event::Cart),
    ("SRM: Ordered", Event::Cart),
    ("SRM: Change was Transmitted", Event::Cart),
    ("SRM: Transaction Completed", Event::Cart),
    ("SRM: Transfer Failed (E.Sys.)", Event::CartFailed),
    ("SRM: Deleted", Event::CartDeleted),
    ("Create Purchase Order Item", Event::Create),
    ("Change Approval for Purchase Order", Event::Approve),
    ("Release Purchase Order", Event::Approve),
    ("Change Quantity", Event::Change),
    ("Change Price", Event::Change),
    ("Change Delivery Indicator", Event::Change),
    ("Change Storage Location", Event::Change),
    ("Change Currency", Event::Change),
    ("Change payment term", Event::Change),
    ("Change Final Invoice Indicator", Event::Change),
    ("Change Rejection Indicator", Event::Change),
    ("Receive Order Confirmation", Event::VendorConfirms),
    ("Update Order Confirmation", Event::VendorConfirms),
    ("Vendor creates invoice", Event::VendorBills),
    ("Vendor creates debit memo", Event::VendorBills),
    ("Record Service Entry Sheet", Event::ServiceSheet),
    ("Record Goods Receipt", Event::Receive),
    ("Cancel Goods Receipt", Event::CancelReceipt),
    ("Record Invoice Receipt", Event::Invoice),
    ("Record Subsequent Invoice", Event::Invoice),
    ("Cancel Invoice Receipt", Event::CancelInvoice),
    ("Cancel Subsequent Invoice", Event::CancelInvoice),
    ("Set Payment Block", Event::Block),
    ("Remove Payment Block", Event::Unblock),
    ("Clear Invoice", Event::Clear),
    ("Block Purchase Order Item", Event::Hold),
    ("Delete Purchase Order Item", Event::Delete),
    ("Reactivate Purchase Order Item", Event::Reactivate),
];

impl Event {
    /// What an activity of the log means; `None` for one that the log's documentation does not have.
    pub fn of_activity(activity: &str) -> Option<Self> {
        let found = ACTIVITIES.iter().find(|(known, _)| *known == activity);
        found.map(|(_, event)| *event)
    }

    /// The activities that [`of_activity`](Self::of_activity) knows.
    pub fn activities() -> impl Iterator<Item = &'static str> {
        ACTIVITIES.iter().map(|(activity, _)| *activity)
    }
}

fn is_last_receipt(data: &Data, _: &Event, _: SystemTime) -> bool {
    data.receipts <= 1
}

fn is_last_open(data: &Data, _: &Event, _: SystemTime) -> bool {
    data.open <= 1
}

fn is_last_cleared(data: &Data, _: &Event, _: SystemTime) -> bool {
    data.cleared <= 1
}

fn has_cleared(data: &Data, _: &Event, _: SystemTime) -> bool {
    data.cleared > 0
}

fn is_held(data: &Data, _: &Event, _: SystemTime) -> bool {
    data.is_held
}

fn receive(data: &mut Data, _: &Event, _: SystemTime) -> Option<()> {
    data.receipts = data.receipts.saturating_add(1);
    None
}

fn cancel_receipt(data: &mut Data, _: &Event, _: SystemTime) -> Option<()> {
    data.receipts = data.receipts.saturating_sub(1);
    None
}

fn invoice(data: &mut Data, _: &Event, _: SystemTime) -> Option<()> {
    data.open = data.open.saturating_add(1);
    None
}

fn cancel_open(data: &mut Data, _: &Event, _: SystemTime) -> Option<()> {
    data.open = data.open.saturating_sub(1);
    None
}

fn cancel_cleared(data: &mut Data, _: &Event, _: SystemTime) -> Option<()> {
    data.cleared = data.cleared.saturating_sub(1);
    None
}

fn clear(data: &mut Data, _: &Event, _: SystemTime) -> Option<()> {
    data.open = data.open.saturating_sub(1);
    data.cleared = data.cleared.saturating_add(1);
    None
}

fn hold(data: &mut Data, _: &Event, _: SystemTime) -> Option<()> {
    data.is_held = true;
    None
}

fn free(data: &mut Data, _: &Event, _: SystemTime) -> Option<()> {
    data.is_held = false;
    None
}
