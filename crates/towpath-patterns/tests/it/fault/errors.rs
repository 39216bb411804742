//! The error channel: what is counted, what is told, what is lost.

use std::time::Duration;

use towpath::{Ctx, Receiver, rt, scope};
use towpath_patterns::fault::{Alert, Class, Condition, Errors, Failure, Fault, Report};

use super::in_scope;

/// Alerts that a test takes later.
const ALERTS: usize = 64;

const MINUTE: Duration = Duration::from_secs(60);

fn names(alerts: &mut Receiver<Alert>) -> Vec<String> {
    let next = || alerts.try_recv().ok();
    std::iter::from_fn(next)
        .map(|it| format!("{}{}", if it.raised { "+" } else { "-" }, it.name))
        .collect()
}

#[test]
fn failures_are_counted_by_process_class_and_cause() {
    in_scope(|s| async move {
        let (tx, _alerts) = towpath::bounded(ALERTS);
        let errors = Errors::start(&s, "errors", vec![], tx);
        let (parser, pricer) = (errors.of("parser"), errors.of("pricer"));
        for order in 0..20 {
            parser.tell(&Failure::schema(format!("order {order} has no price")));
        }
        pricer.tell(&Failure::schema("order 3 has no price"));
        pricer.tell(&Failure::timeout("order 3 has no price"));
        (0..7).for_each(|_| pricer.handled());
        let snapshot = errors.snapshot().await.unwrap();
        let lines: Vec<_> = snapshot
            .lines
            .iter()
            .map(|it| (it.process.as_str(), it.class, it.cause.as_str(), it.faults))
            .collect();
        assert_eq!(
            lines,
            [
                ("parser", Class::Schema, "order # has no price", 20),
                ("pricer", Class::Timeout, "order # has no price", 1),
                ("pricer", Class::Schema, "order # has no price", 1),
            ]
        );
        assert_eq!(snapshot.lines[0].samples.len(), 5);
        assert_eq!((snapshot.faults, snapshot.lost, snapshot.handled["pricer"]), (22, 0, 7));
        Ok(())
    });
}

#[test]
fn more_kinds_than_there_are_lines_are_counted_together() {
    in_scope(|s| async move {
        let (tx, _alerts) = towpath::bounded(ALERTS);
        let errors = Errors::start(&s, "errors", vec![], tx);
        let source = errors.of("parser");
        let word = |number: u32| format!("{number:b}").replace('0', "o").replace('1', "l");
        for number in 0..3_000_u32 {
            source.tell(&Failure::schema(format!("word {}", word(number))));
            if number % 500 == 0 {
                errors.snapshot().await.unwrap();
            }
        }
        let snapshot = errors.snapshot().await.unwrap();
        let other = snapshot.lines.iter().find(|it| it.cause == "(other)").unwrap();
        assert_eq!(snapshot.lines.len(), 1_025);
        assert_eq!(other.faults + 1_024 + snapshot.lost, 3_000);
        Ok(())
    });
}

/// Under every schedule: nobody who tells ever waits, and all that was told is counted or counted as lost.
#[towpath::test(schedules = 200)]
async fn what_is_too_much_is_lost_and_counted() {
    let told = 1_500;
    scope(&Ctx::root(), |s| async move {
        let (tx, _alerts) = towpath::bounded(ALERTS);
        let errors = Errors::start(&s, "errors", vec![], tx);
        let source = errors.of("parser");
        let report = Report::told(Fault::of("parser", &Failure::schema("no price")));
        // No await in here: the aggregator may run all the same, on another core.
        (0..told).for_each(|_| source.report(report.clone()));
        let snapshot = errors.snapshot().await.unwrap();
        assert_eq!(snapshot.faults + snapshot.lost, told);
        assert!(snapshot.faults >= 1_024);
        Ok(())
    })
    .await
    .unwrap();
}

/// Alerts begin once, end once, and begin again, whatever the time does.
#[towpath::test(schedules = 200)]
async fn a_rate_is_told_when_it_begins_and_when_it_is_over() {
    scope(&Ctx::root(), |s| async move {
        let (tx, mut alerts) = towpath::bounded(ALERTS);
        let conditions = vec![
            Condition::rate("many", 3, MINUTE).of_class(Class::Timeout),
            Condition::rate("elsewhere", 1, MINUTE).of_process("pricer"),
            Condition::new_cause("new"),
        ];
        let errors = Errors::start(&s, "errors", conditions, tx);
        let source = errors.of("parser");
        for _ in 0..2 {
            source.tell(&Failure::timeout("slow"));
            source.tell(&Failure::schema("no price"));
        }
        errors.snapshot().await.unwrap();
        assert_eq!(names(&mut alerts), ["+new", "+new"]);
        for round in 0..2 {
            (0..3).for_each(|_| source.tell(&Failure::timeout("slow")));
            let snapshot = errors.snapshot().await.unwrap();
            assert_eq!(snapshot.raised, ["many"]);
            assert_eq!(names(&mut alerts), ["+many"], "round {round}");
            // Told by time alone: nobody fails, nobody asks.
            let over = alerts.recv().await.unwrap();
            assert_eq!((over.name.as_str(), over.raised), ("many", false));
            assert!(over.example.is_some());
        }
        Ok(())
    })
    .await
    .unwrap();
}

#[towpath::test(schedules = 200)]
async fn a_share_is_one_of_all_that_was_attempted() {
    scope(&Ctx::root(), |s| async move {
        let (tx, mut alerts) = towpath::bounded(ALERTS);
        let share = Condition::share("a tenth fails", 0.1, 20, MINUTE).of_process("parser");
        let errors = Errors::start(&s, "errors", vec![share], tx);
        let (source, other) = (errors.of("parser"), errors.of("pricer"));
        (0..99).for_each(|_| source.handled());
        // Attempts of others are not counted, and one in a hundred is not a tenth.
        (0..500).for_each(|_| other.handled());
        source.tell(&Failure::schema("no price"));
        errors.snapshot().await.unwrap();
        assert_eq!(names(&mut alerts), Vec::<String>::new());
        (0..10).for_each(|_| source.tell(&Failure::schema("no price")));
        errors.snapshot().await.unwrap();
        let alert = alerts.recv().await.unwrap();
        assert_eq!((alert.raised, alert.faults, alert.attempted), (true, 11, Some(110)));
        let over = alerts.recv().await.unwrap();
        assert!(!over.raised);
        Ok(())
    })
    .await
    .unwrap();
}

/// The last of those who tell goes before what he told was looked at: it raises its alert all the same.
#[towpath::test(schedules = 300)]
async fn what_was_told_last_is_looked_at() {
    let (tx, mut alerts) = towpath::bounded(ALERTS);
    scope(&Ctx::root(), |s| async move {
        let errors = Errors::start(&s, "errors", vec![Condition::new_cause("new")], tx);
        let source = errors.of("parser");
        drop(errors);
        rt::sleep(Duration::from_millis(1)).await;
        source.tell(&Failure::fatal("the end"));
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(alerts.recv().await.unwrap().name, "new");
    assert!(alerts.recv().await.is_none());
}
