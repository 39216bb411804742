//! The process under many schedules, in virtual time: riders who cancel, drivers over a line that delays, doubles, drops and reorders what
//! they say, and policies that change.
//!
//! `TOWPATH_SIM_SCHEDULES=10_000` for the night, in a release build.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use towpath::{BoxError, Ctx, Receiver, Sender, bounded, rt, scope, select, unbounded};
use towpath_patterns::dispatch::{
    Dispatch, Ended, Error, Event, Policy, Report, Says, replay::Replay, replay::Ride,
};
use towpath_sim::{Sim, choose};

use super::line::{Books, Honest, driver_of, place, policy};

const RIDERS: u32 = 4;
const DRIVERS: u32 = 2;

/// Few, so that the dispatcher has to wait for the listener.
const EVENTS: usize = 2;

/// Reports on the line.
const LINE: usize = 4;

type Told = Event<u32, u32>;

/// Takes reports off the line and does to them what lines do.
async fn line(
    mut reports: Receiver<Report<u32>>,
    dispatch: Dispatch<u32, u32>,
) -> Result<(), Error> {
    let mut late: Vec<Report<u32>> = Vec::new();
    while let Some(report) = reports.recv().await {
        match choose(6) {
            1 => late.push(report),
            2 => {
                dispatch.report(report).await?;
                late.push(report);
            }
            // Lost; he will say something again.
            3 => {}
            4 => {
                rt::sleep(Duration::from_millis(choose(300))).await;
                dispatch.report(report).await?;
            }
            _ => dispatch.report(report).await?,
        }
        if choose(3) == 1
            && let Some(report) = late.pop()
        {
            dispatch.report(report).await?;
        }
    }
    Ok(())
}

/// A driver: hears what he is told, and meanwhile drives about.
async fn drive(
    ctx: Ctx,
    mut driver: Honest,
    mut told: Receiver<Told>,
    line: Sender<Report<u32>>,
    name: u32,
    books: Arc<Mutex<Books>>,
) {
    let finish = || books.lock().unwrap().finish(name);
    let first = driver.beat();
    let mut says = Some(first);
    loop {
        if let Some(report) = says.take()
            && line.send(report).await.is_err()
        {
            return;
        }
        says = select! {
            _ = ctx.done() => return,
            event = told.recv() => {
                let Some(event) = event else { return };
                // One in ten offers is slept through.
                let answer = driver.hear(&event, choose(10) != 1);
                if answer.is_some_and(|it| it.says == Says::Refuse) {
                    finish();
                }
                answer
            }
            () = towpath::after(Duration::from_millis(50 + choose(200))) => match choose(6) {
                1 | 2 => driver.finish().inspect(|_| finish()),
                3 => driver.hail(),
                4 => {
                    driver.at = place(choose(3000) as i32 - 1500);
                    Some(driver.beat())
                }
                5 => driver.go_home(),
                _ => Some(driver.beat()),
            },
        };
    }
}

/// One city for some seconds. `strict`: time passes only when everybody waits, so every answer must be there by the deadline.
async fn city(strict: bool) -> Result<(), BoxError> {
    let books = Arc::new(Mutex::new(Books::default()));
    scope(&Ctx::root(), |s| async move {
        let (out, mut events) = bounded::<Told>(EVENTS);
        let dispatch = Dispatch::start(&s, "dispatch", policy(choose(4) as usize), out)?;
        let (reports, on_line) = bounded(LINE);
        let dispatched = dispatch.clone();
        // It ends when the dispatcher does.
        s.spawn("line", move |_| async move {
            let _ = line(on_line, dispatched).await;
        });
        let mut told = Vec::new();
        for name in 0..DRIVERS {
            let (tell, heard) = unbounded();
            told.push(tell);
            let driver = Honest::new(name, place(name as i32 * 900 - 400));
            let (reports, books) = (reports.clone(), books.clone());
            s.spawn("driver", move |ctx| drive(ctx, driver, heard, reports, name, books));
        }
        drop(reports);
        for rider in 0..RIDERS {
            let (dispatch, books) = (dispatch.clone(), books.clone());
            s.spawn("rider", move |_| async move {
                rt::sleep(Duration::from_millis(choose(1500))).await;
                let pickup = place(choose(4000) as i32 - 2000);
                books.lock().unwrap().ask(rider, rt::now());
                dispatch.request(rider, pickup).await?;
                if choose(4) == 1 {
                    rt::sleep(Duration::from_millis(choose(1000))).await;
                    // Everybody may have been answered by now.
                    let _ = dispatch.cancel(rider).await;
                }
                Ok::<_, Error>(())
            });
        }
        let operated = dispatch.clone();
        s.spawn("operator", move |_| async move {
            rt::sleep(Duration::from_millis(choose(2000))).await;
            let _ = operated.change(policy(choose(4) as usize)).await;
        });
        let mut answers = 0;
        while answers < RIDERS {
            let event = events.recv().await.ok_or("the dispatcher is gone")?;
            let now = rt::now();
            if let Some(took) = books.lock().unwrap().enter(&event, now) {
                answers += 1;
                if strict {
                    assert!(took <= Policy::default().deadline, "{event:?} after {took:?}");
                }
            }
            if let Some(driver) = driver_of(&event) {
                // Who has gone home does not hear it.
                let _ = told[driver as usize].send(event).await;
            }
        }
        if strict {
            assert_eq!(dispatch.counters().missed, 0);
        }
        s.cancel("everybody was answered");
        Ok(())
    })
    .await?;
    Ok(())
}

#[test]
fn no_deadline_is_missed_and_no_driver_given_twice() {
    Sim::new()
        .schedules(300)
        .stall(Duration::ZERO)
        .max_steps(200_000)
        .test("dispatch::schedules::no_deadline_is_missed_and_no_driver_given_twice", || {
            city(true)
        });
}

/// On a machine that lets timers ring late and early and starves processes, answers may come late; nothing else may be wrong.
#[test]
fn on_a_bad_machine_no_driver_is_given_twice() {
    Sim::new()
        .schedules(300)
        .max_steps(200_000)
        .step_cost(Duration::from_millis(1))
        .test("dispatch::schedules::on_a_bad_machine_no_driver_is_given_twice", || city(false));
}

/// Policies are in force for whoever asks after it was told.
#[towpath::test(schedules = 100)]
async fn a_policy_is_in_force_when_it_is_told() {
    scope(&Ctx::root(), |s| async move {
        let (out, mut events) = bounded::<Told>(EVENTS);
        let dispatch = Dispatch::start(&s, "dispatch", Policy::default(), out)?;
        let short = Policy { deadline: Duration::from_millis(500), ..Policy::default() };
        dispatch.change(short).await?;
        assert_eq!(events.recv().await, Some(Event::PolicyInForce(1)));
        let begun = rt::now();
        dispatch.request(1, place(0)).await?;
        assert!(matches!(events.recv().await, Some(Event::Backup { rider: 1, .. })));
        let Some(Event::Ended { rider: 1, why: Ended::Late, .. }) = events.recv().await else {
            panic!("nobody drives")
        };
        assert!(rt::now() - begun >= Duration::from_millis(475));
        let wrong = Policy { near_m: f64::NAN, ..Policy::default() };
        assert!(matches!(dispatch.change(wrong).await, Err(Error::Policy(_))));
        Ok(())
    })
    .await
    .unwrap();
}

/// When all handles are gone, what was said is handled, who waits is told, and the process ends.
async fn the_end() -> Result<(), towpath::Error> {
    scope(&Ctx::root(), |s| async move {
        let (out, mut events) = bounded::<Told>(EVENTS);
        let dispatch = Dispatch::start(&s, "dispatch", Policy::default(), out)?;
        let stops = choose(2) == 1;
        for rider in 0..3 {
            dispatch.request(rider, place(0)).await?;
        }
        if stops {
            s.cancel("enough");
        }
        drop(dispatch);
        let mut stopped = Vec::new();
        while let Some(event) = events.recv().await {
            if let Event::Ended { rider, why, .. } = event {
                // On a slow machine they are late before the end is seen.
                assert!(matches!(why, Ended::Stopped | Ended::Late), "{why:?}");
                stopped.push(rider);
            }
        }
        // What the end has overtaken in the queue was never a request.
        assert!(stops || stopped == [0, 1, 2], "{stopped:?}");
        Ok(())
    })
    .await
}

/// Timers may be early by less than the time that a listener has for the farewell.
#[test]
fn the_end_tells_everybody_who_waits() {
    Sim::new()
        .schedules(300)
        .stall(Duration::from_millis(200))
        .test("dispatch::schedules::the_end_tells_everybody_who_waits", the_end);
}

/// Nobody listens: the process ends, and whoever asks is told so.
#[towpath::test(schedules = 100)]
async fn without_a_listener_it_ends() {
    scope(&Ctx::root(), |s| async move {
        let (out, events) = bounded::<Told>(EVENTS);
        let dispatch = Dispatch::start(&s, "dispatch", Policy::default(), out)?;
        dispatch.request(0, place(0)).await?;
        drop(events);
        while dispatch.request(1, place(0)).await != Err(Error::Gone) {
            rt::sleep(Duration::from_millis(400)).await;
        }
        assert_eq!(dispatch.try_request(2, place(0)), Err(Error::Gone));
        Ok(())
    })
    .await
    .unwrap();
}

/// A replay in virtual time: an hour of rides, in which every rider has an answer.
#[test]
fn rides_are_replayed_in_virtual_time() {
    let rides: Vec<Ride> = (0..40)
        .map(|number| Ride {
            starts: Duration::from_secs(number * 90),
            lasts: Duration::from_secs(300),
            pickup: place((number as i32 * 577) % 3000),
            dropoff: place((number as i32 * 911) % 3000),
        })
        .collect();
    Sim::new().schedules(10).stall(Duration::ZERO).max_steps(1_000_000).test(
        "dispatch::schedules::rides_are_replayed_in_virtual_time",
        move || {
            let replay = Replay::new(rides.clone()).drivers(8).speed(10.0);
            async move {
                scope(&Ctx::root(), |s| async move {
                    let (out, mut events) = bounded(EVENTS);
                    let dispatch = Dispatch::start(&s, "dispatch", Policy::default(), out)?;
                    let begun = rt::now();
                    let tally = replay.run(s.ctx(), &dispatch, &mut events, |_| {}).await?;
                    assert!(rt::now() - begun >= Duration::from_secs(351));
                    assert_eq!((tally.requests, tally.matches()), (40, 40), "{tally:?}");
                    assert!(tally.wait_max() <= Duration::from_millis(1200));
                    assert_eq!(dispatch.counters().missed, 0);
                    Ok(())
                })
                .await
            }
        },
    );
}
