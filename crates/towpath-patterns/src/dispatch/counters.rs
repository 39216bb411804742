//! What the dispatcher has done so far, in numbers.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// What a dispatcher has done since its start, and how it stands.
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Counters {
            /// How many there are.
            pub(super) const COUNT: usize = [$(stringify!($name)),+].len();

            /// All of them with their names, in a fixed order: for whoever exports metrics.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),+].into_iter()
            }

            pub(super) fn to_array(self) -> [u64; Self::COUNT] {
                [$(self.$name),+]
            }

            pub(super) fn of_array([$($name),+]: [u64; Self::COUNT]) -> Self {
                Self { $($name),+ }
            }
        }
    };
}

counters! {
    /// Requests that came.
    requests,
    /// Offers that were made.
    offers,
    /// Matches with a driver who was near.
    matched_near,
    /// Matches with one from the wider circle.
    matched_wide,
    /// Matches out of the backup queue.
    matched_backup,
    /// Riders who came into the backup queue.
    backup,
    /// Requests that ended without a driver by the deadline.
    late,
    /// Requests and rides that were cancelled.
    cancelled,
    /// Requests outside of the geofence.
    outside,
    /// Requests that were too many.
    full,
    /// Requests of riders who had one.
    duplicate,
    /// Requests that the end of the dispatcher has ended.
    stopped,
    /// Cancellations of requests that nobody knows, or not any more.
    unknown,
    /// Offers that drivers refused.
    passed_refused,
    /// Offers that drivers did not answer.
    passed_silent,
    /// Offers to drivers who became busy.
    passed_busy,
    /// Offers to drivers who went home.
    passed_gone,
    /// Offers that ended with the rider's request.
    withdrawn,
    /// Acceptances that came after the offer had ended.
    too_late,
    /// Matches that drivers gave up.
    lost,
    /// Reports of drivers.
    reports,
    /// Those that were overtaken or doubled, and changed nothing.
    reports_old,
    /// Those of drivers who were too many.
    reports_full,
    /// Changes of policy.
    policies,
    /// Requests that were answered after their deadline. It stays 0 while the dispatcher has a core.
    missed,
    /// The longest that an answer was after its deadline, in microseconds.
    missed_us_max,
    /// Riders who wait, now.
    waiting,
    /// Drivers who are known, now.
    drivers,
    /// Those who could be given to a rider, now.
    drivers_free,
}
