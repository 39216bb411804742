//! What others ask for, and the answers, which wait until what they say is durable.

use std::sync::Arc;

use towpath::{Ctx, Receiver, bounded, select};

use super::super::handle::{Filter, History};
use super::super::keep::records;
use super::super::record::KINDS;
use super::*;

/// An outcome is told once.
const OUTCOME_CAPACITY: usize = 1;

impl Run {
    pub(super) fn serve(&mut self, request: Request) {
        match request {
            Request::Start { saga, id, input, headers, deadline, watch, reply } => {
                if input.len() + headers.as_bytes().len() > PAYLOAD_BYTES_MAX {
                    let bytes = input.len() + headers.as_bytes().len();
                    return self.answer(reply, Err(Error::Large { bytes }));
                }
                let deadline = deadline.map(|it| self.clock.millis(it));
                let answer = self.begin(&saga, &id, |shape, version, at| Record::Started {
                    plan: Arc::clone(&saga),
                    version,
                    shape,
                    at,
                    deadline,
                    headers: headers.as_bytes().into(),
                    input,
                });
                if let (Ok(Accepted::New), Some(ctx)) = (&answer, watch) {
                    self.watch(&id, ctx);
                }
                self.answer(reply, answer);
            }
            Request::Outcome { id, reply } => match self.table.find(&id) {
                Some(slot) => self.wait(slot, reply),
                None => {
                    let finished = self.table.finished(&id).cloned();
                    self.answer(reply, finished.ok_or(Error::Unknown { id }));
                }
            },
            Request::Signal { id, name, dedup, payload, reply } => {
                let bytes = name.len() + dedup.len() + payload.len();
                if bytes > PAYLOAD_BYTES_MAX {
                    return self.answer(reply, Err(Error::Large { bytes }));
                }
                let event = Event::Signal { name, dedup, payload };
                let answer = self.ask(&id, event);
                self.answer(reply, answer);
            }
            Request::Cancel { id, reason, reply } => {
                let answer = self.ask(&id, Event::Cancel(reason));
                self.answer(reply, answer);
            }
            Request::Pause { filter, reason, reply } => {
                let slots = self.slots(&filter);
                let answer = slots.map(|slots| {
                    let mut paused = 0;
                    for slot in slots {
                        let taken = self.take(slot, Event::Pause(reason.clone()), &[]);
                        paused += usize::from(taken == Taken::Noted);
                    }
                    paused
                });
                self.answer(reply, answer);
            }
            Request::Resume { filter, reply } => {
                let answer =
                    self.slots(&filter).map(|slots| self.resume(&slots, filter.one().is_some()));
                self.answer(reply, answer);
            }
            Request::List { filter, reply } => {
                let fits = |slot| {
                    let live = self.table.get(slot).filter(|live| !live.state.is_over())?;
                    Some(live.summary()).filter(|it| filter.fits(it))
                };
                let list = self.table.slots().filter_map(fits).collect();
                self.answer(reply, Ok(list));
            }
            Request::Show { id, reply } => {
                let live = self.table.find(&id).and_then(|slot| self.table.get(slot));
                let history = live.map(|live| History {
                    summary: live.summary(),
                    records: records(&live.history)
                        .filter_map(|(kind, payload)| Record::decode(kind, payload).ok())
                        .collect(),
                });
                self.answer(reply, history.ok_or(Error::Unknown { id }));
            }
            Request::Release { to, reply } => {
                if let Some(pin) = &mut self.table.pin {
                    *pin = (*pin).max(to.next());
                }
                self.answer(reply, Ok(()));
            }
            Request::Checkpoint { reply } => {
                // With the next batch, also when that has no records.
                self.next_checkpoint = 0;
                self.answer(reply, Ok(()));
            }
        }
    }

    /// Answers when everything so far is durable.
    fn answer<T: Send + 'static>(&mut self, reply: Reply<T>, answer: Result<T, Error>) {
        // Who does not wait any more does not want to know.
        self.after.push(After::Say(Box::new(move || drop(reply.try_send(answer)))));
    }

    /// A new saga.
    fn begin(
        &mut self,
        saga: &Arc<str>,
        id: &Arc<str>,
        first: impl FnOnce(u64, u32, Millis) -> Record,
    ) -> Result<Accepted, Error> {
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Err(Error::Id { bytes: id.len() });
        }
        if self.table.find(id).is_some() || self.table.finished(id).is_some() {
            return Ok(Accepted::Before);
        }
        let newest = self.definitions.get(saga).and_then(|it| it.last_key_value());
        let Some((version, defined)) = newest else {
            return Err(Error::NoDefinition { saga: Arc::clone(saga) });
        };
        let (version, defined) = (*version, Arc::clone(defined));
        if self.table.len() >= self.limits.unfinished {
            return Err(Error::Full { most: self.limits.unfinished });
        }
        let first = first(defined.shape, version, self.clock.now());
        // The first record is one by construction.
        let Ok(state) = State::new(&first) else { return Err(Error::Gone) };
        let slot = self.table.insert(Live::new(Arc::clone(id), Some(defined), state, Vec::new()));
        // In one group with the first intent.
        self.records.push(first);
        self.take(slot, Event::Tick, &[]);
        Ok(Accepted::New)
    }

    fn ask(&mut self, id: &Arc<str>, event: Event) -> Result<Accepted, Error> {
        let Some(slot) = self.table.find(id) else {
            return match self.table.finished(id) {
                Some(_) => Ok(Accepted::Before),
                None => Err(Error::Unknown { id: Arc::clone(id) }),
            };
        };
        Ok(match self.tell_saga(slot, event) {
            Taken::Noted => Accepted::New,
            Taken::Ignored => Accepted::Before,
            Taken::TooLate => Accepted::TooLate,
        })
    }

    fn wait(&mut self, slot: u32, reply: Reply<Outcome>) {
        let life = self.table.life(slot);
        if let Some(live) = self.table.get_mut(slot) {
            live.waiters.push(reply);
            if live.outcome().is_some() {
                self.after.push(After::Tell { slot, life });
            }
        }
    }

    /// Those that a filter means.
    fn slots(&self, filter: &Filter) -> Result<Vec<u32>, Error> {
        if let Some(id) = filter.one() {
            let slot = self.table.find(id).ok_or_else(|| Error::Unknown { id: Arc::clone(id) })?;
            return Ok(vec![slot]);
        }
        let fits = |slot: &u32| {
            let live = self.table.get(*slot).filter(|live| !live.state.is_over());
            live.is_some_and(|live| filter.fits(&live.summary()))
        };
        Ok(self.table.slots().filter(fits).collect())
    }

    fn resume(&mut self, slots: &[u32], one: bool) -> usize {
        let mut count = 0;
        for &slot in slots {
            let held =
                self.table.get(slot).is_some_and(|it| it.defined.is_some() && it.state.is_held());
            if !held {
                continue;
            }
            count += 1;
            if one {
                self.take(slot, Event::Resume, &[]);
            } else {
                self.enqueue(slot, Wake::Resume);
            }
        }
        count
    }

    /// Turns a saga back when the context it was started under ends first.
    fn watch(&mut self, id: &Arc<str>, ctx: Ctx) {
        let (Some(slot), Some(scope)) = (self.table.find(id), &self.scope) else { return };
        let life = self.table.life(slot);
        let (waiter, ended) = bounded(OUTCOME_CAPACITY);
        let notices = self.notices.clone();
        scope.spawn("saga watch", move |own| watch(own, ctx, ended, notices, slot, life));
        if let Some(live) = self.table.get_mut(slot) {
            live.waiters.push(waiter);
        }
    }
}

async fn watch(
    own: Ctx,
    ctx: Ctx,
    mut ended: Receiver<Result<Outcome, Error>>,
    notices: Answers,
    slot: u32,
    life: u32,
) {
    select! {
        cause = ctx.done() => {
            let reason = cause.to_string();
            drop(notices.try_send(Notice::Cancelled { slot, life, reason }));
        },
        _ = ended.recv() => {},
        _ = own.done() => {},
    }
}

const _: () = assert!(KINDS & 0xff == 0, "a history keeps the low byte of a kind");
