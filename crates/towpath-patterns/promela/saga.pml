/* A saga: one coordinator with a journal, participants, and a network that loses, doubles, delays and reorders.
 *
 * Abstracts: src/saga/state.rs and decide.rs (intents, doubts, turning back, compensations in reverse), what run.rs sends
 *   and when (nothing before it is durable), what call.rs asks of a participant (one effect for a key, none for a void
 *   one), and `Call::done_with`: effects that are records of the journal.
 * Leaves out: times and pauses (a call is given up or made again at any moment), deaths and quarantine, pauses, signals,
 *   sleeps, pivots, dead letters (a compensation is tried for ever), the other sagas, groups within a batch.
 * What the coordinator decides is one step; making it durable is another, and a crash may come between. A crash keeps what is
 *   durable, and of what is not all or nothing: it is one group.
 * The network is a set: a call or an answer that was sent may arrive any number of times, at any time, or be lost.
 *
 * Parameters: STEPS; TRIES of a step before it is given up; CRASHES; LOSSES, of calls or answers that are not to be found in
 *   the network any more; CANCEL: somebody may cancel; RECORDED: the effects are records of the journal, and what the
 *   participant answers has no other effect.
 *
 * Checked: no effect is doubled; compensations take back in reverse; completed, all effects are there; compensated, none is,
 *   and none comes later (`Monitor`); who is not crashed for ever ends (`ltl ends`, fair).
 *
 * Runs, read by `cargo xtask spin`:
 *! quick safety STEPS=2 TRIES=2 CRASHES=2 LOSSES=2 CANCEL
 *! quick safety STEPS=2 TRIES=2 CRASHES=2 LOSSES=2 CANCEL RECORDED
 *! quick fair=ends STEPS=2 TRIES=2 CRASHES=1 LOSSES=1 CANCEL
 *! nightly safety STEPS=3 TRIES=2 CRASHES=2 LOSSES=2 CANCEL
 *! nightly safety STEPS=3 TRIES=3 CRASHES=3 LOSSES=2 CANCEL RECORDED
 *! mutant 1 safety STEPS=2 TRIES=1 CRASHES=1 LOSSES=1 CANCEL : a call leaves before its intent is durable
 *! mutant 2 safety STEPS=1 TRIES=2 CRASHES=0 LOSSES=0 : each attempt has a key of its own
 *! mutant 3 safety STEPS=1 TRIES=1 CRASHES=0 LOSSES=1 : what is in doubt is not taken back
 *! mutant 4 safety STEPS=1 TRIES=1 CRASHES=0 LOSSES=0 : a participant forgets that a key is void
 *! mutant 5 safety STEPS=1 TRIES=1 CRASHES=1 LOSSES=0 RECORDED : the effect is durable before the news that it is done
 *! mutant 6 safety STEPS=2 TRIES=1 CRASHES=0 LOSSES=0 CANCEL : compensations begin with the first step
 *! mutant 7 safety STEPS=1 TRIES=1 CRASHES=0 LOSSES=0 : a late answer of the step counts for its compensation
 *! mutant 8 safety STEPS=1 TRIES=1 CRASHES=1 LOSSES=0 CANCEL : an intent that a crash found is forgotten
 */

/* Phases. */
#define FORWARD 0
#define BACK 1
#define COMPLETED 2
#define COMPENSATED 3

/* Marks. */
#define CLEAN 0
#define DOUBT 1
#define DONE 2
#define UNDONE 3

/* Answers. */
#define NOTHING 0
#define OK 1
#define REFUSED 2

typedef Memory {
    byte phase;
    byte step;
    bool called;
    byte tries;
    bool cancelled;
    byte mark[STEPS];
    /* Records that are effects. */
    byte recorded[STEPS]
}

/* What the coordinator knows, and what the journal does. */
Memory now_;
Memory disk;
bool pending;

/* The network, for a step and for its compensation. */
bool call[STEPS];
bool undo[STEPS];
byte answer[STEPS];
bool undone[STEPS];

/* The participants. */
byte effects[STEPS];
byte known[STEPS];
bool void_[STEPS];

byte crashes;
byte losses;
byte i;

inline copy(to, from) {
    to.phase = from.phase;
    to.step = from.step;
    to.called = from.called;
    to.tries = from.tries;
    to.cancelled = from.cancelled;
    i = 0;
    do
    :: i < STEPS -> to.mark[i] = from.mark[i]; to.recorded[i] = from.recorded[i]; i++
    :: else -> break
    od;
    i = 0
}

/* The call that is under way leaves, when that is durable. */
inline leave() {
    if
    :: now_.called && now_.phase == FORWARD -> call[now_.step] = true
    :: now_.called && now_.phase == BACK -> undo[now_.step] = true
    :: else
    fi
}

inline turn_back() {
    now_.phase = BACK;
    now_.called = false;
    now_.tries = 0
}

/* What comes next is begun. */
inline begin() {
    if
    :: now_.phase == FORWARD && now_.step == STEPS -> now_.phase = COMPLETED
    :: now_.phase == FORWARD && now_.step < STEPS -> now_.called = true; now_.tries++
    :: now_.phase == BACK ->
        /* The highest that is done or in doubt. */
#ifdef MUTANT_6
        i = 0;
        do
        :: i < STEPS && now_.mark[i] != DONE && now_.mark[i] != DOUBT -> i++
        :: else -> break
        od;
        if
        :: i == STEPS -> now_.phase = COMPENSATED
        :: else -> now_.step = i; now_.called = true
        fi;
#else
        i = STEPS;
        do
#ifdef MUTANT_3
        :: i > 0 && now_.mark[i - 1] != DONE -> i--
        :: i > 0 && now_.mark[i - 1] == DONE -> break
#else
        :: i > 0 && now_.mark[i - 1] != DONE && now_.mark[i - 1] != DOUBT -> i--
        :: i > 0 && (now_.mark[i - 1] == DONE || now_.mark[i - 1] == DOUBT) -> break
#endif
        :: i == 0 -> break
        od;
        if
        :: i == 0 -> now_.phase = COMPENSATED
        :: else -> now_.step = i - 1; now_.called = true
        fi;
#endif
        i = 0
    fi
}

#define OVER(memory) (memory.phase >= COMPLETED)

active proctype Coordinator() {
    /* `Started` is in one group with the first intent. */
    do
    :: atomic { !pending && !OVER(now_) && !now_.called -> begin(); pending = true;
#ifdef MUTANT_1
            leave()
#endif
        }
    :: atomic { pending ->
            copy(disk, now_);
            pending = false;
            leave()
        }
        /* An answer, also one that comes late. */
    :: atomic { !pending && now_.phase == FORWARD && now_.called && answer[now_.step] == OK ->
#ifdef MUTANT_5
            disk.recorded[now_.step] = disk.recorded[now_.step] + 1;
#endif
            now_.mark[now_.step] = DONE;
            now_.recorded[now_.step] = now_.recorded[now_.step] + 1;
            now_.step++;
            now_.called = false;
            now_.tries = 0;
            if
            :: now_.cancelled -> turn_back()
            :: else
            fi;
            /* One group with what follows. */
            begin();
            pending = true
        }
    :: atomic { !pending && now_.phase == FORWARD && now_.called && answer[now_.step] == REFUSED ->
            turn_back();
            begin();
            pending = true
        }
    :: atomic { !pending && now_.phase == BACK && now_.called &&
#ifdef MUTANT_7
            (undone[now_.step] || answer[now_.step] == OK) ->
#else
            undone[now_.step] ->
#endif
            now_.mark[now_.step] = UNDONE;
            now_.called = false;
            begin();
            pending = true
        }
        /* Out of patience: in doubt, and called again or given up. */
    :: atomic { !pending && now_.phase == FORWARD && now_.called ->
            now_.mark[now_.step] = DOUBT;
            now_.called = false;
            if
            :: now_.tries >= TRIES || now_.cancelled -> turn_back()
            :: else
            fi;
            begin();
            pending = true
        }
            /* Nothing came and nothing is on its way: it was lost. */
    :: atomic { !pending && now_.phase == BACK && now_.called && !undo[now_.step] && !undone[now_.step] ->
            undo[now_.step] = true
        }
#ifdef CANCEL
    :: atomic { !pending && now_.phase == FORWARD && !now_.cancelled ->
            now_.cancelled = true;
            if
            :: !now_.called -> turn_back(); begin()
            :: else
            fi;
            pending = true
        }
#endif
        /* The power goes and comes back. */
    :: atomic { crashes < CRASHES && !OVER(disk) ->
            crashes++;
            if
            :: pending -> copy(disk, now_)
            :: true
            fi;
            copy(now_, disk);
            pending = false;
            if
            :: now_.called ->
                if
                :: now_.phase == FORWARD ->
#ifdef MUTANT_8
                    now_.called = false
#else
                    now_.mark[now_.step] = DOUBT;
                    pending = true
#endif
                :: else -> pending = true
                fi
            :: else
            fi
        }
    :: atomic { OVER(now_) && !pending -> break }
    od
}

#ifdef LTL
#define CALLS(at) (call[at] && answer[at] == NOTHING)
#define UNDOES(at) (undo[at] && !undone[at])
#else
#define CALLS(at) (call[at])
#define UNDOES(at) (undo[at])
#endif
#define WAITS(at) (CALLS(at) || UNDOES(at))

/* Does what a call asks for, each time one arrives. For the formula, which is about getting on, only what was not answered
 * yet: otherwise it could be busy with copies for ever. */
active proctype Participant() {
    byte at;
end:
    do
    :: atomic {
#ifdef LTL
            (WAITS(0) || WAITS(STEPS - 1)) ->
            if
            :: WAITS(0) -> at = 0
            :: WAITS(STEPS - 1) -> at = STEPS - 1
            fi;
#else
            at = 0;
            do
            :: at < STEPS - 1 -> at++
            :: break
            od;
#endif
            if
            :: CALLS(at) ->
                if
#ifdef MUTANT_2
                :: known[at] == OK && effects[at] < 2 -> effects[at]++; answer[at] = OK
#endif
                :: known[at] != NOTHING -> answer[at] = known[at]
#ifdef MUTANT_4
                :: known[at] == NOTHING -> known[at] = OK; effects[at]++; answer[at] = OK
#else
                :: known[at] == NOTHING && void_[at] -> known[at] = REFUSED; answer[at] = REFUSED
                :: known[at] == NOTHING && !void_[at] -> known[at] = OK; effects[at]++; answer[at] = OK
#endif
                :: known[at] == NOTHING && !void_[at] -> known[at] = REFUSED; answer[at] = REFUSED
                fi
            :: UNDOES(at) ->
                if
                :: effects[at] > 0 ->
#ifndef RECORDED
                    /* In reverse: nothing above is left. */
                    i = at + 1;
                    do
                    :: i < STEPS -> assert(effects[i] == 0); i++
                    :: else -> break
                    od;
                    i = 0;
#endif
                    effects[at] = 0
                :: else
                fi;
                void_[at] = true;
                undone[at] = true
            :: else
            fi;
            at = 0
        }
    od
}

/* What was sent is not there any more. What is still to be answered is sent again. */
active proctype Loss() {
    byte at;
end:
    do
    :: atomic { losses < LOSSES ->
            losses++;
            at = 0;
            do
            :: at < STEPS - 1 -> at++
            :: break
            od;
            if
            :: call[at] -> call[at] = false
            :: undo[at] -> undo[at] = false
            :: answer[at] != NOTHING -> answer[at] = NOTHING
            :: undone[at] -> undone[at] = false
            :: else
            fi;
            at = 0
        }
    od
}

active proctype Monitor() {
    byte at;
end:
    do
    :: atomic { at < STEPS ->
            assert(effects[at] <= 1);
            assert(now_.recorded[at] <= 1 && disk.recorded[at] <= 1);
#ifdef RECORDED
            assert(disk.phase != COMPLETED || disk.recorded[at] == 1);
#else
            assert(disk.phase != COMPLETED || effects[at] == 1);
            assert(disk.phase != COMPENSATED || effects[at] == 0);
#endif
            at++
        }
    :: atomic { at == STEPS -> at = 0 }
    od
}

#ifdef LTL
ltl ends { <> OVER(disk) }
#endif
