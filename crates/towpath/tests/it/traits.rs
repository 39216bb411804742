//! What may cross threads, and what may move once polled: a table that the compiler checks.

use std::{cell::Cell, rc::Rc};

use towpath::{
    After, CancelOnDrop, Canceller, Cause, Ctx, Done, Error, Headers, Join, MissedTick, Never,
    NextTick, Permit, Receiver, ReserveError, Scope, SelectSet, SendError, Sender, SharedReceiver,
    Tick, TryRecvError, TryReserveError, TrySendError,
    channel::{Receiving, RecvMany, Reserving, SendAll, Sending, SendingFrom},
    process::{Name, Process},
    rt, select,
    sync::{
        AcquireError, Acquiring, AcquiringOwned, Barrier, BarrierWaitResult, Finishing, Gathering,
        Locking, LockingOwned, Mutex, MutexGuard, Notified, Notify, OwnedMutexGuard,
        OwnedSemaphorePermit, Reading, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore,
        SemaphorePermit, TryAcquireError, WaitGroup, Working, Writing,
    },
};

/// `Cell` is `Send` and not `Sync`: what channels of it are, they owe to `T: Send` alone.
type OnlySend = Cell<u8>;
type Neither = Rc<u8>;
type Both = u8;

/// Whether a type has a trait: an inherent constant hides that of the trait below.
macro_rules! has {
    ($trait:ident, $type:ty) => {{
        struct Asks<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "unused where the type has the trait")]
        trait Otherwise {
            const ANSWER: bool = false;
        }
        impl<T: ?Sized> Otherwise for Asks<T> {}
        impl<T: ?Sized + $trait> Asks<T> {
            #[allow(dead_code, reason = "unused where the type lacks the trait")]
            const ANSWER: bool = true;
        }
        #[allow(unused_imports, reason = "unused where the type has the trait")]
        use Otherwise as _;
        Asks::<$type>::ANSWER
    }};
}

macro_rules! table {
    ($($type:ty: $($trait:ident)*, not $($not:ident)*;)*) => {
        $(
            $(assert!(has!($trait, $type), "{} should be {}", stringify!($type), stringify!($trait));)*
            $(assert!(!has!($not, $type), "{} should not be {}", stringify!($type), stringify!($not));)*
        )*
    };
}

#[test]
fn ends_and_permits() {
    table! {
        Sender<OnlySend>: Send Sync Unpin Clone, not Copy;
        Receiver<OnlySend>: Send Sync Unpin, not Clone;
        SharedReceiver<OnlySend>: Send Sync Unpin Clone, not Copy;
        Permit<'static, OnlySend>: Send Sync Unpin, not Clone;
        Sender<Neither>: Unpin Clone, not Send Sync;
        Receiver<Neither>: Unpin, not Send Sync Clone;
        SharedReceiver<Neither>: Unpin Clone, not Send Sync;
        Permit<'static, Neither>: Unpin, not Send Sync Clone;
        SelectSet<OnlySend>: Send Sync Unpin, not Clone;
        SelectSet<Neither>: Unpin, not Send Sync Clone;
        select::Key: Send Sync Unpin Copy, not;
    }
}

#[test]
fn operations_stay_where_they_are() {
    table! {
        Receiving<'static, OnlySend>: Send, not Unpin Clone;
        Sending<'static, OnlySend>: Send, not Unpin Clone;
        SendingFrom<'static, OnlySend>: Send, not Unpin Clone;
        Reserving<'static, OnlySend>: Send, not Unpin Clone;
        RecvMany<'static, OnlySend>: Send, not Unpin Clone;
        SendAll<'static, OnlySend, std::vec::IntoIter<OnlySend>>: Send, not Unpin Clone;
        SendAll<'static, Both, std::iter::Map<Rc<u8>, fn(u8) -> u8>>: , not Send Unpin;
        Receiving<'static, Neither>: , not Send Sync Unpin;
        Sending<'static, Neither>: , not Send Sync Unpin;
        SendingFrom<'static, Neither>: , not Send Sync Unpin;
        Reserving<'static, Neither>: , not Send Sync Unpin;
        RecvMany<'static, Neither>: , not Send Sync Unpin;
        select::Next<'static, OnlySend>: Send Unpin, not;
        select::Next<'static, Neither>: Unpin, not Send;
        select::Any<Receiving<'static, OnlySend>>: Send Unpin, not;
        select::Any<Receiving<'static, Neither>>: Unpin, not Send;
    }
}

#[test]
fn a_future_around_a_select_is_send() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let (tx, mut rx) = towpath::bounded::<OnlySend>(1);
    let (out, _sink) = towpath::bounded::<OnlySend>(1);
    let _never_run = is_send(async move {
        towpath::select! {
            got = rx.recv() => assert!(got.is_none()),
            sent = tx.send(OnlySend::new(1)) => drop(sent),
            permit = out.reserve() => permit.unwrap().send(OnlySend::new(2)),
            _ = towpath::after(std::time::Duration::ZERO) => {}
            _ = select::future(async {}) => {}
        }
    });
}

/// `Sync` and not `Send`: a lock must not carry it to another thread, a shared guard may show it there.
type OnlySync = std::sync::MutexGuard<'static, u8>;

#[test]
fn locks_and_guards() {
    table! {
        Mutex<OnlySend>: Send Sync Unpin, not Clone;
        Mutex<OnlySync>: Unpin, not Send Sync;
        Mutex<Neither>: Unpin, not Send Sync;
        MutexGuard<'static, OnlySend>: Send Unpin, not Sync Clone;
        MutexGuard<'static, OnlySync>: Sync Unpin, not Send;
        MutexGuard<'static, Both>: Send Sync Unpin, not Clone;
        MutexGuard<'static, Neither>: Unpin, not Send Sync;
        OwnedMutexGuard<OnlySend>: Send Unpin, not Sync Clone;
        OwnedMutexGuard<OnlySync>: Sync Unpin, not Send;
        OwnedMutexGuard<Both>: Send Sync Unpin, not Clone;
        RwLock<OnlySend>: Send Unpin, not Sync Clone;
        RwLock<OnlySync>: Unpin, not Send Sync;
        RwLock<Both>: Send Sync Unpin, not Clone;
        RwLockReadGuard<'static, OnlySend>: Unpin, not Send Sync Clone;
        RwLockReadGuard<'static, OnlySync>: Send Sync Unpin, not Clone;
        RwLockReadGuard<'static, Both>: Send Sync Unpin, not Clone;
        RwLockWriteGuard<'static, OnlySend>: Unpin, not Send Sync Clone;
        RwLockWriteGuard<'static, OnlySync>: Sync Unpin, not Send;
        RwLockWriteGuard<'static, Both>: Send Sync Unpin, not Clone;
        Semaphore: Send Sync Unpin, not Clone;
        SemaphorePermit<'static>: Send Sync Unpin, not Clone;
        OwnedSemaphorePermit: Send Sync Unpin, not Clone;
        AcquireError: Send Sync Unpin Copy, not;
        TryAcquireError: Send Sync Unpin Copy, not;
        Notify: Send Sync Unpin, not Clone;
        Barrier: Send Sync Unpin, not Clone;
        BarrierWaitResult: Send Sync Unpin Copy, not;
        WaitGroup: Send Sync Unpin Clone, not Copy;
        Working: Send Sync Unpin, not Clone;
    }
}

#[test]
fn waits_for_locks_stay_where_they_are() {
    table! {
        Locking<'static, OnlySend>: Send, not Sync Unpin Clone;
        Locking<'static, Neither>: , not Send Sync Unpin;
        LockingOwned<OnlySend>: Send, not Sync Unpin Clone;
        LockingOwned<Neither>: , not Send Sync Unpin;
        Reading<'static, Both>: Send, not Sync Unpin Clone;
        Reading<'static, OnlySend>: , not Send Sync Unpin;
        Writing<'static, Both>: Send, not Sync Unpin Clone;
        Writing<'static, OnlySend>: , not Send Sync Unpin;
        Acquiring<'static>: Send, not Sync Unpin Clone;
        AcquiringOwned: Send, not Sync Unpin Clone;
        Notified<'static>: Send, not Sync Unpin Clone;
        Gathering<'static>: Send, not Sync Unpin Clone;
        Finishing<'static>: Send, not Sync Unpin Clone;
    }
}

#[test]
fn timers_tasks_and_errors() {
    table! {
        After: Send Unpin, not Clone;
        Tick: Send Unpin, not Clone;
        NextTick<'static>: Send Unpin, not Clone;
        Never: Send Sync Unpin, not Clone;
        MissedTick: Send Sync Unpin Copy, not;
        rt::Handle: Send Sync Unpin Clone, not Copy;
        rt::Sleep: Send Unpin, not;
        rt::Task<OnlySend>: Send Unpin, not;
        rt::Task<Neither>: Unpin, not Send;
        rt::TaskError: Send, not Clone;
        SendError<Both>: Send Sync Unpin Copy, not;
        TrySendError<Both>: Send Sync Unpin Copy, not;
        TryRecvError: Send Sync Unpin Copy, not;
        ReserveError: Send Sync Unpin Copy, not;
        TryReserveError: Send Sync Unpin Copy, not;
        SendError<Neither>: Unpin Clone, not Send Sync;
    }
}

#[test]
fn contexts_and_scopes() {
    table! {
        Ctx: Send Sync Unpin Clone, not Copy;
        Canceller: Send Sync Unpin Clone, not Copy;
        CancelOnDrop: Send Sync Unpin, not Clone;
        Cause: Send Sync Unpin Clone, not Copy;
        Done<'static>: Send, not Unpin Clone;
        Headers: Send Sync Unpin Clone, not Copy;
        Error: Send Sync Unpin, not Clone;
        Scope: Send Sync Unpin Clone, not Copy;
        Join<OnlySend>: Send Unpin, not Sync Clone;
        Join<Neither>: Unpin, not Send Sync Clone;
        Process: Send Sync Unpin Clone, not Copy;
        Name: Send Sync Unpin Clone, not Copy;
    }
}

#[test]
fn a_scope_of_what_can_be_sent_can_be_sent_itself() {
    fn is_send<T: Send + 'static>(_: &T) {}
    is_send(&towpath::scope(&Ctx::root(), |s| async move {
        let join = s.spawn("sends", |_| async { Ok::<_, Cause>(OnlySend::new(1)) });
        Ok(join.await?)
    }));
}

#[test]
fn errors_are_errors_whatever_they_carry() {
    fn is_error<E: std::error::Error>() {}
    struct NoDebug;
    is_error::<SendError<NoDebug>>();
    is_error::<TrySendError<NoDebug>>();
    is_error::<TryRecvError>();
    is_error::<ReserveError>();
    is_error::<TryReserveError>();
    is_error::<rt::TaskError>();
    is_error::<Cause>();
    is_error::<Error>();
    is_error::<AcquireError>();
    is_error::<TryAcquireError>();
    let _ = NoDebug;
}

#[test]
fn values_that_stay_on_one_thread_may_use_channels_there() {
    let (tx, mut rx) = towpath::bounded::<Neither>(1);
    tx.try_send(Rc::new(5)).unwrap();
    assert_eq!(towpath::block_on(rx.recv()).as_deref(), Some(&5));
}
