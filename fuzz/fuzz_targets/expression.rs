//! An expression from any text: refused with its place, or a value for a message, on a small stack and in a short time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use towpath_node::Expr;

fuzz_target!(|text: &str| {
    match Expr::compile(text) {
        Ok(expr) => {
            let it = json!({"id": 7, "fare": 1.5, "city": "NYC", "at": [40.7, -74.0], "rider": {"name": "Ann"}, "none": null,
                "items": [{"n": 1}, {"n": 2}], "free": true});
            let once = expr.value(&it);
            assert_eq!(once, expr.value(&it), "the same message, the same value");
            let _ = expr.test(&it);
            let _ = expr.value(&json!(3));
        }
        Err(error) => assert!(error.at() <= text.chars().count() && !error.to_string().is_empty()),
    }
});
