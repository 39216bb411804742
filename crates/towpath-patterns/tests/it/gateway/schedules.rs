//! The gateway under many schedules: what its module promises, each promise a test.

use std::time::Duration;

use towpath::{Ctx, rt, scope};
use towpath_patterns::gateway::{Call, Gateway, Options, Refused};
use towpath_sim::yield_point;

#[towpath::test]
async fn every_caller_has_its_own_answer() {
    scope(&Ctx::root(), |s| async move {
        let gateway = Gateway::start(&s, "g", Options::new(2), async |call: Call<u32, u32>| {
            yield_point();
            let answer = 10 * call.request();
            call.answer(answer);
        });
        let callers: Vec<_> = (0..4)
            .map(|n| {
                let gateway = gateway.clone();
                rt::spawn(async move { (n, gateway.call(&Ctx::root(), n).await) })
            })
            .collect();
        for caller in callers {
            let (n, answer) = caller.await.unwrap();
            assert_eq!(answer, Ok(10 * n));
        }
        let counts = gateway.snapshot();
        assert_eq!((counts.accepted, counts.answered), (4, 4));
        Ok(())
    })
    .await
    .unwrap();
}

#[towpath::test]
async fn a_handler_that_panics_costs_one_call() {
    scope(&Ctx::root(), |s| async move {
        let gateway = Gateway::start(&s, "g", Options::new(1), async |call: Call<u32, u32>| {
            assert_ne!(*call.request(), 1, "one is bad");
            if *call.request() != 2 {
                call.answer(0);
            }
        });
        let ctx = Ctx::root();
        for (request, answer) in
            [(0, Ok(0)), (1, Err(Refused::Died)), (2, Err(Refused::Died)), (3, Ok(0))]
        {
            assert_eq!(gateway.call(&ctx, request).await, answer);
        }
        assert_eq!((gateway.snapshot().panics, gateway.snapshot().died), (1, 2));
        gateway.drain(&ctx.with_timeout(Duration::from_secs(9))).await;
        assert_eq!(gateway.call(&ctx, 0).await, Err(Refused::Stopped));
        Ok(())
    })
    .await
    .unwrap();
}
