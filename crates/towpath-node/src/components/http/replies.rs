//! Callers who wait for an answer to their message, and the answers as they come. No sockets here.
//!
//! ```text
//!   caller ── enters the table ── Desk::hand_in ──▶ out ──▶ …
//!      ▲                                                    │
//!      └──────── table ◀── take_answers ◀── answers ◀── … ──┘
//! ```
//!
//! What always holds:
//! - A caller is in the table before his message is handed in, so no answer comes too early for him; he leaves it when he was answered,
//!   when he has waited long enough, and when his connection goes.
//! - An answer is for all who wait for its key at that moment. If nobody does, it is dropped and counted: nothing is kept for later.
//! - Who asks again with a key that was taken and not answered waits with the first; of the latest such keys the table knows.
//! - `take_answers` waits for nobody who waits here, so `out` and `answers` may be a circle.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use towpath::{BoxError, Ctx, Headers, Receiver, Sender, at, bounded, rt, select};

use super::{
    body::Keyed,
    intake::{Counts, Desk, NotTaken, told_key},
    pending::Seen,
};
use crate::{
    expr::Expr,
    ports::{Input, Message, Outputs},
};

/// Callers who wait for answers at once: as many as the server has connections. They cost a kilobyte each.
const WAITING_MAX: usize = 16 * 1024;

/// An answer is told once and never waits.
const REPLY_CAPACITY: usize = 1;

/// How answers are read.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    /// Which message an answer is to; without it its field `key` or `id`.
    pub(crate) key: Option<Arc<Expr>>,
    /// What the caller gets; without it the whole message.
    pub(crate) body: Option<Arc<Expr>>,
    /// The status that he gets; without it 200.
    pub(crate) status: Option<Arc<Expr>>,
}

/// What a caller is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Telling {
    pub(super) fn key(&self, message: &Value) -> Result<String, String> {
        told_key(message, self.key.as_deref(), "answered")
    }

    pub(super) fn reply(&self, message: &Value) -> Result<Reply, String> {
        let value = |expr: &Arc<Expr>| expr.value(message).map_err(|error| error.to_string());
        let status = match &self.status {
            None => 200,
            Some(status) => {
                let told = value(status)?;
                let number = told.as_u64().filter(|it| (200..600).contains(it));
                number.and_then(|it| u16::try_from(it).ok()).ok_or_else(|| {
                    format!(
                        "a status is a number from 200 to 599, and `{}` is {told}",
                        status.text()
                    )
                })?
            }
        };
        let body = self.body.as_ref().map_or_else(|| Ok(message.clone()), value)?;
        Ok(Reply { status, body })
    }
}

/// What became of those who waited, and of what came for them.
#[derive(Debug, Default)]
pub(crate) struct ReplyCounts {
    /// Callers who got their answers.
    pub(crate) answered: AtomicU64,
    /// Callers who have waited as long as they may.
    pub(crate) late: AtomicU64,
    /// Callers who went away.
    pub(crate) left: AtomicU64,
    /// Answers for which nobody waited.
    pub(crate) unclaimed: AtomicU64,
}

/// What became of a caller's messages.
#[derive(Debug)]
pub(crate) enum Answered {
    /// For each message its answer; none to one that was taken before and has been answered.
    Told(Vec<Option<Reply>>),
    /// They were not taken, or may not have been.
    NotTaken(NotTaken),
    /// There was no answer in time.
    Late,
    /// The process ends, and there was no answer yet.
    Ending,
}

/// For how long a caller waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For room.
    pub(crate) room: Duration,
    /// For the answer, at the latest.
    pub(crate) until: Instant,
    /// For the answer, when the process ends.
    pub(crate) ending: Duration,
}

struct Table {
    /// By key, and then by the caller's number.
    waiting: BTreeMap<String, Vec<(u64, Sender<Reply>)>>,
    callers: usize,
    number: u64,
    /// Keys that were taken, were not answered yet, and for which perhaps nobody waits any more.
    open: Seen,
}

/// Who waits for answers.
pub(crate) struct Replies {
    telling: Telling,
    /// Callers at most.
    seats: usize,
    table: Mutex<Table>,
    pub(crate) counts: ReplyCounts,
}

impl Replies {
    /// `open` are the keys that an earlier run has taken, and `remember` how long such a key is known.
    pub(crate) fn new(
        telling: Telling,
        remember: Duration,
        open: impl IntoIterator<Item = String>,
    ) -> Self {
        let (mut known, now) = (Seen::new(remember), rt::now());
        open.into_iter().for_each(|key| known.add(&key, now));
        let table = Table { waiting: BTreeMap::new(), callers: 0, number: 0, open: known };
        let (table, counts) = (Mutex::new(table), ReplyCounts::default());
        Self { telling, seats: WAITING_MAX, table, counts }
    }

    #[cfg(test)]
    pub(super) fn seats(self, seats: usize) -> Self {
        Self { seats, ..self }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing under it panics half way, and no end of a channel is used or dropped under it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Callers who wait now.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().callers
    }

    /// Hands messages in, and waits for the answer to each. When `ending` ends it waits only a little longer.
    ///
    /// # Cancel safety
    /// Dropped before completion, the messages are taken or not, as a whole, and nobody waits for their answers.
    pub(crate) async fn ask(
        &self,
        desk: &Desk,
        messages: Vec<Keyed>,
        headers: Headers,
        patience: Patience,
        ending: &Ctx,
    ) -> Answered {
        let Patience { room, until, ending: short } = patience;
        let count = messages.len();
        let Some(mut caller) = self.enter(&messages) else {
            Counts::add(&desk.counts().shed, count);
            return Answered::NotTaken(NotTaken::Full);
        };
        let is_new = match desk.hand_in(messages, headers, room, until).await {
            Ok(is_new) => is_new,
            Err(why) => {
                // What was not taken is open to nobody; of anything else nobody knows.
                caller.stage = if why == NotTaken::Full { Stage::Over } else { Stage::Unknown };
                return Answered::NotTaken(why);
            }
        };
        caller.settle(&is_new);
        let mut told = Vec::with_capacity(count);
        let all = async {
            for answer in &mut caller.answers {
                told.push(match answer {
                    Some(answer) => answer.recv().await,
                    None => None,
                });
            }
        };
        let ending = select! { biased;
            () = select::future(all) => None,
            is_ending = select::future(patient(until, short, ending)) => Some(is_ending),
        };
        match ending {
            None => {
                if told.iter().any(Option::is_some) {
                    Counts::add(&self.counts.answered, 1);
                }
                caller.stage = Stage::Over;
                Answered::Told(told)
            }
            Some(is_ending) => {
                Counts::add(&self.counts.late, 1);
                caller.stage = Stage::Late;
                if is_ending { Answered::Ending } else { Answered::Late }
            }
        }
    }

    /// A caller's place at the table; none if it is full.
    fn enter(&self, messages: &[Keyed]) -> Option<Caller<'_>> {
        let (senders, answers): (Vec<_>, Vec<_>) =
            messages.iter().map(|_| bounded(REPLY_CAPACITY)).map(|(tx, rx)| (tx, Some(rx))).unzip();
        let keys: Vec<String> = messages.iter().map(|it| it.key.clone()).collect();
        let mut table = self.lock();
        if table.callers >= self.seats {
            drop(table);
            return None;
        }
        table.callers += 1;
        table.number += 1;
        let number = table.number;
        for (key, tx) in keys.iter().zip(senders) {
            table.waiting.entry(key.clone()).or_default().push((number, tx));
        }
        drop(table);
        Some(Caller { replies: self, number, keys, answers, stage: Stage::Unknown })
    }

    /// An answer: for all who wait for its key.
    fn tell(&self, key: &str, reply: &Reply) {
        let waiting = {
            let mut table = self.lock();
            table.open.remove(key);
            table.waiting.remove(key).unwrap_or_default()
        };
        if waiting.is_empty() {
            Counts::add(&self.counts.unclaimed, 1);
        }
        for (_, caller) in waiting {
            // Who leaves at this moment does not want to know.
            drop(caller.try_send(reply.clone()));
        }
    }
}

/// Ends when a caller has waited as long as he may; whether because the process ends.
async fn patient(until: Instant, short: Duration, ending: &Ctx) -> bool {
    select! { biased;
        () = at(until) => return false,
        _ = ending.done() => {}
    }
    let soon = rt::now() + short;
    at(soon.min(until)).await;
    soon < until
}

/// How far a caller is, for when he goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody knows yet whether his messages were taken.
    Unknown,
    /// He waits.
    Waits,
    /// He has waited long enough.
    Late,
    /// He needs nothing more.
    Over,
}

/// A caller's place at the table; free again when it is dropped.
struct Caller<'a> {
    replies: &'a Replies,
    number: u64,
    keys: Vec<String>,
    /// As many; none to a key that will not be answered.
    answers: Vec<Option<Receiver<Reply>>>,
    stage: Stage,
}

impl Caller<'_> {
    /// What became of his messages is known.
    fn settle(&mut self, is_new: &[bool]) {
        self.stage = Stage::Waits;
        let mut gone = Vec::new();
        let mut table = self.replies.lock();
        for ((key, answer), is_new) in self.keys.iter().zip(&mut self.answers).zip(is_new) {
            let Some(waiting) = table.waiting.get(key) else { continue };
            // Who is not there any more has his answer.
            let is_there = waiting.iter().any(|(number, _)| *number == self.number);
            let is_open = *is_new || waiting.len() > 1 || table.open.has(key);
            if is_there && !is_open {
                gone.push((table.leave(key, self.number), answer.take()));
            }
        }
        drop(table);
        drop(gone);
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        let now = rt::now();
        let mut table = self.replies.lock();
        table.callers -= 1;
        let mut gone = Vec::new();
        for (key, answer) in self.keys.iter().zip(&self.answers) {
            if answer.is_none() {
                continue;
            }
            let left = table.leave(key, self.number);
            if left.is_some() && self.stage != Stage::Over && !table.open.has(key) {
                table.open.add(key, now);
            }
            gone.push(left);
        }
        drop(table);
        drop(gone);
        if self.stage == Stage::Waits {
            Counts::add(&self.replies.counts.left, 1);
        }
    }
}

impl Table {
    /// Takes a caller from those who wait for a key; what comes back is dropped when nothing is locked.
    fn leave(&mut self, key: &str, number: u64) -> Option<Sender<Reply>> {
        let waiting = self.waiting.get_mut(key)?;
        let place = waiting.iter().position(|(it, _)| *it == number)?;
        let (_, tx) = waiting.swap_remove(place);
        if waiting.is_empty() {
            self.waiting.remove(key);
        }
        Some(tx)
    }
}

/// Takes answers to those who wait for them, until there are no more. While the process leaves it goes on if `leaving`: somebody may
/// still wait.
///
/// # Errors
/// Nobody receives what is refused.
///
/// # Cancel safety
/// Dropped before completion, no answer is lost, but one that is being refused.
pub(crate) async fn take_answers(
    answers: &mut Input,
    replies: &Replies,
    outputs: &Outputs,
    leaving: bool,
) -> Result<(), BoxError> {
    loop {
        let next = if leaving { answers.recv_leaving().await } else { answers.recv().await };
        let Some(message) = next else { return Ok(()) };
        if let Err((message, why)) = replies.take(message) {
            outputs.refuse(message, why).await?;
        }
    }
}

impl Replies {
    pub(super) fn take(&self, message: Message) -> Result<(), (Message, String)> {
        let key = match self.telling.key(&message) {
            Ok(key) => key,
            Err(why) => return Err((message, why)),
        };
        match self.telling.reply(&message) {
            Ok(reply) => {
                self.tell(&key, &reply);
                Ok(())
            }
            Err(why) => {
                let error = "there is an answer, and it cannot be told; the node's errors say why";
                self.tell(&key, &Reply { status: 500, body: json!({"error": error}) });
                Err((message, why))
            }
        }
    }
}
