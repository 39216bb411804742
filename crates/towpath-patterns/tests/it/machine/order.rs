//! The life of an order: what happens, what is refused, and that file and macro say the same.

use std::time::SystemTime;

use proptest::prelude::*;
use towpath_patterns::machine::order::{Data, Decision, Event, Order, State, YAML};
use towpath_patterns::machine::{Instance, Machine, Refused, Table};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// Plays words such as `create pay ship` and says where that leads, or what was refused.
fn play(words: &str) -> (Vec<String>, State, Vec<Decision>) {
    let mut order = Order::start(Data::default());
    let (mut refused, mut decisions) = (Vec::new(), Vec::new());
    for word in words.split_whitespace() {
        match order.on(&event(word), NOW) {
            Ok(transition) => decisions.extend(transition.decisions),
            Err(Refused { event, reason, .. }) => refused.push(format!("{event}: {reason}")),
        }
    }
    (refused, order.state(), decisions)
}

fn event(word: &str) -> Event {
    match word {
        "create" => Event::Create { price_cents: 500 },
        "free" => Event::Create { price_cents: 0 },
        "pay" => Event::Pay { cents: 500 },
        "overpay" => Event::Pay { cents: 700 },
        "underpay" => Event::Pay { cents: 499 },
        "confirm" => Event::Confirm,
        "ship" => Event::Ship { parcel: 1 },
        "ship2" => Event::Ship { parcel: 2 },
        "deliver" => Event::Deliver,
        "cancel" => Event::Cancel,
        "expire" => Event::Expire,
        "archive" => Event::Archive,
        _ => panic!("no event {word}"),
    }
}

#[test]
fn an_order_goes_its_way() {
    let (refused, state, decisions) = play("create pay confirm ship deliver archive");
    assert_eq!((refused, state), (vec![], State::Archived));
    assert_eq!(decisions, [Decision::Reserve, Decision::Announce { parcel: 1 }]);
}

#[test]
fn what_must_be_refused_is_refused_and_says_why() {
    for (words, reason, state) in [
        ("create ship", "Ship: the order is not paid", State::Created),
        ("create confirm", "Confirm: the order is not paid", State::Created),
        ("pay", "Pay: nobody has ordered this", State::Created),
        ("cancel", "Cancel: nobody has ordered this", State::Created),
        ("free", "Create: an order has a price", State::Created),
        ("create create", "Create: the order exists already", State::Created),
        ("create underpay", "Pay: the payment does not cover the price", State::Created),
        ("create pay ship", "Ship: the order is not confirmed", State::Paid),
        ("create pay expire", "Expire: only an unpaid order expires", State::Paid),
        ("create pay archive", "Archive: the order is still open", State::Paid),
        ("create pay confirm deliver", "Deliver: the order is not shipped", State::Confirmed),
        ("create pay confirm ship cancel", "Cancel: the parcel has left the house", State::Shipped),
        ("create pay confirm ship ship2", "Ship: the order is in another parcel", State::Shipped),
        ("create cancel pay", "Pay: the order is cancelled", State::Cancelled),
        ("create cancel archive pay", "Pay: the order is archived", State::Archived),
    ] {
        let (refused, at, _) = play(words);
        assert_eq!((refused, at), (vec![reason.to_owned()], state), "{words}");
    }
}

#[test]
fn what_is_said_twice_changes_nothing() {
    let (refused, state, decisions) =
        play("create pay pay confirm confirm ship ship deliver deliver pay");
    assert_eq!((refused, state), (vec![], State::Delivered));
    assert_eq!(decisions, [Decision::Reserve, Decision::Announce { parcel: 1 }]);
    assert_eq!(play("create pay cancel cancel").2, [Decision::Refund { cents: 500 }]);
}

#[test]
fn what_was_paid_too_much_goes_back_at_once_and_the_rest_when_it_is_cancelled() {
    let (_, state, decisions) = play("create overpay confirm cancel");
    assert_eq!(state, State::Cancelled);
    let refunds = [Decision::Refund { cents: 200 }, Decision::Reserve];
    assert_eq!(decisions[..2], refunds);
    assert_eq!(decisions[2..], [Decision::Release, Decision::Refund { cents: 500 }]);
}

#[test]
fn the_file_says_what_the_macro_says() {
    let table = Table::from_yaml("order.yaml", YAML).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(&table, Order::table());
    assert_eq!(table.fingerprint(), Order::table().fingerprint());
}

#[test]
fn a_changed_table_has_another_fingerprint() {
    let ours = Order::table().fingerprint();
    for (from, to) in [
        ("the order is not paid", "the order is unpaid"),
        ("after: 30d", "after: 31d"),
        ("{to: Cancelled, do: refund}", "{to: Cancelled}"),
        ("    Archive: stay", "    Archive: {to: Archived}"),
    ] {
        assert!(YAML.contains(from));
        // A changed table may be unsound; the point is what it says.
        if let Ok(table) = Table::from_yaml("order.yaml", &YAML.replacen(from, to, 1)) {
            assert_ne!(table.fingerprint(), ours, "{to}");
        }
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let words = "create free pay overpay underpay confirm ship ship2 deliver cancel expire archive";
    let words: Vec<_> = words.split_whitespace().collect();
    proptest::sample::select(words).prop_map(event)
}

proptest! {
    #[test]
    fn file_and_macro_do_the_same(events in proptest::collection::vec(any_event(), 0..40)) {
        let table = Table::from_yaml("order.yaml", YAML).unwrap();
        let bound = Order::bindings().bind(table).unwrap();
        let mut one = Order::start(Data::default());
        let mut other = Instance::new(bound, Data::default());
        for event in &events {
            prop_assert_eq!(one.on(event, NOW), other.on(event, NOW));
            prop_assert_eq!((one.state(), one.data()), (other.state(), other.data()));
        }
    }

    #[test]
    fn money_is_neither_made_nor_lost(events in proptest::collection::vec(any_event(), 0..40)) {
        let mut order = Order::start(Data::default());
        let (mut came, mut went) = (0, 0);
        for event in &events {
            let before = order.state();
            let Ok(transition) = order.on(event, NOW) else { continue };
            if let Event::Pay { cents } = event && transition.to != before {
                came += cents;
            }
            for decision in transition.decisions {
                if let Decision::Refund { cents } = decision {
                    went += cents;
                }
            }
            prop_assert_eq!(came - went, order.data().paid_cents);
        }
    }
}

#[test]
fn a_refusal_changes_nothing() {
    let mut order = Order::start(Data { price_cents: 500, ..Data::default() });
    let before = order.data().clone();
    let mut out = Vec::new();
    let state = towpath_patterns::machine::StateId(0);
    let mut data = before.clone();
    let verdict = Order.decide(state, &mut data, &event("underpay"), NOW, &mut out);
    assert_eq!(verdict, towpath_patterns::machine::Verdict::Refuse(2));
    assert_eq!((data, out), (before, vec![]));
    assert!(order.on(&event("underpay"), NOW).is_err());
}
