//! What a campaign counts.

use super::super::{Choices, Coverage, Kind, Mix, Portfolio, seed_of};
use super::toy::{Step, Toy};

#[test]
fn different_schedules_are_counted_once() {
    let toy = Toy::new(vec![vec![Step::Touch(0); 3]; 2]);
    let mut choices = Choices::new(Portfolio::new(Mix::Random));
    choices.cover();
    for number in 0..2000 {
        assert!(choices.begin(seed_of(1, number)));
        toy.run(&mut choices);
    }
    let coverage = choices.take_coverage().expect("asked for");
    assert_eq!(coverage.schedules(), 2000);
    // 6! / (3! * 3!)
    assert_eq!(coverage.distinct(), 20);
}

#[test]
fn an_answer_that_was_never_given_shows() {
    let mut coverage = Coverage::default();
    coverage.choice(1, Kind::Arm, 3, 0);
    coverage.choice(1, Kind::Arm, 3, 2);
    coverage.choice(1, Kind::Arm, 3, 2);
    coverage.choice(2, Kind::Arm, 2, 1);
    coverage.choice(2, Kind::Task, 2, 0);
    assert_eq!(coverage.places(), 3);
    assert_eq!(coverage.answers(), (4, 7));
    coverage.schedule(1);
    assert_eq!(
        coverage.to_string(),
        "choice coverage: 4 of 7 answers at 3 places; 1 schedules, 1 of them different"
    );
}

#[test]
fn large_numbers_count_by_their_power_of_two() {
    let mut coverage = Coverage::default();
    coverage.choice(1, Kind::Random, u64::MAX, 0);
    assert_eq!(coverage.answers(), (1, 32 + 59));
    for value in 0..1000 {
        coverage.choice(1, Kind::Random, u64::MAX, value);
    }
    // 0 to 31, and then 32, 64, 128, 256 and 512.
    assert_eq!(coverage.answers().0, 32 + 5);
    coverage.choice(1, Kind::Random, u64::MAX, u64::MAX - 1);
    assert_eq!(coverage.answers().0, 32 + 6);
}

#[test]
fn a_place_is_what_the_engine_says() {
    let mut choices = Choices::new(Portfolio::new(Mix::Random));
    choices.cover();
    for number in 0..50 {
        assert!(choices.begin(number));
        for place in [10, 20] {
            choices.at(place);
            choices.pick(Kind::Arm, 2);
        }
        choices.end();
    }
    let coverage = choices.take_coverage().expect("asked for");
    assert_eq!((coverage.places(), coverage.answers()), (2, (4, 4)));
    assert_eq!(coverage.distinct(), 4);
}

#[test]
fn beyond_memory_the_number_of_different_schedules_is_an_estimate() {
    let mut coverage = Coverage::default();
    let many = 2_000_000_u64;
    for schedule in 0..many {
        coverage.schedule(schedule);
        coverage.schedule(schedule / 2);
    }
    let error = coverage.distinct().abs_diff(many) as f64 / many as f64;
    assert!(error < 0.02, "{} for {many}", coverage.distinct());
    assert_eq!(coverage.schedules(), 2 * many);
}
