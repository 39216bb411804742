//! The stream itself: what is recorded, what is replayed, what depends on what.

use super::super::{Candidate, Choices, Forced, Kind, Mix, Op, Portfolio, seed_of};
use super::toy::{Step, Toy};

const MIXES: [Mix; 5] = [Mix::Random, Mix::Pct, Mix::Pos, Mix::Exhaustive, Mix::Portfolio];

/// A bit of everything: locks, a timer, a spinner, a random number.
fn mixed() -> Toy {
    let toy = Toy::new(vec![
        vec![Step::Lock(0), Step::Load(0), Step::Store(0), Step::Unlock(0), Step::Sleep],
        vec![Step::Draw(2, 1000), Step::Lock(0), Step::Load(0), Step::Store(0), Step::Unlock(0)],
        vec![Step::Touch(1), Step::Spin(0, 2), Step::Advance(1, 0)],
    ]);
    // To go on spinning is the default.
    Toy { steps_max: 1000, ..toy }
}

#[test]
fn the_same_seeds_make_the_same_schedules() {
    for mix in MIXES {
        let campaign = || {
            let mut choices = Choices::new(Portfolio::new(mix));
            let mut seen = Vec::new();
            for number in 0..200 {
                if !choices.begin(seed_of(7, number)) {
                    break;
                }
                let end = mixed().run(&mut choices);
                seen.push((end, choices.hash(), choices.forced()));
            }
            seen
        };
        assert_eq!(campaign(), campaign(), "{mix:?}");
    }
}

#[test]
fn other_seeds_make_other_schedules() {
    for mix in [Mix::Random, Mix::Pct, Mix::Pos, Mix::Portfolio] {
        let hashes = |seed| {
            let mut choices = Choices::new(Portfolio::new(mix));
            let mut hashes = Vec::new();
            for number in 0..20 {
                assert!(choices.begin(seed_of(seed, number)));
                mixed().run(&mut choices);
                hashes.push(choices.hash());
            }
            hashes
        };
        assert_ne!(hashes(1), hashes(2), "{mix:?}");
    }
}

#[test]
fn forced_choices_and_plans_replay_what_was_recorded() {
    for mix in MIXES {
        let mut choices = Choices::new(Portfolio::new(mix));
        for number in 0..300 {
            if !choices.begin(seed_of(3, number)) {
                break;
            }
            let plan = choices.plan();
            let end = mixed().run(&mut choices);
            let (hash, forced) = (choices.hash(), choices.forced());

            let mut fresh = Choices::new(Portfolio::new(Mix::Portfolio));
            fresh.replay(&forced);
            assert_eq!(mixed().run(&mut fresh), end, "{mix:?} {number}");
            assert_eq!((fresh.hash(), fresh.forced()), (hash, forced));
            assert_eq!(fresh.plan(), None);

            let random = matches!(mix, Mix::Random | Mix::Pct | Mix::Pos);
            assert!(plan.is_some() || !random);
            if let Some(plan) = plan {
                fresh.follow(plan);
                assert_eq!(mixed().run(&mut fresh), end, "{mix:?} {number} {plan:?}");
                assert_eq!(fresh.hash(), hash);
            }
        }
    }
}

#[test]
fn one_answer_is_no_choice() {
    let mut choices = Choices::new(Portfolio::new(Mix::Random));
    assert!(choices.begin(1));
    let alone = Candidate { task: 4, object: 0, op: Op::Other };
    assert_eq!(choices.task(&[alone]), 0);
    assert_eq!(choices.pick(Kind::Arm, 1), 0);
    assert_eq!(choices.pick(Kind::User, 0), 0);
    let untouched = choices.hash();
    let answer = choices.pick(Kind::User, u64::MAX);
    // It is the first in the stream: the others were no choices.
    assert_eq!(choices.forced(), [Forced { at: 0, value: answer }]);
    assert_ne!(choices.hash(), untouched);
}

#[test]
fn a_forced_choice_beyond_the_answers_is_the_last_and_beyond_the_end_is_nothing() {
    let mut choices = Choices::new(Portfolio::new(Mix::Random));
    let forced = |at, value| Forced { at, value };
    choices.replay(&[forced(1, 9), forced(2, 1), forced(7, 5)]);
    let answers: Vec<_> = [4, 3, 2, 2].map(|below| choices.pick(Kind::Random, below)).into();
    assert_eq!(answers, [0, 2, 1, 0]);
    assert_eq!(choices.forced(), [forced(1, 2), forced(2, 1)]);
}

#[test]
fn a_replay_does_not_disturb_the_campaign() {
    let run = |replays: bool| {
        let mut choices = Choices::new(Portfolio::new(Mix::Portfolio));
        let mut hashes = Vec::new();
        for number in 0..100 {
            assert!(choices.begin(seed_of(5, number)));
            mixed().run(&mut choices);
            hashes.push(choices.hash());
            if replays {
                choices.replay(&[Forced { at: number, value: 1 }]);
                mixed().run(&mut choices);
            }
        }
        hashes
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn the_first_schedule_of_the_portfolio_is_the_default_one() {
    let mut choices = Choices::new(Portfolio::new(Mix::Portfolio));
    assert!(choices.begin(99));
    mixed().run(&mut choices);
    assert_eq!(choices.forced(), []);
}

#[test]
fn seeds_of_schedules_are_all_different() {
    let mut seeds: Vec<_> =
        (0..100).flat_map(|seed| (0..100).map(move |number| seed_of(seed, number))).collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 100 * 100);
}
