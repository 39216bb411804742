//! Each strategy finds what it is for, and ends programs that only end if somebody else runs.

use super::super::{CLOCK, Choices, Flavour, Mix, Plan, Portfolio, seed_of};
use super::toy::{End, Step, Toy};

/// In how many of 200 campaigns of so many schedules the bug is found.
fn found_in_200(mix: Mix, schedules: u64, toy: &Toy, bug: impl Fn(&End) -> bool) -> u64 {
    let finds = |seed| {
        let mut choices = Choices::new(Portfolio::new(mix));
        (0..schedules)
            .any(|number| choices.begin(seed_of(seed, number)) && bug(&toy.run(&mut choices)))
    };
    (0..200).filter(|seed| finds(*seed)).count() as u64
}

fn lost(end: &End) -> bool {
    end.numbers[0] != 2
}

#[test]
fn every_strategy_finds_a_lost_update() {
    let toy = Toy::lost_update(1);
    for mix in [Mix::Random, Mix::Pct, Mix::Pos, Mix::Exhaustive, Mix::Portfolio] {
        assert_eq!(found_in_200(mix, 100, &toy, lost), 200, "{mix:?}");
    }
}

#[test]
fn every_strategy_finds_crossed_locks() {
    let stuck = |end: &End| !end.stuck.is_empty();
    for mix in [Mix::Random, Mix::Pct, Mix::Pos, Mix::Exhaustive, Mix::Portfolio] {
        assert_eq!(found_in_200(mix, 100, &Toy::crossed_locks(), stuck), 200, "{mix:?}");
    }
}

#[test]
fn the_portfolio_finds_a_lost_update_in_a_long_program() {
    let toy = Toy::lost_update(50);
    assert_eq!(found_in_200(Mix::Portfolio, 1000, &toy, lost), 200);
}

#[test]
fn partial_order_sampling_can_put_an_event_off_for_long() {
    // The second's only step has to come after thirty of the first. For the even walk that is thirty coins in a row; for
    // POS one draw that is lower than thirty others.
    let mut first = vec![Step::Touch(1); 30];
    first.push(Step::Advance(0, 0));
    let toy = Toy::new(vec![vec![Step::Advance(0, 1)], first]);
    let count = |flavour| {
        let mut choices = Choices::new(Portfolio::new(Mix::Random));
        let late = (0..3200).filter(|number| {
            choices.follow(Plan { flavour, span: 0, seed: seed_of(11, *number) });
            toy.run(&mut choices).numbers[0] == 2
        });
        late.count()
    };
    let (pos, even) = (count(Flavour::Pos), count(Flavour::Even));
    assert_eq!(even, 0);
    // One draw of 32 is the lowest: 100 of 3200, or 50 as the race itself is drawn again.
    assert!((30..=150).contains(&pos), "{pos}");
}

#[test]
fn pct_keeps_its_guarantee() {
    // A bug of depth d shows with a probability of at least 1 / (n * k^(d - 1)). Two processes that have to take turns
    // `turns` times, in the order that the default has not, need `turns` ordered steps, so depth `turns`, hidden among
    // steps that do nothing.
    const RUNS: u64 = 40_000;
    for (turns, padding) in [(2, 5), (2, 10), (3, 5), (3, 10)] {
        let toy = Toy::turns(turns, padding);
        let mut choices = Choices::new(Portfolio::new(Mix::Pct));
        // The number of choices is known exactly here, up to who is done first.
        let length = toy.processes.iter().map(Vec::len).sum::<usize>() as u64;
        let hits = (0..RUNS).filter(|number| {
            let flavour = Flavour::Pct(turns as u8);
            choices.follow(Plan { flavour, span: length, seed: seed_of(1, *number) });
            toy.run(&mut choices).numbers[0] == turns
        });
        let hits = hits.count() as f64;
        let least = RUNS as f64 / (2.0 * (length as f64).powi(turns as i32 - 1));
        // Three standard deviations of a Poisson count, so that the bound itself would pass.
        let enough = least - 3.0 * least.sqrt();
        assert!(hits >= enough, "{turns} turns, {padding} steps: {hits} hits, {least} promised");
    }
}

#[test]
fn pct_learns_how_long_schedules_are() {
    let toy = Toy::lost_update(100);
    let mut choices = Choices::new(Portfolio::new(Mix::Pct));
    let mut spans = Vec::new();
    for number in 0..50 {
        assert!(choices.begin(seed_of(2, number)));
        spans.extend(choices.plan().map(|plan| plan.span));
        toy.run(&mut choices);
    }
    assert!(spans[0] < 100, "it cannot know at first: {spans:?}");
    let longest = 2 * (100 + 2 + 100);
    assert!(spans[10..].iter().all(|span| (100..=longest).contains(span)), "{spans:?}");
}

#[test]
fn whoever_spins_is_not_let_spin_for_ever() {
    // The first waits for the second without parking; then two wait in turns for a third.
    let one = vec![vec![Step::Spin(0, 1)], vec![Step::Touch(1), Step::Advance(0, 0)]];
    let two = vec![
        vec![Step::Spin(0, 1)],
        vec![Step::Spin(0, 1)],
        vec![Step::Touch(1), Step::Advance(0, 0)],
    ];
    for processes in [one, two] {
        let toy = Toy::new(processes);
        for mix in [Mix::Random, Mix::Pct, Mix::Pos, Mix::Portfolio] {
            let mut choices = Choices::new(Portfolio::new(mix));
            for number in 0..300 {
                assert!(choices.begin(seed_of(4, number)));
                if choices.plan().is_none() {
                    // Exhaustive, and to go on spinning is the default.
                    Toy { steps_max: 1000, ..toy.clone() }.run(&mut choices);
                    continue;
                }
                let end = toy.run(&mut choices);
                assert!(!end.unfinished, "{mix:?} {number} {:?}", choices.plan());
            }
        }
    }
}

#[test]
fn a_starved_process_is_last_nearly_always_and_each_is_in_turn() {
    let toy = Toy::new(vec![vec![Step::Touch(0); 5]; 3]);
    let mut choices = Choices::new(Portfolio::new(Mix::Random));
    let mut last = [0_u32; 3];
    for number in 0..300 {
        choices.follow(Plan { flavour: Flavour::Starve, span: 3, seed: seed_of(6, number) });
        let end = toy.run(&mut choices);
        // One of them made its five steps after all others.
        let tail = &end.order[10..];
        if tail.iter().all(|task| *task == tail[0]) {
            last[tail[0] as usize] += 1;
        }
    }
    // Somebody is in (1 - 1/256)^10 = 96 of 100 schedules, less what the others' races give.
    assert!(last.iter().sum::<u32>() > 270, "{last:?}");
    assert!(last.iter().all(|count| *count > 60), "{last:?}");
}

#[test]
fn timers_are_late_early_or_neither() {
    // Process 0 sleeps; process 1 has a hundred steps. When does the first go on?
    let toy = Toy::new(vec![vec![Step::Sleep, Step::Touch(0)], vec![Step::Touch(1); 100]]);
    let mean = |flavour| {
        let mut choices = Choices::new(Portfolio::new(Mix::Random));
        let mut sum = 0;
        for number in 0..500 {
            choices.follow(Plan { flavour, span: 0, seed: seed_of(8, number) });
            let end = toy.run(&mut choices);
            let woken = end.order.iter().enumerate().filter(|(_, task)| **task == 0).nth(1);
            sum += woken.map_or(0, |(at, _)| at);
        }
        sum / 500
    };
    let (early, even, late) = (mean(Flavour::Early), mean(Flavour::Even), mean(Flavour::Late));
    assert!(early <= even && even < late && late > 30, "{early} {even} {late}");
}

#[test]
fn the_clock_has_a_priority_in_pct_and_pos() {
    let toy = Toy::new(vec![vec![Step::Sleep, Step::Advance(0, 0)], vec![Step::Advance(0, 1); 20]]);
    for flavour in [Flavour::Pct(2), Flavour::Pos] {
        let mut choices = Choices::new(Portfolio::new(Mix::Random));
        let before = (0..400).filter(|number| {
            choices.follow(Plan { flavour, span: 20, seed: seed_of(9, *number) });
            // It was woken while the other still had steps.
            toy.run(&mut choices).numbers[0] == 2
        });
        let before = before.count();
        assert!((40..=390).contains(&before), "{flavour:?} {before}");
    }
    assert_eq!(CLOCK, u32::MAX);
}
