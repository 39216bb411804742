//! The books of a pool, by hand and by chance.

use std::collections::BTreeSet;

use super::*;

fn stock(options: Options) -> (Stock<u32>, Instant) {
    (Stock::new(options), Instant::now())
}

fn make(stock: &mut Stock<u32>, instance: u32, now: Instant) {
    stock.making += 1;
    assert!(matches!(stock.join(instance, now), Fate::Idle));
}

#[test]
fn the_one_used_last_is_lent_first() {
    let (mut stock, now) = stock(Options::new(3));
    (1..=3).for_each(|instance| make(&mut stock, instance, now));
    let last = stock.take(now, true).unwrap();
    let first = stock.take(now, true).unwrap();
    assert_eq!((last.instance, first.instance), (3, 2));
    assert!(matches!(stock.give_back(last, now, false), Fate::Idle));
    let again = stock.take(now, true).unwrap();
    assert_eq!((again.instance, again.uses, stock.counts.hits), (3, 2, 3));
}

#[test]
fn only_what_is_wanted_is_made() {
    let (mut stock, now) = stock(Options { making_max: 2, ..Options::new(4) });
    assert_eq!(stock.to_make(0), 0);
    let wait =
        |stock: &mut Stock<u32>| stock.wait(now, now + Duration::from_secs(1), true).unwrap();
    (0..6).for_each(|_| assert!(wait(&mut stock), "the process should look"));
    assert_eq!((stock.to_make(0), stock.to_make(1)), (2, 1), "two at once, or one to try");
    stock.making = 2;
    assert_eq!((stock.to_make(0), stock.to_make(1)), (0, 0));
    stock.making = 0;
    (stock.lent, stock.closing) = (1, 2);
    assert_eq!(stock.to_make(0), 1, "those that are closed take room too");
    stock.waiting = 0;
    assert_eq!(stock.to_make(0), 0);
    stock.size = 3;
    assert_eq!(stock.to_make(0), 1);
    stock.stop();
    assert_eq!(stock.to_make(0), 0);
}

#[test]
fn who_can_only_wait_in_vain_is_told() {
    let (mut stock, now) = stock(Options { waiting_max: 2, ..Options::new(1) });
    let second = Duration::from_secs(1);
    let until = now + 5 * second;
    stock.failing = Some(Failing { until, failures: 3, text: "no".into() });
    let refused = stock.wait(now, now + second, true).unwrap_err();
    assert!(matches!(&refused, Refused::Failing(failing) if failing.failures == 3), "{refused}");
    stock.wait(now, now + 9 * second, true).unwrap();
    stock.lent = 1;
    stock.wait(now, now + second, true).unwrap(); // it may come back
    assert!(matches!(stock.wait(now, until, true), Err(Refused::Full { waiting: 2 })));
    stock.stop();
    assert!(matches!(stock.wait(now, until, true), Err(Refused::Stopped)));
    let (arrivals, misses) = stock.next_tally().arrivals_and_misses();
    assert_eq!((arrivals, misses, stock.counts.refused), (5, 5, 3));
}

#[test]
fn age_and_uses_and_idleness() {
    let second = Duration::from_secs(1);
    let options = Options { uses_max: Some(2), age_max: Some(100 * second), ..Options::new(3) };
    let (mut stock, now) = stock(options);
    make(&mut stock, 1, now);
    for is_last in [false, true] {
        let item = stock.take(now, true).unwrap();
        assert_eq!(matches!(stock.give_back(item, now, false), Fate::Retired), is_last);
    }
    assert_eq!((stock.next_to_close(), stock.counts.old), (Some(1), 1));
    stock.closing -= 1;

    make(&mut stock, 2, now);
    make(&mut stock, 3, now + 90 * second);
    assert!(!stock.expire(now + 29 * second));
    stock.size = 2;
    assert!(!stock.expire(now + 99 * second), "as many as there should be");
    assert!(stock.expire(now + 100 * second), "but not so old");
    assert_eq!((stock.next_to_close(), stock.counts.old), (Some(2), 2));
    stock.size = 0;
    assert!(!stock.expire(now + 119 * second));
    assert!(stock.expire(now + 120 * second));
    assert_eq!((stock.next_to_close(), stock.counts.expired), (Some(3), 1));
}

/// Everything that may happen, in any order: each instance is in one place, and there are never too many.
#[test]
fn the_books_balance() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |n: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % n
    };
    for round in 0..300 {
        let max = 1 + random(5) as usize;
        let options = Options { making_max: 2, uses_max: Some(3), ..Options::new(max) };
        let (mut stock, mut now) = stock(options);
        let (mut lent, mut closing) = (Vec::new(), Vec::new());
        let (mut born, mut gone) = (0, BTreeSet::new());
        for step in 0..200 {
            now += Duration::from_secs(random(10));
            match random(12) {
                0 => stock.making += stock.to_make(random(2) as u32),
                1 if stock.making > 0 => {
                    born += 1;
                    let _ = stock.join(born, now);
                }
                2 if stock.making > 0 => stock.making -= 1, // it failed
                3 | 4 => lent.extend(stock.take(now, true)),
                5 => drop(stock.wait(now, now + Duration::from_secs(9), true)),
                6 => stock.waiting = stock.waiting.saturating_sub(1),
                7 | 8 if !lent.is_empty() => {
                    let item = lent.swap_remove(random(lent.len() as u64) as usize);
                    let is_broken = random(4) == 0;
                    let _ = stock.give_back(item, now, is_broken);
                }
                9 => closing.extend(stock.next_to_close()),
                10 => {
                    if let Some(instance) = closing.pop() {
                        stock.closing -= 1;
                        assert!(gone.insert(instance), "closed twice");
                    }
                }
                11 => {
                    stock.size = random(7) as usize;
                    stock.expire(now);
                }
                _ => {}
            }
            let why = format!("round {round}, step {step}");
            assert!(stock.live() <= max, "{why}: {} of {max}", stock.live());
            assert_eq!(stock.lent, lent.len(), "{why}");
            assert_eq!(stock.closing, closing.len(), "{why}");
            let places: Vec<u32> = (stock.idle.iter().map(|it| it.instance))
                .chain(lent.iter().map(|it| it.instance))
                .chain(stock.retired.iter().copied())
                .chain(closing.iter().copied())
                .chain(gone.iter().copied())
                .collect();
            assert_eq!(places.len(), born as usize, "{why}");
            assert_eq!(
                BTreeSet::from_iter(places).len(),
                born as usize,
                "{why}: one in two places"
            );
        }
    }
}
