//! What the program says must always hold, or come true in the end.

use std::cell::{Cell, RefCell};

/// Laws of one schedule.
#[derive(Default)]
pub(crate) struct Laws {
    laws: RefCell<Vec<Law>>,
    /// A law is being looked at: what it does is no step.
    checking: Cell<bool>,
    any: Cell<bool>,
}

struct Law {
    name: String,
    kind: When,
    holds: Box<dyn Fn() -> bool>,
}

/// When a law must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum When {
    /// After each step.
    Always,
    /// After some step.
    Eventually,
}

/// A law that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Broken {
    pub(crate) name: String,
    pub(crate) when: &'static str,
}

impl Laws {
    pub(crate) fn add(&self, name: String, kind: When, holds: Box<dyn Fn() -> bool>) {
        self.laws.borrow_mut().push(Law { name, kind, holds });
        self.any.set(true);
    }

    pub(crate) fn is_checking(&self) -> bool {
        self.checking.get()
    }

    /// The first law that is broken now. Those that have come true are struck off.
    #[inline]
    pub(crate) fn check(&self) -> Option<Broken> {
        if self.any.get() { self.look() } else { None }
    }

    fn look(&self) -> Option<Broken> {
        self.checking.set(true);
        let mut broken = None;
        let mut laws = self.laws.take();
        laws.retain(|law| {
            let holds = (law.holds)();
            if law.kind == When::Always && !holds && broken.is_none() {
                broken = Some(Broken { name: law.name.clone(), when: "always" });
            }
            law.kind == When::Always || !holds
        });
        self.laws.replace(laws);
        self.checking.set(false);
        broken
    }

    /// The first that has never come true.
    pub(crate) fn unfulfilled(&self) -> Option<Broken> {
        let early = self.check();
        let laws = self.laws.borrow();
        let late = laws.iter().find(|law| law.kind == When::Eventually);
        early.or_else(|| late.map(|law| Broken { name: law.name.clone(), when: "eventually" }))
    }

    pub(crate) fn clear(&self) {
        let laws = self.laws.take();
        self.any.set(false);
        // What the closures hold is the program's own.
        drop(laws);
    }
}
