//! A supervisor at work: carries out what its plan orders, and tells it what happens.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use super::{
    Ended, GaveUp, Supervisor,
    child::{self, Exit, Report, Reporter, Start},
    plan::{Ending, Order, Plan},
};
use crate::{
    Canceller, Cause, Error, Join, Receiver, Sender, channel::unbounded, process::Name, rt,
    scope::Scope, select, time,
};

pub(super) struct Run {
    name: Name,
    scope: Scope,
    grace: Duration,
    plan: Plan,
    children: Vec<(Name, Option<Box<dyn Start>>)>,
    /// Those that have run before.
    started: BTreeSet<usize>,
    /// Those that run and were not asked to stop.
    running: BTreeMap<usize, (Canceller, Join<()>)>,
    /// Those that were asked to stop, and until when they may take.
    stopping: BTreeMap<usize, (Instant, Join<()>)>,
    /// How children ended by themselves, as far back as the plan's window reaches.
    history: VecDeque<(Instant, Name, Option<Error>)>,
    /// What went wrong at the end, and what came after it.
    errors: Vec<Error>,
    /// Somebody had to stop at the end before it was done.
    cut_short: bool,
    /// Unbounded, but each child has at most one run, and each run one report.
    reports: (Sender<Report>, Receiver<Report>),
}

/// Everything that can happen to a supervisor.
enum Event {
    Reported(Report),
    Asked,
    Due,
    /// Somebody who was asked to stop has had its time.
    Overdue,
}

impl Run {
    pub(super) fn new(supervisor: Supervisor, scope: Scope) -> Self {
        let Supervisor { name, strategy, intensity, backoff, grace, children } = supervisor;
        let mut plan = Plan::new(strategy, intensity, backoff);
        let now = rt::now();
        children.iter().for_each(|(_, on_exit, _)| plan.add(*on_exit, now));
        Self {
            name,
            scope,
            grace,
            plan,
            children: children.into_iter().map(|(name, _, child)| (name, Some(child))).collect(),
            started: BTreeSet::new(),
            running: BTreeMap::new(),
            stopping: BTreeMap::new(),
            history: VecDeque::new(),
            errors: Vec::new(),
            cut_short: false,
            reports: unbounded(),
        }
    }

    pub(super) async fn run(mut self) -> Result<(), Error> {
        let mut orders = self.plan.look(rt::now());
        let mut cause = Cause::Stopped;
        while !self.carry_out(orders, cause) {
            (orders, cause) = match self.next_event().await {
                Event::Reported(report) => self.reported(report),
                Event::Asked => (self.plan.end(rt::now()), Cause::Stopped),
                Event::Due => (self.plan.look(rt::now()), Cause::Stopped),
                Event::Overdue => {
                    self.drop_overdue();
                    (Vec::new(), Cause::Stopped)
                }
            };
        }
        let mut errors = self.errors.into_iter();
        match errors.next() {
            Some(mut first) => {
                first.later_mut().extend(errors);
                Err(first)
            }
            None if self.cut_short && self.plan.ending() == Some(Ending::Asked) => {
                Err(Error::cancelled(self.scope.ctx().cause()))
            }
            None => Ok(()),
        }
    }

    async fn next_event(&mut self) -> Event {
        let due = self.plan.look_at();
        let overdue = self.stopping.values().map(|(until, _)| *until).min();
        select! { biased;
            _ = self.scope.ctx().done(), if self.plan.ending().is_none() => Event::Asked,
            report = self.reports.1.recv() => match report {
                Some(report) => Event::Reported(report),
                None => unreachable!("we hold a sender"),
            },
            _ = due.map(time::at) => Event::Due,
            _ = overdue.map(time::at) => Event::Overdue,
        }
    }

    /// Drops the futures of those who were asked to stop and have had their time. They report that themselves.
    fn drop_overdue(&mut self) {
        let now = rt::now();
        self.stopping.retain(|_, (until, run)| {
            let late = *until <= now;
            if late {
                run.stop();
            }
            !late
        });
    }

    /// True: the last order was to finish.
    fn carry_out(&mut self, orders: Vec<Order>, cause: Cause) -> bool {
        for order in orders {
            match order {
                Order::Start(index) => self.start(index),
                Order::Stop(index) => {
                    if let Some((canceller, join)) = self.running.remove(&index) {
                        canceller.cancel(cause.clone());
                        let until = rt::later(rt::now(), self.grace);
                        self.stopping.insert(index, (until, join));
                    }
                }
                Order::Forget(index) => self.children[index].1 = None,
                Order::Finish => return true,
            }
        }
        false
    }

    fn start(&mut self, index: usize) {
        let (name, Some(child)) = &mut self.children[index] else {
            unreachable!("it was not forgotten")
        };
        let (ctx, canceller) = self.scope.ctx().with_cancel();
        let job = child.start(ctx.clone());
        let to = Reporter { index, tx: self.reports.0.clone(), exit: Exit::CutShort };
        let run = child::Running::new(name.clone(), job, ctx, to);
        let again = !self.started.insert(index);
        let join = self.scope.spawn_run(name.clone(), again, run);
        self.running.insert(index, (canceller, join));
    }

    /// Returns new orders, and what those are told who are stopped by them.
    fn reported(&mut self, Report { index, exit }: Report) -> (Vec<Order>, Cause) {
        let now = rt::now();
        let mut orders = Vec::new();
        // It may have ended because its context had, and be faster than we.
        if self.scope.ctx().is_done() {
            orders = self.plan.end(now);
        }
        let (failed, error) = match exit {
            Exit::Done => (false, None),
            Exit::CutShort => (true, None),
            Exit::Failed(error) => (true, Some(error)),
        };
        let cause = error.as_ref().map_or(Cause::Stopped, Error::to_cause);
        let by_itself = self.plan.is_up(index);
        let ending_already = self.plan.ending().is_some();
        self.running.remove(&index);
        self.stopping.remove(&index);
        orders.extend(self.plan.ended(index, failed, now, rt::random()));
        if ending_already {
            self.cut_short |= failed && error.is_none();
            self.errors.extend(error);
        } else if by_itself {
            self.came_down(index, error, now);
        }
        (orders, cause)
    }

    /// A child has ended by itself: keeps its error, where it belongs.
    fn came_down(&mut self, index: usize, error: Option<Error>, now: Instant) {
        let within = self.plan.intensity().within;
        let ago = |at: Instant| now.saturating_duration_since(at);
        while self.history.front().is_some_and(|(at, ..)| ago(*at) >= within) {
            self.history.pop_front();
        }
        let process = self.children[index].0.clone();
        match self.plan.ending() {
            Some(Ending::GaveUp) => {
                let earlier = self.history.drain(..);
                let gave_up = GaveUp {
                    process,
                    restarts: self.plan.intensity().restarts,
                    within,
                    last: error,
                    earlier: earlier
                        .map(|(at, process, error)| Ended { process, ago: ago(at), error })
                        .collect(),
                };
                self.errors.push(Error::failed(self.name.clone(), gave_up));
            }
            Some(_) => self.errors.extend(error),
            None => self.history.push_back((now, process, error)),
        }
    }
}
