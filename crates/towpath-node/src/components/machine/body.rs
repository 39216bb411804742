//! The process: messages in, events to the machine, what it says out.
//!
//! ```text
//!   in, back ─▶ event ─▶ mailbox ─▶ machine, with its journal in a thread ─▶ told ─▶ said ─▶ out
//!          └─ refused                                                                 └─ refused, duplicates
//! ```
//!
//! What always holds: each message that was taken is told of once, or refused once; and no more than [`IN_FLIGHT`] are between the
//! two, or [`BACK_MAX`] if they came back. While what is said waits for the next process, messages are taken all the same.
//!
//! Why many are in flight: while the journal writes one batch the next comes together, and each sync carries as many as came meanwhile.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;
use towpath::{
    BoxError, Ctx, Headers, Receiver, Scope, Sender, Traced, bounded, scope, select, unbounded,
};
use towpath_journal::Lsn;
use towpath_patterns::{
    machine::{
        Event as _, EventId, Keyed, Refused, Table, Transition,
        keyed::{self, Outbox, Output, Rejected},
    },
    yaml::hint,
};

use super::{
    super::{
        key::{Key, id_of},
        tell::Teller,
    },
    facet::{Shows, View},
    fact::{Fact, Life, Moved, Tabled},
    table::Plan,
};
use crate::ports::{self, Message, Ports};

/// Events that are taken and not told of: as many as a few syncs carry at a hundred thousand a second.
const IN_FLIGHT: usize = 4096;

/// As many when they come back from whom the machine told: in a circle it would else wait for those who wait for it, and of what comes
/// back there is no more than was told. Some tens of megabytes.
const BACK_MAX: usize = 100_000;

/// What the machine told may wait behind the batch that is on its way.
const SAID_MAX: usize = 64;

/// What the machine tells may wait for the next process to take it.
const TOLD_CAPACITY: usize = 1024;

/// Events between two snapshots: their records, with their messages, are less than a hundred megabytes, and read in seconds.
const SNAPSHOT_EVERY: u64 = 250_000;

/// Instances whose trace is remembered, with two hundred bytes each; time brings the others events without one.
const TRACED_MAX: usize = 10_000;

type Input = keyed::Input<Key, Fact>;
type Told = Output<Key, Tabled>;

pub(super) async fn run(ctx: &Ctx, ports: &mut Ports, plan: Arc<Plan>) -> Result<(), BoxError> {
    let home = ports.home().clone();
    let view = Arc::new(View::new(&plan.name, &plan.machine.table));
    let _shown = home.show(Shows(view.clone()));
    let inside = ctx.clone();
    let ran = scope(ctx, |s| async move {
        // What is in flight is counted.
        let (events, mailbox) = unbounded();
        let (tell, told) = bounded(TOLD_CAPACITY);
        let keyed = Keyed::with_data(plan.machine.clone(), |_: &Key| Default::default())
            .report_all()
            .remember(plan.remember)
            .keep_ended(plan.options.keep_most, plan.options.keep.0)
            .on_forgotten({
                let view = view.clone();
                move |key| view.forget(key)
            });
        let mut found = Found::default();
        if plan.options.durable {
            found = durable(&s, home.journal("")?, keyed, mailbox, tell, plan.again.clone(), &view)
                .await?;
        } else {
            s.spawn("machine", move |ctx| keyed.run(ctx, mailbox, tell));
        }
        let Found { outbox, old, again } = found;
        let (inputs, out) = ports.split(["in", "back"]);
        let events = Some(events);
        let mut body = Body {
            plan,
            view,
            out: Teller::new(out),
            told,
            events,
            outbox,
            old,
            again,
            in_flight: 0,
            told_until: Lsn::ZERO,
            traced: HashMap::new(),
        };
        body.work(inputs).await
    });
    match ran.await {
        // Who is told to stop at once has nothing to answer for.
        Err(_) if inside.is_done() => Ok(()),
        ran => Ok(ran?),
    }
}

/// What a journal gave.
#[derive(Default)]
struct Found {
    outbox: Option<Outbox>,
    /// Outputs of an earlier run, which come first.
    old: usize,
    /// What is told again behind them.
    again: Vec<Message>,
}

/// Reads the journal, which may take some time, and starts the machine on it; both in a thread.
async fn durable(
    scope: &Scope,
    writer: towpath_journal::Writer,
    keyed: Keyed<Key, Tabled>,
    mailbox: Receiver<Input>,
    tell: Sender<Told>,
    again: Arc<[bool]>,
    view: &Arc<View>,
) -> Result<Found, BoxError> {
    let view = view.clone();
    let opened = scope.spawn_blocking("machine", move |_| {
        let (journalled, outbox) = keyed.journalled(writer)?;
        let mut told = Vec::new();
        let table = journalled.store().machine().table.clone();
        for (key, state, life) in journalled.store().iter() {
            view.found(key, state, life.moves);
            if again[state.index()]
                && let Some(fact) = Fact::of_timeout(EventId(life.event))
            {
                let name = &table.states()[state.index()].name;
                let message = message(&table, key, fact, life, (name, name), &[]);
                told.push(message.map(|mut body| {
                    body["again"] = true.into();
                    body
                }));
            }
        }
        Ok::<_, BoxError>((journalled, outbox, told))
    });
    let (journalled, outbox, again) = opened.await?;
    let old = journalled.recovery().told_again;
    let journalled = journalled.snapshot_every(SNAPSHOT_EVERY);
    scope.spawn_blocking("machine", move |ctx| journalled.run(ctx, mailbox, tell));
    Ok(Found { outbox: Some(outbox), old, again })
}

struct Body<'a> {
    plan: Arc<Plan>,
    view: Arc<View>,
    out: Teller<'a>,
    told: Receiver<Told>,
    /// None: nothing more will come.
    events: Option<Sender<Input>>,
    outbox: Option<Outbox>,
    /// Of what is told, so many belong to an earlier run.
    old: usize,
    again: Vec<Message>,
    in_flight: usize,
    /// The last event whose outcome was said.
    told_until: Lsn,
    /// Under what the last event of an instance came, for what time brings it: those that are traced and not at their end, of this run.
    traced: HashMap<Key, Headers>,
}

impl Body<'_> {
    async fn work(&mut self, [input, back]: [&mut ports::Input; 2]) -> Result<(), BoxError> {
        let (mut batch, mut came_back) = (Vec::new(), Vec::new());
        let mut open = [true; 2];
        let mut saying_until = Lsn::ZERO;
        loop {
            if self.old == 0 {
                // Not before: what an instance is now comes after how it came there.
                for again in std::mem::take(&mut self.again) {
                    self.out.to("out", again);
                }
            }
            if !self.out.is_telling() {
                // All that is said goes out as one batch now.
                saying_until = self.told_until;
            }
            let hears = !self.out.is_telling() || self.out.waiting() < SAID_MAX;
            let taken = self.in_flight + self.out.waiting();
            let (room, room_back) =
                (IN_FLIGHT.saturating_sub(taken), (IN_FLIGHT + BACK_MAX).saturating_sub(taken));
            select! {
                said = self.out.arm() => {
                    self.out.told(said)?;
                    if let Some(outbox) = &self.outbox {
                        outbox.confirm(saying_until);
                    }
                }
                told = self.told.recv(), if hears => match told {
                    Some(told) => self.tell(told),
                    None => return self.out.finish().await,
                },
                many = select::future(input.recv_many(&mut batch, room)), if open[0] && room > 0 => { open[0] = many > 0; }
                many = select::future(back.recv_many(&mut came_back, room_back)), if open[1] && room_back > 0 => { open[1] = many > 0; }
            }
            // Also when another arm has won: what an input gives at that moment is in its batch, and nowhere else.
            came_back.drain(..).for_each(|message| self.take(message));
            batch.drain(..).for_each(|message| self.take(message));
            if open == [false; 2] {
                self.events = None;
            }
        }
    }

    /// A message: an event for the machine, or refused.
    fn take(&mut self, message: Message) {
        match event_of(&self.plan, &message) {
            Ok((key, id, event)) => {
                let fact = Fact { event, by_time: false, message: Arc::new(message) };
                let Some(events) = &self.events else { return };
                self.in_flight += 1;
                // If the machine has ended its scope tells.
                let _ = events.try_send(Input { key, id, event: fact });
            }
            Err(why) => {
                self.view.refused();
                self.out.refuse(message, why);
            }
        }
    }

    /// What became of an event.
    fn tell(&mut self, told: Told) {
        let table = self.plan.machine.table.clone();
        let Output { lsn, key, outcome, .. } = told;
        let by_time = match outcome {
            Ok(Transition { from, to, decisions }) => {
                let mut by_time = false;
                for Moved { mut fact, life } in decisions {
                    by_time = fact.by_time;
                    self.trace(&key, &mut fact, table.states()[to.index()].is_final);
                    if self.old == 0 {
                        // Else it was found there at the start, as it is now.
                        self.view.handled();
                        self.view.is_in(&key, to, life.moves);
                    }
                    let states =
                        (&*table.states()[from.index()].name, &*table.states()[to.index()].name);
                    let arm = table.cell(from, fact.event).first();
                    let actions = arm.map_or(&[][..], |arm| &arm.actions);
                    let message = message(&table, &key, fact, &life, states, actions);
                    self.out.to("out", message);
                }
                self.told_until = lsn;
                by_time
            }
            // What time brings where it means nothing is no message of anybody.
            Err(Rejected::Refused { event, .. }) if event.by_time => true,
            Err(Rejected::Refused { event, refused }) => {
                self.view.refused();
                let why = reason(&self.plan.machine, &refused);
                self.out.refuse(owned(event.message), why);
                false
            }
            Err(Rejected::Duplicate { event }) => {
                self.view.duplicate();
                let state = self.view.state(&key).map_or(Value::Null, Value::from);
                let mut known = owned(event.message);
                if let Some(fields) = known.as_object_mut() {
                    fields.insert("state".to_owned(), state);
                }
                self.out.to("duplicates", known);
                false
            }
        };
        if self.old > 0 {
            self.old -= 1;
        } else if !by_time {
            self.in_flight -= 1;
        }
    }
}

impl Body<'_> {
    /// What time brings an instance goes on with the trace of what happened to it before.
    fn trace(&mut self, key: &Key, fact: &mut Fact, is_end: bool) {
        let headers = fact.message.headers();
        if fact.by_time && headers.is_empty() {
            if let Some(before) = self.traced.get(key) {
                let headers = self.out.outputs().go_on(before);
                fact.message = Arc::new(Traced::new(headers, (**fact.message).clone()));
            }
        } else if !headers.is_empty()
            && !is_end
            && (self.traced.len() < TRACED_MAX || self.traced.contains_key(key))
        {
            // A copy: that it is remembered keeps no span open.
            self.traced.insert(key.clone(), Headers::new(headers.as_bytes()));
        }
        if is_end && !self.traced.is_empty() {
            self.traced.remove(key);
        }
    }
}

/// Which instance, by which id, and what happens to it.
fn event_of(plan: &Plan, message: &Message) -> Result<(Key, Option<u64>, EventId), String> {
    let options = &plan.options;
    let table = &plan.machine.table;
    let key = Key::of(message, &options.key)?;
    let id = options.id.as_ref().map_or(Ok(None), |field| id_of(message, field))?;
    let event = match (message.get(&options.event), plan.default_event) {
        (Some(Value::String(name)), _) => plan.event(name).ok_or_else(|| {
            let events = table.events().iter().map(|name| &**name);
            format!("machine {} has no event `{name}`{}", table.name(), hint(name, events))
        })?,
        (None, Some(event)) => event,
        (Some(_), _) => {
            return Err(format!(
                "field `{}` is the name of an event, so it is a word",
                options.event
            ));
        }
        (None, None) => {
            return Err(format!(
                "the message has no field `{}`, which says what happens",
                options.event
            ));
        }
    };
    Ok((key, id, event))
}

/// Why an event was refused, and what would not have been.
fn reason(machine: &Tabled, refused: &Refused) -> String {
    let table = &machine.table;
    let Some(state) = table.state(&refused.state) else { return refused.to_string() };
    let handled = |event: &usize| {
        let arms = table.cell(state, EventId(*event as u16));
        arms.iter().any(|arm| !matches!(arm.outcome, towpath_patterns::machine::Outcome::Refuse(_)))
    };
    let possible: Vec<&str> =
        (0..table.events().len()).filter(handled).map(|event| &*table.events()[event]).collect();
    if possible.is_empty() {
        format!("{refused}; nothing is possible there any more")
    } else {
        format!("{refused}; possible there: {}", possible.join(", "))
    }
}

/// The message of an event, with what the instance carries, and what it did.
fn message(
    table: &Table,
    key: &Key,
    fact: Fact,
    life: &Life,
    (from, to): (&str, &str),
    actions: &[Arc<str>],
) -> Message {
    let event = fact.event;
    owned(fact.message).map(|body| {
        let mut fields = match body {
            Value::Object(fields) => fields,
            // It had a field with its key.
            _ => serde_json::Map::new(),
        };
        for (name, value) in life.carried() {
            fields.entry(name).or_insert(value);
        }
        fields.insert("key".to_owned(), key.to_value());
        fields.insert("event".to_owned(), Value::from(&*table.events()[event.index()]));
        fields.insert("from".to_owned(), from.into());
        fields.insert("to".to_owned(), to.into());
        if !actions.is_empty() {
            fields.insert("do".to_owned(), actions.iter().map(|action| &**action).collect());
        }
        Value::Object(fields)
    })
}

/// The message itself if nobody else has it.
fn owned(message: Arc<Message>) -> Message {
    Arc::try_unwrap(message).unwrap_or_else(|message| (*message).clone())
}
