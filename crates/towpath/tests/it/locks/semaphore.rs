//! Semaphore: so many permits, in order, and an end.

use std::{sync::Arc, thread};

use towpath::sync::{AcquireError, Semaphore, TryAcquireError};

use crate::harness::{Polled, ready, watchdog};

#[test]
fn permits_are_counted() {
    let semaphore = Arc::new(Semaphore::new(10));
    let one = ready(semaphore.acquire(1)).unwrap();
    let two = semaphore.acquire_blocking(2).unwrap();
    let three = semaphore.try_acquire(3).unwrap();
    let four = ready(semaphore.clone().acquire_owned(4)).unwrap();
    assert_eq!((one.permits(), two.permits(), three.permits(), four.permits()), (1, 2, 3, 4));
    assert_eq!(semaphore.available_permits(), 0);
    assert_eq!(semaphore.try_acquire(1).unwrap_err(), TryAcquireError::NoPermits);
    assert_eq!(semaphore.clone().try_acquire_owned(1).unwrap_err(), TryAcquireError::NoPermits);
    drop((one, two, three, four));
    assert_eq!(semaphore.available_permits(), 10);
    semaphore.clone().acquire_owned_blocking(10).unwrap().forget();
    semaphore.add_permits(3);
    semaphore.try_acquire(1).unwrap().forget();
    assert_eq!(semaphore.available_permits(), 2);
    assert_eq!(Arc::strong_count(&semaphore), 1, "an owned permit that was forgotten lets go");
}

#[test]
fn one_that_wants_many_is_not_overtaken_by_those_who_want_few() {
    let semaphore = Semaphore::new(0);
    let many = Polled::parked(semaphore.acquire(3));
    let few = Polled::parked(semaphore.acquire(1));
    semaphore.add_permits(1);
    semaphore.add_permits(1);
    assert!(!many.woken() && !few.woken());
    assert_eq!(semaphore.try_acquire(1).unwrap_err(), TryAcquireError::NoPermits);
    semaphore.add_permits(1);
    assert!(many.woken() && !few.woken());
    drop(many.finish());
    drop(few.finish());
    assert_eq!(semaphore.available_permits(), 3);
}

#[test]
fn a_first_in_line_that_leaves_frees_those_behind_it() {
    let semaphore = Semaphore::new(2);
    let many = Polled::parked(semaphore.acquire(3));
    let few: Vec<_> = (0..3).map(|_| Polled::parked(semaphore.acquire(1))).collect();
    drop(many);
    let woken: Vec<_> = few.iter().map(Polled::woken).collect();
    assert_eq!(woken, [true, true, false]);
}

#[test]
fn many_permits_at_once_serve_many() {
    let semaphore = Semaphore::new(0);
    let waits: Vec<_> = (1..=4).map(|n| Polled::parked(semaphore.acquire(n))).collect();
    semaphore.add_permits(7);
    let woken: Vec<_> = waits.iter().map(Polled::woken).collect();
    assert_eq!(woken, [true, true, true, false]);
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn permits_given_to_a_dropped_wait_go_to_the_next() {
    let semaphore = Semaphore::new(0);
    let first = Polled::parked(semaphore.acquire(2));
    let others = [Polled::parked(semaphore.acquire(1)), Polled::parked(semaphore.acquire(1))];
    semaphore.add_permits(2);
    drop(first);
    others.into_iter().for_each(|wait| drop(wait.finish()));
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn closing_tells_those_who_wait_and_those_who_come() {
    let semaphore = Arc::new(Semaphore::new(1));
    let permit = ready(semaphore.acquire(1)).unwrap();
    let waits = [Polled::parked(semaphore.acquire(1)), Polled::parked(semaphore.acquire(5))];
    let owned = Polled::parked(semaphore.clone().acquire_owned(1));
    assert!(!semaphore.is_closed());
    semaphore.close();
    semaphore.close();
    assert!(semaphore.is_closed());
    waits.into_iter().for_each(|wait| assert_eq!(wait.finish().unwrap_err(), AcquireError));
    assert!(owned.finish().is_err());
    drop(permit);
    assert_eq!(semaphore.available_permits(), 1);
    assert!(ready(semaphore.acquire(0)).is_err());
    assert!(semaphore.acquire_blocking(1).is_err());
    assert_eq!(semaphore.try_acquire(1).unwrap_err(), TryAcquireError::Closed);
}

#[test]
fn permits_given_before_the_end_are_good() {
    let semaphore = Semaphore::new(0);
    let wait = Polled::parked(semaphore.acquire(1));
    semaphore.add_permits(1);
    semaphore.close();
    assert_eq!(wait.finish().unwrap().permits(), 1);
}

#[test]
fn closing_wakes_a_thread() {
    watchdog(60, || {
        let semaphore = Semaphore::new(0);
        thread::scope(|s| {
            let waits = s.spawn(|| semaphore.acquire_blocking(1).is_err());
            semaphore.close();
            assert!(waits.join().unwrap());
        });
    });
}

#[test]
fn none_may_be_asked_for_and_stands_in_line_all_the_same() {
    let semaphore = Semaphore::new(0);
    drop(ready(semaphore.acquire(0)).unwrap());
    let many = Polled::parked(semaphore.acquire(1));
    let none = Polled::parked(semaphore.acquire(0));
    semaphore.add_permits(1);
    assert!(many.woken() && none.woken());
}

#[test]
fn more_than_can_be_counted_is_refused() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    let most = Semaphore::PERMITS_MAX;
    assert!(catch_unwind(|| Semaphore::new(most + 1)).is_err());
    assert!(catch_unwind(|| drop(Semaphore::new(0).acquire(most + 1))).is_err());
    let full = Semaphore::new(most);
    assert_eq!(full.available_permits(), most);
    assert!(catch_unwind(AssertUnwindSafe(|| full.add_permits(1))).is_err());
    assert_eq!(full.try_acquire(usize::MAX).unwrap_err(), TryAcquireError::NoPermits);
    drop(ready(full.acquire(most)).unwrap());
    assert_eq!(full.available_permits(), most);
}

#[test]
fn what_it_prints() {
    let semaphore = Semaphore::new(2);
    assert_eq!(format!("{semaphore:?}"), "Semaphore { available_permits: 2, closed: false }");
    assert_eq!(AcquireError.to_string(), "the semaphore is closed");
    assert_eq!(TryAcquireError::Closed.to_string(), "the semaphore is closed");
    assert_eq!(TryAcquireError::NoPermits.to_string(), "the semaphore has too few permits now");
}
