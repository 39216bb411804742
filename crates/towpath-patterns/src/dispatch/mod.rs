//! Dispatch: riders get the nearest free driver, by rules that change while it runs, and every rider has an answer by a deadline.
//!
//! ```text
//!   riders ──request, cancel──▶ ┌──────────┐ ──offer, match, withdrawal──▶ drivers
//!   drivers ──where, how──────▶ │ dispatch │ ──match, refusal, late──────▶ riders
//!   operators ──policy────────▶ └──────────┘
//! ```
//!
//! One process decides, in one `select!` over requests, reports of drivers, policies and timers. [`Dispatch`] is the way to it; every
//! decision comes out as an [`Event`] with its reason. [`Decider`] is the same without the process: a value without I/O.
//!
//! ```
//! use towpath::{Ctx, bounded, scope};
//! use towpath_patterns::dispatch::{Dispatch, Event, Point, Policy, Report, Says, Stage};
//!
//! /// Decisions that whoever tells riders and drivers may be behind.
//! const EVENTS: usize = 64;
//!
//! # towpath::block_on(async {
//! scope(&Ctx::root(), |s| async move {
//!     let (out, mut events) = bounded(EVENTS);
//!     let dispatch = Dispatch::start(&s, "dispatch", Policy::default(), out)?;
//!     let ada = |number, seen, says| -> Result<_, towpath::BoxError> {
//!         Ok(Report { driver: "Ada", number, seen, at: Point::new(40.7484, -73.9857)?, says })
//!     };
//!     dispatch.report(ada(1, 0, Says::Free)?).await?;
//!     dispatch.request("Bob", Point::new(40.7505, -73.9934)?).await?;
//!
//!     let Some(Event::Offered(offer)) = events.recv().await else { panic!("Ada is near") };
//!     dispatch.report(ada(2, offer.lease, Says::Accept)?).await?;
//!     let Some(Event::Matched(matched)) = events.recv().await else { panic!("she takes him") };
//!     assert_eq!((matched.rider, matched.driver, matched.stage), ("Bob", "Ada", Stage::Near));
//!     assert_eq!(matched.distance_m.round(), 689.0);
//!     Ok(())
//! })
//! .await
//! # }).unwrap();
//! ```
//!
//! # The way of a request
//!
//! | since arrival | who is looked for | if nobody |
//! |---|---|---|
//! | at once | the nearest free driver within `near_m` | waits; the first who becomes free or comes so near gets it |
//! | `window`, 300 ms | the nearest within `wide_m`, 5 km | stands in the backup queue, first come, first served |
//! | `deadline`, 1.2 s | | the rider is told that it is late, a `margin` before |
//!
//! Riders are picked up, and drivers taken, inside the geofence only. A driver who becomes free goes to the nearest rider within
//! `near_m`, and only if there is none to the first of the backup queue within `wide_m`.
//!
//! # What is promised
//! - *Every request ends once*: by [`Matched`](Event::Matched) or by [`Ended`](Event::Ended), by its deadline. What may delay that is a
//!   machine that does not let the process run for longer than the margin; such an answer is counted as
//!   [missed](Counters::missed). After its deadline nobody is matched.
//! - *No driver has two riders*, whatever comes late, twice, or out of order. See below.
//! - *Policies* are in force when [`PolicyInForce`](Event::PolicyInForce) is told. Riders who wait are looked at again by the new
//!   rules, but for their deadline, which they were promised when they came.
//! - *Order*: decisions are told in the order in which they are made.
//!
//! Not promised: the best match for riders who come later. And nothing survives the process: whoever starts it again has an empty
//! one, to which drivers report.
//!
//! # Drivers
//! A driver who is chosen is *asked*: an [`Offer`](Event::Offered) holds him for a lease, and he answers with its number. Only
//! [`Matched`](Event::Matched) is a match, and a driver must not start before it: who accepts late is told
//! [`TooLate`](Event::TooLate). The lease, 250 ms, is meant for the driver's device, which says that it is there and that its
//! driver is still free; a driver who thinks about it may refuse later. Without a lease in the policy a match is made without asking.
//!
//! Each report has a *number* that the driver counts up, and the last lease that he has *seen*. What is not above the last number is old
//! news. And a report that says `Free` ends a match only if it was made by somebody who knew of it: else the report that was under way
//! while he was matched would free him for a second rider. So an offer is a lease (Gray and Cheriton, *Leases*, SOSP 1989) and its
//! number a fencing token: it grows, over restarts too, since the first is the time of day.
//!
//! A driver who does not answer is asked by nobody until he says something, so that a telephone without a network costs one rider one
//! lease. Who refuses, or lets a lease pass, is not asked again for the same rider.
//!
//! # Why it matches at once
//! Two ways are usual. To match each request when it comes is the *greedy* one. In theory it is bad, exponentially in the
//! worst case (Kalyanasundaram and Pruhs, *Online weighted matching*, J. Algorithms 14, 1993), and in practice it is good: on real
//! taxi data it is near the optimum and better than the algorithms with a guarantee (Tong et al., *Online minimum matching in
//! real-time spatial data*, PVLDB 9(12), 2016). Dispatchers of large fleets *gather* requests and match them together by the least
//! total distance: for two seconds in Xu et al. (*Large-scale order dispatch in on-demand ride-hailing platforms*, KDD 2018), for ten
//! seconds and more where riders share a car (Alonso-Mora et al., PNAS 114(3), 2017). What that gains grows with how many requests
//! and drivers there are to choose from within the time.
//!
//! In 300 ms there are few, and a rider with a driver around the corner need not wait for them. So the window is the time in which *only a near
//! driver will do*, and nobody who has one waits for its end. A limit on the first circle is what keeps a busy
//! hour from sending drivers across town for every rider (the wild goose chase of Castillo, Knoepfle and Weyl, *Surge pricing solves
//! the wild goose chase*, EC 2017); it is also why a driver goes to a near rider before an older one who is far.
//!
//! Who has a thousand requests a second in one city sets [`gather`](Policy::gather): requests are then collected for so long, and matched
//! together with the least total distance (exactly up to 48 at a time, by the nearest pair first beyond). `towpath-bench dispatch`
//! measures both.
//!
//! # Capacity
//! All queues are bounded. Who asks faster than is decided waits in [`request`](Dispatch::request), the time counting, or is refused by
//! [`try_request`](Dispatch::try_request). Whoever takes the events must not wait for room in these queues without a limit: when 4,096
//! decisions are not taken, riders and drivers wait.

mod assign;
mod counters;
mod decide;
mod event;
mod geo;
mod grid;
mod policy;
pub mod replay;
#[cfg(feature = "csv")]
pub mod rides;
mod run;
mod state;

use std::{error, fmt, hash::Hash, sync::Arc, time::Instant, time::SystemTime};

use towpath::{Scope, Sender, TrySendError, bounded, rt};

pub use counters::Counters;
pub use decide::Decider;
pub use event::{Ended, Event, Input, Lease, Offer, Passed, Report, Says, Stage};
pub use geo::{BadGeofence, Geofence, NoPlace, Point};
pub use grid::{Found, Grid};
pub use policy::{BadPolicy, Policy};

use crate::limit::Limit;
use run::{Board, Inbox};

/// Requests and cancellations that may wait for the process: a fifth of a second at 5,000 a second, of which each has 1.2.
const RIDER_CAPACITY: usize = 1024;

/// Reports that may wait for the process: those of a fifth of 20,000 drivers.
const DRIVER_CAPACITY: usize = 4096;

/// Policies that may wait: operators are slow.
const POLICY_CAPACITY: usize = 4;

/// The way to the dispatcher. Clones lead to the same one. When the last is gone, what was said is still handled; then who waits is told
/// [`Ended::Stopped`], and the process ends. It ends so too when its scope's context does.
pub struct Dispatch<R, D> {
    riders: Sender<Input<R, D>>,
    drivers: Sender<Report<D>>,
    policies: Sender<Policy>,
    board: Arc<Board>,
}

/// Why the dispatcher was not told something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// There was no room in the queue, and the caller did not want to wait.
    Full,
    /// The rules cannot be followed; those before stay in force.
    Policy(BadPolicy),
    /// The dispatcher's process has ended.
    Gone,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => {
                f.write_str("the dispatcher is behind; try again in a moment, or refuse the rider")
            }
            Self::Policy(_) => f.write_str("the policy was not changed; correct it and try again"),
            Self::Gone => {
                f.write_str("the dispatcher's process has ended; look for why its scope did")
            }
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Policy(why) => Some(why),
            Self::Full | Self::Gone => None,
        }
    }
}

impl<T> From<TrySendError<T>> for Error {
    fn from(error: TrySendError<T>) -> Self {
        match error {
            TrySendError::Full(_) => Self::Full,
            TrySendError::Closed(_) => Self::Gone,
        }
    }
}

impl<R, D> Dispatch<R, D>
where
    R: Clone + Eq + Hash + Send + 'static,
    D: Clone + Eq + Hash + Send + 'static,
{
    /// Starts the process in a scope. Decisions go to `out`; when its receiver is gone, the process ends.
    ///
    /// # Errors
    /// [`BadPolicy`].
    pub fn start(
        scope: &Scope,
        name: &'static str,
        policy: Policy,
        out: Sender<Event<R, D>>,
    ) -> Result<Self, BadPolicy> {
        let micros =
            rt::wall().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |it| it.as_micros());
        let decider = Decider::new(policy, micros as Lease)?;
        let (riders, riders_rx) = bounded(RIDER_CAPACITY);
        let (drivers, drivers_rx) = bounded(DRIVER_CAPACITY);
        let (policies, policies_rx) = bounded(POLICY_CAPACITY);
        let board = Arc::new(Board::new(Counters::default().to_array()));
        let inbox = Inbox {
            riders: Some(riders_rx),
            drivers: Some(drivers_rx),
            policies: Some(policies_rx),
        };
        let shown = board.clone();
        scope.spawn(name, move |ctx| run::keep(ctx, inbox, decider, out, shown));
        Ok(Self { riders: riders.named(name), drivers, policies, board })
    }

    /// A rider wants to be picked up. The time until the deadline begins now, not when there is room.
    ///
    /// # Errors
    /// [`Error::Gone`].
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    pub async fn request(&self, rider: R, pickup: Point) -> Result<(), Error> {
        self.request_since(rider, pickup, rt::now()).await
    }

    /// As [`request`](Self::request), of one that arrived somewhere before.
    ///
    /// # Errors
    /// [`Error::Gone`].
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    pub async fn request_since(
        &self,
        rider: R,
        pickup: Point,
        arrived: Instant,
    ) -> Result<(), Error> {
        let request = Input::Request { rider, pickup, arrived };
        self.riders.send(request).await.map_err(|_| Error::Gone)
    }

    /// As [`request`](Self::request), without waiting.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Gone`].
    pub fn try_request(&self, rider: R, pickup: Point) -> Result<(), Error> {
        Ok(self.riders.try_send(Input::Request { rider, pickup, arrived: rt::now() })?)
    }

    /// A rider does not want to be picked up any more: waiting, asked for, or matched. Of a rider whom nobody knows it changes nothing.
    ///
    /// # Errors
    /// [`Error::Gone`].
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    pub async fn cancel(&self, rider: R) -> Result<(), Error> {
        self.riders.send(Input::Cancel(rider)).await.map_err(|_| Error::Gone)
    }

    /// A driver says something.
    ///
    /// # Errors
    /// [`Error::Gone`].
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    pub async fn report(&self, report: Report<D>) -> Result<(), Error> {
        self.drivers.send(report).await.map_err(|_| Error::Gone)
    }

    /// As [`report`](Self::report), without waiting. A position may be left out when there is no room; an answer should not.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Gone`].
    pub fn try_report(&self, report: Report<D>) -> Result<(), Error> {
        Ok(self.drivers.try_send(report)?)
    }

    /// Changes the rules. When it has returned they are on their way; [`Event::PolicyInForce`] says when they are in force.
    ///
    /// # Errors
    /// [`Error::Policy`], [`Error::Gone`].
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    pub async fn change(&self, policy: Policy) -> Result<(), Error> {
        policy.check().map_err(Error::Policy)?;
        self.policies.send(policy).await.map_err(|_| Error::Gone)
    }

    /// What was done so far, all numbers of one moment. It disturbs nobody.
    pub fn counters(&self) -> Counters {
        Counters::of_array(self.board.get())
    }
}

impl<R, D> Clone for Dispatch<R, D> {
    fn clone(&self) -> Self {
        let Self { riders, drivers, policies, board } = self;
        let (riders, drivers) = (riders.clone(), drivers.clone());
        Self { riders, drivers, policies: policies.clone(), board: board.clone() }
    }
}

impl<R, D> fmt::Debug for Dispatch<R, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch")
            .field("requests", &self.riders.len())
            .field("reports", &self.drivers.len())
            .finish_non_exhaustive()
    }
}
