/* The waiting lines beside a queue that works without a lock: no wake-up is lost.
 *
 * Abstracts: src/raw/gate.rs (`enter`, `notify`, `leave`, `lower_flag`, `close_senders`, `close_receivers`), and the loops
 *   of `send_step`, `recv_step` and `try_recv` in src/raw/chan.rs that use it: try, stand in line, look again, wait.
 * Leaves out: the queue itself (a counter here; slots and positions are `loom::ring_*` and `loom::list_*`), permits, `front`
 *   by arrival (who comes again stands first), selects (`let_go`; claim.pml), sets, `notify_many`. Memory is sequentially
 *   consistent, which is what gate.rs asks of flags and indices; whether it gets it is loom's question.
 * Standing in line, raising the flag and looking again are steps of their own, as are changing the queue and reading the
 *   flag: the argument of the file is about those four.
 *
 * Parameters: PRODUCERS and CONSUMERS; MESSAGES for each producer; CAPACITY; CANCELS: how many waits may be dropped;
 *   OPEN: a sender's end is kept and nothing closes, so no closing can cover up a lost wake-up; QUITS: receivers may
 *   go at any time they do not wait.
 *
 * Checked: in the end nobody waits to receive while there is a message, nor to send while there is room (`Monitor`);
 *   unless OPEN everybody ends (invalid end states), and an end is believed only when nothing is left; never more than
 *   CAPACITY inside; whoever waits beside a message is woken or the message goes (`ltl woken`).
 *
 * Runs, read by `cargo xtask spin`:
 *! quick safety PRODUCERS=2 CONSUMERS=1 MESSAGES=2 CAPACITY=1 CANCELS=1
 *! quick safety PRODUCERS=1 CONSUMERS=2 MESSAGES=3 CAPACITY=2 CANCELS=1
 *! quick safety PRODUCERS=2 CONSUMERS=1 MESSAGES=2 CAPACITY=1 CANCELS=1 OPEN
 *! quick safety PRODUCERS=1 CONSUMERS=2 MESSAGES=2 CAPACITY=2 CANCELS=1 OPEN QUITS
 *! quick safety PRODUCERS=2 CONSUMERS=2 MESSAGES=1 CAPACITY=1 CANCELS=1 QUITS
 *! quick ltl=woken PRODUCERS=1 CONSUMERS=2 MESSAGES=2 CAPACITY=1 CANCELS=1 OPEN
 *! nightly safety PRODUCERS=2 CONSUMERS=2 MESSAGES=2 CAPACITY=1 CANCELS=1 OPEN
 *! nightly safety PRODUCERS=2 CONSUMERS=2 MESSAGES=2 CAPACITY=2 CANCELS=1
 *! nightly safety PRODUCERS=1 CONSUMERS=3 MESSAGES=3 CAPACITY=2 CANCELS=2 OPEN
 *! nightly ltl=woken PRODUCERS=2 CONSUMERS=2 MESSAGES=2 CAPACITY=1 CANCELS=1 OPEN
 *! mutant 1 safety PRODUCERS=1 CONSUMERS=1 MESSAGES=1 CAPACITY=1 CANCELS=0 OPEN : no second look after standing in line
 *! mutant 1 ltl=woken PRODUCERS=1 CONSUMERS=1 MESSAGES=1 CAPACITY=1 CANCELS=0 OPEN : the same, found by the claim
 *! mutant 2 safety PRODUCERS=1 CONSUMERS=1 MESSAGES=1 CAPACITY=1 CANCELS=0 OPEN : the second look comes before the flag
 *! mutant 3 safety PRODUCERS=1 CONSUMERS=2 MESSAGES=1 CAPACITY=1 CANCELS=1 OPEN : a notice goes with whoever is dropped
 *! mutant 4 safety PRODUCERS=1 CONSUMERS=2 MESSAGES=2 CAPACITY=2 CANCELS=0 OPEN QUITS : the flag is lowered over those who still wait
 *! mutant 5 safety PRODUCERS=1 CONSUMERS=1 MESSAGES=1 CAPACITY=1 CANCELS=0 OPEN : the flag is read before the queue changes
 *! mutant 6 safety PRODUCERS=1 CONSUMERS=2 MESSAGES=0 CAPACITY=1 CANCELS=0 : the end is told to the first in line alone
 *! mutant 7 safety PRODUCERS=1 CONSUMERS=1 MESSAGES=1 CAPACITY=1 CANCELS=0 : the end is believed without a last look
 */

#define RECV 0
#define SEND 1
#define WAITERS (PRODUCERS + CONSUMERS)

/* Phases of a node. */
#define IDLE 0
#define QUEUED 1
#define NOTIFIED 2

typedef Line { byte count; byte at[WAITERS] }

byte queued;
bool closed;
byte cancels;

/* Of the gate: flags, the lock, the lines it guards. */
bool flag[2];
bool senders_gone;
bool locked;
Line line[2];

/* Of each waiter, consumers first. */
byte phase[WAITERS];
bool signal[WAITERS];
bool waits[WAITERS];

byte producers = PRODUCERS;
byte consumers = CONSUMERS;

hidden byte x;

#define READY(side) ((side) == RECV -> queued > 0 || senders_gone : queued < CAPACITY || closed)

inline push(side, me, front) {
    x = line[side].count;
    do
    :: front && x > 0 -> line[side].at[x] = line[side].at[x - 1]; x--
    :: else -> break
    od;
    line[side].at[x] = me;
    line[side].count++;
    phase[me] = QUEUED
}

inline remove(side, me) {
    x = 0;
    do
    :: x < line[side].count && line[side].at[x] != me -> x++
    :: else -> break
    od;
    assert(x < line[side].count);
    line[side].count--;
    do
    :: x < line[side].count -> line[side].at[x] = line[side].at[x + 1]; x++
    :: else -> break
    od;
    line[side].at[line[side].count] = 0
}

inline lower_flag(side) {
    if
#ifdef MUTANT_4
    :: true -> flag[side] = false
#else
    :: line[side].count == 0 -> flag[side] = false
    :: else
#endif
    fi
}

/* Tells the first `limit` in line. */
inline notify_up_to(side, limit) {
    atomic {
        !locked ->
        n = 0;
        do
        :: n < limit && line[side].count > 0 ->
            first = line[side].at[0];
            remove(side, first);
            phase[first] = NOTIFIED;
            signal[first] = true;
            n++
        :: else -> break
        od;
        lower_flag(side);
        n = 0;
        first = 0
    }
}

inline notify(side) {
    if
    :: flag[side] -> notify_up_to(side, 1)
    :: else
    fi
}

/* `enter`, after the signal was reset while in no line; then waits. `dropped` says how the wait ended. */
inline enter_and_wait(side, me) {
    signal[me] = false;
#ifdef MUTANT_2
    ready = READY(side);
    atomic { !locked -> locked = true; push(side, me, phase[me] == NOTIFIED) };
    flag[side] = true;
#else
    atomic { !locked -> locked = true; push(side, me, phase[me] == NOTIFIED) };
    flag[side] = true;
#ifndef MUTANT_1
    ready = READY(side);
#endif
#endif
    if
    :: ready ->
        atomic { remove(side, me); phase[me] = IDLE; lower_flag(side); ready = false; locked = false }
    :: else ->
        atomic { waits[me] = true; locked = false };
end_wait:
        if
        :: atomic { signal[me] -> waits[me] = false }
        :: atomic { cancels < CANCELS -> cancels++; waits[me] = false; dropped = true };
            /* `leave` */
            atomic {
                !locked ->
                passes = phase[me] == NOTIFIED;
                if
                :: phase[me] == QUEUED -> remove(side, me); lower_flag(side)
                :: else
                fi;
                phase[me] = IDLE
            };
#ifndef MUTANT_3
            if
            :: passes -> notify(side)
            :: else
            fi;
#endif
            passes = false
        fi
    fi
}

proctype Producer(byte me) {
    byte sent, n, first;
    bool ready, dropped, passes, done, seen;
    do
    :: sent == MESSAGES || closed -> break
    :: else ->
#ifdef MUTANT_5
        seen = flag[RECV];
#endif
        atomic {
            if
            :: closed -> done = true
            :: !closed && queued < CAPACITY -> queued++; assert(queued <= CAPACITY); done = true
            :: else
            fi
        };
        if
        :: done ->
            atomic { phase[me] = IDLE; done = false; sent++ };
#ifdef MUTANT_5
            if
            :: seen -> notify_up_to(RECV, 1)
            :: else
            fi
#else
            notify(RECV)
#endif
        :: else ->
            enter_and_wait(SEND, me);
            /* The message of a send that is dropped goes with it. */
            if
            :: dropped -> dropped = false; sent++
            :: else
            fi
        fi
    od;
    atomic { producers--; done = producers == 0 };
#ifndef OPEN
    if
    :: done ->
        atomic { !locked -> senders_gone = true };
#ifdef MUTANT_6
        notify_up_to(RECV, 1)
#else
        notify_up_to(RECV, WAITERS)
#endif
    :: else
    fi
#endif
}

proctype Consumer(byte me) {
    byte n, first;
    bool ready, dropped, passes, done, ended;
    do
    ::
#ifdef QUITS
        if
        :: true -> break
        :: true
        fi;
#endif
        atomic {
            if
            :: queued > 0 -> queued--; done = true
            :: else
            fi
        };
        if
        :: !done && senders_gone ->
            atomic {
                if
#ifndef MUTANT_7
                :: queued > 0 -> queued--; done = true
#endif
                :: else -> ended = true; assert(queued == 0)
                fi
            }
        :: else
        fi;
        if
        :: ended -> break
        :: done ->
            atomic { phase[me] = IDLE; done = false };
            notify(SEND)
        :: else ->
            enter_and_wait(RECV, me);
            /* With others left to receive, it may go for good; alone it tries again. */
            if
            :: dropped && consumers > 1 -> break
            :: else -> dropped = false
            fi
        fi
    od;
    atomic { consumers--; done = consumers == 0 };
    if
    :: done ->
        closed = true;
        notify_up_to(SEND, WAITERS);
        atomic { queued = 0; done = false }
    :: else
    fi
}

/* Looks when nothing moves any more. */
proctype Monitor() {
    byte n;
    timeout;
    atomic {
        for (n : 0 .. WAITERS - 1) {
            assert(!(waits[n] && n < CONSUMERS && queued > 0));
            assert(!(waits[n] && n >= CONSUMERS && queued < CAPACITY));
#ifdef OPEN
            assert(n < CONSUMERS || !waits[n])
#else
            assert(!waits[n])
#endif
        };
        assert(!locked)
    }
}

init {
    byte n;
    atomic {
        for (n : 0 .. CONSUMERS - 1) { run Consumer(n) };
        for (n : CONSUMERS .. WAITERS - 1) { run Producer(n) }
#ifndef LTL
        ; run Monitor()
#endif
    }
}

#ifdef LTL
#define BESIDE (queued > 0 && ((waits[0] && !signal[0]) || (waits[CONSUMERS - 1] && !signal[CONSUMERS - 1])))
ltl woken { [] (BESIDE -> <> !BESIDE) }
#endif
