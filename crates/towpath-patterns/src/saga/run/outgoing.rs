//! What leaves the coordinator once it is durable: calls, outcomes, alerts.

use super::*;

impl Run {
    /// What was waiting for the disk.
    pub(super) fn release(&mut self, after: Vec<After>) {
        for after in after {
            match after {
                After::Call { slot, life, to } => self.call(slot, life, to),
                After::Say(say) => say(),
                After::Alert(alert) => self.to_tell.push_back(alert),
                After::Tell { slot, life } => {
                    let Some(live) = self.table.same(slot, life) else { continue };
                    let Some(outcome) = live.outcome() else { continue };
                    let waiters = mem::take(&mut live.waiters);
                    if live.state.is_over() {
                        self.table.finish(slot);
                    }
                    for waiter in waiters {
                        // Who does not wait any more does not want to know.
                        drop(waiter.try_send(Ok(outcome.clone())));
                    }
                }
            }
        }
    }

    /// Makes the call that an intent announced, unless something else has come meanwhile.
    fn call(&mut self, slot: u32, life: u32, to: ToCall) {
        let answers = self.notices.clone();
        let Some(live) = self.table.same(slot, life) else { return };
        let Some(defined) = live.defined.clone().filter(|_| live.state.call() == Some(to)) else {
            return;
        };
        let Some(patience) = defined.saga.plan.patience(to.step, to.undo) else { return };
        let now = rt::now();
        let deadline = now.checked_add(patience.timeout).unwrap_or(now + SLEEP_MAX);
        live.patience = self.clock.millis(deadline).max(self.clock.now() + 1);
        let step = usize::from(to.step);
        let (action, target) = defined.target(step, to.undo);
        let call = Call {
            saga: Arc::clone(&live.id),
            step: Arc::clone(&defined.names[step]),
            action,
            ticket: Ticket { slot, life, of: to },
            input: Arc::clone(&live.state.input),
            outputs: Arc::clone(&live.state.outputs),
            names: Arc::clone(&defined.names),
            headers: live.state.headers.clone(),
            deadline,
            answers: Some(answers),
        };
        self.arm(slot, &defined);
        if let Some(target) = target {
            self.deliver(target, call);
        }
    }

    /// To whoever does the work; through a process of its own while there is no room.
    fn deliver(&mut self, target: &Sender<Call>, call: Call) {
        match target.try_send(call) {
            Ok(()) => {}
            Err(TrySendError::Closed(call)) => call.undelivered(),
            Err(TrySendError::Full(call)) => self.feed(target, call),
        }
    }

    fn feed(&mut self, target: &Sender<Call>, call: Call) {
        let known = self.feeders.iter().find(|(to, _)| to.same_channel(target));
        let feeder = match known {
            Some((_, feeder)) => feeder.clone(),
            None => {
                // Calls of unfinished sagas, each of which has one that counts.
                let (feeder, calls) = unbounded();
                let to = target.clone();
                if let Some(scope) = &self.scope {
                    scope.spawn("saga calls", move |ctx| feed(ctx, calls, to));
                }
                self.feeders.push((target.clone(), feeder.clone()));
                feeder
            }
        };
        if let Err(error) = feeder.try_send(call) {
            error.into_inner().undelivered();
        }
    }

    /// Alerts that find room.
    pub(super) fn tell(&mut self) {
        let Some(alerts) = &self.alerts else { return self.to_tell.clear() };
        while let Some(alert) = self.to_tell.pop_front() {
            match alerts.try_send(alert) {
                Ok(()) => {}
                Err(TrySendError::Full(alert)) => return self.to_tell.push_front(alert),
                Err(TrySendError::Closed(_)) => {
                    self.alerts = None;
                    return;
                }
            }
        }
    }
}

/// Takes calls to a process at its pace.
async fn feed(ctx: Ctx, mut calls: Receiver<Call>, to: Sender<Call>) {
    loop {
        let call = select! {
            call = calls.recv() => call,
            _ = ctx.done() => None,
        };
        let Some(call) = call else { break };
        let mut slot = Some(call);
        select! {
            sent = to.send_from(&mut slot) => if let Err(error) = sent { error.0.undelivered() },
            _ = ctx.done() => {},
        }
        if let Some(call) = slot {
            call.forget();
        }
    }
    while let Ok(call) = calls.try_recv() {
        call.forget();
    }
}
