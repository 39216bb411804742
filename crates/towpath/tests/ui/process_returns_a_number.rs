//! A process returns nothing or a `Result`.

use towpath::{Ctx, scope};

fn main() {
    drop(scope(&Ctx::root(), |s| async move {
        s.spawn("counts", |_| async { 42 });
        Ok(())
    }));
}
