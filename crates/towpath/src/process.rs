//! Who runs: each process of a scope has a number and a name.
//!
//! What always holds: numbers are never used twice. While a process's future is polled, or its thread runs, that thread
//! says who it is; a future that polls others inside itself speaks for all of them.
//!
//! Why a panic hook: where a panic happened is known only to the hook. It is installed once, with the first scope; it
//! notes the place for the thread that panics, and then always calls the hook that was there before, so messages and
//! backtraces appear as ever: a panic is a bug, and nobody should have to guess. A program that replaces the hook later
//! loses the place in the error, nothing else.

use std::{
    any::Any,
    borrow::Borrow,
    cell::RefCell,
    fmt,
    ops::Deref,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    thread,
};

use crate::{
    observe,
    raw::{backoff::Backoff, slot},
    rt::sim,
};

/// A process: one run of a task or a thread that a scope, a supervisor or a network has started.
///
/// ```
/// # towpath::block_on(async {
/// use towpath::{Ctx, process};
///
/// assert_eq!(process::current(), None);
/// let name = towpath::scope(&Ctx::root(), |s| async move {
///     let ferry = s.spawn("ferry", |_| async {
///         Ok::<_, std::io::Error>(process::current().map(|process| process.name().to_string()))
///     });
///     Ok(ferry.await?)
/// });
/// assert_eq!(name.await.unwrap().as_deref(), Some("ferry"));
/// # });
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Process {
    id: u64,
    name: Name,
}

impl Process {
    /// A new process, with a number of its own.
    pub(crate) fn new(name: Name) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: only that each number is given once matters.
        let id = sim::process_number().unwrap_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed));
        Self { id, name }
    }

    /// Its number, from 1 on. Unique as long as the program runs.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its name, as its starter gave it. Others may have the same.
    pub fn name(&self) -> &Name {
        &self.name
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name, self.id)
    }
}

/// The name of a process: a literal, or text made at run time and shared. Cloning copies no text.
#[derive(Clone)]
pub struct Name(Text);

#[derive(Clone)]
enum Text {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static(text) => text,
            Text::Shared(text) => text,
        }
    }
}

impl From<&'static str> for Name {
    fn from(text: &'static str) -> Self {
        Self(Text::Static(text))
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(Text::Shared(text.into()))
    }
}

impl From<Arc<str>> for Name {
    fn from(text: Arc<str>) -> Self {
        Self(Text::Shared(text))
    }
}

impl From<&Self> for Name {
    fn from(name: &Self) -> Self {
        name.clone()
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl std::hash::Hash for Name {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

/// The process that runs here now; `None` outside any.
pub fn current() -> Option<Process> {
    slot::with_current(|process| process.cloned())
}

/// Gives a task another turn, as if somebody had woken it: it looks again at everything that it polls. True if there is a task of
/// this number in a scope.
///
/// For who gives orders to processes, as a supervisor of a network does, and is no part of what they wait for: a clone of their waker
/// would count in [`observe`] as somebody unknown who may bring them on, and this does not. The time it
/// takes grows with the processes that live.
///
/// ```
/// use std::{future::poll_fn, sync::atomic::{AtomicU64, AtomicBool, Ordering}, task::Poll};
/// use towpath::{Ctx, process};
///
/// static ORDER: AtomicBool = AtomicBool::new(false);
/// static WHO: AtomicU64 = AtomicU64::new(0);
/// # towpath::block_on(async {
/// let done = towpath::scope(&Ctx::root(), |s| async move {
///     let waits = s.spawn("waits", |_| poll_fn(|_| {
///         WHO.store(process::current().map_or(0, |process| process.id()), Ordering::SeqCst);
///         if ORDER.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
///     }));
///     while WHO.load(Ordering::SeqCst) == 0 {
///         towpath::rt::sleep(std::time::Duration::from_millis(1)).await;
///     }
///     ORDER.store(true, Ordering::SeqCst);
///     assert!(process::nudge(WHO.load(Ordering::SeqCst)));
///     Ok(waits.await?)
/// });
/// done.await.unwrap();
/// # });
/// ```
pub fn nudge(process: u64) -> bool {
    observe::scopes().iter().any(|scope| scope.nudge(process))
}

/// The name of the process that runs here now, or `otherwise`.
pub(crate) fn current_name(otherwise: &'static str) -> Name {
    slot::with_current(|process| process.map_or(Name::from(otherwise), |it| it.name.clone()))
}

thread_local! {
    /// Where this thread panicked last.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A process's number as a waiter notes it: the low half, and never 0.
pub(crate) fn short(id: u64) -> u32 {
    (id as u32).max(1)
}

/// The process that this thread runs now, as a waiter notes it; 0 if it runs none.
#[inline]
pub(crate) fn number() -> u32 {
    slot::with_current(|process| process.map_or(0, |process| short(process.id)))
}

/// Runs `f`, whose panics it catches itself and which are no news of whoever runs here.
pub(crate) fn aside<R>(f: impl FnOnce() -> R) -> R {
    let noted = take_place();
    let result = f();
    if noted.is_some() {
        sim::has_locals();
    }
    PLACE.try_with(|place| *place.borrow_mut() = noted).ok();
    result
}

/// A panic that was caught.
pub(crate) struct Panic {
    pub(crate) message: String,
    /// `file:line:column`, if the hook saw it.
    pub(crate) at: Option<String>,
    payload: Box<dyn Any + Send>,
}

impl Panic {
    /// Goes on with it on this thread.
    pub(crate) fn resume(self) -> ! {
        panic::resume_unwind(self.payload)
    }
}

/// Runs `f` and catches its panic. What `f` leaves behind half done is the caller's to throw away.
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    take_place();
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let message = panic_text(&*payload).unwrap_or("a panic without a message").to_owned();
        Panic { message, at: take_place(), payload }
    })
}

/// What a panic says, if it is text.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// Where this thread panicked last, and forgets it.
fn take_place() -> Option<String> {
    // While a thread ends its locals may be gone.
    PLACE.try_with(RefCell::take).ok().flatten()
}

/// From here on panics leave a note of their place.
pub(crate) fn install_hook() {
    const MISSING: u32 = 0;
    const UNDER_WAY: u32 = 1;
    const IN_PLACE: u32 = 2;
    static HOOK: AtomicU32 = AtomicU32::new(MISSING);
    // A thread that is panicking cannot change the hook; the next scope will.
    if HOOK.load(Ordering::Acquire) == IN_PLACE || thread::panicking() {
        return;
    }
    if HOOK.compare_exchange(MISSING, UNDER_WAY, Ordering::Acquire, Ordering::Relaxed).is_ok() {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            note_place(info);
            if !sim::panicked(info) {
                before(info);
            }
        }));
        HOOK.store(IN_PLACE, Ordering::Release);
    }
    let mut backoff = Backoff::new();
    while HOOK.load(Ordering::Acquire) != IN_PLACE {
        backoff.wait_for_other();
    }
}

/// Puts another note of the last panic in place, for another stack on this thread.
#[cfg(feature = "sim")]
pub(crate) fn exchange_place(place: &mut Option<String>) {
    PLACE.with_borrow_mut(|noted| std::mem::swap(noted, place));
}

fn note_place(info: &panic::PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string);
    sim::has_locals();
    PLACE.try_with(|noted| noted.replace(place)).ok();
}
