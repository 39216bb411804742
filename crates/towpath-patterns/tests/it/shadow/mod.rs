//! Shadows as a process, under many schedules and in virtual time.

use std::{collections::BTreeMap, time::Duration};

use towpath::{BoxError, Ctx, Receiver, bounded, rt, scope};
use towpath_patterns::shadow::{Conflict, Error, Event, Patch, Shadows};

/// A minute: longer than the simulator lets a timer be early, as seen from whoever reports at once.
const SILENCE: Duration = Duration::from_secs(60);
/// Events that a listener may be behind; few, so that shadows have to wait.
const EVENTS: usize = 1;

fn temperature(value: u32) -> Patch<u32> {
    Patch::new().set("t", value)
}

/// A device that does what it is told, and sends every fourth report twice.
async fn obey(
    shadows: Shadows<&'static str, u32>,
    mut events: Receiver<Event<&'static str, u32>>,
) -> Result<u64, BoxError> {
    let (mut number, mut sent, mut versions) = (1, 0, BTreeMap::new());
    while let Some(event) = events.recv().await {
        let Event::Diff(diff) = event else { continue };
        let before = versions.insert(diff.device, diff.version);
        assert!(before.is_none_or(|before| before < diff.version), "{before:?} then {diff:?}");
        number += 1;
        sent += 1;
        for _ in 0..1 + u64::from(number % 4 == 0) {
            shadows.report(diff.device, number, diff.patch.clone()).await?;
        }
        if shadows.get(diff.device).await?.is_some_and(|view| view.reported.get("t") == Some(&9)) {
            break;
        }
    }
    Ok(sent)
}

#[towpath::test]
async fn what_is_desired_is_reported_in_the_end() {
    let done = scope(&Ctx::root(), |s| async move {
        let (out, events) = bounded(EVENTS);
        let shadows = Shadows::start(&s, "shadows", SILENCE, out);
        shadows.report("a", 1, temperature(0)).await?;
        let device = shadows.clone();
        let device = s.spawn("device", move |_| obey(device, events));
        for value in [7, 8, 9] {
            shadows.desire("a", None, temperature(value)).await?;
        }
        let diffs = device.await?;
        // Each change at most once, and each of the first two reports may come too late and contradict.
        assert!((1..=5).contains(&diffs), "{diffs}");
        let view = shadows.get("a").await?.unwrap();
        assert_eq!(view.reported, view.desired);
        Ok(())
    });
    done.await.unwrap();
}

#[towpath::test]
async fn of_two_who_looked_at_one_version_one_is_refused() {
    let versions = scope(&Ctx::root(), |s| async move {
        let (out, _events) = bounded(EVENTS);
        let shadows = Shadows::start(&s, "shadows", SILENCE, out);
        let operators = [1, 2].map(|value| {
            let shadows = shadows.clone();
            s.spawn("operator", move |_| async move {
                Ok::<_, BoxError>(shadows.desire("a", Some(0), temperature(value)).await)
            })
        });
        let mut answers = Vec::new();
        for operator in operators {
            answers.push(operator.await?);
        }
        let desired = shadows.get("a").await?.unwrap().desired;
        Ok((answers, desired.get("t").copied()))
    });
    let (answers, desired) = versions.await.unwrap();
    let refused = Err(Error::Conflict(Conflict { expected: 0, version: 1 }));
    let expected = if desired == Some(1) { [Ok(1), refused] } else { [refused, Ok(1)] };
    assert_eq!(answers, expected);
}

#[towpath::test]
async fn who_is_silent_is_offline_and_gets_one_diff_when_it_is_back() {
    let told = scope(&Ctx::root(), |s| async move {
        let (out, mut events) = bounded(EVENTS);
        let shadows = Shadows::start(&s, "shadows", SILENCE, out);
        shadows.report("a", 1, temperature(0)).await?;
        let mut told = vec![events.recv().await.unwrap()];
        let begun = rt::now();
        told.push(events.recv().await.unwrap());
        assert!(rt::now().duration_since(begun) >= SILENCE - Duration::from_secs(1));
        for value in [1, 2, 3] {
            shadows.desire("a", None, temperature(value)).await?;
        }
        assert!(!shadows.get("a").await?.unwrap().online);
        shadows.report("a", 2, Patch::new().set("u", 1_u32)).await?;
        drop(shadows);
        while let Some(event) = events.recv().await {
            told.push(event);
        }
        Ok(told)
    });
    let told = told.await.unwrap();
    assert_eq!(told[..3], [Event::Online("a"), Event::Offline("a"), Event::Online("a")]);
    let [Event::Diff(diff)] = &told[3..] else { panic!("{told:?}") };
    assert_eq!((diff.version, &diff.patch), (5, &temperature(3)));
}

/// Nobody takes events for a while: reports go on, and what is told afterwards is what is so then.
#[towpath::test]
async fn a_slow_listener_delays_no_report() {
    scope(&Ctx::root(), |s| async move {
        let (out, mut events) = bounded(EVENTS);
        let shadows = Shadows::start(&s, "shadows", SILENCE, out);
        for device in ["a", "b", "c"] {
            shadows.report(device, 1, temperature(0)).await?;
            for value in 1..=3 {
                shadows.desire(device, None, temperature(value)).await?;
            }
        }
        let view = shadows.get("c").await?.unwrap();
        assert_eq!((view.version, view.desired.get("t")), (4, Some(&3)));
        drop(shadows);
        let mut last = BTreeMap::new();
        while let Some(event) = events.recv().await {
            if let Event::Diff(diff) = event {
                last.insert(diff.device, diff.patch);
            }
        }
        assert_eq!(last, ["a", "b", "c"].map(|device| (device, temperature(3))).into());
        Ok(())
    })
    .await
    .unwrap();
}

#[towpath::test]
async fn without_a_listener_the_shadows_go_on() {
    scope(&Ctx::root(), |s| async move {
        let (out, events) = bounded(EVENTS);
        let shadows = Shadows::start(&s, "shadows", SILENCE, out);
        shadows.report("a", 1, temperature(1)).await?;
        drop(events);
        for number in 2..5 {
            shadows.report("a", number, temperature(number as u32)).await?;
        }
        shadows.forget("b").await?;
        assert_eq!(shadows.get("a").await?.unwrap().reported.get("t"), Some(&4));
        assert_eq!(shadows.get("b").await?, None);
        Ok(())
    })
    .await
    .unwrap();
}
