//! Limits on real threads: values that belong together stay together, tokens are neither made nor lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use towpath_patterns::limit::{
    Audited, Limit, Locked, NotChanged, Numbers, Rate, Refused, Together, TokenBucket,
};

const CHANGES: u64 = 2_000;
/// Changes that the auditor may be behind.
const TRAIL: usize = 64;

/// Readers see pairs whose halves were set together, and never an older one after a newer one.
fn pairs_stay_together(limit: &impl Limit<Value = (u64, u64)>) {
    let done = AtomicBool::new(false);
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let (left, right) = limit.get();
                    assert_eq!(left, !right);
                    assert!(left >= last);
                    last = left;
                }
            });
        }
        for value in 1..=CHANGES {
            while limit.change((value, !value)).is_err() {
                thread::yield_now();
            }
            assert_eq!(limit.get().0, value);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_belongs_together_is_read_together() {
    pairs_stay_together(&Together::new((0, !0)));
    pairs_stay_together(&Pair(Numbers::new([0, !0])));
    pairs_stay_together(&Locked::new((0, !0)));
    let (trail, mut audit) = towpath::bounded(TRAIL);
    let audited = Audited::new((0, !0), trail);
    let auditor = thread::spawn(move || {
        let mut next = 1;
        while let Some(change) = audit.recv_blocking() {
            assert_eq!((change.number, change.after.0), (next, next));
            next += 1;
        }
        next - 1
    });
    pairs_stay_together(&audited);
    drop(audited);
    assert_eq!(auditor.join().unwrap(), CHANGES);
}

/// Pairs as [`Numbers`], which has a value of its own.
struct Pair(Numbers<2>);

impl Limit for Pair {
    type Value = (u64, u64);
    fn read<R>(&self, look: impl FnOnce(&(u64, u64)) -> R) -> R {
        self.0.read(|[left, right]| look(&(*left, *right)))
    }
    fn change(&self, (left, right): (u64, u64)) -> Result<(), NotChanged<(u64, u64)>> {
        self.0.change([left, right]).unwrap();
        Ok(())
    }
}

/// Three take what they can while a fourth changes the size of the bucket all the time, at a rate of next to nothing.
#[test]
fn no_token_is_made_by_changing_the_rate() {
    const TOKENS: u32 = 1000;
    let rate = |burst| Rate { tokens: 1, per: Duration::from_secs(86_400), burst };
    let bucket = Arc::new(TokenBucket::new(rate(TOKENS)));
    let takers: Vec<_> = (0..3)
        .map(|_| {
            let bucket = bucket.clone();
            thread::spawn(move || {
                let mut taken = 0;
                for _ in 0..2000 {
                    match bucket.try_take(1) {
                        Ok(()) => taken += 1,
                        Err(Refused::Later(_)) => thread::yield_now(),
                        Err(refused) => panic!("{refused}"),
                    }
                }
                taken
            })
        })
        .collect();
    let mut size = TOKENS;
    while takers.iter().any(|taker| !taker.is_finished()) {
        size = if size == TOKENS { 2 * TOKENS } else { TOKENS };
        bucket.change(rate(size)).unwrap();
    }
    let mut taken: u32 = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
    while bucket.try_take(1).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, TOKENS, "all of them, and no more");
}
