/* Network "test". */

#ifndef CAPACITY_MAX
#define CAPACITY_MAX 3
#endif
#define LIMIT(capacity) ((capacity) < CAPACITY_MAX -> (capacity) : CAPACITY_MAX)

/* Of each channel: s its senders that are left, r its receivers, n the messages in it. */

/* "c0" (rendezvous) */
short s0 = 1, r0 = 1;
chan c0 = [0] of { bit };
inline send0() { if :: c0!0 :: r0 == 0 fi }
inline recv0() { if :: c0?_ :: s0 == 0 fi }

/* "c1" (rendezvous) */
short s1 = 1, r1 = 1;
chan c1 = [0] of { bit };
inline send1() { if :: c1!0 :: r1 == 0 fi }
inline recv1() { if :: c1?_ :: s1 == 0 fi }

/* "c2" (rendezvous) */
short s2 = 1, r2 = 1;
chan c2 = [0] of { bit };
inline send2() { if :: c2!0 :: r2 == 0 fi }
inline recv2() { if :: c2?_ :: s2 == 0 fi }

/* "p0", Strict */
active proctype p0() {
    do
    ::
        if
        :: c2?_
        :: s2 == 0 -> break
        fi;
        send0();
    od;
    s0--;
    r2--;
}

/* "p1", Strict */
active proctype p1() {
    do
    ::
        if
        :: c0?_
        :: s0 == 0 -> break
        fi;
        send1();
    od;
    r0--;
    s1--;
}

/* "p2", Strict */
active proctype p2() {
    do
    ::
        if
        :: c1?_
        :: s1 == 0 -> break
        fi;
        send2();
    od;
    r1--;
    s2--;
}
