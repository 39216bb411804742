//! What the program says must always hold, or come true in the end.
//!
//! What always holds: while a law is looked at, nothing of the schedule goes on, and what the law does is no step.

use std::cell::{Cell, RefCell};

/// Laws of one schedule.
#[derive(Default)]
pub(crate) struct Laws {
    laws: RefCell<Vec<Law>>,
    checking: Cell<bool>,
    any: Cell<bool>,
}

struct Law {
    name: String,
    when: When,
    holds: Box<dyn Fn() -> bool>,
}

/// When a law must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum When {
    /// After each step.
    Always,
    /// After some step.
    Eventually,
    /// When everybody has ended.
    AtTheEnd,
}

/// A law that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Broken {
    pub(crate) name: String,
    pub(crate) when: When,
}

impl Laws {
    pub(crate) fn add(&self, name: String, when: When, holds: Box<dyn Fn() -> bool>) {
        self.laws.borrow_mut().push(Law { name, when, holds });
        self.any.set(true);
    }

    #[inline]
    pub(crate) fn are_any(&self) -> bool {
        self.any.get()
    }

    pub(crate) fn is_checking(&self) -> bool {
        self.checking.get()
    }

    /// The first law that is broken now. Those that have come true are struck off.
    pub(crate) fn check(&self) -> Option<Broken> {
        self.look(false)
    }

    /// The first law that is broken when everybody has ended.
    pub(crate) fn check_at_the_end(&self) -> Option<Broken> {
        if self.any.get() { self.look(true) } else { None }
    }

    fn look(&self, end: bool) -> Option<Broken> {
        self.checking.set(true);
        // A law that adds one would find the list borrowed.
        let mut laws = self.laws.take();
        let mut broken = None;
        laws.retain(|law| {
            let must = end || law.when == When::Always;
            if !must && law.when == When::AtTheEnd {
                return true;
            }
            let holds = (law.holds)();
            if must && !holds && broken.is_none() {
                broken = Some(Broken { name: law.name.clone(), when: law.when });
            }
            law.when != When::Eventually || !holds
        });
        let added = self.laws.replace(laws);
        self.laws.borrow_mut().extend(added);
        self.checking.set(false);
        broken
    }

    pub(crate) fn clear(&self) {
        let laws = self.laws.take();
        self.any.set(false);
        // What the closures hold is the program's own.
        drop(laws);
    }
}
