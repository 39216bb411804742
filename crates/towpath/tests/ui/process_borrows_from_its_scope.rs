//! A process owns what it works with: it may not borrow from the body that starts it.

use towpath::{Ctx, scope};

fn main() {
    drop(scope(&Ctx::root(), |s| async move {
        let order = String::from("one tea");
        s.spawn("waiter", |_| async { println!("{order}") });
        Ok(())
    }));
}
