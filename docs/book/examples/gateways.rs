//! What the chapter on the gateway shows.

use std::time::Duration;

use towpath::{BoxError, Ctx, rt, scope};
use towpath_patterns::gateway::{
    Adaptive, Call, Gateway, Hedge, Options, Refused, SingleFlight, Upstreams, upstream::Health,
};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    calls().await?;
    overload().await?;
    shared().await?;
    hedged().await?;
    hosts()
}

async fn calls() -> Result<(), BoxError> {
    // ANCHOR: calls
    scope(&Ctx::root(), |s| async move {
        let prices = Gateway::start(&s, "prices", Options::new(2), async |call: Call<u32, u32>| {
            match *call.request() {
                7 => panic!("nobody has a price for this"),
                8 => rt::sleep(ms(500)).await,
                _ => {}
            }
            let price = 100 + call.request();
            call.answer(price);
        });
        println!("{:?}", prices.call(s.ctx(), 1).await);
        println!("{:?}", prices.call(s.ctx(), 7).await); // its handler panics
        let hurry = s.ctx().with_timeout(ms(100));
        println!("{:?}", prices.call(&hurry, 8).await);
        println!("{:?}", prices.call(s.ctx(), 2).await); // the worker lives
        Ok(())
    })
    .await?;
    // ANCHOR_END: calls
    Ok(())
}

async fn overload() -> Result<(), BoxError> {
    // ANCHOR: overload
    scope(&Ctx::root(), |s| async move {
        // Between one and eight at once, as the service can bear; two may wait.
        let limit = Adaptive::new(1, 8).with_initial(2);
        let options = Options::new(8).with_adaptive(limit).with_queue(2);
        let reports = Gateway::start(&s, "reports", options, async |call: Call<(), ()>| {
            rt::sleep(ms(10)).await;
            call.answer(());
        });
        reports.call(s.ctx(), ()).await?; // so it knows what a call takes
        for caller in 1..=5 {
            let reports = reports.clone();
            s.spawn("caller", move |ctx| async move {
                match reports.call(&ctx, ()).await {
                    Ok(()) => println!("{caller}: answered"),
                    Err(refused) => println!("{caller}: {refused}"),
                }
            });
        }
        rt::sleep(ms(50)).await;
        let counts = reports.snapshot();
        println!("{} answered, {} refused, limit {}", counts.answered, counts.shed(), counts.limit);
        Ok(())
    })
    .await?;
    // ANCHOR_END: overload
    Ok(())
}

async fn shared() -> Result<(), BoxError> {
    scope(&Ctx::root(), |s| async move {
        // ANCHOR: shared
        let pages =
            Gateway::start(&s, "pages", Options::new(4), async |call: Call<&str, String>| {
                println!("making {}", call.request());
                rt::sleep(ms(10)).await;
                let page = format!("the page {}", call.request());
                call.answer(page);
            });
        let pages = SingleFlight::new(pages);
        for reader in 1..=3 {
            let pages = pages.clone();
            s.spawn("reader", move |ctx| async move {
                // The first one leaves before the page is there; the others do not mind.
                let ctx = if reader == 1 { ctx.with_timeout(ms(5)) } else { ctx };
                let page = pages.call(&ctx, "index", || "index").await;
                println!("reader {reader}: {page:?}");
            });
        }
        // ANCHOR_END: shared
        Ok(())
    })
    .await?;
    Ok(())
}

async fn hedged() -> Result<(), BoxError> {
    let ctx = Ctx::root();
    // ANCHOR: hedged
    let hedge = Hedge::new(0.05); // a second attempt for one call of twenty, at most
    let mut slow = 0;
    for n in 0..200 {
        let began = rt::now();
        hedge
            .call(&ctx, async |_ctx: Ctx, attempt: u32| {
                // Now and then the first attempt meets a machine that is busy.
                let stuck = n % 25 == 24 && attempt == 0;
                rt::sleep(if stuck { ms(1000) } else { ms(10) }).await;
                Ok::<_, Refused>(())
            })
            .await?;
        slow += u32::from(rt::now() - began >= ms(1000));
    }
    let seen = hedge.snapshot();
    println!("{slow} slow calls, {} second attempts, {} of them won", seen.second, seen.second_won);
    // ANCHOR_END: hedged
    Ok(())
}

fn hosts() -> Result<(), BoxError> {
    // ANCHOR: hosts
    let health = Health::default().with_ejection(2, ms(1000)).with_calls(10);
    let hosts = Upstreams::new(["north", "south", "west"], health);
    let leases: Result<Vec<_>, _> = (0..30).map(|_| hosts.pick()).collect(); // 30 calls at once
    for lease in leases? {
        match *lease.host() {
            "south" => lease.failed(),
            _ => lease.succeeded(),
        }
    }
    for host in hosts.snapshot() {
        println!("{}: {:?}", host.host, host.standing);
    }
    // ANCHOR_END: hosts
    Ok(())
}
