//! More than can be done, in exact virtual time: how much is done all the same, for whom, and what the others are told.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use towpath::{Ctx, rt, scope};
use towpath_patterns::gateway::{Adaptive, Call, Gateway, Options, Refused, Snapshot};
use towpath_sim::{Sim, Strategy};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Time is exact, and nobody is slow; the order is any.
fn exactly(name: &str, program: impl AsyncFn() + Copy + 'static) {
    Sim::new()
        .schedules(4)
        .strategy(Strategy::Random)
        .stall(Duration::ZERO)
        .max_steps(5_000_000)
        .test(name, move || async move { program().await });
}

/// What came of calls that were made at regular times, whatever happens.
struct Run {
    /// What each answered caller waited.
    answered: Vec<Duration>,
    /// What those waited who were refused, and what they were told.
    refused: Vec<(Duration, Duration)>,
    late: usize,
    /// When the last call was made.
    counts: Snapshot,
    /// Calls that were answered in the second half of the time.
    later: u64,
}

impl Run {
    fn p99(&self) -> Duration {
        let mut sorted = self.answered.clone();
        sorted.sort();
        sorted[sorted.len() * 99 / 100]
    }
}

/// `calls` calls, one every `gap`, to handlers that take what `takes` says with so many at work; each caller waits for `patience`.
async fn open_loop(
    options: Options,
    calls: u32,
    gap: Duration,
    patience: Duration,
    takes: impl Fn(usize) -> Duration + Send + Sync + 'static,
) -> Run {
    let at_work = Arc::new(AtomicUsize::new(0));
    let workers = options.workers;
    scope(&Ctx::root(), |s| async move {
        let takes = Arc::new(takes);
        let gateway = Gateway::start(&s, "g", options, move |call: Call<(), ()>| {
            let (takes, at_work) = (takes.clone(), at_work.clone());
            async move {
                let now = at_work.fetch_add(1, Ordering::Relaxed) + 1;
                assert!(now <= workers);
                rt::sleep(takes(now)).await;
                at_work.fetch_sub(1, Ordering::Relaxed);
                call.answer(());
            }
        });
        let begun = rt::now();
        let seen = Arc::new(Mutex::new((Vec::new(), Vec::new(), 0)));
        let mut callers = Vec::new();
        let mut half = 0;
        for n in 0..calls {
            towpath::at(begun + gap * n).await;
            if n == calls / 2 {
                half = gateway.snapshot().answered;
            }
            let (gateway, seen) = (gateway.clone(), seen.clone());
            callers.push(rt::spawn(async move {
                let came = rt::now();
                let answer = gateway.call(&Ctx::root().with_timeout(patience), ()).await;
                let waited = rt::now() - came;
                let mut seen = seen.lock().unwrap();
                match answer {
                    Ok(()) => seen.0.push(waited),
                    Err(Refused::Overloaded { retry_after }) => seen.1.push((waited, retry_after)),
                    Err(Refused::Late) => seen.2 += 1,
                    Err(other) => panic!("{other}"),
                }
            }));
        }
        // What is done is counted as long as it is asked for.
        let counts = gateway.snapshot();
        for caller in callers {
            caller.await.unwrap();
        }
        let (answered, refused, late) = std::mem::take(&mut *seen.lock().unwrap());
        Ok(Run { answered, refused, late, counts, later: counts.answered - half })
    })
    .await
    .unwrap()
}

/// Four workers, ten milliseconds each: 400 a second. Asked for three times as much.
const PEAK: f64 = 400.0;
const GAP: Duration = Duration::from_micros(833);

#[test]
fn three_times_too_much_costs_no_goodput_and_few_milliseconds() {
    exactly(
        "gateway::overload::three_times_too_much_costs_no_goodput_and_few_milliseconds",
        async || {
            let options = Options::new(4).with_queue(100);
            let run = open_loop(options, 1800, GAP, ms(200), |_| ms(10)).await;
            let peak = PEAK * 1.5;
            let goodput = run.counts.answered as f64;
            assert!(goodput >= 0.9 * peak, "{goodput} of {peak}: {:?}", run.counts);
            assert_eq!(run.late, 0, "who has no chance is told so");
            // Calm for a tenth of a second, then the newest first: hardly more than the work itself.
            assert!(run.p99() <= ms(120), "{:?}", run.p99());
            let mut crowded: Vec<_> = run.answered[run.answered.len() / 2..].to_vec();
            crowded.sort();
            assert!(crowded[crowded.len() * 99 / 100] <= ms(25), "{crowded:?}");
        },
    );
}

/// The same with a queue that is always first come, first served: as much is done, for whom waits the whole queue.
#[test]
fn a_plain_queue_makes_everybody_wait_for_its_length() {
    exactly("gateway::overload::a_plain_queue_makes_everybody_wait_for_its_length", async || {
        let options = Options::new(4).with_queue(60).with_patience(None);
        let run = open_loop(options, 1800, GAP, ms(200), |_| ms(10)).await;
        assert!(run.counts.answered as f64 >= 0.9 * PEAK * 1.5, "{:?}", run.counts);
        let mut later: Vec<_> = run.answered[run.answered.len() / 2..].to_vec();
        later.sort();
        assert!(later[later.len() / 2] >= ms(150), "60 places, 2.5 ms each: {later:?}");
    });
}

/// A service that is quick with up to eight at once, and slower for each with more.
#[test]
fn an_adaptive_limit_finds_what_the_service_can_do() {
    exactly("gateway::overload::an_adaptive_limit_finds_what_the_service_can_do", async || {
        let takes = |at_once: usize| ms(10).mul_f64((at_once as f64 / 8.0).max(1.0));
        let adaptive = Adaptive::new(1, 200).with_initial(4);
        let options = Options::new(1).with_adaptive(adaptive).with_queue(50);
        // 800 a second is what it can do.
        let run = open_loop(options, 6000, Duration::from_micros(420), ms(500), takes).await;
        let (counts, peak) = (run.counts, 800.0 * 1.26);
        assert!(run.later as f64 >= 0.9 * peak, "{} of {peak}: {counts:?}", run.later);
        assert!((8..=24).contains(&counts.limit), "{counts:?}");
        assert!(counts.work_p99 <= Some(ms(30)), "{counts:?}");
    });
}

#[test]
fn who_comes_again_when_told_finds_the_work_done() {
    exactly("gateway::overload::who_comes_again_when_told_finds_the_work_done", async || {
        scope(&Ctx::root(), |s| async move {
            let options = Options::new(2).with_queue(4).with_patience(None);
            let gateway = Gateway::start(&s, "g", options, async |call: Call<(), ()>| {
                rt::sleep(ms(10)).await;
                call.answer(());
            });
            gateway.call(&Ctx::root(), ()).await?;
            // Who is answered goes on before his worker has told that he is free.
            while gateway.snapshot().in_hand > 0 {
                rt::sleep(Duration::from_micros(1)).await;
            }
            let callers: Vec<_> = (0..7)
                .map(|_| {
                    let gateway = gateway.clone();
                    rt::spawn(async move { gateway.call(&Ctx::root(), ()).await })
                })
                .collect();
            rt::sleep(Duration::from_micros(1)).await;
            let Err(Refused::Overloaded { retry_after }) = gateway.call(&Ctx::root(), ()).await
            else {
                panic!("there is no place");
            };
            // Six are here, two at a time, ten milliseconds each.
            assert!(retry_after >= ms(29) && retry_after <= ms(31), "{retry_after:?}");
            rt::sleep(retry_after).await;
            let counts = gateway.snapshot();
            assert_eq!((counts.waiting, counts.in_hand), (0, 0));
            for caller in callers {
                assert!(matches!(caller.await.unwrap(), Ok(()) | Err(Refused::Overloaded { .. })));
            }
            Ok(())
        })
        .await
        .unwrap();
    });
}

/// Calls that cannot be begun before their deadline are not let in, and so do not keep others out.
#[test]
fn who_has_no_chance_is_told_at_once() {
    exactly("gateway::overload::who_has_no_chance_is_told_at_once", async || {
        let options = Options::new(4).with_queue(1000).with_patience(None);
        let run = open_loop(options, 600, GAP, ms(50), |_| ms(10)).await;
        assert!(run.counts.shed_hopeless > 0, "{:?}", run.counts);
        assert!(run.refused.iter().all(|(waited, told)| waited.is_zero() && *told >= ms(40)));
        let peak = PEAK / 4.0;
        assert!(run.later as f64 >= 0.9 * peak, "{} of {peak}: {:?}", run.later, run.counts);
    });
}
