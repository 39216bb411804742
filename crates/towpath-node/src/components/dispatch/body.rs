//! The process: one loop over everything that comes, the clock, and what is being told.
//!
//! ```text
//!   requests, drivers, … ─▶ decider ─▶ said ─▶ journal ─▶ matched, late, …
//!                             └─ book of rides ─┘
//! ```
//!
//! What always holds:
//! - A match is told after it is durable, and every decision in the order in which it was made.
//! - While one batch is on its way, through the journal and to the next processes, the next one is decided; so deadlines are kept
//!   whatever the disk does, and each sync carries what was decided during the one before.
//! - What an input gives is in its batch before anything else can happen, so an arm of the select that loses loses no message.

use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration, time::SystemTime};

use serde_json::{Map, Value, json};
use towpath::{BoxError, Ctx, Receiver, Scope, Traced, at, bounded, rt, scope, select};
use towpath_journal::{Lsn, Writer};
use towpath_patterns::{
    dispatch::{Decider, Ended, Event, Input, Lease, Offer, Point, Policy, Report, Says},
    log::{Append, Log},
};

use super::{
    super::key::Key,
    book::{Book, Record, Ride},
    facet::{Shows, View},
    rules::{Change, Options, point},
};
use crate::ports::{self, Message, Outputs, Ports};

/// Messages of a kind that are taken in a row before the clock is looked at again: a tenth of a millisecond.
const TAKEN: usize = 128;

/// Decisions that wait to be told before no more requests are taken; timers go on.
const SAID_MAX: usize = 4096;

/// As many more are taken of what ends something: in a circle of processes whoever sends that may be who has to take what is told.
const SAID_MOST: usize = 65_536;

/// Rules that may be on their way from the dashboard: operators are slow.
const CHANGES: usize = 4;

/// Records behind the last checkpoint: what a start reads, in a fraction of a second.
const CHECKPOINT_EVERY: usize = 65_536;

/// A record of the book.
const KIND_RECORD: u16 = 1;

/// The ports in, in the order of the batches.
const INPUTS: [&str; 6] = ["requests", "drivers", "policy", "cancels", "rides", "replies"];

pub(super) async fn run(
    ctx: &Ctx,
    ports: &mut Ports,
    options: Arc<Options>,
) -> Result<(), BoxError> {
    let home = ports.home().clone();
    let view = View::new(options.policy.clone());
    let (changes, at_changes) = bounded(CHANGES);
    let _shown = home.show(Shows { view: view.clone(), changes });
    let ran = scope(ctx, |s| async move {
        let (log, book) = match options.durable {
            true => {
                let (log, book) = open(&s, home.journal("")?).await?;
                (Some(log), book)
            }
            false => (None, Book::default()),
        };
        let micros =
            rt::wall().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |it| it.as_micros());
        let (inputs, out) = ports.split(INPUTS);
        let body = Body {
            decider: Decider::new(options.policy.clone(), micros as Lease)?,
            options,
            book,
            waiting: HashMap::new(),
            doubled: 0,
            drivers: HashMap::new(),
            number: 0,
            said: Vec::new(),
            records: Vec::new(),
            since_checkpoint: 0,
            watched: out.has("events"),
            durable: log.is_some(),
            view,
        };
        body.work(s.ctx(), inputs, out, log, at_changes).await
    });
    match ran.await {
        // Who is told to stop at once has nothing to answer for.
        Err(_) if ctx.is_done() => Ok(()),
        ran => Ok(ran?),
    }
}

/// Reads the journal, in a thread, and goes on with it.
async fn open(scope: &Scope, writer: Writer) -> Result<(Log, Book), BoxError> {
    let read = scope.spawn_blocking("dispatch journal", move |_| {
        let (mut book, mut from) = (Book::default(), Lsn::ZERO);
        if let Some(checkpoint) = writer.latest_checkpoint()? {
            book = Book::from_bytes(&checkpoint.state)?;
            from = checkpoint.lsn.next();
        }
        let mut reader = writer.reader(from)?;
        while let Some(record) = reader.next()? {
            if record.kind == KIND_RECORD {
                book.apply(postcard::from_bytes(record.payload)?);
            }
        }
        Ok::<_, BoxError>((writer, book))
    });
    let (writer, book) = read.await?;
    Ok((Log::start(scope, "dispatch journal", writer), book))
}

/// What is to be told, and where.
enum Say {
    To(&'static str, Message),
    Refuse(Message, String),
}

/// What is known of a driver beside what the decider knows.
#[derive(Clone, Copy)]
struct Driver {
    at: Point,
    /// The last report's number, if drivers number them.
    number: u64,
}

struct Body {
    options: Arc<Options>,
    decider: Decider<Key, Key>,
    book: Book,
    /// Requests without an answer.
    waiting: HashMap<Key, Message>,
    /// Requests that came again, and need no answer of their own.
    doubled: u64,
    drivers: HashMap<Key, Driver>,
    /// Reports that the decider was given.
    number: u64,
    said: Vec<Say>,
    records: Vec<Record>,
    since_checkpoint: usize,
    /// Somebody wants to hear of all decisions.
    watched: bool,
    durable: bool,
    view: View,
}

/// What was taken of each input.
type Batches = [Vec<Message>; INPUTS.len()];

impl Body {
    async fn work(
        mut self,
        ctx: &Ctx,
        inputs: [&mut ports::Input; INPUTS.len()],
        out: &Outputs,
        log: Option<Log>,
        mut changes: Receiver<Policy>,
    ) -> Result<(), BoxError> {
        let [requests, drivers, policy, cancels, rides, replies] = inputs;
        let mut batches = Batches::default();
        let mut open = [true; INPUTS.len()];
        let mut telling = None;
        // Whether these were heard before the last restart, nobody knows.
        let again =
            self.book.rides().map(|(_, ride)| Say::To("matched", Traced::from(ride.again())));
        self.said.extend(again.collect::<Vec<_>>());
        loop {
            self.decider.advance(rt::now());
            self.hear();
            if telling.is_none() && !(self.said.is_empty() && self.records.is_empty()) {
                telling = Some(Box::pin(select::future(self.batch()?.tell(out, log.as_ref()))));
            }
            self.show();
            let is_quiet = telling.is_none() && self.waiting.is_empty();
            if !open[0] && is_quiet {
                return Ok(());
            }
            let due = self.decider.next_due().map(at);
            let has_room = self.said.len() < SAID_MAX;
            // A ride that is over, a cancellation and a reply each end something, of which there is no more than has begun.
            let has_some = self.said.len() < SAID_MOST;
            let [to_requests, to_drivers, to_policy, to_cancels, to_rides, to_replies] =
                &mut batches;
            select! {
                cause = ctx.done() => return Err(cause.into()),
                told = telling.as_mut().map(Pin::as_mut) => {
                    telling = None;
                    told?;
                }
                many = select::future(requests.recv_many(to_requests, TAKEN)), if open[0] && has_room => { open[0] = many > 0; }
                many = select::future(drivers.recv_many(to_drivers, TAKEN)), if open[1] && has_room => { open[1] = many > 0; }
                many = select::future(policy.recv_many(to_policy, TAKEN)), if open[2] => { open[2] = many > 0; }
                many = select::future(cancels.recv_many(to_cancels, TAKEN)), if open[3] && has_some => { open[3] = many > 0; }
                many = select::future(rides.recv_many(to_rides, TAKEN)), if open[4] && has_some => { open[4] = many > 0; }
                many = select::future(replies.recv_many(to_replies, TAKEN)), if open[5] && has_some => { open[5] = many > 0; }
                change = changes.recv() => {
                    if let Some(policy) = change {
                        self.decider.on(rt::now(), Input::Policy(policy));
                    }
                }
                () = due => {}
            }
            self.take(&mut batches);
        }
    }

    fn take(&mut self, batches: &mut Batches) {
        let [requests, drivers, policy, cancels, rides, replies] = batches;
        // What frees drivers comes before what asks for one.
        policy.drain(..).for_each(|message| self.on(message, Self::on_policy));
        rides.drain(..).for_each(|message| self.on(message, Self::on_ride));
        cancels.drain(..).for_each(|message| self.on(message, Self::on_cancel));
        replies.drain(..).for_each(|message| self.on(message, Self::on_reply));
        drivers.drain(..).for_each(|message| self.on(message, Self::on_driver));
        requests.drain(..).for_each(|message| self.on_request(message));
    }

    fn on(&mut self, message: Message, does: fn(&mut Self, &Value) -> Result<(), String>) {
        if let Err(why) = does(self, &message) {
            self.said.push(Say::Refuse(message, why));
        }
    }

    // What comes.

    fn on_request(&mut self, message: Message) {
        let parts = Key::of(&message, &self.options.ride).and_then(|rider| {
            let at =
                message.get("at").ok_or("the request has no field `at`, where the rider is")?;
            Ok((rider, point(at)?))
        });
        let (rider, pickup) = match parts {
            Ok(parts) => parts,
            Err(why) => return self.said.push(Say::Refuse(message, why)),
        };
        if let Some(ride) = self.book.ride(&rider) {
            let again = Traced::new(message.headers().clone(), ride.again());
            return self.said.push(Say::To("matched", again));
        }
        if self.book.is_over(&rider) || self.waiting.contains_key(&rider) {
            // It has had its answer, or will have it: one for both.
            return self.doubled += 1;
        }
        self.waiting.insert(rider.clone(), message);
        let now = rt::now();
        self.decider.on(now, Input::Request { rider, pickup, arrived: now });
    }

    fn on_driver(&mut self, message: &Value) -> Result<(), String> {
        let driver = Key::of(message, "driver")?;
        let word = |name: &str| match message.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(word)) => Ok(Some(*word)),
            Some(_) => Err(format!("field `{name}` of a driver is true or false")),
        };
        let (is_free, is_gone) = (word("free")?, word("gone")?.unwrap_or(false));
        let before = self.drivers.get(&driver).copied();
        let at = match (message.get("at"), before) {
            (Some(at), _) => point(at)?,
            (None, Some(before)) => before.at,
            (None, None) => return Err("the driver has no field `at`, where he is".to_owned()),
        };
        let number = message.get("number").and_then(Value::as_u64).unwrap_or(0);
        if number > 0 && before.is_some_and(|before| number <= before.number) {
            // Overtaken by a later one, or doubled.
            return Ok(());
        }
        let says = match (is_gone, is_free) {
            (true, _) => Says::Gone,
            (false, Some(true)) => Says::Free,
            (false, Some(false)) => Says::Busy,
            (false, None) => return Err("the driver does not say whether he is `free`".to_owned()),
        };
        if is_gone {
            self.drivers.remove(&driver);
        } else if before.is_some() || self.drivers.len() < self.decider.policy().drivers_max {
            self.drivers.insert(driver.clone(), Driver { at, number });
        }
        let mut seen = message.get("seen").and_then(Value::as_u64).unwrap_or(0);
        let mut says = says;
        if let Some((ride, Ride { lease, is_old, .. })) = self.book.of_driver(&driver) {
            let (ride, lease, is_old) = (ride.clone(), *lease, *is_old);
            let is_named =
                message.get("ride").and_then(Key::from_value).is_some_and(|it| it == ride);
            match says {
                Says::Free if is_named || seen >= lease => {
                    seen = lease;
                    self.record(Record::Over(ride));
                }
                // The decider knows nothing of that ride.
                Says::Gone if is_old => self.lost(&ride, &driver),
                _ if is_old => says = Says::Busy,
                _ => {}
            }
        }
        self.report(driver, at, seen, says);
        Ok(())
    }

    fn on_reply(&mut self, message: &Value) -> Result<(), String> {
        let driver = Key::of(message, "driver")?;
        let lease = message
            .get("lease")
            .and_then(Value::as_u64)
            .ok_or("the reply has no `lease`, the number of an offer")?;
        let accept =
            message.get("accept").and_then(Value::as_bool).ok_or("`accept` is true or false")?;
        let Some(Driver { at, .. }) = self.drivers.get(&driver).copied() else {
            return Err(
                "nobody knows this driver: he reports where he is before he replies".to_owned()
            );
        };
        self.report(driver, at, lease, if accept { Says::Accept } else { Says::Refuse });
        Ok(())
    }

    fn on_cancel(&mut self, message: &Value) -> Result<(), String> {
        let ride = self.ride_of(message)?;
        match self.book.ride(&ride) {
            Some(Ride { is_old: true, .. }) => self.over(ride),
            _ => self.decider.on(rt::now(), Input::Cancel(ride)),
        }
        Ok(())
    }

    fn on_ride(&mut self, message: &Value) -> Result<(), String> {
        let to = message.get("to").and_then(Value::as_str);
        let is_over = match (&self.options.over, to) {
            (Some(over), Some(to)) => over.iter().any(|state| state == to),
            (Some(_), None) => {
                return Err(
                    "the message does not say `to` which state the ride has come".to_owned()
                );
            }
            (None, _) => true,
        };
        let ride = self.ride_of(message)?;
        if is_over {
            self.over(ride);
        }
        Ok(())
    }

    fn on_policy(&mut self, message: &Value) -> Result<(), String> {
        let change = Change::from_message(message.clone())?;
        let policy = {
            let mut now = self.view.lock();
            now.policy = change.of(&now.policy).map_err(|problem| problem.message)?;
            now.policy.clone()
        };
        self.decider.on(rt::now(), Input::Policy(policy));
        Ok(())
    }

    /// Which ride a message is about.
    fn ride_of(&self, message: &Value) -> Result<Key, String> {
        let fields = ["ride", &self.options.ride, "key"];
        let field = fields.into_iter().find(|field| message.get(field).is_some());
        Key::of(message, field.unwrap_or("ride"))
    }

    /// A ride is over: its driver is free, where he was last.
    fn over(&mut self, ride: Key) {
        let Some(Ride { driver, lease, .. }) = self.book.ride(&ride) else { return };
        let (driver, lease) = (driver.clone(), *lease);
        self.record(Record::Over(ride));
        self.free(driver, lease);
    }

    /// The decider hears that a driver is free who had a ride.
    fn free(&mut self, driver: Key, lease: Lease) {
        if let Some(Driver { at, .. }) = self.drivers.get(&driver) {
            self.report(driver, *at, lease, Says::Free);
        }
    }

    fn report(&mut self, driver: Key, at: Point, seen: Lease, says: Says) {
        // Those that came too late were left out: the rest is news in the order in which it came.
        self.number += 1;
        let report = Report { driver, number: self.number, seen, at, says };
        self.decider.on(rt::now(), Input::Report(report));
        self.hear();
    }

    fn record(&mut self, record: Record) {
        if self.durable {
            self.records.push(record.clone());
        }
        self.book.apply(record);
    }

    // What is decided.

    fn hear(&mut self) {
        while let Some(event) = self.decider.next_event() {
            if self.watched {
                self.said.push(Say::To("events", Traced::from(shown(&event))));
            }
            match event {
                Event::Offered(offer) => self.offered(&offer),
                Event::Matched(offer) => self.matched(offer),
                Event::Ended { rider, waited, why } => self.ended(&rider, waited, why),
                Event::Lost { rider, driver, .. } => self.lost(&rider, &driver),
                Event::RideCancelled { rider, driver, lease } => {
                    self.record(Record::Over(rider));
                    if self.options.drivers_accept {
                        self.free(driver, lease);
                    }
                }
                _ => {}
            }
        }
    }

    fn offered(&mut self, offer: &Offer<Key, Key>) {
        let headers =
            self.waiting.get(&offer.rider).map(|it| it.headers().clone()).unwrap_or_default();
        let Offer { rider, driver, lease, distance_m, .. } = offer;
        let message = json!({
            "ride": rider.to_value(), "driver": driver.to_value(), "lease": lease, "distance_m": distance_m.round(),
        });
        self.said.push(Say::To("offers", Traced::new(headers, message)));
    }

    fn matched(&mut self, offer: Offer<Key, Key>) {
        let Offer { rider, driver, lease, stage, distance_m, waited } = offer;
        let fields = [
            ("driver", driver.to_value()),
            ("waited_ms", millis(waited)),
            ("distance_m", Value::from(distance_m.round())),
            ("stage", stage.to_string().into()),
            ("lease", lease.into()),
        ];
        let message = self.answer(&rider, fields);
        let told = message.to_string().into_bytes();
        self.record(Record::Matched(rider, Ride { driver, lease, told, is_old: false }));
        self.said.push(Say::To("matched", message));
    }

    fn ended(&mut self, rider: &Key, waited: Duration, why: Ended) {
        let why = match why {
            Ended::Late => "late",
            Ended::OutsideGeofence => "outside_geofence",
            Ended::Full => "full",
            // The decider still has its ride, which is over here: whoever asks has to ask for another.
            Ended::Duplicate => "over",
            Ended::Cancelled => {
                self.waiting.remove(rider);
                return;
            }
            _ => "stopped",
        };
        let message = self.answer(rider, [("waited_ms", millis(waited)), ("why", why.into())]);
        self.said.push(Say::To("late", message));
    }

    fn lost(&mut self, rider: &Key, driver: &Key) {
        if let Some(ride) = self.book.ride(rider) {
            let mut told = ride.told();
            told["why"] = "lost".into();
            self.said.push(Say::To("late", Traced::from(told)));
        }
        if self.book.of_driver(driver).is_some_and(|(ride, _)| ride == rider) {
            self.record(Record::Over(rider.clone()));
        }
    }

    /// The request of a rider, with what came of it.
    fn answer<const N: usize>(&mut self, rider: &Key, fields: [(&str, Value); N]) -> Message {
        let request = self.waiting.remove(rider).unwrap_or_default();
        request.map(|body| {
            let mut all = match body {
                Value::Object(all) => all,
                _ => Map::new(),
            };
            all.insert("ride".to_owned(), rider.to_value());
            all.extend(fields.map(|(name, value)| (name.to_owned(), value)));
            Value::Object(all)
        })
    }

    /// What was said since the last batch.
    fn batch(&mut self) -> Result<Batch, BoxError> {
        let said = std::mem::take(&mut self.said);
        let records = std::mem::take(&mut self.records);
        self.since_checkpoint += records.len();
        let append = |record: &Record| {
            let payload = postcard::to_allocvec(record)?;
            Ok(Append { kind: KIND_RECORD, key: Vec::new(), payload })
        };
        let records: Vec<Append> =
            records.iter().map(append).collect::<Result<_, postcard::Error>>()?;
        let mut checkpoint = None;
        if self.since_checkpoint >= CHECKPOINT_EVERY && !records.is_empty() {
            self.since_checkpoint = 0;
            checkpoint = Some(self.book.to_bytes()?);
        }
        Ok(Batch { said, records, checkpoint })
    }

    fn show(&self) {
        let mut now = self.view.lock();
        now.counters = self.decider.counters();
        now.riding = self.book.len();
        now.waiting = self.waiting.len();
        now.doubled = self.doubled;
    }
}

/// What is made durable, and then told.
struct Batch {
    said: Vec<Say>,
    records: Vec<Append>,
    /// The book with all these records in it.
    checkpoint: Option<Vec<u8>>,
}

impl Batch {
    async fn tell(self, out: &Outputs, log: Option<&Log>) -> Result<(), BoxError> {
        if let (Some(log), false) = (log, self.records.is_empty()) {
            let last = log.append_all(self.records).await?;
            if let Some(state) = self.checkpoint {
                log.checkpoint(last, state).await?;
                log.retain(last.next()).await?;
            }
        }
        for say in self.said {
            match say {
                Say::To(port, message) => out.send(port, message).await?,
                Say::Refuse(message, why) => out.refuse(message, why).await?,
            }
        }
        Ok(())
    }
}

fn millis(span: Duration) -> Value {
    Value::from(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// A decision, for who watches.
fn shown(event: &Event<Key, Key>) -> Value {
    let offer = |what: &str, offer: &Offer<Key, Key>| {
        json!({
            "what": what, "ride": offer.rider.to_value(), "driver": offer.driver.to_value(), "lease": offer.lease,
            "stage": offer.stage.to_string(), "distance_m": offer.distance_m.round(), "waited_ms": millis(offer.waited),
        })
    };
    match event {
        Event::Offered(it) => offer("offered", it),
        Event::Matched(it) => offer("matched", it),
        Event::Passed { rider, driver, lease, why } => {
            json!({"what": "passed", "ride": rider.to_value(), "driver": driver.to_value(), "lease": lease, "why": why.to_string()})
        }
        Event::Withdrawn { driver, lease } => {
            json!({"what": "withdrawn", "driver": driver.to_value(), "lease": lease})
        }
        Event::TooLate { driver, lease } => {
            json!({"what": "too_late", "driver": driver.to_value(), "lease": lease})
        }
        Event::Backup { rider, waited } => {
            json!({"what": "backup", "ride": rider.to_value(), "waited_ms": millis(*waited)})
        }
        Event::Ended { rider, waited, why } => {
            json!({"what": "ended", "ride": rider.to_value(), "waited_ms": millis(*waited), "why": why.to_string()})
        }
        Event::Lost { rider, driver, lease, why } => {
            json!({"what": "lost", "ride": rider.to_value(), "driver": driver.to_value(), "lease": lease, "why": why.to_string()})
        }
        Event::RideCancelled { rider, driver, lease } => {
            json!({"what": "ride_cancelled", "ride": rider.to_value(), "driver": driver.to_value(), "lease": lease})
        }
        Event::PolicyInForce(number) => json!({"what": "policy", "number": number}),
        Event::PolicyRefused(why) => json!({"what": "policy_refused", "why": why.to_string()}),
        _ => json!({"what": "other"}),
    }
}
