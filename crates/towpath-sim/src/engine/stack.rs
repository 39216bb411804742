//! Stacks to run on: one thread of the system takes turns on many. The only unsafe code of the crate.
//!
//! What always holds: `HERE` names the coroutine that runs on this thread now, or none; whoever resumes one puts the name
//! back that was there before.
#![expect(
    unsafe_code,
    reason = "a coroutine gives itself up from deep inside, where its yielder is known by address only"
)]

use std::{
    cell::{Cell, RefCell},
    mem::ManuallyDrop,
    ptr,
    rc::Rc,
};

use corosensei::{Coroutine, CoroutineResult, Yielder, stack::DefaultStack};

type Here = *const Yielder<(), ()>;

thread_local! {
    static HERE: Cell<Here> = const { Cell::new(ptr::null()) };
}

/// A call that can give itself up in the middle and go on later. Never moves to another thread.
pub(super) struct Stack {
    coroutine: Coroutine<(), (), ()>,
    yielder: Rc<Cell<Here>>,
}

impl Stack {
    /// A stack on which `body` will run; pages of it are used as they are touched.
    pub(super) fn new(bytes: usize, body: impl FnOnce() + 'static) -> std::io::Result<Self> {
        let yielder = Rc::new(Cell::new(ptr::null()));
        let noted = yielder.clone();
        let coroutine = Coroutine::with_stack(DefaultStack::new(bytes)?, move |here, ()| {
            noted.set(ptr::from_ref(here));
            HERE.set(noted.get());
            body();
        });
        Ok(Self { coroutine, yielder })
    }

    /// Runs it until it gives itself up or ends. True: it has ended.
    #[inline(always)]
    pub(super) fn resume(&mut self) -> bool {
        let before = HERE.replace(self.yielder.get());
        let result = self.coroutine.resume(());
        HERE.set(before);
        matches!(result, CoroutineResult::Return(()))
    }

    /// Leaves what is on it for ever: values there are not dropped.
    pub(super) fn abandon(self) {
        let _for_ever = ManuallyDrop::new(self);
    }
}

/// Stacks by number. In its place is one that waits to be resumed. A place is empty while its stack runs or waits for another
/// one that it has resumed, and for ever if the stack was abandoned.
#[derive(Default)]
pub(super) struct Stacks(RefCell<Vec<Option<Box<Stack>>>>);

impl Stacks {
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub(super) fn add(&self, stack: Stack) {
        self.0.borrow_mut().push(Some(Box::new(stack)));
    }

    /// Runs one until it gives itself up or ends. False: its place is empty.
    #[inline(always)]
    pub(super) fn run(&self, number: usize) -> bool {
        let Some(mut stack) = self.0.borrow_mut()[number].take() else { return false };
        stack.resume();
        self.0.borrow_mut()[number] = Some(stack);
        true
    }

    pub(super) fn abandon(&self, number: usize) {
        if let Some(stack) = self.0.borrow_mut()[number].take() {
            stack.abandon();
        }
    }

    /// Those that wait are unwound.
    pub(super) fn clear(&self) {
        let stacks = self.0.take();
        drop(stacks);
    }
}

/// Whether a stack of this module runs here.
#[cfg(test)]
fn is_on_stack() -> bool {
    !HERE.get().is_null()
}

/// Gives the stack up that runs here; returns when it is resumed.
///
/// # Panics
/// When none runs here.
#[inline(always)]
pub(super) fn give_up() {
    let here = HERE.get();
    assert!(!here.is_null(), "nothing to go back to");
    // SAFETY: not null, so this thread is on the coroutine whose yielder this is: it was noted when that coroutine began
    // or was resumed, and lives on its stack until it ends. Attacked by `engine::stack::tests`.
    unsafe { (*here).suspend(()) };
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use super::*;

    const BYTES: usize = 256 * 1024;

    #[test]
    fn stacks_take_turns() {
        let log = Rc::new(RefCell::new(Vec::new()));
        let body = |name: char| {
            let log = log.clone();
            move || {
                for turn in 0..3 {
                    log.borrow_mut().push((name, turn));
                    give_up();
                }
            }
        };
        let mut a = Stack::new(BYTES, body('a')).expect("memory for a stack");
        let mut b = Stack::new(BYTES, body('b')).expect("memory for a stack");
        while !a.resume() | !b.resume() {}
        let expected = [('a', 0), ('b', 0), ('a', 1), ('b', 1), ('a', 2), ('b', 2)];
        assert_eq!(*log.borrow(), expected);
        assert!(!is_on_stack());
    }

    #[test]
    fn one_resumes_another() {
        let inner = Stack::new(BYTES, || {
            give_up();
        });
        let mut inner = inner.expect("memory for a stack");
        let mut outer = Stack::new(BYTES, move || {
            assert!(!inner.resume());
            // Back on the outer one, which is the one to be given up.
            give_up();
            assert!(inner.resume());
        })
        .expect("memory for a stack");
        assert!(!outer.resume());
        assert!(outer.resume());
    }

    #[test]
    fn a_panic_is_caught_on_its_stack() {
        let mut stack = Stack::new(BYTES, || {
            let caught = std::panic::catch_unwind(|| {
                give_up();
                std::panic::resume_unwind(Box::new(7));
            });
            assert!(caught.is_err());
            give_up();
        })
        .expect("memory for a stack");
        assert!(!stack.resume());
        assert!(!stack.resume());
        assert!(stack.resume());
    }

    /// What stands on a stack that is dropped half-way is dropped too.
    #[test]
    fn a_dropped_stack_unwinds() {
        let token = Rc::new(());
        let held = token.clone();
        let mut stack = Stack::new(BYTES, move || {
            let _held = held;
            give_up();
        })
        .expect("memory for a stack");
        stack.resume();
        assert_eq!(Rc::strong_count(&token), 2);
        drop(stack);
        assert_eq!(Rc::strong_count(&token), 1);
    }
}
