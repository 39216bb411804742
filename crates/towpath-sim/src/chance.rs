//! Where the simulated world, disk and network, gets its chance from.
//!
//! What always holds: 0 is the harmless answer, everywhere. So a shrinker may set any answer to 0 and the run becomes
//! simpler; and where nobody provides chance, nothing goes wrong.

use std::{cell::RefCell, rc::Rc};

pub(crate) use crate::choice::Kind;
use crate::{choice::Rng, engine};

/// Answers choices. The simulation that runs is one; a seeded generator is another.
pub(crate) trait Chance {
    /// A number below `below`, which is at least 2. 0 is the harmless default.
    fn pick(&mut self, kind: Kind, below: u64) -> u64;
}

thread_local! {
    /// The simulation that runs on this thread.
    static CURRENT: RefCell<Option<Rc<RefCell<dyn Chance>>>> = const { RefCell::new(None) };
}

/// Lets `chance` answer for the world's choices on this thread, until the guard is dropped.
pub(crate) fn enter(chance: Rc<RefCell<dyn Chance>>) -> Entered {
    Entered(CURRENT.replace(Some(chance)))
}

/// Puts back what was there before [`enter`].
#[must_use = "dropped, it ends what it stands for"]
pub(crate) struct Entered(Option<Rc<RefCell<dyn Chance>>>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// The schedule that is under way on this thread.
pub(crate) struct Schedule;

impl Chance for Schedule {
    fn pick(&mut self, kind: Kind, below: u64) -> u64 {
        engine::with(|world| world.pick(kind, below)).unwrap_or(0)
    }
}

/// Whom a disk or a network asks.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The simulation that runs on this thread; without one every answer is 0.
    Ambient,
    /// A generator of its own.
    Seeded(Seeded),
}

impl Chance for Source {
    fn pick(&mut self, kind: Kind, below: u64) -> u64 {
        match self {
            Self::Seeded(seeded) => seeded.pick(kind, below),
            Self::Ambient => {
                let current = CURRENT.with_borrow(Clone::clone);
                current.map_or(0, |chance| chance.borrow_mut().pick(kind, below))
            }
        }
    }
}

/// A generator of a seed's own.
#[derive(Clone, Debug)]
pub(crate) struct Seeded(Rng);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::new(seed))
    }
}

impl Chance for Seeded {
    fn pick(&mut self, _: Kind, below: u64) -> u64 {
        self.0.below(below)
    }
}

/// Questions that the world asks in more than one place.
pub(crate) trait Ask: Chance {
    /// A number below `below`; 0 without asking where there is no choice.
    fn below(&mut self, kind: Kind, below: u64) -> u64 {
        if below < 2 { 0 } else { self.pick(kind, below) }
    }

    /// Whether something happens that does so `per_mille` times in a thousand. Never asks about what cannot happen.
    fn happens(&mut self, kind: Kind, per_mille: u16) -> bool {
        per_mille > 0 && {
            let rare = u64::from(per_mille.min(1_000));
            // 0 must mean no, unless it is certain.
            rare == 1_000 || self.pick(kind, 1_000) >= 1_000 - rare
        }
    }

    /// A duration between two, in steps of a thousandth of their distance; the shorter by default.
    fn between(
        &mut self,
        kind: Kind,
        shortest: std::time::Duration,
        longest: std::time::Duration,
    ) -> std::time::Duration {
        let spread = longest.saturating_sub(shortest);
        if spread.is_zero() {
            return shortest;
        }
        let steps = self.pick(kind, 1_001) as u32;
        shortest + spread / 1_000 * steps
    }
}

impl<C: Chance + ?Sized> Ask for C {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Always answers the largest number that may be, and notes what it was asked.
    struct Worst(Vec<(Kind, u64)>);

    impl Chance for Worst {
        fn pick(&mut self, kind: Kind, below: u64) -> u64 {
            self.0.push((kind, below));
            below - 1
        }
    }

    #[test]
    fn without_a_simulation_everything_is_harmless() {
        assert_eq!(Source::Ambient.pick(Kind::Disk, 7), 0);
        assert!(!Source::Ambient.happens(Kind::Disk, 999));
    }

    #[test]
    fn a_simulation_answers_until_it_is_left() {
        let worst = Rc::new(RefCell::new(Worst(Vec::new())));
        let entered = enter(worst.clone());
        assert_eq!(Source::Ambient.below(Kind::Crash, 7), 6);
        assert!(Source::Ambient.happens(Kind::Network, 1));
        let (short, long) = (Duration::from_millis(1), Duration::from_millis(3));
        assert_eq!(Source::Ambient.between(Kind::Disk, short, long), long);
        drop(entered);
        assert_eq!(Source::Ambient.below(Kind::Crash, 7), 0);
        assert_eq!(
            worst.borrow().0,
            [(Kind::Crash, 7), (Kind::Network, 1_000), (Kind::Disk, 1_001)]
        );
    }

    #[test]
    fn a_disk_asks_the_simulation_it_is_in() {
        use crate::disk::{Disk, Faults};
        let disk = Disk::new(Faults::power_cuts());
        let file = disk.create("a").unwrap();
        file.append(b"not synced").unwrap();
        let worst = Rc::new(RefCell::new(Worst(Vec::new())));
        let entered = enter(worst.clone());
        disk.crash();
        drop(entered);
        // Whether something is lost of two changes, and how much: both.
        assert_eq!(worst.borrow().0, [(Kind::Crash, 1_000), (Kind::Crash, 3)]);
        assert_eq!(disk.read_dir("/").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_otherwise_is_not_asked() {
        let mut worst = Worst(Vec::new());
        assert_eq!(worst.below(Kind::Disk, 1), 0);
        assert!(!worst.happens(Kind::Disk, 0));
        assert!(worst.happens(Kind::Disk, 1_000));
        assert_eq!(worst.between(Kind::Disk, Duration::ZERO, Duration::ZERO), Duration::ZERO);
        assert!(worst.0.is_empty());
    }

    #[test]
    fn seeded_answers_are_even_and_the_same_again() {
        let mut counts = [0_u32; 10];
        let (mut one, mut other) = (Seeded::new(7), Seeded::new(7));
        for _ in 0..10_000 {
            let value = one.pick(Kind::Disk, 10);
            assert_eq!(value, other.pick(Kind::Disk, 10));
            counts[value as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }
}
