//! The process: messages to the matcher, sets and differences from it.
//!
//! What always holds: a message that was taken is in [`Open`] until its set, or itself, was told; so what is open when the process is told
//! to leave is there for the next one.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use indexmap::IndexMap;
use serde_json::{Value, json};
use towpath::{BoxError, Ctx, Receiver, Sender, Traced, bounded, scope, select};
use towpath_patterns::matcher::{
    self, Difference, Held, Kind, Output, Part, Set, Standing, Stray, Why,
};

use super::{
    super::{
        key::{Key, hash},
        tell::Teller,
    },
    facet::{Shows, View},
    rules::{Found, Plan},
};
use crate::ports::{Message, Ports};

/// Parts that wait for the matcher, and sets that wait for this process: a burst.
const FEED_CAPACITY: usize = 256;

/// Messages that are taken in a row.
const TAKEN: usize = 128;

/// Sets that wait to be sent before no more messages are taken.
const SAID_MAX: usize = 1024;

type Body = Arc<Message>;

/// Messages of sets that were not told, in the order in which they came.
#[derive(Default)]
struct Open(Mutex<IndexMap<Key, Vec<Body>>>);

impl Open {
    fn lock(&self) -> MutexGuard<'_, IndexMap<Key, Vec<Body>>> {
        // Nothing under this lock panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn run<T: Kind>(
    ctx: &Ctx,
    ports: &mut Ports,
    plan: Arc<Plan<T>>,
) -> Result<(), BoxError> {
    let home = ports.home().clone();
    let open = home.kept("open", || Ok(Open::default()))?;
    let view = Arc::new(View::default());
    let _shown = home.show(Shows { view: view.clone(), watch: plan.matcher.watch() });
    let ran = scope(ctx, |s| async move {
        let (feed, parts) = bounded(FEED_CAPACITY);
        let (tell, told) = bounded(FEED_CAPACITY);
        let matcher = plan.matcher.clone();
        s.spawn("match", move |ctx| matcher.run(ctx, vec![parts], tell));
        let ([input], out) = ports.split(["in"]);
        let mut body =
            Process { plan, view, open, out: Teller::new(out), fed: VecDeque::new(), number: 0 };
        // Of the process before.
        let before = std::mem::take(&mut *body.open.lock());
        before.into_values().flatten().for_each(|message| body.take(message));
        let mut told: Receiver<Output<Key, T, Body>> = told;
        let mut feed: Option<Sender<matcher::Input<Key, T, Body>>> = Some(feed);
        let (mut batch, mut is_open) = (Vec::new(), true);
        let ctx = s.ctx();
        loop {
            if !is_open && body.fed.is_empty() {
                if ports_leave(&home) {
                    // What is open stays, for the next one.
                    s.cancel("the process leaves");
                    return body.out.finish().await;
                }
                feed = None;
            }
            let room = is_open && body.out.waiting() < SAID_MAX && body.fed.len() < FEED_CAPACITY;
            let has_more = !body.fed.is_empty();
            select! {
                cause = ctx.done() => return Err(cause.into()),
                sent = body.out.arm() => body.out.told(sent)?,
                output = told.recv() => match output {
                    Some(output) => body.tell(output),
                    None => return body.out.finish().await,
                },
                place = feed.as_ref().map(Sender::reserve), if has_more => if let (Ok(place), Some(part)) = (place, body.fed.pop_front()) {
                    place.send(part.into());
                },
                many = select::future(input.recv_many(&mut batch, TAKEN)), if room => { is_open = many > 0; }
            }
            batch.drain(..).for_each(|message| body.take(Arc::new(message)));
        }
    });
    match ran.await {
        // Who is told to stop at once has nothing to answer for.
        Err(_) if ctx.is_done() => Ok(()),
        ran => Ok(ran?),
    }
}

/// Whether another process takes the place of this one, and its inputs have not ended.
fn ports_leave(home: &crate::home::Home) -> bool {
    home.seat.version().order() == crate::seat::Order::Leave && !home.is_draining()
}

struct Process<'a, T> {
    plan: Arc<Plan<T>>,
    view: Arc<View>,
    open: Arc<Open>,
    out: Teller<'a>,
    /// Parts that the matcher has no room for.
    fed: VecDeque<Part<Key, T, Body>>,
    number: u64,
}

impl<T: Kind> Process<'_, T> {
    fn take(&mut self, message: Body) {
        match self.plan.find(&message) {
            Ok(Some(Found { key, id, what, at })) => {
                self.number += 1;
                // Those without an id of their own are all different.
                let id = id.unwrap_or_else(|| hash(&self.number.to_le_bytes()));
                self.open.lock().entry(key.clone()).or_default().push(message.clone());
                self.fed.push_back(Part { key, id, what, at, body: message });
            }
            Ok(None) => {}
            Err(why) => self.out.refuse(owned(message), why),
        }
    }

    fn tell(&mut self, output: Output<Key, T, Body>) {
        match output {
            Output::Matched(set) => {
                let (headers, body) = self.set(&set);
                self.out.to("matched", Traced::new(headers, body));
            }
            Output::Void(set) => self.told(&set),
            Output::Unmatched { set, differences, why } => {
                let (headers, mut body) = self.set(&set);
                body["why"] = match why {
                    Why::Deadline => "deadline",
                    Why::Evicted => "evicted",
                    Why::Ended => "ended",
                }
                .into();
                body["differences"] = differences.iter().map(|it| self.words(it)).collect();
                self.view.differs(json!({"key": body["key"], "why": body["why"], "differences": body["differences"]}));
                self.out.to("differences", Traced::new(headers, body));
            }
            Output::Stray { part, why } => self.stray(part, why),
        }
    }

    /// The messages of a set are not open any more; another of its key may be on its way.
    fn told(&self, set: &Set<Key, T, Body>) {
        let mut open = self.open.lock();
        let Some(messages) = open.get_mut(&set.key) else { return };
        messages.retain(|message| !set.parts.iter().any(|part| Arc::ptr_eq(message, &part.body)));
        if messages.is_empty() {
            open.swap_remove(&set.key);
        }
    }

    fn stray(&mut self, part: Part<Key, T, Body>, why: Stray) {
        let Part { key, body, .. } = part;
        if let Some(open) = self.open.lock().get_mut(&key) {
            open.retain(|message| !Arc::ptr_eq(message, &body));
        }
        match why {
            Stray::Duplicate => {}
            Stray::Late { matched } => {
                let what = if matched {
                    "its set has matched and was closed"
                } else {
                    "its set was closed unmatched"
                };
                let told = json!({"key": key.to_value(), "why": "late", "differences": [what], "message": &**body});
                self.view
                    .differs(json!({"key": key.to_value(), "why": "late", "differences": [what]}));
                self.out.to("differences", Traced::new(body.headers().clone(), told));
            }
            why => self.out.refuse(owned(body), why.to_string()),
        }
    }

    /// A set as a message, under headers with a link to each part.
    fn set(&self, set: &Set<Key, T, Body>) -> (towpath::Headers, Value) {
        self.told(set);
        let parts: Vec<Value> = set.parts.iter().map(|part| self.part(part)).collect();
        let headers = self.out.outputs().gather(set.parts.iter().map(|part| part.body.headers()));
        (headers, json!({"key": set.key.to_value(), "parts": parts}))
    }

    fn part(&self, part: &Held<T, Body>) -> Value {
        let name = match part.what {
            matcher::What::Is { kind, .. } => self.plan.name(kind),
            matcher::What::Undo { .. } => "undo".to_owned(),
            matcher::What::UndoLast { kind } => format!("undo {}", self.plan.name(kind)),
        };
        let mut told = json!({"part": name, "message": &**part.body});
        if part.standing == Standing::Undone {
            told["undone"] = true.into();
        }
        told
    }

    /// A difference in the words of the file.
    fn words(&self, difference: &Difference<T>) -> String {
        let name = |kind: &T| self.plan.name(*kind);
        let amount = |sum: &i128| {
            let (sign, sum) = (if *sum < 0 { "-" } else { "" }, sum.unsigned_abs());
            format!("{sign}{}.{:02}", sum / 100, sum % 100)
        };
        match difference {
            Difference::Missing { kind, has, needs } => {
                format!("{has} of {}, needs {needs}", name(kind))
            }
            Difference::TooMany { kind, has, most } => {
                format!("{has} of {}, {most} at most", name(kind))
            }
            Difference::Uneven { of, has_of, by, has_by } => {
                format!("{has_of} of {} and {has_by} of {}", name(of), name(by))
            }
            Difference::Unequal { one, sum_one, other, sum_other } => {
                format!("{} {}, {} {}", name(one), amount(sum_one), name(other), amount(sum_other))
            }
            Difference::Early { kind, before } => format!("{} before {}", name(kind), name(before)),
            Difference::UndidNothing { kind: Some(kind), .. } => {
                format!("undoes a {} that is not there", name(kind))
            }
            Difference::UndidNothing { .. } => "undoes a part that is not there".to_owned(),
            other => format!("{other:?}"),
        }
    }
}

/// The message itself if nobody else has it.
fn owned(message: Body) -> Message {
    Arc::try_unwrap(message).unwrap_or_else(|message| (*message).clone())
}
