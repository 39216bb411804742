/* Rendezvous and tiny capacities under one lock: every message accepted is received once, also when tasks are cancelled.
 *
 * Abstracts: src/raw/meet/mod.rs (`send_step`, `recv_step`, `try_recv`, `retract_send`, `retract_recv`, `looked`,
 *   `confirm`, `close_senders`) and src/raw/meet/state.rs (`room`, `due`, `offer`, `take`, `settle`, `hand_over`, `keep`, `tell_end`, `ended`).
 * Leaves out: selects and claims (claim.pml), permits, sets (`watch`), sealing, the receivers' going, the hint (so `looked`
 *   always looks). Who stands in line again stands at the front, not behind those who
 *   came before.
 * Whatever the code does under the lock is one step here.
 *
 * Parameters: SENDERS, RECEIVERS (more than one share the end), MESSAGES for each sender, CAPACITY; THREADS, a bit for each
 *   participant, senders first: a thread cannot be cancelled, and the value of a sending thread may be taken; CANCELS: how
 *   many waits of tasks may be dropped; POLLS: the first receiver calls `try_recv` again and again instead of waiting.
 *
 * Checked, with each value followed by its number: received only if accepted, and once; a cancelled send is never
 *   delivered; in the end all that was accepted is received (`Monitor`); one receiver gets one sender's values in order,
 *   also those given back; while there is room no sender waits, but for that of a message that
 *   a task has in its hands and has not looked at; the queue holds no more than CAPACITY, or the one that a
 *   poll asked for; no place is kept for nobody; everybody ends (invalid end states, `ltl all_sent` for polls, fairly scheduled).
 *
 * Runs, read by `cargo xtask spin`:
 *! quick safety SENDERS=2 RECEIVERS=1 MESSAGES=2 CAPACITY=0 THREADS=0 CANCELS=2
 *! quick safety SENDERS=2 RECEIVERS=1 MESSAGES=2 CAPACITY=1 THREADS=1 CANCELS=2
 *! quick safety SENDERS=1 RECEIVERS=2 MESSAGES=3 CAPACITY=1 THREADS=0 CANCELS=2
 *! quick safety SENDERS=2 RECEIVERS=2 MESSAGES=1 CAPACITY=0 THREADS=10 CANCELS=2
 *! quick safety SENDERS=2 RECEIVERS=2 MESSAGES=1 CAPACITY=1 THREADS=0 CANCELS=2
 *! quick safety SENDERS=2 RECEIVERS=1 MESSAGES=2 CAPACITY=1 THREADS=1 CANCELS=1 POLLS
 *! quick fair=all_sent SENDERS=2 RECEIVERS=1 MESSAGES=2 CAPACITY=0 THREADS=1 CANCELS=1 POLLS
 *! nightly safety SENDERS=2 RECEIVERS=2 MESSAGES=2 CAPACITY=0 THREADS=10 CANCELS=2
 *! nightly safety SENDERS=2 RECEIVERS=2 MESSAGES=2 CAPACITY=1 THREADS=0 CANCELS=2
 *! nightly safety SENDERS=2 RECEIVERS=2 MESSAGES=2 CAPACITY=2 THREADS=2 CANCELS=2
 *! nightly safety SENDERS=3 RECEIVERS=2 MESSAGES=1 CAPACITY=1 THREADS=4 CANCELS=3
 *! nightly fair=all_sent SENDERS=2 RECEIVERS=2 MESSAGES=2 CAPACITY=1 THREADS=0 CANCELS=1 POLLS
 *! mutant 1 safety SENDERS=1 RECEIVERS=1 MESSAGES=2 CAPACITY=0 THREADS=0 CANCELS=1 : a value in cancelled hands is dropped
 *! mutant 2 safety SENDERS=1 RECEIVERS=1 MESSAGES=2 CAPACITY=2 THREADS=0 CANCELS=1 : it goes to the end of the queue
 *! mutant 3 safety SENDERS=2 RECEIVERS=1 MESSAGES=1 CAPACITY=0 THREADS=0 CANCELS=1 : a granted turn goes with its task
 *! mutant 4 safety SENDERS=1 RECEIVERS=1 MESSAGES=1 CAPACITY=0 THREADS=0 CANCELS=1 : a task's value is taken while it waits
 *! mutant 5 safety SENDERS=1 RECEIVERS=2 MESSAGES=1 CAPACITY=0 THREADS=0 CANCELS=1 : the end is told while a value is in hands
 *! mutant 6 safety SENDERS=1 RECEIVERS=1 MESSAGES=2 CAPACITY=1 THREADS=0 CANCELS=0 : one more than the capacity
 *! mutant 7 safety SENDERS=2 RECEIVERS=1 MESSAGES=1 CAPACITY=0 THREADS=0 CANCELS=1 : who leaves does not let the next one in
 *! mutant 9 safety SENDERS=3 RECEIVERS=1 MESSAGES=1 CAPACITY=1 THREADS=0 CANCELS=0 : who looks lets nobody in
 *! mutant 10 safety SENDERS=2 RECEIVERS=1 MESSAGES=1 CAPACITY=0 THREADS=0 CANCELS=0 : who was invited counts for ever
 *! mutant 8 fair=all_sent SENDERS=1 RECEIVERS=1 MESSAGES=1 CAPACITY=0 THREADS=0 CANCELS=0 POLLS : a poll leaves no demand behind
 */

#define ALL (SENDERS + RECEIVERS)
#define THREAD(who) ((THREADS >> (who)) & 1)
#ifdef MUTANT_4
#define TAKEABLE(who) true
#else
#define TAKEABLE(who) THREAD(who)
#endif
#define TRACKED(who) (RECEIVERS > 1 && !THREAD(who))
#define VALUES (SENDERS * MESSAGES)

/* Phases of a node. */
#define IDLE 0
#define QUEUED 1
#define NOTIFIED 2
#define GRANTED 3
#define DONE 4
#define INVITED 5

/* What has become of a value. */
#define KEPT 0
#define ACCEPTED 1
#define RECEIVED 2
#define DROPPED 3

typedef Line { byte count; byte at[ALL] }

Line recv;
Line send;
byte queued, queue[VALUES];
byte back, back_value[VALUES], back_ticket[VALUES];
byte reserved;
bool demand;
byte ticket;
byte in_hands;
byte invited;
/* Tasks that have not looked at what is in their hands. */
byte to_look;
bool senders_gone;

/* Of each participant. */
byte phase[ALL];
bool signal[ALL];
byte value[ALL];
byte ticket_of[ALL];
bool late[ALL];

byte fate[VALUES];
byte last[SENDERS];
byte cancels;
byte senders = SENDERS;
byte receivers = RECEIVERS;

hidden byte x, y, z;

#ifdef MUTANT_6
#define PLACES (CAPACITY + 1)
#else
#define PLACES CAPACITY
#endif
#define ROOM (PLACES + recv.count + demand - queued - back - reserved)
#define EXTRA (CAPACITY == 0 || recv.count <= reserved -> 0 : recv.count - reserved)
#define DUE (ROOM - EXTRA - invited)
#define HAS_PLACE (queued + back + reserved < PLACES)
#ifdef MUTANT_5
#define ENDED (senders_gone)
#else
#define ENDED (senders_gone && in_hands == 0)
#endif

inline push(line, who, front) {
    x = line.count;
    do
    :: front && x > 0 -> line.at[x] = line.at[x - 1]; x--
    :: else -> break
    od;
    line.at[x] = who;
    line.count++;
    phase[who] = QUEUED
}

inline remove(line, who) {
    x = 0;
    do
    :: x < line.count && line.at[x] != who -> x++
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

/* The last touch. */
inline finish(who, how) {
    phase[who] = how;
    signal[who] = true
}

inline accept(v) {
    assert(fate[v] == KEPT);
    fate[v] = ACCEPTED
}

inline enqueue(v) {
    queue[queued] = v;
    queued++;
    demand = false
}

/* Puts a value given back where its ticket belongs. */
inline keep(t, v) {
    x = back;
    do
    :: x > 0 && back_ticket[x - 1] > t ->
        back_ticket[x] = back_ticket[x - 1];
        back_value[x] = back_value[x - 1];
        x--
    :: else -> break
    od;
    back_ticket[x] = t;
    back_value[x] = v;
    back++;
    demand = false
}

/* Takes the oldest of the values given back: to `y` its ticket, to `z` itself. */
inline take_kept() {
    y = back_ticket[0];
    z = back_value[0];
    back--;
    x = 0;
    do
    :: x < back ->
        back_ticket[x] = back_ticket[x + 1];
        back_value[x] = back_value[x + 1];
        x++
    :: else -> break
    od;
    back_ticket[back] = 0;
    back_value[back] = 0
}

inline hand_over(who, t, v) {
    remove(recv, who);
    ticket_of[who] = t;
    if
    :: TRACKED(who) -> in_hands++
    :: else
    fi;
    if
    :: !THREAD(who) -> to_look++
    :: else
    fi;
    value[who] = v;
    finish(who, DONE)
}

inline tell_end() {
    do
    :: ENDED && recv.count > 0 -> a = recv.at[0]; remove(recv, a); finish(a, NOTIFIED)
    :: else -> break
    od
}

inline settle() {
    do
    :: back > 0 && recv.count > 0 -> a = recv.at[0]; take_kept(); hand_over(a, y, z)
    :: else -> break
    od;
    do
    :: send.count > 0 && DUE > 0 ->
        a = send.at[0];
        remove(send, a);
        if
        :: HAS_PLACE && TAKEABLE(a) -> accept(value[a]); enqueue(value[a]); finish(a, DONE)
        :: else ->
            if
            :: late[a] -> reserved++; finish(a, GRANTED)
            :: else -> invited++; finish(a, INVITED)
            fi
        fi
    :: else -> break
    od
}

/* What holds whenever the lock is free. */
inline release() {
    a = 0; x = 0; y = 0; z = 0;
    assert(send.count == 0 || DUE <= (CAPACITY == 0 -> 0 : to_look));
#ifdef POLLS
    assert(queued <= CAPACITY || queued <= 1)
#else
    assert(queued <= CAPACITY)
#endif
}

/* A try of a send; without success it waits in line. `done`: it was accepted. */
inline send_step(me) {
    atomic {
        granted = phase[me] == GRANTED;
        had_turn = granted || phase[me] == INVITED;
        signal[me] = false;
        if
        :: granted -> reserved--; phase[me] = IDLE
        :: !granted && had_turn ->
#ifndef MUTANT_10
            invited--;
#endif
            phase[me] = IDLE
        :: else
        fi;
        if
        :: (granted || ROOM > 0) && recv.count > 0 ->
            ticket++;
            accept(value[me]);
            a = recv.at[0];
            hand_over(a, ticket, value[me]);
            /* A task lets the others in when it looks. */
            if
            :: THREAD(a) || CAPACITY == 0 -> settle()
            :: else
            fi;
            done = true
        :: (granted || ROOM > 0) && recv.count == 0 && (HAS_PLACE || demand) ->
            accept(value[me]);
            enqueue(value[me]);
            settle();
            done = true
        :: else ->
            push(send, me, had_turn);
            late[me] = had_turn;
            settle()
        fi;
        if
        :: done -> late[me] = false
        :: else
        fi;
        granted = false;
        had_turn = false;
        release()
    }
}

/* `take`: to `value[me]`, with `done`. */
inline take(me) {
    if
    :: back > 0 -> take_kept(); value[me] = z; done = true
    :: back == 0 && queued > 0 ->
        value[me] = queue[0];
        queued--;
        x = 0;
        do
        :: x < queued -> queue[x] = queue[x + 1]; x++
        :: else -> break
        od;
        queue[queued] = 0;
        done = true
    :: else ->
        if
        :: send.count > 0 && TAKEABLE(send.at[0]) ->
            a = send.at[0];
            remove(send, a);
            accept(value[a]);
            value[me] = value[a];
            finish(a, DONE);
            done = true
        :: else
        fi
    fi
}

/* A try of a receive; without success it waits in line. `done`: there is a value, `ended`: there will be none. */
inline recv_step(me) {
    atomic {
        signal[me] = false;
        take(me);
        if
        :: done -> phase[me] = IDLE
        :: !done && ENDED -> phase[me] = IDLE; ended = true
        :: else -> push(recv, me, phase[me] == NOTIFIED); demand = false
        fi;
        settle();
        release()
    }
}

inline try_recv(me) {
    atomic {
        take(me);
        if
        :: done
        :: !done && ENDED -> ended = true
        :: else ->
#ifndef MUTANT_8
            demand = demand || send.count > 0
#endif
        fi;
        settle();
        release()
    }
}

inline retract_send(me) {
    atomic {
        if
        :: phase[me] == QUEUED -> remove(send, me)
        :: phase[me] == GRANTED ->
#ifndef MUTANT_3
            reserved--
#endif
        :: phase[me] == INVITED ->
#ifndef MUTANT_3
            invited--
#endif
        :: else
        fi;
        phase[me] = IDLE;
        late[me] = false;
#ifndef MUTANT_7
        settle();
#endif
        release()
    }
}

inline retract_recv(me) {
    atomic {
        if
        :: phase[me] == QUEUED -> remove(recv, me)
        :: phase[me] == DONE ->
            if
            :: TRACKED(me) -> in_hands--
            :: else
            fi;
            to_look--;
#ifdef MUTANT_1
            skip
#elif defined(MUTANT_2)
            enqueue(value[me])
#else
            keep(ticket_of[me], value[me])
#endif
        :: else
        fi;
        phase[me] = IDLE;
        value[me] = 0;
        ticket_of[me] = 0;
        settle();
        if
        :: back == 0 -> tell_end()
        :: else
        fi;
        release()
    }
}

proctype Sender(byte me) {
    byte seq, a;
    bool done, had_turn, granted, dropped;
    do
    :: seq == MESSAGES -> break
    :: else ->
        value[me] = me * MESSAGES + seq;
        send_step(me);
        do
        :: done || dropped -> break
        :: else ->
            if
            :: signal[me] ->
                if
                :: phase[me] == DONE -> phase[me] = IDLE; signal[me] = false; done = true
                :: else -> send_step(me)
                fi
            :: !THREAD(me) && cancels < CANCELS ->
                cancels++;
                retract_send(me);
                /* The value goes with the send: it had better still be here. */
                atomic {
                    assert(fate[value[me]] == KEPT);
                    fate[value[me]] = DROPPED;
                    signal[me] = false;
                    dropped = true
                }
            fi
        od;
        atomic {
            assert(fate[me * MESSAGES + seq] != KEPT);
            seq++;
            value[me] = 0;
            done = false;
            dropped = false
        }
    od;
    atomic {
        senders--;
        if
        :: senders == 0 -> senders_gone = true; tell_end()
        :: else
        fi;
        release()
    }
}

inline receive(v) {
    atomic {
        assert(fate[v] == ACCEPTED);
        fate[v] = RECEIVED;
        if
        :: RECEIVERS == 1 -> assert(v >= last[v / MESSAGES]); last[v / MESSAGES] = v
        :: else
        fi;
        value[me] = 0;
        ticket_of[me] = 0;
        done = false
    }
}

proctype Receiver(byte me) {
    byte a;
    bool done, ended, gone;
    do
    :: ended -> break
    :: else ->
        if
#ifdef POLLS
        :: me == SENDERS ->
            try_recv(me);
            if
            :: done -> receive(value[me])
            :: else
            fi
#endif
        :: else ->
            recv_step(me);
            do
            :: done -> receive(value[me]); break
            :: !done && ended -> break
            :: else ->
                if
                :: signal[me] ->
                    if
                    :: phase[me] == DONE ->
                        /* `looked`, `confirm` */
                        atomic {
                            if
                            :: !THREAD(me) ->
                                to_look--;
#ifndef MUTANT_9
                                settle()
#endif
                            :: else
                            fi;
                            if
                            :: TRACKED(me) ->
                                in_hands--;
                                if
                                :: back == 0 && queued == 0 -> tell_end()
                                :: else
                                fi
                            :: else
                            fi;
                            phase[me] = IDLE;
                            signal[me] = false;
                            done = true;
                            release()
                        }
                    :: else -> recv_step(me)
                    fi
                :: !THREAD(me) && cancels < CANCELS ->
                    cancels++;
                    retract_recv(me);
                    signal[me] = false;
                    /* With others left to receive, it may go for good; alone it tries again. */
                    atomic {
                        if
                        :: receivers > 1 -> receivers--; gone = true; ended = true
                        :: true
                        fi;
                        break
                    }
                fi
            od
        fi
    od;
    if
    :: !gone -> receivers--
    :: else
    fi
}

/* Looks when nothing moves any more. */
proctype Monitor() {
    byte n;
    timeout;
    atomic {
        assert(senders == 0 && receivers == 0);
        assert(reserved == 0 && invited == 0 && in_hands == 0 && to_look == 0 && queued == 0 && back == 0);
        for (n : 0 .. VALUES - 1) {
            assert(fate[n] == RECEIVED || fate[n] == DROPPED)
        }
    }
}

init {
    byte n;
    atomic {
        for (n : 0 .. SENDERS - 1) { run Sender(n) };
        for (n : SENDERS .. ALL - 1) { run Receiver(n) }
#ifndef LTL
        ; run Monitor()
#endif
    }
}

#ifdef LTL
ltl all_sent { <> (senders == 0) }
#endif
