//! The gateway on real threads: what is lost between them would be lost here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use towpath::{Ctx, rt, scope};
use towpath_patterns::gateway::{Adaptive, Call, Gateway, Options, Refused};

/// Callers at once; many more than there are workers or threads.
const CALLERS: u64 = 64;
const EACH: u64 = 300;

#[test]
fn many_callers_on_many_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        scope(&Ctx::root(), |s| async move {
            let at_work = Arc::new(AtomicUsize::new(0));
            let adaptive = Adaptive::new(1, 8).with_window(Duration::from_millis(1));
            let options = Options::new(1).with_adaptive(adaptive).with_queue(CALLERS as usize);
            let gateway = Gateway::start(&s, "g", options, move |call: Call<u64, u64>| {
                let at_work = at_work.clone();
                async move {
                    assert!(at_work.fetch_add(1, Ordering::SeqCst) < 8);
                    if call.request().is_multiple_of(7) {
                        rt::sleep(Duration::from_micros(50)).await;
                    }
                    at_work.fetch_sub(1, Ordering::SeqCst);
                    let answer = call.request() + 1;
                    call.answer(answer);
                }
            });
            let callers: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    let gateway = gateway.clone();
                    rt::spawn(async move {
                        let (mut answered, mut others) = (0, 0);
                        for n in 0..EACH {
                            let request = caller * EACH + n;
                            let ctx = Ctx::root();
                            // Every tenth is impatient.
                            let ctx = if n % 10 == 3 {
                                ctx.with_timeout(Duration::from_micros(30))
                            } else {
                                ctx
                            };
                            match gateway.call(&ctx, request).await {
                                Ok(answer) => {
                                    assert_eq!(answer, request + 1);
                                    answered += 1;
                                }
                                Err(Refused::Late | Refused::Overloaded { .. }) => others += 1,
                                Err(other) => panic!("{other}"),
                            }
                        }
                        (answered, others)
                    })
                })
                .collect();
            let (mut answered, mut others) = (0, 0);
            for caller in callers {
                let counts = caller.await.unwrap();
                answered += counts.0;
                others += counts.1;
            }
            assert_eq!(answered + others, CALLERS * EACH);
            gateway.drain(&Ctx::root()).await;
            let counts = gateway.snapshot();
            assert_eq!((counts.waiting, counts.in_hand, counts.answered), (0, 0, answered));
            assert_eq!(counts.late + counts.shed() + counts.never_made, others, "{counts:?}");
            Ok(())
        })
        .await
        .unwrap();
    });
}

/// Also without a runtime: callers are threads, and so are the workers.
#[test]
fn plain_threads() {
    towpath::block_on(async {
        scope(&Ctx::root(), |s| async move {
            let gateway = Gateway::start(&s, "g", Options::new(2), async |call: Call<u32, u32>| {
                let answer = 2 * call.request();
                call.answer(answer);
            });
            let callers: Vec<_> = (0..8)
                .map(|n| {
                    let gateway = gateway.clone();
                    s.spawn_blocking("caller", move |ctx| {
                        for n in n * 100..(n + 1) * 100 {
                            assert_eq!(towpath::block_on(gateway.call(&ctx, n)), Ok(2 * n));
                        }
                    })
                })
                .collect();
            for caller in callers {
                caller.await?;
            }
            Ok(())
        })
        .await
        .unwrap();
    });
}
