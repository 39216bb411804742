//! The tree of contexts: counted nodes, their links, their ends, and those who wait for an end.
//!
//! What always holds:
//! - A node stands in its parent's list of children from its birth until its parent ends or its last reference goes.
//!   Its sibling links change under the parent's lock only.
//! - `cause` is set once, under the node's lock. From then on it gets no new child and no new waiter.
//! - A cause belongs to the node where a pass began. What is below points to it, and keeps it by keeping its ancestors.
//! - Nobody holds two of these locks at once, and no user code runs under one.
//!
//! Ending a node ends all below it in one pass without recursion: children are taken out of the list one at a time, so
//! a child that is dropped meanwhile waits for a few instructions and not for the pass. Dropping a node lets go of its
//! ancestors in a loop, so a chain of a million is no problem either.
//!
//! Why an own count and not `Arc`: the pass finds a child by a plain pointer and must tell whether it is on its way
//! out (`CtxRef::revive`). With `Weak` that costs a second count for each node, and loom has none.

use std::{
    any::Any,
    cell::Cell,
    iter,
    mem::ManuallyDrop,
    ops::Deref,
    panic::Location,
    ptr::{self, NonNull},
    sync::Arc,
    time::Instant,
};

use super::{
    line::{Node, Phase, WaitList, Wakes},
    lock::Lock,
    wait::Core,
};
use crate::{
    ctx::Cause,
    headers::Headers,
    rt::{self, Object, sim},
    sync::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
};

/// What a context carries for its users.
#[derive(Default)]
pub(crate) struct Load {
    pub(crate) value: Option<Box<dyn Any + Send + Sync>>,
    pub(crate) headers: Option<Headers>,
}

/// One context.
pub(crate) struct CtxNode {
    refs: AtomicUsize,
    /// What ended it; null while nothing has.
    cause: AtomicPtr<Cause>,
    links: Lock<Links>,
    /// The earliest from here to the root.
    deadline: Option<Instant>,
    load: Load,
    parent: Option<CtxRef>,
    /// Siblings: guarded by the parent's lock.
    prev: Cell<*const CtxNode>,
    next: Cell<*const CtxNode>,
    /// It stands among them. Changes under the parent's lock; once it does not, it never will again.
    linked: AtomicBool,
}

struct Links {
    /// The cause, if the pass began here.
    own: Option<Arc<Cause>>,
    waiting: WaitList,
    first_child: *const CtxNode,
    last_child: *const CtxNode,
}

// SAFETY: the pointers are to nodes that cannot go away without this lock; see `CtxRef::free`.
unsafe impl Send for Links {}

/// Whom one hold of the lock wakes at most: whoever else wants it waits no longer than for that many.
const WAKES_PER_HOLD: usize = 32;

/// For those whose deadline had passed before somebody came to end them.
static LATE: Cause = Cause::DeadlineExceeded;

/// The cause a pass brings, and how to tell whose deadline had passed before.
struct Ending {
    cause: Arc<Cause>,
    now: Option<Instant>,
}

impl Ending {
    /// Points to what lives as long as the node where the pass began.
    fn cause_for(&mut self, node: &CtxNode) -> *const Cause {
        match node.deadline {
            Some(deadline) if *self.now.get_or_insert_with(rt::now) >= deadline => &raw const LATE,
            _ => Arc::as_ptr(&self.cause),
        }
    }
}

impl CtxNode {
    #[inline]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    /// Whether its end has been noted. A deadline that has passed may not have been yet.
    #[inline]
    pub(super) fn has_ended(&self) -> bool {
        !self.cause.load(Ordering::Acquire).is_null()
    }

    /// What ended it, as far as noted.
    pub(crate) fn cause(&self) -> Cause {
        // SAFETY: null, or of this node, of one above, which this one keeps, or of nobody; and never changed. Attacked by
        // `loom::ctx_*`, and by `it::ctx_stress` under ThreadSanitizer.
        let cause = unsafe { self.cause.load(Ordering::Acquire).as_ref() };
        cause.cloned().unwrap_or(Cause::Running)
    }

    /// Whether its end has been noted, for who holds the lock.
    fn ended_under_lock(&self) -> bool {
        !self.cause.load(Ordering::Relaxed).is_null()
    }

    /// This node and all above it.
    pub(crate) fn up(&self) -> impl Iterator<Item = &Self> {
        iter::successors(Some(self), |node| node.parent.as_deref())
    }

    /// Lets `node` wait for the end. False: it has ended already.
    ///
    /// # Safety
    /// As for `WaitList::push`; leave by `leave`.
    pub(super) unsafe fn enter(&self, node: *const Node) -> bool {
        let mut links = self.links.lock();
        if self.ended_under_lock() {
            return false;
        }
        // SAFETY: the caller's promise.
        unsafe { links.waiting.push(node, false) };
        true
    }

    /// Takes `node` out of the line if it still stands there. Whoever told it of the end has let go afterwards.
    ///
    /// # Safety
    /// `node` has entered this line, and is the caller's.
    pub(super) unsafe fn leave(&self, node: *const Node) {
        let mut links = self.links.lock();
        // SAFETY: the caller's promise; phases change only under the lock.
        unsafe {
            if (*node).phase() == Phase::Queued {
                links.waiting.remove(node);
            }
            (*node).set_phase(Phase::Idle);
        }
    }

    /// Puts `fresh` in place as the waker of a single operation in this line, and gives back what is not needed any
    /// more. True: it has been told of the end already.
    pub(super) fn arm_in_line(&self, core: &Core, fresh: std::task::Waker) -> bool {
        let links = self.links.lock();
        let result = core.arm_under_lock(fresh);
        drop(links);
        // The stale waker goes here, outside the lock.
        result.is_err()
    }

    /// Notes the end of this node alone and wakes who waits for it. `None`: it had ended before. Else: whether there
    /// are children to see to. `cause` lives as long as `own`, which goes to this node, or as a node above.
    fn end_here(&self, cause: *const Cause, own: Option<Arc<Cause>>) -> Option<bool> {
        let mut links = self.links.lock();
        if self.ended_under_lock() {
            drop(links);
            // Perhaps the last of its kind, and user code.
            drop(own);
            return None;
        }
        links.own = own;
        // seen by the Acquire loads in `has_ended` and `cause`
        let order = mutant!(ctx_ended_relaxed, Ordering::Release, Ordering::Relaxed);
        self.cause.store(cause.cast_mut(), order);
        let parental = !links.first_child.is_null();
        loop {
            let mut wakes = Wakes::new();
            for _ in 0..mutant!(ctx_tells_one, WAKES_PER_HOLD, 1) {
                let Some(node) = links.waiting.pop() else { break };
                // SAFETY: it stood in this line and the lock is held.
                unsafe { (*node).finish(Phase::Notified, &mut wakes) };
            }
            let all = mutant!(ctx_tells_one, links.waiting.is_empty(), true);
            drop(links);
            wakes.wake();
            if all {
                return Some(parental);
            }
            links = self.links.lock();
        }
    }

    /// Takes the youngest child out of the list, if one is left that is not on its way out. The youngest, since who started
    /// several processes mostly awaits the eldest first, and then need not be woken again for each of the others.
    fn take_child(&self) -> Option<CtxRef> {
        let mut links = self.links.lock();
        while !links.last_child.is_null() {
            let child = links.last_child;
            // SAFETY: it stands in this list, whose lock is held, so it cannot be freed before the lock is released.
            // Attacked by `loom::ctx_cancel_meets_drop`.
            unsafe {
                // In this order: a child that nobody has any more is freed as soon as it stands in no list.
                let revived = CtxRef::revive(child);
                links.remove(child);
                if revived.is_some() {
                    return revived;
                }
            }
        }
        None
    }
}

impl Links {
    /// # Safety
    /// `child` stands in no list, its parent is the owner of these links, and the lock is held.
    unsafe fn push(&mut self, child: *const CtxNode) {
        // SAFETY: the caller's promise; the last child stands in this list.
        unsafe {
            (*child).prev.set(self.last_child);
            (*child).linked.store(true, Ordering::Relaxed); // nobody else has it yet
            if self.last_child.is_null() {
                self.first_child = child;
            } else {
                (*self.last_child).next.set(child);
            }
        }
        self.last_child = child;
    }

    /// The last touch of a child to which the caller has no reference.
    ///
    /// # Safety
    /// `child` stands in this list, and the lock is held.
    unsafe fn remove(&mut self, child: *const CtxNode) {
        // SAFETY: the caller's promise; its neighbours stand in this list.
        unsafe {
            let prev = (*child).prev.replace(ptr::null());
            let next = (*child).next.replace(ptr::null());
            if prev.is_null() {
                self.first_child = next;
            } else {
                (*prev).next.set(next);
            }
            if next.is_null() {
                self.last_child = prev;
            } else {
                (*next).prev.set(prev);
            }
            // Release: seen by the Acquire in `free`.
            (*child).linked.store(false, Ordering::Release);
        }
    }
}

/// A counted reference to a context.
pub(crate) struct CtxRef(NonNull<CtxNode>);

// SAFETY: everything in a node that changes is an atomic or behind its own or its parent's lock; loads are `Send` and
// `Sync`. Attacked by `loom::ctx_*` and `it::ctx_stress` under ThreadSanitizer.
unsafe impl Send for CtxRef {}
// SAFETY: as above.
unsafe impl Sync for CtxRef {}

impl CtxRef {
    /// Names it in a simulation.
    pub(crate) fn address(&self) -> usize {
        self.0.addr().get()
    }

    #[track_caller]
    pub(crate) fn root() -> Self {
        Self::new(None, None, Load::default())
    }

    #[track_caller]
    fn new(parent: Option<Self>, deadline: Option<Instant>, load: Load) -> Self {
        let node = Box::new(CtxNode {
            refs: AtomicUsize::new(1),
            cause: AtomicPtr::new(ptr::null_mut()),
            links: Lock::new(Links {
                own: None,
                waiting: WaitList::new(),
                first_child: ptr::null(),
                last_child: ptr::null(),
            }),
            deadline,
            load,
            parent,
            prev: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
            linked: AtomicBool::new(false),
        });
        sim::made(ptr::from_ref(&*node).addr(), Object::Context, Location::caller());
        Self(NonNull::from(Box::leak(node)))
    }

    /// A child, which has ended already if this one has.
    #[track_caller]
    pub(crate) fn grow(&self, load: Load, deadline: Option<Instant>) -> Self {
        let deadline = match (deadline, self.deadline) {
            (Some(own), Some(above)) => {
                Some(mutant!(ctx_outlives_its_parent, own.min(above), own.max(above)))
            }
            (own, above) => own.or(above),
        };
        let child = Self::new(Some(self.clone()), deadline, load);
        let mut links = self.links.lock();
        let cause = self.cause.load(Ordering::Relaxed);
        if cause.is_null() {
            // SAFETY: just made, a child of this node, whose lock is held.
            unsafe { links.push(child.0.as_ptr()) };
            return child;
        }
        drop(links);
        mutant!(ctx_born_after_the_end, child.end_here(cause, None), None);
        child
    }

    /// Whether it has ended; a deadline that has passed is noted.
    #[inline]
    pub(crate) fn look(&self) -> bool {
        self.has_ended() || self.deadline.is_some_and(|deadline| self.look_at_clock(deadline))
    }

    fn look_at_clock(&self, deadline: Instant) -> bool {
        let late = rt::now() >= deadline;
        if late {
            self.end(Cause::DeadlineExceeded);
        }
        late
    }

    /// Ends this node and all below it. False: it had ended before.
    pub(crate) fn end(&self, cause: Cause) -> bool {
        let mut ending = Ending { cause: Arc::new(cause), now: None };
        match self.end_here(ending.cause_for(self), Some(ending.cause.clone())) {
            None => false,
            Some(parental) => {
                if parental {
                    self.end_below(&mut ending);
                }
                true
            }
        }
    }

    /// One pass over everything below, depth first. A node that has ended before is passed over with all it has: it
    /// has been seen to, or somebody is seeing to it now.
    fn end_below(&self, ending: &mut Ending) {
        let mut path: Vec<Self> = Vec::new();
        let mut node = self.clone();
        loop {
            if let Some(child) = node.take_child() {
                let parental = child.end_here(ending.cause_for(&child), None) == Some(true);
                if mutant!(ctx_skips_grandchildren, parental, false) {
                    path.push(std::mem::replace(&mut node, child));
                }
            } else {
                match path.pop() {
                    Some(above) => node = above,
                    None => return,
                }
            }
        }
    }

    /// A new reference to `node`, unless the last one has gone.
    ///
    /// # Safety
    /// `node` stands, or has just stood, in a list whose lock the caller holds.
    unsafe fn revive(node: *const CtxNode) -> Option<Self> {
        // SAFETY: the caller's promise: it is not freed before the lock is released.
        let refs = unsafe { &(*node).refs };
        let mut count = refs.load(Ordering::Relaxed);
        while count != 0 {
            // Relaxed, as a clone: what the node says is read under locks.
            match refs.compare_exchange(count, count + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return NonNull::new(node.cast_mut()).map(Self),
                Err(now) => count = now,
            }
        }
        None
    }

    /// Frees a node whose last reference has gone, and hands out its reference to its parent.
    ///
    /// # Safety
    /// The count of `node` has just fallen to zero, by the caller.
    unsafe fn free(node: NonNull<CtxNode>) -> Option<Self> {
        // SAFETY: nobody has a reference, and only this call, for one caller, frees.
        let this = unsafe { node.as_ref() };
        // A parent that has ended has let go of its children; then a hundred thousand of them need not meet at its lock.
        // Acquire: whoever took it out of the list has let go of it.
        if let Some(parent) = &this.parent
            && this.linked.load(Ordering::Acquire)
        {
            let mut links = parent.links.lock();
            if this.linked.load(Ordering::Relaxed) {
                // SAFETY: it stands in its parent's list, whose lock is held.
                unsafe { links.remove(node.as_ptr()) };
            }
        }
        sim::gone(node.addr().get());
        // SAFETY: in no list, nobody can find it any more, and it came from a box. The drop of its load, user code,
        // runs under no lock. Attacked by `loom::ctx_cancel_meets_drop`.
        unsafe { Box::from_raw(node.as_ptr()) }.parent.take()
    }
}

impl Clone for CtxRef {
    #[inline]
    fn clone(&self) -> Self {
        // Relaxed: who clones has a reference already, so nothing hangs on the order.
        self.refs.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl Drop for CtxRef {
    #[inline]
    fn drop(&mut self) {
        let mut node = self.0;
        // AcqRel: what others did with the node happens before it is freed.
        // SAFETY: `self`, or below the child that is gone, held this reference.
        while unsafe { node.as_ref() }.refs.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: the count has just fallen to zero here.
            match unsafe { Self::free(node) } {
                Some(parent) => node = ManuallyDrop::new(parent).0,
                None => return,
            }
        }
    }
}

impl Deref for CtxRef {
    type Target = CtxNode;

    #[inline]
    fn deref(&self) -> &CtxNode {
        // SAFETY: a reference keeps its node.
        unsafe { self.0.as_ref() }
    }
}
