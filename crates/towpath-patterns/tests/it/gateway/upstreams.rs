//! Hosts under many schedules: leases that are dropped, probes that hang.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use towpath::{Ctx, after, never, rt, scope, select};
use towpath_patterns::gateway::upstream::{Health, NoHost, Standing, Upstreams};
use towpath_sim::{Sim, choose};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[towpath::test]
async fn a_host_never_has_more_than_it_may_and_gets_all_back() {
    let hosts = Upstreams::new([1, 2], Health::default().with_calls(2));
    let callers: Vec<_> = (0..6)
        .map(|_| {
            let hosts = hosts.clone();
            rt::spawn(async move {
                let lease = hosts.pick();
                assert!(hosts.snapshot().iter().all(|host| host.in_flight <= 2));
                let Ok(lease) = lease else { return Err(NoHost::Busy) };
                select! {
                    () = after(ms(choose(3))) => {}
                    () = after(ms(2)) => {}
                }
                match choose(3) {
                    0 => lease.succeeded(),
                    1 => lease.failed(),
                    _ => drop(lease),
                }
                Ok(())
            })
        })
        .collect();
    let mut made = 0;
    for caller in callers {
        made += u64::from(caller.await.unwrap().is_ok());
    }
    let snapshot = hosts.snapshot();
    assert!(snapshot.iter().all(|host| host.in_flight == 0));
    let ended = snapshot.iter().map(|host| host.succeeded + host.failed + host.given_up);
    assert_eq!(ended.sum::<u64>(), made);
}

/// One hangs, one fails, one is well; then all are.
#[test]
fn probes_find_who_is_down_and_who_is_back() {
    Sim::new().schedules(100).stall(Duration::ZERO).test(
        "gateway::upstreams::probes_find_who_is_down_and_who_is_back",
        || async {
            scope(&Ctx::root(), |s| async move {
                let hosts = Upstreams::new(
                    ["hangs", "fails", "well"],
                    Health::default().with_panic_below(0.0),
                );
                let bad = Arc::new(AtomicBool::new(true));
                let is_bad = bad.clone();
                hosts.watch(&s, "probes", ms(100), move |_ctx, host| {
                    let bad = is_bad.load(Ordering::Relaxed);
                    async move {
                        if bad && host == "hangs" {
                            never().await;
                        }
                        !bad || host == "well"
                    }
                });
                rt::sleep(ms(450)).await;
                let standing = |hosts: &Upstreams<&str>| -> Vec<_> {
                    hosts.snapshot().iter().map(|host| host.standing).collect()
                };
                assert_eq!(standing(&hosts), [Standing::Down, Standing::Down, Standing::Well]);
                assert_eq!(*hosts.pick()?.host(), "well");
                bad.store(false, Ordering::Relaxed);
                rt::sleep(ms(450)).await;
                assert_eq!(standing(&hosts), [Standing::Well; 3]);
                s.cancel("seen enough");
                Ok(())
            })
            .await
            .unwrap();
        },
    );
}
