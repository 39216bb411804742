//! What a program may ask the schedule it runs in.

use std::time::Duration;

use crate::{choice::Kind, engine};

/// A choice of the test's own, below `n`: part of the schedule, shrunk towards 0 and replayed with it. Which of several
/// requests comes first, how many there are, whether this one fails.
///
/// ```
/// towpath_sim::Sim::new().schedules(20).test("dice", || async {
///     assert!(towpath_sim::choose(6) < 6);
/// });
/// ```
///
/// # Panics
/// Outside a simulation, or when `n` is 0.
pub fn choose(n: u64) -> u64 {
    assert!(n > 0, "choose(0): there must be something to choose");
    let chosen = engine::with(|world| world.pick(Kind::User, n));
    chosen.unwrap_or_else(|| panic!("`choose` is for programs in `#[towpath::test]` or `Sim`"))
}

/// Virtual time since the schedule began; `None` outside a simulation.
pub fn elapsed() -> Option<Duration> {
    engine::with(|world| world.elapsed())
}
