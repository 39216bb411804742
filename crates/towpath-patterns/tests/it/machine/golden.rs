//! The table of the order, as files that a reviewer reads. `TOWPATH_BLESS=1` writes them anew.

use std::path::Path;
use std::{env, fs};

use towpath_patterns::machine::order::Order;
use towpath_patterns::machine::purchase::PurchaseItem;

fn check(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/machine/golden").join(name);
    if env::var_os("TOWPATH_BLESS").is_some() {
        fs::write(&file, text).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, expected, "{name} has changed; TOWPATH_BLESS=1 writes it anew");
}

#[test]
fn the_table_of_the_order_is_the_one_that_was_reviewed() {
    check("order.txt", &Order::table().to_text());
}

#[test]
fn the_order_is_drawn_for_mermaid() {
    check("order.mmd", &Order::table().to_mermaid());
}

#[test]
fn the_order_is_drawn_for_graphviz() {
    check("order.dot", &Order::table().to_dot());
}

#[test]
fn the_table_of_the_purchase_order_is_the_one_that_was_reviewed() {
    check("purchase.txt", &PurchaseItem::table().to_text());
    check("purchase.mmd", &PurchaseItem::table().to_mermaid());
}
