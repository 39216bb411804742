//! The life of an order, ready to use: created, paid, confirmed, shipped, delivered, or cancelled on the way, and archived.
//!
//! ```text
//!   Created ──▶ Paid ──▶ Confirmed ──▶ Shipped ──▶ Delivered ──▶ Archived
//!      └──────────┴──────────┴──▶ Cancelled ────────────────────────▲
//! ```
//!
//! What always holds:
//! - Nothing is confirmed or shipped that is not paid, and nothing is cancelled that has left the house.
//! - Money that was taken for an order that is then cancelled is given back, once.
//! - Being told the same again (paid, confirmed, shipped, delivered, cancelled) changes nothing and is not an error.
//!
//! [`YAML`] is the same table as a file; a test holds the two together.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// The same table as a file, for [`Table::from_yaml`](super::Table::from_yaml) with [`Order::bindings`].
pub const YAML: &str = include_str!("order.yaml");

/// What an order remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    /// What it costs. 0 until somebody orders: then there is no order.
    pub price_cents: u64,
    /// What has been taken for it and not given back.
    pub paid_cents: u64,
    /// The parcel's number once it is shipped.
    pub parcel: Option<u64>,
}

/// What somebody else is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// The warehouse puts the goods aside.
    Reserve,
    /// The warehouse puts them back.
    Release,
    /// The customer is told the parcel's number.
    Announce {
        /// Which parcel.
        parcel: u64,
    },
    /// The customer gets money back.
    Refund {
        /// How much.
        cents: u64,
    },
}

crate::machine! {
    /// The life of an order.
    pub machine Order(Data) -> Decision, version 1;

    /// Where an order is.
    #[derive(Serialize, Deserialize)]
    pub enum State {
        /// Waits for its money.
        initial Created,
        /// Paid, and nobody has looked at it yet.
        Paid,
        /// The goods are put aside.
        Confirmed,
        /// It has left the house.
        Shipped,
        /// It has arrived.
        Delivered,
        /// It will not be sent.
        Cancelled,
        /// Nobody will touch it again.
        final Archived,
    }

    /// What can happen to an order.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Event {
        /// Somebody orders.
        Create {
            /// What it costs, above 0.
            price_cents: u64,
        },
        /// Money comes in.
        Pay {
            /// How much.
            cents: u64,
        },
        /// Somebody has looked at it and puts the goods aside.
        Confirm,
        /// A parcel leaves the house.
        Ship {
            /// Which.
            parcel: u64,
        },
        /// The parcel has arrived.
        Deliver,
        /// The customer does not want it any more.
        Cancel,
        /// Nobody has paid for too long.
        Expire,
        /// It is put away.
        Archive,
    }

    Created {
        after 30d => Expire,
        Create if has_price && !is_priced => stay / set_price,
        Create if !is_priced => refuse "an order has a price",
        Create => refuse "the order exists already",
        Pay if !is_priced => refuse "nobody has ordered this",
        Pay if covers => Paid / take_money,
        Pay => refuse "the payment does not cover the price",
        Cancel if is_priced => Cancelled,
        Cancel => refuse "nobody has ordered this",
        Expire => Cancelled,
        Confirm | Ship | Deliver => refuse "the order is not paid",
    }
    Paid {
        Pay => stay,
        Confirm => Confirmed / reserve,
        Cancel => Cancelled / refund,
        Ship | Deliver => refuse "the order is not confirmed",
    }
    Confirmed {
        Pay | Confirm => stay,
        Ship => Shipped / announce,
        Cancel => Cancelled / release / refund,
        Deliver => refuse "the order is not shipped",
    }
    Shipped {
        Pay | Confirm => stay,
        Ship if is_same_parcel => stay,
        Ship => refuse "the order is in another parcel",
        Deliver => Delivered,
        Cancel => refuse "the parcel has left the house",
    }
    Delivered {
        after 90d => Archive,
        Pay | Confirm | Deliver => stay,
        Ship if is_same_parcel => stay,
        Ship => refuse "the order is in another parcel",
        Cancel => refuse "the parcel has arrived",
        Archive => Archived,
    }
    Cancelled {
        after 90d => Archive,
        Cancel => stay,
        Archive => Archived,
        Pay | Confirm | Ship | Deliver => refuse "the order is cancelled",
    }
    Archived {
        Archive => stay,
        _ => refuse "the order is archived",
    }
    _ {
        Create => refuse "the order exists already",
        Expire => refuse "only an unpaid order expires",
        Archive => refuse "the order is still open",
    }
}

fn has_price(_: &Data, event: &Event, _: SystemTime) -> bool {
    matches!(event, Event::Create { price_cents: 1.. })
}

fn is_priced(data: &Data, _: &Event, _: SystemTime) -> bool {
    data.price_cents > 0
}

fn covers(data: &Data, event: &Event, _: SystemTime) -> bool {
    matches!(event, Event::Pay { cents } if *cents >= data.price_cents)
}

fn is_same_parcel(data: &Data, event: &Event, _: SystemTime) -> bool {
    matches!(event, Event::Ship { parcel } if data.parcel == Some(*parcel))
}

fn set_price(data: &mut Data, event: &Event, _: SystemTime) -> Option<Decision> {
    if let Event::Create { price_cents } = event {
        data.price_cents = *price_cents;
    }
    None
}

fn take_money(data: &mut Data, event: &Event, _: SystemTime) -> Option<Decision> {
    let Event::Pay { cents } = event else { return None };
    data.paid_cents = data.price_cents;
    // What is too much goes back at once.
    let cents = cents - data.price_cents;
    (cents > 0).then_some(Decision::Refund { cents })
}

fn reserve(_: &mut Data, _: &Event, _: SystemTime) -> Option<Decision> {
    Some(Decision::Reserve)
}

fn release(_: &mut Data, _: &Event, _: SystemTime) -> Option<Decision> {
    Some(Decision::Release)
}

fn refund(data: &mut Data, _: &Event, _: SystemTime) -> Option<Decision> {
    let cents = std::mem::take(&mut data.paid_cents);
    (cents > 0).then_some(Decision::Refund { cents })
}

fn announce(data: &mut Data, event: &Event, _: SystemTime) -> Option<Decision> {
    let Event::Ship { parcel } = event else { return None };
    data.parcel = Some(*parcel);
    Some(Decision::Announce { parcel: *parcel })
}
