//! The pool as a value: who is chosen, ejected, warmed, and against all hosts listed one by one.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{
    Health, NoHost, Standing,
    pool::{HostId, Pool, Verdict},
};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Numbers that look random, the same each time.
fn chances() -> impl FnMut() -> [u64; 2] {
    let mut state = 7_u64;
    let mut next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    move || [next(), next()]
}

fn pool(hosts: u32, health: Health) -> (Pool<u32>, Instant) {
    let (mut pool, now) = (Pool::new(health), Instant::now());
    for host in 0..hosts {
        assert!(pool.add(now, host, true));
    }
    (pool, now)
}

/// Makes calls until one host has failed so often; the others are kept busy, so that it is chosen.
fn fail(pool: &mut Pool<u32>, now: Instant, host: u32, times: u32) {
    let mut chance = chances();
    let mut others = Vec::new();
    let mut failed = 0;
    while failed < times {
        assert!(others.len() < 1000, "host {host} is never chosen");
        let (id, picked) = pool.pick(now, chance(), None).unwrap();
        if picked == host {
            pool.done(now, id, ms(1), Verdict::Failed);
            failed += 1;
        } else {
            others.push(id);
        }
    }
    for id in others {
        pool.done(now, id, ms(1), Verdict::Well);
    }
}

fn standing(pool: &mut Pool<u32>, now: Instant, host: u32) -> Standing {
    pool.snapshot(now).iter().find(|it| it.host == host).unwrap().standing
}

/// Which share of the calls each host gets when each takes so long there, with calls all the time.
fn shares(
    pool: &mut Pool<u32>,
    start: Instant,
    calls: u32,
    took: impl Fn(u32) -> Duration,
) -> BTreeMap<u32, u32> {
    let mut chance = chances();
    let mut under_way: Vec<(Instant, HostId, Duration)> = Vec::new();
    let mut shares = BTreeMap::new();
    for n in 0..calls {
        let now = start + ms(n.into());
        while let Some(at) = under_way.iter().position(|(ends, ..)| *ends <= now) {
            let (_, id, took) = under_way.remove(at);
            pool.done(now, id, took, Verdict::Well);
        }
        let (id, host) = pool.pick(now, chance(), None).unwrap();
        *shares.entry(host).or_default() += 1;
        under_way.push((now + took(host), id, took(host)));
    }
    for (ends, id, took) in under_way {
        pool.done(ends, id, took, Verdict::Well);
    }
    shares
}

#[test]
fn equal_hosts_get_equal_shares_and_slow_ones_less() {
    let (mut pool, now) = pool(4, Health::default());
    let equal = shares(&mut pool, now, 4000, |_| ms(20));
    assert!(equal.values().all(|share| (900..1100).contains(share)), "{equal:?}");
    let (mut pool, now) = self::pool(4, Health::default());
    let slow = shares(&mut pool, now, 4000, |host| if host == 3 { ms(100) } else { ms(20) });
    assert!(slow[&3] < 500, "{slow:?}");
    assert!(slow[&3] > 20, "it is tried again now and then: {slow:?}");
}

#[test]
fn failures_in_a_row_eject_and_each_time_for_longer() {
    let health = Health::default().with_ejection(3, secs(10)).with_slow_start(Duration::ZERO);
    let (mut pool, start) = pool(4, health);
    fail(&mut pool, start, 1, 3);
    assert_eq!(standing(&mut pool, start + ms(9_999), 1), Standing::Ejected);
    let back = start + secs(10);
    assert_eq!(standing(&mut pool, back, 1), Standing::Well);
    fail(&mut pool, back, 1, 3);
    assert_eq!(standing(&mut pool, back + ms(19_999), 1), Standing::Ejected);
    assert_eq!(standing(&mut pool, back + secs(20), 1), Standing::Well);
    // After a good while it is forgotten.
    let later = back + secs(20 + 60);
    fail(&mut pool, later, 1, 3);
    assert_eq!(standing(&mut pool, later + secs(10), 1), Standing::Well);
}

#[test]
fn a_success_in_between_makes_failures_begin_anew() {
    let (mut pool, now) = pool(1, Health::default().with_ejection(2, secs(1)));
    for verdict in [Verdict::Failed, Verdict::Well, Verdict::Failed, Verdict::GivenUp] {
        let (id, _) = pool.pick(now, [0, 0], None).unwrap();
        pool.done(now, id, ms(1), verdict);
    }
    assert_eq!(standing(&mut pool, now, 0), Standing::Well);
}

#[test]
fn no_more_are_ejected_than_may_be() {
    let health =
        Health::default().with_ejection(1, secs(10)).with_ejected_share(0.4).with_panic_below(0.0);
    let (mut pool, now) = pool(5, health);
    for host in 0..4 {
        fail(&mut pool, now, host, 1);
    }
    let ejected = pool.snapshot(now).iter().filter(|it| it.standing == Standing::Ejected).count();
    assert_eq!(ejected, 2);
}

#[test]
fn probes_take_a_host_out_and_bring_it_back() {
    let (mut pool, now) = pool(3, Health::default().with_probes(2));
    pool.probed(now, &1, false);
    pool.probed(now, &1, true);
    pool.probed(now, &1, false);
    assert_eq!(standing(&mut pool, now, 1), Standing::Well, "not in a row");
    pool.probed(now, &1, false);
    assert_eq!(standing(&mut pool, now, 1), Standing::Down);
    let mut chance = chances();
    for _ in 0..100 {
        assert_ne!(pool.pick(now, chance(), None).unwrap().1, 1);
    }
    pool.probed(now, &1, true);
    assert_eq!(standing(&mut pool, now, 1), Standing::Down);
    pool.probed(now, &1, true);
    assert_eq!(standing(&mut pool, now, 1), Standing::Well);
    // A good probe ends an ejection at once.
    fail(&mut pool, now, 2, 5);
    assert_eq!(standing(&mut pool, now, 2), Standing::Ejected);
    pool.probed(now, &2, true);
    assert_eq!(standing(&mut pool, now, 2), Standing::Well);
}

#[test]
fn when_most_are_unwell_all_are_used() {
    let (mut pool, now) = pool(4, Health::default().with_probes(1).with_calls(1));
    pool.probed(now, &0, false);
    pool.probed(now, &1, false);
    let mut chance = chances();
    let mut picked: Vec<u32> = (0..2).map(|_| pool.pick(now, chance(), None).unwrap().1).collect();
    picked.sort_unstable();
    assert_eq!(picked, [2, 3], "half are well: that is not panic");
    assert_eq!(pool.pick(now, chance(), None), Err(NoHost::Busy));
    pool.probed(now, &2, false);
    assert!(pool.pick(now, chance(), None).is_ok());
    assert!(pool.pick(now, chance(), None).is_ok());
    assert_eq!(pool.pick(now, chance(), None), Err(NoHost::Busy), "limits hold in panic too");
    let (mut strict, now) = self::pool(2, Health::default().with_probes(1).with_panic_below(0.0));
    strict.probed(now, &0, false);
    strict.probed(now, &1, false);
    assert_eq!(strict.pick(now, [0, 0], None), Err(NoHost::Down));
}

#[test]
fn another_host_is_another() {
    let (mut pool, now) = pool(2, Health::default());
    let mut chance = chances();
    for _ in 0..20 {
        assert_eq!(pool.pick(now, chance(), Some(&0)).unwrap().1, 1);
    }
    assert!(pool.remove(&1));
    assert!(!pool.remove(&1));
    assert_eq!(pool.pick(now, chance(), Some(&0)), Err(NoHost::Empty));
    assert!(pool.remove(&0));
    assert_eq!(pool.pick(now, chance(), None), Err(NoHost::Empty));
}

#[test]
fn a_new_host_is_loaded_slowly() {
    let (mut pool, start) = pool(3, Health::default().with_slow_start(secs(10)));
    let took = |_| ms(30);
    shares(&mut pool, start, 500, took);
    let now = start + secs(1);
    assert!(pool.add(now, 9, false));
    let cold = shares(&mut pool, now, 2000, took)[&9];
    let warm = shares(&mut pool, now + secs(20), 2000, took)[&9];
    assert!(cold > 0, "it gets some");
    assert!(cold * 3 < warm, "{cold} and {warm}");
    assert!((350..650).contains(&warm), "a quarter, in the end: {warm}");
}

/// A host that fails at once is quick: without a word about failures it would have all the calls.
#[test]
fn a_black_hole_does_not_draw_the_calls() {
    let (mut pool, start) = pool(3, Health::default().with_ejection(1_000_000, secs(1)));
    let mut chance = chances();
    let mut under_way = Vec::new();
    let mut to_hole = 0;
    for n in 0..3000 {
        let now = start + ms(n);
        while let Some(at) = under_way.iter().position(|(ends, _)| *ends <= now) {
            let (_, id) = under_way.remove(at);
            pool.done(now, id, ms(20), Verdict::Well);
        }
        let (id, host) = pool.pick(now, chance(), None).unwrap();
        if host == 0 {
            to_hole += 1;
            pool.done(now, id, Duration::ZERO, Verdict::Failed);
        } else {
            under_way.push((now + ms(20), id));
        }
    }
    assert!(to_hole < 300, "{to_hole} of 3000");
}

#[derive(Clone, Debug)]
enum Step {
    Add(u32),
    Remove(u32),
    Pick([u64; 2], Option<u32>),
    Done(prop::sample::Index, u8, u64),
    Probe(u32, bool),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => (0_u32..5).prop_map(Step::Add),
        1 => (0_u32..5).prop_map(Step::Remove),
        6 => (any::<[u64; 2]>(), prop::option::weighted(0.2, 0_u32..5)).prop_map(|(chance, not)| Step::Pick(chance, not)),
        5 => (any::<prop::sample::Index>(), 0_u8..3, 0_u64..100).prop_map(|(at, how, took)| Step::Done(at, how, took)),
        2 => (0_u32..5, any::<bool>()).prop_map(|(host, well)| Step::Probe(host, well)),
        1 => (0_u64..3000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..150)
}

proptest! {
    /// Against a book of who has how many calls: limits hold, what is picked was asked for and may be, counts add up.
    #[test]
    fn limits_hold_and_counts_add_up(steps in steps(), calls in 1_usize..4) {
        let health = Health::default().with_calls(calls).with_ejection(2, secs(1)).with_probes(1).with_ejected_share(0.5);
        let (mut pool, mut now) = (Pool::new(health), Instant::now());
        let mut under_way: Vec<(HostId, u32)> = Vec::new();
        // Of this time of each host in the pool.
        let mut ids: BTreeMap<u32, Vec<HostId>> = BTreeMap::new();
        for step in steps {
            let before = pool.snapshot(now);
            let well = before.iter().filter(|it| it.standing == Standing::Well).count();
            let panic = (well as f64) < 0.5 * before.len() as f64;
            match step {
                Step::Wait(time) => now += ms(time),
                Step::Add(host) => {
                    let there = before.iter().any(|it| it.host == host);
                    prop_assert_eq!(pool.add(now, host, false), !there);
                }
                Step::Remove(host) => {
                    let there = before.iter().any(|it| it.host == host);
                    prop_assert_eq!(pool.remove(&host), there);
                    ids.remove(&host);
                }
                Step::Probe(host, well) => pool.probed(now, &host, well),
                Step::Done(at, how, took) if !under_way.is_empty() => {
                    let (id, _) = under_way.remove(at.index(under_way.len()));
                    let verdict = [Verdict::Well, Verdict::Failed, Verdict::GivenUp][usize::from(how)];
                    pool.done(now, id, ms(took), verdict);
                }
                Step::Done(..) => {}
                Step::Pick(chance, not) => {
                    let may: Vec<u32> = before
                        .iter()
                        .filter(|it| Some(it.host) != not && it.in_flight < it.limit && (panic || it.standing == Standing::Well))
                        .map(|it| it.host)
                        .collect();
                    match pool.pick(now, chance, not.as_ref()) {
                        Ok((id, host)) => {
                            prop_assert!(may.contains(&host), "{} of {:?}", host, may);
                            under_way.push((id, host));
                            ids.entry(host).or_default().push(id);
                        }
                        Err(_) => prop_assert!(may.is_empty(), "{:?} could have been", may),
                    }
                }
            }
            for host in pool.snapshot(now) {
                prop_assert!(host.in_flight <= calls);
                let mine = ids.get(&host.host).map_or(0, |ids| under_way.iter().filter(|(id, _)| ids.contains(id)).count());
                prop_assert_eq!(host.in_flight, mine);
            }
        }
    }
}
