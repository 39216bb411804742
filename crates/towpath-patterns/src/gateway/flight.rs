//! Single flight: who asks what is already being asked waits for that answer.
//!
//! What always holds:
//! - Of a key there is at most one call in the gateway that newcomers join.
//! - Whoever joined is told once: a clone of the answer, or why there is none.
//! - The call belongs to nobody: it goes on as long as anybody waits for it, whoever began it, and is given up with the last.
//!
//! What Go's `singleflight` taught: a leader's context that ends there ends the call of all who follow, so here the call has a context
//! of its own; a panic is told to those who wait, and the next one tries again; an answer that is older than a write can be
//! [forgotten](SingleFlight::forget).

use std::{
    collections::BTreeMap,
    fmt,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use indexmap::IndexMap;
use towpath::{Canceller, Ctx, Sender, bounded, select};

use super::{
    Gateway, Refused,
    call::{Answer, Call, Land, Reply},
    desk::{Admitted, Desk},
    line::Place,
    snapshot::Counts,
};

/// Callers that may wait for one answer, unless it is said: more than any burst, and some megabytes.
const FOLLOWERS_MAX: usize = 10_000;

/// A caller is told once.
const REPLY_CAPACITY: usize = 1;

/// Makes calls of a [`Gateway`], one at a time for each key. Clones share the keys.
///
/// ```
/// use towpath::{Ctx, scope};
/// use towpath_patterns::gateway::{Call, Gateway, Options, SingleFlight};
///
/// # towpath::block_on(async {
/// scope(&Ctx::root(), |s| async move {
///     let pages = Gateway::start(&s, "pages", Options::new(4), async |call: Call<&str, String>| {
///         let page = format!("the page {}", call.request());
///         call.answer(page);
///     });
///     let shared = SingleFlight::new(pages);
///     let page = shared.call(s.ctx(), "index", || "index").await?;
///     assert_eq!(page, "the page index");
///     Ok(())
/// })
/// .await
/// # }).unwrap();
/// ```
///
/// A handler that calls with the key it is called with waits for itself, until a deadline.
pub struct SingleFlight<K, Req, Resp> {
    gateway: Gateway<Req, Resp>,
    shared: Arc<Shared<K, Req, Resp>>,
}

struct Shared<K, Req, Resp> {
    flights: Mutex<Flights<K, Resp>>,
    desk: Arc<Desk<Req, Resp>>,
    joined: AtomicU64,
}

type Waiter<Resp> = Sender<Answer<Resp>>;

/// Calls under way, as a value.
struct Flights<K, Resp> {
    by_key: IndexMap<K, Flight<Resp>>,
    /// Flights that were forgotten, and are still waited for, by number.
    forgotten: BTreeMap<u64, Flight<Resp>>,
    next: u64,
    followers_max: usize,
}

struct Flight<Resp> {
    number: u64,
    waiters: BTreeMap<u64, Waiter<Resp>>,
    canceller: Canceller,
    /// Where it waits in the gateway.
    place: Option<Place>,
}

/// What a caller has to do.
enum Part {
    /// Make the call, with this context.
    Lead(Ctx),
    /// Nothing.
    Follow,
}

/// A caller's place in a flight.
#[derive(Clone, Copy)]
struct Seat {
    flight: u64,
    waiter: u64,
}

impl<K: Eq + Hash + Clone, Resp> Flights<K, Resp> {
    /// Joins the flight of a key, or begins one. `None`: there is no room.
    fn join(
        &mut self,
        key: &K,
        waiter: Waiter<Resp>,
        begin: impl FnOnce() -> Canceller,
    ) -> Option<(Part, Seat)> {
        let number = self.next;
        self.next += 1;
        if let Some(flight) = self.by_key.get_mut(key) {
            if flight.waiters.len() > self.followers_max {
                return None;
            }
            flight.waiters.insert(number, waiter);
            return Some((Part::Follow, Seat { flight: flight.number, waiter: number }));
        }
        let waiters = BTreeMap::from([(number, waiter)]);
        let canceller = begin();
        let ctx = canceller.ctx().clone();
        self.by_key.insert(key.clone(), Flight { number, waiters, canceller, place: None });
        Some((Part::Lead(ctx), Seat { flight: number, waiter: number }))
    }

    /// A caller leaves. The flight, if that was the last one in it.
    fn leave(&mut self, key: &K, seat: Seat) -> (Option<Waiter<Resp>>, Option<Flight<Resp>>) {
        let Some(flight) = self.find(key, seat.flight) else { return (None, None) };
        let waiter = flight.waiters.remove(&seat.waiter);
        let empty = waiter.is_some() && flight.waiters.is_empty();
        (waiter, if empty { self.take(key, seat.flight) } else { None })
    }

    fn find(&mut self, key: &K, number: u64) -> Option<&mut Flight<Resp>> {
        match self.by_key.get_mut(key) {
            Some(flight) if flight.number == number => Some(flight),
            _ => self.forgotten.get_mut(&number),
        }
    }

    fn take(&mut self, key: &K, number: u64) -> Option<Flight<Resp>> {
        match self.by_key.get(key) {
            Some(flight) if flight.number == number => self.by_key.swap_remove(key),
            _ => self.forgotten.remove(&number),
        }
    }

    fn forget(&mut self, key: &K) -> bool {
        let Some(flight) = self.by_key.swap_remove(key) else { return false };
        self.forgotten.insert(flight.number, flight);
        true
    }
}

impl<K, Req, Resp> SingleFlight<K, Req, Resp>
where
    K: Eq + Hash + Clone + Send + 'static,
    Req: Send + 'static,
    Resp: Clone + Send + 'static,
{
    /// On top of a gateway.
    pub fn new(gateway: Gateway<Req, Resp>) -> Self {
        Self::with_followers(gateway, FOLLOWERS_MAX)
    }

    /// With another number of callers that may wait for one answer, besides the one who began.
    pub fn with_followers(gateway: Gateway<Req, Resp>, followers_max: usize) -> Self {
        let flights =
            Flights { by_key: IndexMap::new(), forgotten: BTreeMap::new(), next: 0, followers_max };
        let shared = Shared {
            flights: Mutex::new(flights),
            desk: gateway.desk().clone(),
            joined: AtomicU64::new(0),
        };
        Self { gateway, shared: Arc::new(shared) }
    }

    /// Asks, or waits for the answer to who asks the same already. `request` is called if it is the one who asks.
    ///
    /// The call's context carries the headers of the one who began it, and nothing else of any caller: it ends when nobody waits for the
    /// answer any more. Each caller waits until its own context ends.
    ///
    /// # Errors
    /// [`Refused`], as [`Gateway::call`]: what the one call was refused for all are told; with too many who wait,
    /// [`Refused::Overloaded`].
    ///
    /// # Cancel safety
    /// Dropped before completion, the caller has left; the others have their answer.
    pub async fn call(
        &self,
        ctx: &Ctx,
        key: K,
        request: impl FnOnce() -> Req,
    ) -> Result<Resp, Refused> {
        let shared = &*self.shared;
        if ctx.is_done() {
            Counts::one(&shared.desk.counts.never_made);
            return Err(Refused::of(&ctx.cause()));
        }
        let (tx, mut rx) = bounded::<Answer<Resp>>(REPLY_CAPACITY);
        let of_call =
            || shared.desk.call_ctx(&Ctx::root().with_headers(ctx.headers())).with_cancel().1;
        let Some((part, seat)) = shared.lock().join(&key, tx, of_call) else {
            Counts::one(&shared.desk.counts.shed_full);
            return Err(Refused::Overloaded { retry_after: shared.desk.backlog() });
        };
        let mut waiting = Waiting { shared, key: &key, seat, waits: true };
        match part {
            Part::Follow => drop(shared.joined.fetch_add(1, Ordering::Relaxed)),
            Part::Lead(ctx) => self.lead(ctx, &key, seat.flight, request),
        }
        let answer = select! { biased;
            answer = rx.recv() => answer.unwrap_or_else(|| Err(shared.desk.unanswered(ctx))),
            cause = ctx.done() => {
                let why = Refused::of(&cause);
                waiting.leave(why);
                Err(why)
            }
        };
        waiting.waits = false;
        answer
    }

    /// Makes the call of a flight.
    fn lead(&self, ctx: Ctx, key: &K, number: u64, request: impl FnOnce() -> Req) {
        let shared = &self.shared;
        // Before `request` runs: should it panic, those who wait are told.
        let mut landing = Landing { shared: shared.clone(), key: key.clone(), number, made: false };
        let request = request();
        landing.made = true;
        let call = Call::new(request, Reply::Many { ctx, landing: Box::new(landing) });
        // Refused, all who wait have been told, the one who began among them.
        if let Ok(Admitted::Waits(place)) = shared.desk.admit(call)
            && let Some(flight) = shared.lock().find(key, number)
        {
            flight.place = Some(place);
        }
    }

    /// From now on who asks this is told no answer to what was asked before: for after a write. Those who wait have that answer all the
    /// same. False: nobody asks it.
    pub fn forget(&self, key: &K) -> bool {
        self.shared.lock().forget(key)
    }

    /// How often a caller joined a call that was under way.
    pub fn joined(&self) -> u64 {
        self.shared.joined.load(Ordering::Relaxed)
    }

    /// The gateway underneath.
    pub fn gateway(&self) -> &Gateway<Req, Resp> {
        &self.gateway
    }
}

impl<K, Req, Resp> Shared<K, Req, Resp> {
    fn lock(&self) -> MutexGuard<'_, Flights<K, Resp>> {
        // What runs under it of others is only the hash and the comparison of keys.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, Req, Resp> Clone for SingleFlight<K, Req, Resp> {
    fn clone(&self) -> Self {
        Self { gateway: self.gateway.clone(), shared: self.shared.clone() }
    }
}

impl<K, Req, Resp> fmt::Debug for SingleFlight<K, Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let under_way = self.shared.lock().by_key.len();
        f.debug_struct("SingleFlight").field("under_way", &under_way).finish_non_exhaustive()
    }
}

/// A caller that waits. Dropped while it does, it has left.
struct Waiting<'a, K: Eq + Hash + Clone, Req, Resp> {
    shared: &'a Shared<K, Req, Resp>,
    key: &'a K,
    seat: Seat,
    waits: bool,
}

impl<K: Eq + Hash + Clone, Req, Resp> Waiting<'_, K, Req, Resp> {
    fn leave(&mut self, why: Refused) {
        self.waits = false;
        let (_waiter, empty) = self.shared.lock().leave(self.key, self.seat);
        let Some(flight) = empty else { return };
        self.shared.desk.counts.ended::<()>(&Err(why));
        flight.canceller.cancel("everybody who waited has left");
        if let Some(place) = flight.place {
            self.shared.desk.leave(place);
        }
    }
}

impl<K: Eq + Hash + Clone, Req, Resp> Drop for Waiting<'_, K, Req, Resp> {
    fn drop(&mut self) {
        if self.waits {
            self.leave(Refused::Left);
        }
    }
}

/// Where the answer of a flight arrives.
struct Landing<K: Eq + Hash + Clone, Req, Resp: Clone> {
    shared: Arc<Shared<K, Req, Resp>>,
    key: K,
    number: u64,
    /// Whether there is a call, which a worker may drop.
    made: bool,
}

impl<K: Eq + Hash + Clone, Req, Resp: Clone> Landing<K, Req, Resp> {
    /// Tells all who wait. Nobody does: it was counted when the last one left. `None`: there is no answer.
    fn tell(&self, answer: Option<Answer<Resp>>, counts: bool) {
        let flight = self.shared.lock().take(&self.key, self.number);
        let Some(flight) = flight else { return };
        let desk = &self.shared.desk;
        let answer = answer.unwrap_or_else(|| Err(desk.unanswered(flight.canceller.ctx())));
        if counts {
            desk.counts.ended(&answer);
        }
        for waiter in flight.waiters.into_values() {
            // There is room for one, and this is the one; if it is leaving, it does not want it.
            drop(waiter.try_send(answer.clone()));
        }
    }
}

impl<K: Eq + Hash + Clone, Req, Resp: Clone> Land<Resp> for Landing<K, Req, Resp> {
    fn land(self: Box<Self>, answer: Answer<Resp>, admitted: bool) {
        self.tell(Some(answer), admitted);
    }
}

impl<K: Eq + Hash + Clone, Req, Resp: Clone> Drop for Landing<K, Req, Resp> {
    fn drop(&mut self) {
        // After an answer there is no such flight any more.
        self.tell(None, self.made);
    }
}
