//! What is said to the dispatcher, and what it says: requests, reports of drivers, and every decision with its reason.

use std::{
    error, fmt,
    time::{Duration, Instant},
};

use super::{BadPolicy, Point, Policy};

/// The number of one offer of a driver to a rider. Each is larger than all before it, also those of a dispatcher that ran before.
pub type Lease = u64;

/// What the dispatcher reacts to.
#[derive(Clone, Debug)]
pub enum Input<R, D> {
    /// A rider wants to be picked up.
    Request {
        /// By which everything is said about it.
        rider: R,
        /// Where.
        pickup: Point,
        /// When; the deadline counts from there.
        arrived: Instant,
    },
    /// A rider does not want it any more, waiting or matched.
    Cancel(R),
    /// A driver says something.
    Report(Report<D>),
    /// Other rules from here on.
    Policy(Policy),
}

/// A driver says where and how he is. Reports may be late, doubled, or overtake each other.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Report<D> {
    /// Who.
    pub driver: D,
    /// Counted up by the driver with each report. It must go on over a restart of his device: begin with the time of day.
    pub number: u64,
    /// The latest lease that he has seen when he said this; 0 if none.
    pub seen: Lease,
    /// Where he is.
    pub at: Point,
    /// How he is.
    pub says: Says,
}

/// How a driver is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Says {
    /// He can take a rider. It ends a ride that he has [seen](Report::seen).
    Free,
    /// He cannot. To be said from the acceptance of an offer on, until the ride is over.
    Busy,
    /// He goes home.
    Gone,
    /// He takes the offer that he has seen last, and will drive when he hears that it is a match.
    Accept,
    /// He does not take that offer; or, matched already, gives the ride up.
    Refuse,
}

/// How a driver was found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// Near the rider, within the window.
    Near,
    /// In the wider circle, after it.
    Wide,
    /// He became free, or came into reach, while the rider stood in the backup queue.
    Backup,
}

/// A driver for a rider.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Offer<R, D> {
    /// For whom.
    pub rider: R,
    /// Who.
    pub driver: D,
    /// Its number.
    pub lease: Lease,
    /// How he was found.
    pub stage: Stage,
    /// How far away he was when it was made, in metres.
    pub distance_m: f64,
    /// How long the rider had waited when it was made.
    pub waited: Duration,
}

/// A decision and its reason. It says to riders and drivers what concerns them.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event<R, D> {
    /// A driver is asked; until he has answered, or the lease has ended, nobody else gets him.
    Offered(Offer<R, D>),
    /// A driver has a rider; the rider's request ends with it.
    Matched(Offer<R, D>),
    /// An offer has ended without a match. The rider goes on waiting, and is not offered this driver again.
    Passed {
        /// Who waits on.
        rider: R,
        /// Who does not come.
        driver: D,
        /// Which offer.
        lease: Lease,
        /// Why.
        why: Passed,
    },
    /// An offer ends since the rider's request has; why is said there. For the driver, who is free for another.
    Withdrawn {
        /// Who is not asked any more.
        driver: D,
        /// Which offer.
        lease: Lease,
    },
    /// A driver has accepted an offer that had ended. For the driver, who must not drive.
    TooLate {
        /// Who.
        driver: D,
        /// Which offer.
        lease: Lease,
    },
    /// Nobody was found in the wider circle: the rider stands in the backup queue, and somebody else might help.
    Backup {
        /// Who.
        rider: R,
        /// Since the arrival of the request.
        waited: Duration,
    },
    /// A request ends without a match.
    Ended {
        /// Whose.
        rider: R,
        /// Since its arrival.
        waited: Duration,
        /// Why.
        why: Ended,
    },
    /// A match ends before the ride did, by the driver. For the rider, who may ask again, and for the driver, who may have said that he goes
    /// home before he heard of the match.
    Lost {
        /// Who has no driver any more.
        rider: R,
        /// Who does not come.
        driver: D,
        /// Which match.
        lease: Lease,
        /// Why.
        why: Passed,
    },
    /// A match ends by the rider. For the driver, who says when he is free.
    RideCancelled {
        /// Who does not want to be picked up.
        rider: R,
        /// Who need not come.
        driver: D,
        /// Which match.
        lease: Lease,
    },
    /// Other rules are in force, counted from 1; those of the start are number 0.
    PolicyInForce(u64),
    /// Rules that cannot be followed were given; those before stay in force.
    PolicyRefused(BadPolicy),
}

/// Why a driver did not take a rider.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Passed {
    /// He said no.
    Refused,
    /// He did not answer within the lease. Nobody is offered him until he says something.
    Silent,
    /// He has become busy otherwise.
    Busy,
    /// He went home.
    Gone,
}

/// Why a request ended without a match.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Ended {
    /// No driver was found in time.
    Late,
    /// The rider has cancelled.
    Cancelled,
    /// The pickup is outside of the geofence, as it is now.
    OutsideGeofence,
    /// As many riders wait as may.
    Full,
    /// This rider waits already, or is matched. The other request goes on.
    Duplicate,
    /// The dispatcher stops.
    Stopped,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the driver has refused",
            Self::Silent => "the driver did not answer within the lease",
            Self::Busy => "the driver is busy",
            Self::Gone => "the driver has gone home",
        })
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late => "no driver was found by the deadline; ask again, or elsewhere",
            Self::Cancelled => "cancelled by the rider",
            Self::OutsideGeofence => {
                "the pickup is outside of the geofence; ask whoever serves that area"
            }
            Self::Full => "too many riders wait; ask again in a moment",
            Self::Duplicate => "this rider waits or rides already; cancel that first",
            Self::Stopped => "the dispatcher has stopped; ask another one",
        })
    }
}

impl error::Error for Ended {}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Near => "near",
            Self::Wide => "wide",
            Self::Backup => "backup",
        })
    }
}
