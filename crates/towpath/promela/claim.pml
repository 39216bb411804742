/* Selects that could pair in several ways: exactly one pairing each, none missed, nobody stuck.
 *
 * Abstracts: src/raw/claim.rs whole (`begin`, `commit`, `rollback`, `claim`); of src/raw/meet/ the paths of a
 *   rendezvous channel: `send_step`, `recv_step`, `offer`, `take`, `settle`, `retract_send`, `retract_recv`,
 *   `synchronize`; of src/select/run.rs the loop of `blocking` and `poll`: look, register, wait, finish.
 * Leaves out: values (only who met whom), the waker's own protocol (`loom::waker_*`), spinning before waiting, hints
 *   other than "may be wrong", `GiveARound`, sets, plain operations, closing. Someone who stands in line again goes to
 *   the front instead of behind those who came earlier. Memory is sequentially consistent here: orderings are loom's.
 * What a channel's lock guards changes in one step; what others see without it (claim words, signals, the lock itself)
 *   is a step of its own.
 *
 * Parameters: CASE (who may meet whom, below); TASKS, a bit for each select that is a task, whose value is not taken but
 *   who is granted its turn; DOWN turns the ranks round; PATIENT: who has stepped back waits until the other has moved,
 *   which the code hopes for (`backoff.wait_for_other`) and without which two could step and try again for ever;
 *   AT_ONCE: selects stand in line without a first look.
 *
 * Checked: nobody pairs twice or with itself; who ends knows the arm that was met; in the end no two selects wait that
 *   could pair, no arm of a finished select stands in a line, no turn is kept by nobody (`Monitor`); no deadlock
 *   (invalid end states); as many pairs as the case must have come to be (`ltl paired`, with PATIENT).
 *
 * Runs, read by `cargo xtask spin`:
 *! quick safety CASE=1
 *! quick safety CASE=1 DOWN TASKS=2
 *! quick safety CASE=2
 *! quick safety CASE=2 TASKS=1
 *! quick safety CASE=2 TASKS=3
 *! quick safety CASE=3
 *! quick safety CASE=4
 *! quick safety CASE=4 TASKS=1
 *! quick safety CASE=5
 *! quick ltl=paired CASE=2 PATIENT
 *! quick ltl=paired CASE=2 PATIENT TASKS=1
 *! nightly safety CASE=3 TASKS=1
 *! nightly safety CASE=3 TASKS=7
 *! nightly safety CASE=5 TASKS=1
 *! nightly safety CASE=6 AT_ONCE
 *! nightly ltl=paired CASE=1 PATIENT
 *! nightly ltl=paired CASE=3 PATIENT
 *! mutant 1 safety CASE=2 : nobody steps back
 *! mutant 1 ltl=paired CASE=2 PATIENT : the same, found by the formula
 *! mutant 2 safety CASE=2 : a busy select counts as lost
 *! mutant 3 safety CASE=2 : a select that tries can be won meanwhile
 *! mutant 4 safety CASE=4 : a select takes its own other arm for a partner
 *! mutant 5 safety CASE=3 : who stepped back goes on although it has been won
 *! mutant 6 safety CASE=1 : the arms that lost stay in their lines
 *! mutant 7 safety CASE=1 : the result is collected before the other side has let go
 *! mutant 8 safety CASE=5 TASKS=1 : a granted turn is kept when another arm wins
 */

#ifndef TASKS
#define TASKS 0
#endif

/* CASE gives the number of selects and channels, and for each arm its channel, its direction, whether it is there. */
#if CASE == 1
/* Crosswise: one sends on both, one receives on both, the other way round. */
#define SELECTS 2
#define CHANNELS 2
#define PAIRS 1
#define CHANNEL(me, arm) ((me) == 0 -> (arm) : 1 - (arm))
#define SENDS(me, arm) ((me) == 0)
#define THERE(me, arm) true
#elif CASE == 2
/* Mixed: each sends where the other receives. */
#define SELECTS 2
#define CHANNELS 2
#define PAIRS 1
#define CHANNEL(me, arm) ((me) == 0 -> (arm) : 1 - (arm))
#define SENDS(me, arm) ((arm) == 0)
#define THERE(me, arm) true
#elif CASE == 3
/* A ring of three: each sends to the next. */
#define SELECTS 3
#define CHANNELS 3
#define PAIRS 1
#define CHANNEL(me, arm) (((me) + 2 * (arm)) % 3)
#define SENDS(me, arm) ((arm) == 0)
#define THERE(me, arm) true
#elif CASE == 4
/* Both ends of one channel in each of two selects. */
#define SELECTS 2
#define CHANNELS 1
#define PAIRS 1
#define CHANNEL(me, arm) 0
#define SENDS(me, arm) ((arm) == 0)
#define THERE(me, arm) true
#elif CASE == 5
/* One sends on two channels, each of which has a receiver. */
#define SELECTS 3
#define CHANNELS 2
#define PAIRS 1
#define CHANNEL(me, arm) ((me) == 0 -> (arm) : (me) - 1)
#define SENDS(me, arm) ((me) == 0)
#define THERE(me, arm) ((me) == 0 || (arm) == 0)
#else
/* A ring of four. */
#define SELECTS 4
#define CHANNELS 4
#define PAIRS 1
#define CHANNEL(me, arm) (((me) + 3 * (arm)) % 4)
#define SENDS(me, arm) ((arm) == 0)
#define THERE(me, arm) true
#endif

#define ARMS 2
#define NODE(me, arm) ((me) * ARMS + (arm))
#define OWNER(node) ((node) / ARMS)
#define ARM(node) ((node) % ARMS)
#define TASK(me) ((TASKS >> (me)) & 1)
#ifdef DOWN
#define RANK(me) (SELECTS - (me))
#else
#define RANK(me) (me)
#endif

/* Claim words. */
#define OPEN 0
#define BUSY 1
#define COMMITTED 2

/* Phases of a node. */
#define IDLE 0
#define QUEUED 1
#define GRANTED 2
#define DONE 3

/* What a step, or a claim within it, has come to. */
#define NOT_NOW 0
#define READY 1
#define WAITING 2
#define INTERRUPTED 3
#define WON 4
#define LOST 5

typedef Line { byte count; byte at[SELECTS] }

byte claim[SELECTS];
bool signal[SELECTS];
byte phase[SELECTS * ARMS];

/* Of each channel: its lock, and what it guards. */
bool locked[CHANNELS];
Line recv[CHANNELS];
Line send[CHANNELS];
byte reserved[CHANNELS];

/* For the properties: who has met somebody, and with which arm. */
bool met[SELECTS];
byte met_arm[SELECTS];
byte pairs;
bool finished[SELECTS];
bool waits[SELECTS];

hidden byte x, y;
hidden byte found;

inline remove(line, node) {
    x = 0;
    do
    :: x < line.count && line.at[x] != node -> x++
    :: else -> break
    od;
    assert(x < line.count);
    line.count--;
    do
    :: x < line.count -> line.at[x] = line.at[x + 1]; x++
    :: else -> break
    od;
    line.at[line.count] = 0
}

inline push(line, node, front) {
    x = line.count;
    do
    :: front && x > 0 -> line.at[x] = line.at[x - 1]; x--
    :: else -> break
    od;
    line.at[x] = node;
    line.count++;
    phase[node] = QUEUED
}

/* `has_other_receiver`. */
inline look_for_other(ch, core) {
    found = false;
    y = 0;
    do
    :: y < recv[ch].count -> found = found || OWNER(recv[ch].at[y]) != core; y++
    :: else -> break
    od
}

/* The values change hands; the one that waited is told, which is the last touch. */
inline meet(sender, receiver, waiter) {
    assert(OWNER(sender) != OWNER(receiver));
    assert(!met[OWNER(sender)] && !met[OWNER(receiver)]);
    met[OWNER(sender)] = true;
    met[OWNER(receiver)] = true;
    met_arm[OWNER(sender)] = ARM(sender);
    met_arm[OWNER(receiver)] = ARM(receiver);
    pairs++;
    phase[waiter] = DONE;
    signal[OWNER(waiter)] = true
}

/* Grants turns while there is room: at a rendezvous, a receiver in line whom nobody has been promised. */
inline settle(ch) {
    i = 0;
    do
    :: i < send[ch].count && recv[ch].count > reserved[ch] ->
        at = send[ch].at[i];
        look_for_other(ch, OWNER(at));
        if
        :: found ->
            remove(send[ch], at);
            reserved[ch]++;
            phase[at] = GRANTED;
            signal[OWNER(at)] = true
        :: else -> i++
        fi
    :: else -> break
    od;
    i = 0;
    at = 0
}

proctype Select(byte me) {
    byte start, k, arm, ch, i, at, result, round;
    bool exposed, registers, had_turn;
#ifdef AT_ONCE
    registers = true;
#endif

    do
    :: atomic {
            if
            :: claim[me] >= COMMITTED -> result = WON; break
            :: else
            fi;
            signal[me] = false;
            select(start : 0 .. ARMS - 1);
            k = 0;
            result = NOT_NOW
        };
        do
        :: k < ARMS && result != READY ->
            atomic {
                arm = (start + k) % ARMS;
                k++;
                ch = CHANNEL(me, arm);
                result = NOT_NOW;
                if
                :: !THERE(me, arm) || phase[NODE(me, arm)] == QUEUED || phase[NODE(me, arm)] == DONE ->
                    ch = CHANNELS
                :: else
                fi
            };
            if
            :: ch == CHANNELS -> ch = 0
            :: else ->
                /* `send_step` or `recv_step`; while nothing is registered `try_send` or `try_recv`. */
                atomic { !locked[ch] -> locked[ch] = true };
                atomic {
                    had_turn = phase[NODE(me, arm)] == GRANTED;
                    if
                    :: exposed && claim[me] != OPEN -> result = INTERRUPTED
                    :: exposed && claim[me] == OPEN ->
#ifndef MUTANT_3
                        claim[me] = BUSY
#else
                        skip
#endif
                    :: else
                    fi;
                    i = 0;
                    if
                    :: result == NOT_NOW && had_turn -> reserved[ch]--; phase[NODE(me, arm)] = IDLE
                    :: else
                    fi;
                    /* A sender without a turn does not overtake those who have one. */
                    if
                    :: result == NOT_NOW && SENDS(me, arm) && !had_turn && recv[ch].count <= reserved[ch] -> i = SELECTS
                    :: else
                    fi
                };
                /* `offer` or `take`: along the line of the other side. */
                do
                :: result != NOT_NOW -> break
                :: result == NOT_NOW && i >= (SENDS(me, arm) -> recv[ch].count : send[ch].count) -> break
                :: result == NOT_NOW && i < (SENDS(me, arm) -> recv[ch].count : send[ch].count) ->
                    at = (SENDS(me, arm) -> recv[ch].at[i] : send[ch].at[i]);
                    if
                    :: !SENDS(me, arm) && TASK(OWNER(at)) -> i = SELECTS
#ifndef MUTANT_4
                    :: OWNER(at) == me && (SENDS(me, arm) || !TASK(me)) -> i++
#endif
                    :: else ->
                        /* `claim` */
                        do
                        :: atomic {
                                claim[OWNER(at)] == OPEN ->
                                claim[OWNER(at)] = COMMITTED + ARM(at);
                                result = WON;
                                break
                            }
#ifdef MUTANT_2
                        :: atomic { claim[OWNER(at)] == BUSY -> result = LOST; break }
#elif defined(MUTANT_4)
                        /* It meets its own word, which is its own try. */
                        :: atomic { OWNER(at) == me && claim[me] == BUSY -> result = WON; break }
#endif
                        :: atomic { claim[OWNER(at)] >= COMMITTED -> result = LOST; break }
#ifndef MUTANT_1
                        :: claim[OWNER(at)] == BUSY && exposed && RANK(me) > RANK(OWNER(at)) ->
                            /* `rollback`, wait, `begin` */
                            claim[me] = OPEN;
                            if
                            :: claim[OWNER(at)] != BUSY || claim[me] != OPEN
#ifndef PATIENT
                            :: true
#endif
                            fi;
                            atomic {
                                if
                                :: claim[me] == OPEN -> claim[me] = BUSY
#ifdef MUTANT_5
                                :: else
#else
                                :: else -> result = INTERRUPTED; break
#endif
                                fi
                            }
#endif
                        od;
                        atomic {
                            if
                            :: result == WON && SENDS(me, arm) ->
                                remove(recv[ch], at);
                                meet(NODE(me, arm), at, at);
                                result = READY
                            :: result == WON && !SENDS(me, arm) ->
                                remove(send[ch], at);
                                meet(at, NODE(me, arm), at);
                                result = READY
                            :: result == LOST ->
                                if
                                :: SENDS(me, arm) -> remove(recv[ch], at)
                                :: else -> remove(send[ch], at)
                                fi;
                                phase[at] = IDLE;
                                result = NOT_NOW
                            :: else
                            fi
                        }
                    fi
                od;
                atomic {
                    if
                    :: result == READY && exposed -> claim[me] = COMMITTED + arm
                    :: result == NOT_NOW && registers ->
                        if
                        :: SENDS(me, arm) -> push(send[ch], NODE(me, arm), had_turn)
                        :: else -> push(recv[ch], NODE(me, arm), false)
                        fi;
                        if
                        :: exposed -> claim[me] = OPEN
                        :: else
                        fi;
                        exposed = true;
                        result = WAITING
                    :: else
                    fi;
                    if
                    :: SENDS(me, arm) || result != INTERRUPTED -> settle(ch)
                    :: else
                    fi;
                    i = 0; at = 0; had_turn = false;
                    locked[ch] = false
                }
            fi
        :: else -> break
        od;
        if
        :: result == READY -> break
        :: else ->
            if
            :: !registers -> registers = true
            :: else ->
                if
                :: claim[me] >= COMMITTED
                :: else ->
                    waits[me] = true;
end_wait:           signal[me] -> waits[me] = false
                fi
            fi
        fi
    od;

    /* `finish`: the others leave their lines, then the result is collected. */
    atomic {
        if
        :: result == READY -> start = arm
        :: else -> start = claim[me] - COMMITTED
        fi;
        k = 0
    };
    do
    :: k < ARMS ->
        arm = k;
        ch = CHANNEL(me, arm);
        if
        :: arm != start && THERE(me, arm) && exposed ->
            atomic {
                !locked[ch] ->
                if
                :: phase[NODE(me, arm)] == QUEUED ->
#ifndef MUTANT_6
                    if
                    :: SENDS(me, arm) -> remove(send[ch], NODE(me, arm))
                    :: else -> remove(recv[ch], NODE(me, arm))
                    fi
#else
                    skip
#endif
                :: phase[NODE(me, arm)] == GRANTED ->
#ifndef MUTANT_8
                    reserved[ch]--
#else
                    skip
#endif
                :: else
                fi;
                phase[NODE(me, arm)] = IDLE;
                settle(ch)
            }
        :: else
        fi;
        k++
    :: else -> break
    od;
    ch = CHANNEL(me, start);
    if
    :: result != READY ->
#ifndef MUTANT_7
        !locked[ch];
#endif
        assert(phase[NODE(me, start)] == DONE)
    :: else
    fi;
    assert(met[me] && met_arm[me] == start);
    finished[me] = true
}

/* Looks when nothing moves any more. */
proctype Monitor() {
    byte a, b, m, n;
    timeout;
    atomic {
        for (a : 0 .. SELECTS - 1) {
            assert(finished[a] || waits[a]);
            for (m : 0 .. ARMS - 1) {
                assert(!finished[a] || phase[NODE(a, m)] != QUEUED);
                for (b : 0 .. SELECTS - 1) {
                    for (n : 0 .. ARMS - 1) {
                        assert(!(a != b && waits[a] && waits[b] && THERE(a, m) && THERE(b, n)
                            && CHANNEL(a, m) == CHANNEL(b, n) && SENDS(a, m) && !SENDS(b, n)))
                    }
                }
            }
        };
        for (a : 0 .. CHANNELS - 1) {
            assert(!locked[a] && reserved[a] == 0);
            for (b : 0 .. SELECTS - 1) {
                assert(b >= recv[a].count || !finished[OWNER(recv[a].at[b])]);
                assert(b >= send[a].count || !finished[OWNER(send[a].at[b])])
            }
        };
        assert(pairs >= PAIRS)
    }
}

init {
    byte n;
    atomic {
        for (n : 0 .. SELECTS - 1) { run Select(n) }
#ifndef LTL
        ; run Monitor()
#endif
    }
}

#ifdef LTL
ltl paired { <> (pairs >= PAIRS) }
#endif
