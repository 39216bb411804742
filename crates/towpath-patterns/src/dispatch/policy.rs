//! By what rules riders get drivers. A value, replaced as a whole while the dispatcher runs.

use std::{error, fmt, time::Duration};

use super::Geofence;

/// The rules. Start from the default and change what is different:
///
/// ```
/// use towpath_patterns::dispatch::Policy;
///
/// let policy = Policy { wide_m: 3000.0, ..Policy::default() };
/// assert!(policy.check().is_ok());
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Policy {
    /// How long only drivers who are near are looked for. 300 ms unless said otherwise.
    pub window: Duration,
    /// How far away in metres a near driver is at most. 1,000 unless said otherwise: three minutes in a city.
    pub near_m: f64,
    /// How far away in metres a driver is at most, after the window. 5,000 unless said otherwise.
    pub wide_m: f64,
    /// Where riders are picked up and drivers are taken from. Everywhere unless said otherwise.
    pub geofence: Geofence,
    /// When a rider is told at the latest, from the arrival of the request. 1.2 s unless said otherwise.
    pub deadline: Duration,
    /// How long before the deadline the search is given up, so that the answer is there in time though a timer rings late. 25 ms
    /// unless said otherwise.
    pub margin: Duration,
    /// How long a driver may take to answer an offer; meanwhile nobody else gets him. `None`: drivers are not asked, and a match is made at
    /// once. 250 ms unless said otherwise, so that four drivers can be asked before the deadline.
    pub lease: Option<Duration>,
    /// How long requests are gathered before they are matched together, by the least distance in all. Zero unless said otherwise: each
    /// is matched when it comes. The [module](super) says when gathering pays.
    pub gather: Duration,
    /// Riders who may be waiting at a time. 8,192 unless said otherwise: those of a second at the rate that one dispatcher is measured for.
    pub waiting_max: usize,
    /// Drivers who may be known at a time. 100,000 unless said otherwise, which takes about 20 MB.
    pub drivers_max: usize,
    /// How long a driver who says nothing is still offered. 30 s unless said otherwise.
    pub silence: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            window: Duration::from_millis(300),
            near_m: 1000.0,
            wide_m: 5000.0,
            geofence: Geofence::everywhere(),
            deadline: Duration::from_millis(1200),
            margin: Duration::from_millis(25),
            lease: Some(Duration::from_millis(250)),
            gather: Duration::ZERO,
            waiting_max: 8192,
            drivers_max: 100_000,
            silence: Duration::from_secs(30),
        }
    }
}

/// What is wrong with a policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BadPolicy {
    /// A radius is negative, infinite or no number, or the near one is the larger.
    Radius,
    /// The window, or the time to gather, is longer than what the deadline leaves without its margin.
    Window,
    /// Drivers would have no time to answer, or would never be known to be there.
    Lease,
    /// Nobody may wait, or no driver be known.
    Capacity,
}

impl fmt::Display for BadPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Radius => "the radii are wrong; give metres with 0 <= near_m <= wide_m",
            Self::Window => {
                "no time is left after the window; make gather + window + margin shorter than the deadline"
            }
            Self::Lease => {
                "a lease and the silence must be longer than zero; for drivers who are not asked say `lease: None`"
            }
            Self::Capacity => "waiting_max and drivers_max must be at least 1, and below 2^32",
        })
    }
}

impl error::Error for BadPolicy {}

impl Policy {
    /// Whether it can be followed.
    ///
    /// # Errors
    /// [`BadPolicy`].
    pub fn check(&self) -> Result<(), BadPolicy> {
        let are_radii = self.near_m >= 0.0 && self.near_m <= self.wide_m && self.wide_m.is_finite();
        let is_room = |count: usize| (1..u32::MAX as usize).contains(&count);
        if !are_radii {
            Err(BadPolicy::Radius)
        } else if self.gather.saturating_add(self.window).saturating_add(self.margin)
            >= self.deadline
        {
            Err(BadPolicy::Window)
        } else if self.lease.is_some_and(|lease| lease.is_zero()) || self.silence.is_zero() {
            Err(BadPolicy::Lease)
        } else if !is_room(self.waiting_max) || !is_room(self.drivers_max) {
            Err(BadPolicy::Capacity)
        } else {
            Ok(())
        }
    }

    /// How high a cell of the grid is.
    pub(super) fn cell_m(&self) -> f64 {
        /// Below this, lists of one driver each are only more to look at.
        const CELL_M_MIN: f64 = 50.0;
        (self.near_m / 4.0).max(CELL_M_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let default = Policy::default;
        let wrong = [
            (BadPolicy::Radius, Policy { near_m: 6000.0, ..default() }),
            (BadPolicy::Radius, Policy { near_m: f64::NAN, ..default() }),
            (BadPolicy::Radius, Policy { wide_m: f64::INFINITY, ..default() }),
            (BadPolicy::Radius, Policy { near_m: -1.0, ..default() }),
            (BadPolicy::Window, Policy { window: Duration::from_millis(1180), ..default() }),
            (BadPolicy::Window, Policy { gather: Duration::MAX, ..default() }),
            (BadPolicy::Lease, Policy { lease: Some(Duration::ZERO), ..default() }),
            (BadPolicy::Capacity, Policy { waiting_max: 0, ..default() }),
        ];
        for (why, policy) in wrong {
            assert_eq!(policy.check(), Err(why), "{policy:?}");
        }
        assert_eq!(default().check(), Ok(()));
        assert_eq!(Policy { lease: None, near_m: 0.0, ..default() }.check(), Ok(()));
    }
}
