//! Replays under every schedule: pace, cancellation, two at once.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use towpath::{Ctx, Scope, rt, scope};
use towpath_patterns::fault::{
    Failure,
    dead::{DeadLetters, Error, LetterId, Pace, Pick, ReplayId, Status},
};
use towpath_sim::disk::{Disk, Faults};

use super::letter;

const SECOND: Duration = Duration::from_secs(1);

async fn with_letters(s: &Scope, letters: u64) -> DeadLetters {
    let disk = Disk::new(Faults::default());
    let writer = super::writer(&disk).unwrap();
    let dead = DeadLetters::open(s, "orders", writer).unwrap();
    for number in 1..=letters {
        dead.put(letter(&format!("order {number}"), "no price")).await.unwrap();
    }
    dead
}

/// An hour of it takes no time here.
#[towpath::test(schedules = 150)]
async fn letters_begin_no_faster_than_the_pace() {
    scope(&Ctx::root(), |s| async move {
        let dead = with_letters(&s, 5).await;
        let mut begun = Vec::new();
        let done = dead.replay(s.ctx(), Pick::all(), Pace::per_second(0.5), |_, _| {
            begun.push(rt::now());
            async { Ok::<_, Failure>(()) }
        });
        assert_eq!(done.await?.went_well, 5);
        // The clock goes on between the moment that the pace counts from and the handler.
        assert!(begun.windows(2).all(|pair| pair[1] - pair[0] > SECOND));
        assert!(begun[4] - begun[0] >= SECOND * 7);
        Ok(())
    })
    .await
    .unwrap();
}

#[towpath::test(schedules = 300)]
async fn a_replay_that_is_cut_short_goes_on_where_it_was() {
    let handled = Arc::new(Mutex::new(Vec::new()));
    let seen = handled.clone();
    scope(&Ctx::root(), |s| async move {
        let dead = with_letters(&s, 4).await;
        let handler = |ctx: Ctx, letter: towpath_patterns::fault::dead::Replay| {
            let seen = seen.clone();
            async move {
                rt::sleep(SECOND).await;
                ctx.check().map_err(Failure::transient)?;
                seen.lock().unwrap().push(letter.id.0);
                if letter.id.0 == 2 { Err(Failure::transient("busy")) } else { Ok(()) }
            }
        };
        let ctx = s.ctx().with_timeout(Duration::from_millis(rt::random() % 5_000));
        let first = dead.replay(&ctx, Pick::all(), Pace::UNLIMITED, handler).await;
        let done = match first {
            Ok(done) => done,
            Err(Error::Cancelled(replay, _)) => {
                assert_eq!(replay, ReplayId(1));
                let unfinished = dead.unfinished().await?;
                assert_eq!(unfinished[0].replay, replay);
                // What comes meanwhile is not its.
                dead.put(letter("order 5", "no price")).await?;
                dead.resume(s.ctx(), replay, Pace::UNLIMITED, handler).await?
            }
            Err(error) => return Err(error.into()),
        };
        assert_eq!((done.went_well, done.failed), (3, 1));
        assert!(dead.unfinished().await?.is_empty());
        let again = dead.resume(s.ctx(), ReplayId(1), Pace::UNLIMITED, handler).await;
        assert!(matches!(again, Err(Error::Ended(ReplayId(1)))));
        assert_eq!(dead.show(LetterId(2)).await?.summary.failures, 2);
        Ok(())
    })
    .await
    .unwrap();
    // The one in hand may have been handled twice, the letter that failed was not tried twice in one replay unless it was that.
    let mut handled = handled.lock().unwrap().clone();
    let times = handled.len();
    handled.dedup();
    assert!(times - handled.len() <= 1, "{handled:?}");
    assert_eq!(handled, [1, 2, 3, 4]);
}

/// Two replays of the same letters, a discard and an edit, all at once: each letter is in one hand at a time.
#[towpath::test(schedules = 300)]
async fn two_replays_never_have_the_same_letter_in_hand() {
    let in_hand = Arc::new(Mutex::new(Vec::<u64>::new()));
    scope(&Ctx::root(), |s| async move {
        let dead = with_letters(&s, 4).await;
        let replay = |name: &'static str| {
            let (dead, in_hand) = (dead.clone(), in_hand.clone());
            s.spawn(name, |ctx| async move {
                let done = dead.replay(&ctx, Pick::all(), Pace::UNLIMITED, |_, letter| {
                    let (in_hand, others) = (in_hand.clone(), dead.clone());
                    async move {
                        let id = letter.id.0;
                        {
                            let mut all = in_hand.lock().unwrap();
                            assert!(!all.contains(&id));
                            all.push(id);
                        }
                        rt::sleep(SECOND).await;
                        in_hand.lock().unwrap().retain(|it| *it != id);
                        // Whoever runs is not ended by others.
                        for running in others.unfinished().await.map_err(Failure::fatal)? {
                            let abandoned = others.abandon(running.replay).await;
                            assert!(matches!(abandoned, Err(Error::Running(_) | Error::Ended(_))));
                        }
                        Ok::<_, Failure>(())
                    }
                });
                done.await.map(|done| done.went_well)
            })
        };
        let (one, two) = (replay("one"), replay("two"));
        let discarded = match dead.discard(LetterId(3), "a test").await {
            Ok(()) => 1,
            Err(Error::Busy(_) | Error::Closed(_)) => 0,
            Err(error) => return Err(error.into()),
        };
        assert_eq!(one.await? + two.await? + discarded, 4);
        Ok(())
    })
    .await
    .unwrap();
}

/// A letter over which replays are killed again and again is left out, until somebody asks for it.
#[towpath::test(schedules = 50)]
async fn what_kills_replays_is_put_aside() {
    scope(&Ctx::root(), |s| async move {
        let dead = with_letters(&s, 2).await;
        for kills in 0..3 {
            let status = dead.show(LetterId(1)).await?.summary.status;
            assert_eq!(status == Status::InDoubt, kills > 0);
            let ctx = s.ctx().with_timeout(SECOND);
            let killed = dead.replay(&ctx, Pick::all(), Pace::UNLIMITED, async |_, _| {
                towpath::never().await;
                Ok::<_, Failure>(())
            });
            let Err(Error::Cancelled(replay, _)) = killed.await else {
                panic!("it was to be killed")
            };
            // Nobody goes on with it.
            let done = dead.abandon(replay).await?;
            assert_eq!((done.went_well, done.failed), (0, 0));
            assert!(matches!(dead.abandon(replay).await, Err(Error::Ended(_))));
            assert!(dead.unfinished().await?.is_empty());
        }
        assert_eq!(dead.show(LetterId(1)).await?.summary.status, Status::Quarantined);
        let fine = async |_: Ctx, _| Ok::<_, Failure>(());
        let rest = dead.replay(s.ctx(), Pick::all(), Pace::UNLIMITED, fine).await?;
        assert_eq!(rest.went_well, 1);
        let asked = dead.replay(s.ctx(), Pick::one(LetterId(1)), Pace::UNLIMITED, fine).await?;
        assert_eq!(asked.went_well, 1);
        Ok(())
    })
    .await
    .unwrap();
}
