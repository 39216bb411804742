/* The end of a context: noted once, told to all below and to everybody who waits, whoever grows or goes meanwhile.
 *
 * Abstracts: src/raw/tree.rs (`enter`, `leave`, `end_here`, `take_child`, `grow`, `end_below`, `revive`, `free`) and the
 *   wait of src/raw/done.rs (`advance`, `complete`, `Drop`).
 * Leaves out: deadlines and timers, values and headers, the parent's count (every node here has a reference but the one
 *   that goes), the claim of a select whose arm this is (claim.pml), the waker's own protocol. The pass goes one level
 *   down, as `end_below` does for each node it finds.
 * What a node's lock guards changes in one step; what is read without it is a step of its own. So `cause` here is what holders
 *   of the lock see of a node's cause, and `ended` what others see of it: in the code one word, written under the lock.
 *
 * Node 0 is the root, 1 its child, 2 a child that is grown meanwhile (grandchild of the root), 3 another child of the root
 *   whose last reference goes meanwhile.
 *
 * Parameters: WAITERS on node 1, and as many as HOLD are told in one hold of the lock; TWICE: node 1 is also ended by
 *   somebody else, for another cause; CANCELS: waits that may be dropped.
 *
 * Checked: a cause is set once; who is told of an end finds a cause; nobody touches a node that is freed; nobody waits at an
 *   ended context for ever and all that lives below an ended one ends (`Monitor`, `ltl told`).
 *
 * Runs, read by `cargo xtask spin`:
 *! quick safety WAITERS=2 HOLD=1 CANCELS=1
 *! quick safety WAITERS=1 HOLD=1 CANCELS=1 TWICE
 *! quick ltl=told WAITERS=1 HOLD=1 CANCELS=1
 *! nightly safety WAITERS=2 HOLD=1 CANCELS=1 TWICE
 *! nightly safety WAITERS=3 HOLD=2 CANCELS=2
 *! nightly ltl=told WAITERS=1 HOLD=1 CANCELS=1 TWICE
 *! mutant 1 safety WAITERS=1 HOLD=1 CANCELS=0 : a waiter enters without looking for a cause
 *! mutant 2 safety WAITERS=1 HOLD=1 CANCELS=0 : the end shows before its cause is set
 *! mutant 3 safety WAITERS=1 HOLD=1 CANCELS=0 : a child is grown without looking for a cause
 *! mutant 4 safety WAITERS=0 HOLD=1 CANCELS=0 : the pass takes a child that is on its way out
 *! mutant 5 safety WAITERS=1 HOLD=1 CANCELS=0 TWICE : a second end overwrites the cause
 *! mutant 6 safety WAITERS=2 HOLD=1 CANCELS=0 : only the waiters of the first hold are told
 *! mutant 7 safety WAITERS=1 HOLD=1 CANCELS=1 : a dropped wait stays in the line
 *! mutant 1 ltl=told WAITERS=1 HOLD=1 CANCELS=0 : as the first, found by the formula
 */

#define NODES 4
#define ROOT 0
#define CHILD 1
#define LATE 2
#define LEAVING 3
#define PARENT(node) ((node) == LATE -> CHILD : ROOT)

/* Of each node: its lock, and what it guards. */
bool locked[NODES];
byte cause[NODES];
bool linked[NODES];
/* Read without the lock. */
bool ended[NODES];
byte refs[NODES];
bool freed[NODES];
bool alive[NODES];

/* Who waits at node 1, as a set: all of them are told, in whatever order. */
bool in_line[WAITERS + 1];
bool signal[WAITERS + 1];
bool waits[WAITERS + 1];
byte cancels;

#define OCCUPIED (in_line[0] || (WAITERS > 1 && in_line[WAITERS - 1]) || (WAITERS > 2 && in_line[1]))

/* `end_here` for `node`; `first` says that it had not ended before. */
inline end_here(node, why) {
    first = false;
#ifdef MUTANT_2
    ended[node] = true;
#endif
    atomic {
        !locked[node] ->
        assert(!freed[node]);
        if
#ifdef MUTANT_5
        :: true ->
#else
        :: cause[node] == 0 ->
#endif
            assert(cause[node] == 0);
            locked[node] = true;
            cause[node] = why;
            first = true
        :: else
        fi
    };
    if
    :: first ->
        ended[node] = true;
        do
        :: atomic {
                told = 0;
                n = 0;
                do
                :: node == CHILD && n < WAITERS && told < HOLD ->
                    if
                    :: in_line[n] -> in_line[n] = false; signal[n] = true; told++
                    :: else
                    fi;
                    n++
                :: else -> break
                od;
                n = 0;
                locked[node] = false;
#ifdef MUTANT_6
                told = 0; break
#else
                if
                :: node != CHILD || !OCCUPIED -> told = 0; break
                :: else
                fi
#endif
            };
            atomic { !locked[node] -> locked[node] = true; told = 0 }
        od
    :: else
    fi
}

/* `take_child` of `node`: one that is linked and not on its way out, which stays referenced for the pass. */
inline take_child(node) {
    atomic {
        !locked[node] ->
        child = NODES;
        n = 1;
        do
        :: n < NODES ->
            if
            :: child == NODES && linked[n] && PARENT(n) == node ->
                assert(!freed[n]);
                linked[n] = false;
                if
#ifdef MUTANT_4
                :: true -> refs[n]++; child = n
#else
                :: refs[n] > 0 -> refs[n]++; child = n
                :: else
#endif
                fi
            :: else
            fi;
            n++
        :: else -> break
        od;
        n = 0
    }
}

/* `CtxRef::drop`, `free`. */
inline let_go(node) {
    atomic { assert(refs[node] > 0); refs[node]--; last = refs[node] == 0 };
    if
    :: last ->
        atomic { !locked[PARENT(node)] -> linked[node] = false };
        atomic { assert(!freed[node]); freed[node] = true; last = false }
    :: else
    fi
}

/* `end`: the node, then all below. */
inline end(node, why) {
    end_here(node, why);
    if
    :: first ->
        do
        :: take_child(node);
            if
            :: child == NODES -> break
            :: else ->
                below = child;
                end_here(below, why);
                if
                :: first && below == CHILD ->
                    take_child(below);
                    if
                    :: child != NODES ->
                        deep = child;
                        end_here(deep, why);
                        let_go(deep)
                    :: else
                    fi
                :: else
                fi;
                let_go(below)
            fi
        od
    :: else
    fi
}

proctype Canceller(byte node, why) {
    byte n, told, child, below, deep;
    bool first, last;
    end(node, why);
    assert(ended[node])
}

/* `grow`: a child of node 1. */
proctype Grower() {
    byte n, told, why;
    bool first;
    atomic {
        !locked[CHILD] ->
        refs[LATE] = 1;
        alive[LATE] = true;
#ifndef MUTANT_3
        why = cause[CHILD];
#endif
        if
        :: why == 0 -> linked[LATE] = true
        :: else
        fi
    };
    if
    :: why != 0 -> end_here(LATE, why)
    :: else
    fi
}

proctype Leaver() {
    bool last;
    let_go(LEAVING)
}

proctype Waiter(byte me) {
    bool enters;
    /* `look` */
    if
    :: ended[CHILD]
    :: else ->
        signal[me] = false;
        atomic {
            !locked[CHILD] ->
            if
#ifdef MUTANT_1
            :: true -> in_line[me] = true; enters = true
#else
            :: cause[CHILD] == 0 -> in_line[me] = true; enters = true
            :: else
#endif
            fi;
            waits[me] = enters
        };
        if
        :: enters ->
            if
            :: signal[me]
            :: cancels < CANCELS -> cancels++; enters = false
            fi;
            /* `leave` */
            atomic {
                !locked[CHILD] ->
#ifndef MUTANT_7
                in_line[me] = false;
#endif
                waits[me] = false
            };
            /* From here the wait's memory may be gone. */
            assert(!in_line[me]);
            if
            :: !enters -> goto dropped
            :: else
            fi
        :: else
        fi
    fi;
    atomic { !locked[CHILD] -> assert(cause[CHILD] != 0 && ended[CHILD]) };
dropped:
    skip
}

/* Looks when nothing moves any more. */
proctype Monitor() {
    byte n;
    timeout;
    atomic {
        for (n : 0 .. NODES - 1) {
            assert(!locked[n]);
            assert(!alive[n] || freed[n] || (ended[n] && cause[n] != 0))
        };
        for (n : 0 .. WAITERS) { assert(!waits[n]) }
    }
}

init {
    byte n;
    atomic {
        refs[ROOT] = 1; refs[CHILD] = 1; refs[LEAVING] = 1;
        alive[ROOT] = true; alive[CHILD] = true; alive[LEAVING] = true;
        linked[CHILD] = true; linked[LEAVING] = true;
        run Canceller(ROOT, 1);
#ifdef TWICE
        run Canceller(CHILD, 2);
#endif
        run Grower();
        run Leaver();
        n = 0;
        do
        :: n < WAITERS -> run Waiter(n); n++
        :: else -> break
        od
#ifndef LTL
        ; run Monitor()
#endif
    }
}

#ifdef LTL
ltl told { <> [] (ended[CHILD] && !waits[0] && (!alive[LATE] || ended[LATE])) }
#endif
