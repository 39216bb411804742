//! The pool's process under many schedules and in virtual time. More of them: `TOWPATH_SIM_SCHEDULES=10000`, in a release build.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, atomic::Ordering::SeqCst},
    task::Poll,
    time::Duration,
};

use towpath::{BoxError, Ctx, Scope, rt, scope};
use towpath_patterns::{
    fault::{Class, Classify, Retry},
    pool::{Options, Policy, Pool, Refused},
};
use towpath_sim::choose;

use super::yard::{Books, Habits, Trip, Yard};

/// Barges at most.
const MAX: usize = 2;

/// Longer than a schedule lets timers ring early, so that waiting borrowers are not late by chance.
const LONG: Duration = Duration::from_secs(600);

fn options() -> Options {
    Options {
        wait_max: LONG,
        make_max: LONG,
        check_max: LONG,
        close_max: LONG,
        stop_max: LONG,
        backoff: Retry::new(u32::MAX)
            .with_delays(Duration::from_millis(1), Duration::from_millis(4)),
        ..Options::new(MAX)
    }
}

fn start(s: &Scope, habits: Habits, options: Options) -> (Pool<Yard>, Arc<Books>) {
    let books = Arc::new(Books::default());
    let yard = Yard { books: books.clone(), habits, max: options.max };
    (Pool::start(s, "barges", yard, options), books)
}

/// Nothing is left of any barge.
fn check_empty(books: &Books) {
    assert_eq!(books.afloat.load(SeqCst), 0, "afloat");
    assert!(books.lent.lock().unwrap().is_empty());
}

/// Drops `future` at a moment that is part of the schedule, or not at all.
async fn maybe_dropped<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(move |cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if choose(4) == 1 => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// A borrower that does everything a borrower may do.
async fn borrow(ctx: Ctx, pool: Pool<Yard>, books: Arc<Books>) {
    for _ in 0..2 {
        let lease = match maybe_dropped(pool.lend(&ctx)).await {
            Some(Ok(lease)) => lease,
            Some(Err(Refused::Cancelled(_) | Refused::Stopped)) => return,
            Some(Err(refused)) => panic!("{refused}"),
            None => continue,
        };
        let mut trip = Trip::new(lease, &books);
        match choose(5) {
            0 => {}
            1 => rt::sleep(Duration::from_millis(1)).await,
            2 => trip.sink(),
            3 => drop(maybe_dropped(rt::sleep(Duration::from_millis(2))).await),
            _ => panic!("expected by this test"),
        }
    }
}

/// Slow, failing and panicking makings, leaks, borrowers that panic and are dropped: one holder each, never too many, none left.
#[towpath::test]
async fn nobody_shares_and_nothing_is_left() {
    let habits = Habits { slow: true, fails: true, leaks: true };
    let books = scope(&Ctx::root(), |s| async move {
        let options = Options { uses_max: (choose(2) == 1).then_some(2), ..options() };
        let (pool, books) = start(&s, habits, options);
        let borrowers: Vec<_> = (0..3)
            .map(|_| rt::spawn(borrow(s.ctx().clone(), pool.clone(), books.clone())))
            .collect();
        drop(pool);
        for borrower in borrowers {
            // Some panic, with an instance in hand.
            let _ = borrower.await;
        }
        Ok(books)
    })
    .await
    .unwrap();
    check_empty(&books);
    assert!(books.most.load(SeqCst) <= MAX);
}

/// The context ends at any moment: what is out comes back, all of it is closed, and the scope ends.
#[towpath::test]
async fn cancelled_at_any_moment() {
    let (ctx, canceller) = Ctx::root().with_cancel();
    let books = Arc::new(Books::default());
    let (yard_books, borrower_books) = (books.clone(), books.clone());
    let done = scope(&ctx, |s| async move {
        let habits = Habits { slow: true, fails: true, leaks: true };
        let yard = Yard { books: yard_books, habits, max: MAX };
        let pool = Pool::start(&s, "barges", yard, options());
        let borrowers: Vec<_> = (0..3)
            .map(|_| rt::spawn(borrow(s.ctx().clone(), pool.clone(), borrower_books.clone())))
            .collect();
        rt::sleep(Duration::from_millis(choose(6))).await;
        canceller.cancel("high water");
        for borrower in borrowers {
            let _ = borrower.await;
        }
        // It may not have heard yet.
        while pool.lend(&Ctx::root()).await.is_ok() {
            rt::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    });
    let _ = done.await;
    check_empty(&books);
}

/// The whole scope is dropped: nothing is left either, closed or not.
#[towpath::test]
async fn dropped_at_any_moment() {
    let books = Arc::new(Books::default());
    let yard_books = books.clone();
    let lease = maybe_dropped(scope(&Ctx::root(), |s| async move {
        let habits = Habits { slow: true, ..Habits::default() };
        let yard = Yard { books: yard_books, habits, max: MAX };
        let pool = Pool::start(&s, "barges", yard, options());
        let one = pool.lend(s.ctx()).await?;
        let two = pool.lend(s.ctx()).await?;
        rt::sleep(Duration::from_millis(3)).await;
        drop(one);
        rt::sleep(Duration::from_millis(3)).await;
        drop(two);
        Ok::<_, BoxError>(())
    }))
    .await;
    drop(lease);
    check_empty(&books);
}

/// Who stands in line first is served first, whoever gives back and whatever is made.
#[towpath::test]
async fn first_come_first_served() {
    scope(&Ctx::root(), |s| async move {
        let (pool, _books) = start(&s, Habits::default(), Options { max: 1, ..options() });
        let first = pool.lend(s.ctx()).await?;
        let mut line: Vec<_> = (0..3).map(|_| Some(Box::pin(pool.lend(s.ctx())))).collect();
        // Each stands in line as soon as it is polled.
        poll_fn(|cx| {
            for one in line.iter_mut().flatten() {
                assert!(one.as_mut().poll(cx).is_pending());
            }
            Poll::Ready(())
        })
        .await;
        drop(first);
        let mut order = Vec::new();
        while order.len() < 3 {
            let (name, lease) = poll_fn(|cx| {
                // The last first, so that nobody is helped.
                for (name, one) in line.iter_mut().enumerate().rev() {
                    let Some(lend) = one else { continue };
                    if let Poll::Ready(lease) = lend.as_mut().poll(cx) {
                        *one = None;
                        return Poll::Ready((name, lease));
                    }
                }
                Poll::Pending
            })
            .await;
            order.push(name);
            drop(lease?);
        }
        assert_eq!(order, [0, 1, 2]);
        drop(line);
        Ok(())
    })
    .await
    .unwrap();
}

/// A borrower that gives up hands on what it had been given.
#[towpath::test]
async fn who_leaves_the_line_keeps_nothing() {
    scope(&Ctx::root(), |s| async move {
        let (pool, books) = start(&s, Habits::default(), Options { max: 1, ..options() });
        let first = pool.lend(s.ctx()).await?;
        let leaves = pool.clone();
        let leaves = rt::spawn(async move {
            drop(maybe_dropped(leaves.lend(&Ctx::root())).await);
        });
        let stays = pool.clone();
        let stays =
            rt::spawn(async move { stays.lend(&Ctx::root()).await.map(|lease| lease.uses()) });
        rt::sleep(Duration::from_millis(choose(2))).await;
        drop(first);
        leaves.await.unwrap();
        assert!(stays.await.unwrap()? >= 2);
        assert_eq!(books.made.load(SeqCst), 1);
        assert_eq!(pool.snapshot().waiting, 0);
        Ok(())
    })
    .await
    .unwrap();
}

/// Refusals are what they say.
#[towpath::test]
async fn refusals_have_their_reasons() {
    scope(&Ctx::root(), |s| async move {
        let options =
            Options { max: 1, waiting_max: 1, wait_max: Duration::from_secs(60), ..options() };
        let (pool, _books) = start(&s, Habits::default(), options);
        let lease = pool.lend(s.ctx()).await?;
        let waits = pool.clone();
        let waits = rt::spawn(async move { waits.lend(&Ctx::root()).await.map(drop) });
        while pool.snapshot().waiting == 0 {
            rt::sleep(Duration::from_millis(1)).await;
        }
        let full = pool.lend(s.ctx()).await.unwrap_err();
        assert!(matches!(full, Refused::Full { waiting: 1 }), "{full}");
        assert_eq!(full.class(), Class::Transient);
        let late = waits.await.unwrap().unwrap_err();
        assert!(matches!(late, Refused::Late { .. }), "{late}");
        let (gone, canceller) = Ctx::root().with_cancel();
        canceller.cancel("changed my mind");
        assert!(matches!(pool.lend(&gone).await, Err(Refused::Cancelled(_))));
        drop(lease);
        assert_eq!(pool.lend(s.ctx()).await?.uses(), 2);
        Ok(())
    })
    .await
    .unwrap();
}

/// A factory that fails is asked one at a time and with pauses, and who could only wait in vain is told.
#[towpath::test]
async fn a_failing_factory_is_not_overrun() {
    use towpath_patterns::{fault::Failure, pool::Factory};

    struct Down(Arc<std::sync::Mutex<Vec<std::time::Instant>>>);

    impl Factory for Down {
        type Instance = ();
        type Error = Failure;

        async fn make(&self, _ctx: Ctx) -> Result<(), Failure> {
            self.0.lock().unwrap().push(rt::now());
            Err(Failure::transient("down").with_retry_after(Duration::from_secs(100)))
        }
    }
    let attempts = Arc::default();
    let yard = Down(Arc::clone(&attempts));
    scope(&Ctx::root(), |s| async move {
        let sizing = Policy { tick: Duration::from_secs(100), ..Policy::default() };
        let options = Options { wait_max: Duration::from_secs(1000), sizing, ..options() };
        let pool = Pool::start(&s, "down", yard, options);
        let borrowers: Vec<_> = (0..5)
            .map(|_| {
                let pool = pool.clone();
                rt::spawn(async move { pool.lend(&Ctx::root()).await.map(drop) })
            })
            .collect();
        for borrower in borrowers {
            assert!(matches!(borrower.await.unwrap(), Err(Refused::Late { .. })));
        }
        let hasty = Ctx::root().with_timeout(Duration::from_millis(1));
        let refused = pool.lend(&hasty).await.unwrap_err();
        // The pause may just be over.
        assert!(matches!(refused, Refused::Failing(_) | Refused::Cancelled(_)), "{refused}");
        Ok(())
    })
    .await
    .unwrap();
    let attempts = attempts.lock().unwrap();
    // As many at once as are allowed, before the first has failed; then one every hundred seconds.
    assert!(attempts.len() <= 4 + 13, "{}", attempts.len());
}

/// Idle instances above the size go after their time, and the size keeps its own.
#[towpath::test]
async fn what_is_idle_for_long_is_closed() {
    scope(&Ctx::root(), |s| async move {
        let sizing =
            Policy { min: 1, misses: None, pause_max: Duration::ZERO, ..Policy::default() };
        let (pool, books) = start(&s, Habits::default(), Options { sizing, ..options() });
        let both = (pool.lend(s.ctx()).await?, pool.lend(s.ctx()).await?);
        drop(both);
        assert_eq!(pool.snapshot().idle, 2);
        rt::sleep(Duration::from_secs(90)).await;
        let snapshot = pool.snapshot();
        assert_eq!((snapshot.idle, snapshot.counts.expired, snapshot.size), (1, 1, 1));
        assert_eq!(books.closed.load(SeqCst), 1);
        Ok(())
    })
    .await
    .unwrap();
}

/// The smallest size is there before anybody asks, and old ones are replaced.
#[towpath::test]
async fn warm_from_the_start_and_never_old() {
    scope(&Ctx::root(), |s| async move {
        let sizing = Policy { min: 2, ..Policy::default() };
        let age_max = Some(Duration::from_secs(60));
        let (pool, books) = start(&s, Habits::default(), Options { sizing, age_max, ..options() });
        rt::sleep(Duration::from_secs(30)).await;
        assert_eq!(pool.snapshot().idle, 2);
        let lease = pool.lend(s.ctx()).await?;
        assert_eq!((lease.uses(), pool.snapshot().counts.hits), (1, 1));
        drop(lease);
        rt::sleep(Duration::from_secs(120)).await;
        let snapshot = pool.snapshot();
        assert!(snapshot.counts.old >= 2, "{snapshot:?}");
        let begun = rt::now();
        let lease = pool.lend(s.ctx()).await?;
        assert!(begun.duration_since(lease.born()) < Duration::from_secs(61));
        drop(lease);
        assert!(books.made.load(SeqCst) > 4);
        Ok(())
    })
    .await
    .unwrap();
}

/// A lease that is tied to a channel comes back when the conversation is over.
#[towpath::test]
async fn a_tied_lease_comes_back_with_the_channel() {
    scope(&Ctx::root(), |s| async move {
        let (pool, books) = start(&s, Habits::default(), options());
        let (tx, mut rx) = towpath::bounded::<u8>(1);
        tx.tie(Trip::new(pool.lend(s.ctx()).await?, &books));
        s.spawn("talks", move |_| async move {
            if choose(2) == 1 {
                tx.send(1).await?;
            }
            Ok::<_, BoxError>(())
        });
        s.spawn("listens", move |_| async move { while rx.recv().await.is_some() {} });
        while pool.snapshot().lent > 0 {
            rt::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(Trip::new(pool.lend(s.ctx()).await?, &books).uses(), 2);
        Ok(())
    })
    .await
    .unwrap();
}
