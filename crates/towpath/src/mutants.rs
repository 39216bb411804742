//! Seeded mistakes, of which a run may turn one on: would the tests notice?
//!
//! Feature `mutants`, for the project's own tests; never turn it on. Without it nothing of this is left in the code.
//!
//! What always holds:
//! - At most one is on, from the first look to the end of the process: the one that `TOWPATH_MUTANT` names.
//! - The table below says of each what goes wrong and who must notice. `cargo xtask mutants` reads it here, runs them all,
//!   and fails when too many survive. A line is `name => sim,`: some case of `towpath-sim`'s test `mutants`; or
//!   `name => loom("part of a name"),`: some model of that name, for what only shows when threads really meet.
//!
//! Why a choice at run time and not a cfg for each: so the suite is compiled once.

/// `mutant!(name, sound, mistaken)`: the sound expression, unless this mutant is on.
#[cfg(not(feature = "mutants"))]
macro_rules! mutant {
    ($name:ident, $sound:expr, $mistaken:expr $(,)?) => {
        $sound
    };
}

#[cfg(feature = "mutants")]
macro_rules! mutant {
    ($name:ident, $sound:expr, $mistaken:expr $(,)?) => {
        if $crate::mutants::is($crate::mutants::Mutant::$name) { $mistaken } else { $sound }
    };
}

#[cfg(feature = "mutants")]
pub(crate) use chosen::{Mutant, is};

#[cfg(feature = "mutants")]
mod chosen {
    // Also in models: what is chosen is no part of what they explore.
    use std::{
        env,
        sync::atomic::{AtomicUsize, Ordering},
    };

    /// Says which one is on.
    const VARIABLE: &str = "TOWPATH_MUTANT";

    const NOT_READ: usize = usize::MAX;
    const NONE: usize = usize::MAX - 1;

    static CHOSEN: AtomicUsize = AtomicUsize::new(NOT_READ);

    /// Whether this one is on.
    #[inline]
    pub(crate) fn is(mutant: Mutant) -> bool {
        // Relaxed: everybody reads the same variable.
        let chosen = CHOSEN.load(Ordering::Relaxed);
        (if chosen == NOT_READ { choose() } else { chosen }) == mutant as usize
    }

    #[cold]
    fn choose() -> usize {
        let chosen = match env::var(VARIABLE) {
            Ok(name) => NAMES
                .iter()
                .position(|it| *it == name)
                .unwrap_or_else(|| panic!("{VARIABLE}: there is no mutant `{name}`")),
            Err(_) => NONE,
        };
        CHOSEN.store(chosen, Ordering::Relaxed);
        chosen
    }

    macro_rules! mutants {
        ($($(#[$what:meta])* $name:ident => $suite:ident $(($models:literal))?,)+) => {
            #[derive(Clone, Copy, Debug)]
            #[expect(non_camel_case_types, reason = "these names are typed at a prompt")]
            pub(crate) enum Mutant {
                $($(#[$what])* $name,)+
            }

            const NAMES: &[&str] = &[$(stringify!($name),)+];
        };
    }

    mutants! {
        // ---- waiting lines --------------------------------------------------------------------------------------------

        /// A message in a queue without a lock tells no receiver.
        gate_message_tells_nobody => sim,
        /// A place in a queue without a lock tells no sender.
        gate_place_tells_nobody => sim,
        /// Several places at once tell one sender.
        gate_batch_tells_one => sim,
        /// The flag of those who wait falls while somebody still does.
        gate_flag_lowered_early => sim,
        /// A waiter that was told and leaves tells nobody else.
        gate_leave_keeps_notice => sim,
        /// The end of one side tells only the first who waits on the other.
        gate_close_tells_one => sim,
        /// The end of the receivers tells no sender.
        gate_close_forgets_senders => sim,
        /// Who waits does not look once more after it has entered.
        gate_enter_looks_once => loom("ring_full"),
        /// The flag is raised without order against the look that follows.
        gate_enter_relaxed => loom("ring_full"),
        /// The flag is read without order against the change of the queue before.
        gate_notify_relaxed => loom("ring_full"),
        /// Who comes last is served first.
        line_last_in_first_out => sim,
        /// Who lost its turn to a newcomer stands at the end.
        line_comes_back_last => sim,
        /// Of several wakers that were collected the first is woken.
        wakes_only_the_first => sim,
        /// Who waits for one thing is told, and its task is not woken.
        core_wakes_nobody => sim,
        /// A select is told, and its task is not woken.
        select_woken_by_nobody => sim,
        /// A select that is told may not see that its waker has been taken.
        select_notified_relaxed => loom("waker_of_a_select"),
        /// A small lock does not publish what was done under it.
        lock_release_relaxed => loom("lock_excludes"),

        // ---- selects ---------------------------------------------------------------------------------------------------

        /// A try that found nothing leaves the select closed to all who could win it.
        claim_not_rolled_back => sim,
        /// A select that has been won is won once more.
        claim_wins_twice => sim,
        /// The arms that lost stay in their lines for as long as the select is there.
        select_loser_stays => sim,

        // ---- queues ----------------------------------------------------------------------------------------------------

        /// A ring takes one message more than it has places for.
        ring_holds_one_more => sim,
        /// A permit that is dropped keeps its place in the ring.
        ring_place_not_given_back => sim,
        /// A permit that is dropped tells nobody of its place.
        ring_gives_back_in_silence => sim,
        /// A message in a ring is seen before it is whole.
        ring_stamp_relaxed => loom("ring_hand_over"),
        /// A slot of a ring is free before its message has left.
        ring_free_relaxed => loom("ring_full"),
        /// A message in a list is seen before it is whole.
        list_stamp_relaxed => loom("list_hand_over"),
        /// A network that drains still takes messages.
        seal_lets_one_in => sim,
        /// Senders that wait for the receivers' end are not told.
        closed_tells_nobody => sim,
        /// The receivers' end and the first who waits for it miss each other.
        closed_without_fence => loom("closed_is_told"),
        /// The end of a channel and whoever ties something to it miss each other.
        tied_without_fence => loom("tied_or_given_back"),
        /// A sender that came too late for a place can be overtaken again and again.
        meet_late_again => sim,
        /// A meeting channel takes one message too many.
        meet_holds_one_more => sim,
        /// A permit or a turn that is not used keeps its place.
        meet_place_not_given_back => sim,
        /// Messages that cancelled receives give back are in the wrong order.
        meet_given_back_out_of_order => sim,
        /// A message that is given back does not go to the one who waits.
        meet_given_back_in_silence => sim,
        /// A receive that is dropped with a message in its hands loses it.
        meet_cancelled_receive_loses => sim,
        /// A send that is dropped does not pass its turn on.
        meet_keeps_its_turn => sim,
        /// A sender that was told of room and has come, or gone, still counts as coming.
        meet_guest_stays_counted => sim,
        /// Who looks at what was put into its hands does not let those in who wait to send.
        meet_look_lets_nobody_in => sim,
        /// The end of the receivers tells the first of the senders.
        meet_close_tells_one => sim,
        /// The end of the senders tells the first of the receivers.
        meet_end_tells_one => sim,
        /// Members of select sets are not told that there is something.
        meet_tells_no_set => sim,
        /// The wish of a `try_recv` is still there when it has been met.
        meet_demand_stays => sim,

        // ---- locks -----------------------------------------------------------------------------------------------------

        /// Whoever comes takes permits although others stand in line.
        turnstile_overtakes => sim,
        /// The last who leaves the line without a permit leaves its flag.
        turnstile_ghost_in_line => sim,
        /// Who leaves does not let those behind it pass.
        turnstile_leaves_in_silence => sim,
        /// A permit is handed to the first in line, who never learns of it.
        turnstile_hands_to_nobody => sim,
        /// Of all who are to be told the first is.
        turnstile_tells_one => sim,
        /// A semaphore that is closed does not tell those who wait.
        turnstile_closes_in_silence => sim,
        /// What was done under a permit is not seen by the next who has it.
        turnstile_give_relaxed => loom("locks_mutex_excludes"),
        /// A wait that is dropped keeps the permits it had been given.
        turn_keeps_what_it_was_given => sim,
        /// A barrier opens before the last has come.
        barrier_opens_early => sim,
        /// A notice that nobody waits for is lost.
        notice_not_kept => sim,
        /// A notice to all does not reach those who are about to wait.
        notify_waiters_uncounted => sim,
        /// A semaphore has one permit more than it was made with.
        semaphore_one_more => sim,
        /// Of the permits of one holder half are not given back.
        semaphore_gives_back_less => sim,

        // ---- contexts, scopes, time -------------------------------------------------------------------------------------

        /// The end of a context ends its children, and not theirs.
        ctx_skips_grandchildren => sim,
        /// The end of a context tells the first who waits for it.
        ctx_tells_one => sim,
        /// A child of a context that has ended goes on.
        ctx_born_after_the_end => sim,
        /// A child's deadline may be later than its parent's.
        ctx_outlives_its_parent => sim,
        /// What came before the end of a context is not seen by those who see the end.
        ctx_ended_relaxed => loom("ctx_order_5"),
        /// What one turn of a process did is not seen by the next.
        slot_turn_relaxed => loom("slot_"),
        /// A scope is not told that its last process has ended.
        scope_end_wakes_nobody => sim,
        /// A scope ends while one process still lives.
        scope_leaves_one_behind => sim,
        /// A scope that is dropped stops all but its first process.
        scope_stops_all_but_one => sim,
        /// A join is not told that its value is there.
        join_woken_by_nobody => sim,
        /// A timer that is polled once more takes that for its time.
        timer_rings_with_others => sim,
        /// A timer never rings.
        timer_never_rings => sim,
    }
}
