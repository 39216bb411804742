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

/* "c1" (2) */
short s1 = 1, r1 = 1;
short n1;
inline send1() { if :: atomic { n1 < LIMIT(2) -> n1++ } :: r1 == 0 fi }
inline recv1() { if :: atomic { n1 > 0 -> n1-- } :: s1 == 0 && n1 == 0 fi }

/* "edge" (1) */
short s2 = 1, r2 = 1;
short n2;
inline send2() { if :: atomic { n2 < LIMIT(1) -> n2++ } :: r2 == 0 fi }
inline recv2() { if :: atomic { n2 > 0 -> n2-- } :: s2 == 0 && n2 == 0 fi }

/* "edge" (1) */
short s3 = 1, r3 = 1;
short n3;
inline send3() { if :: atomic { n3 < LIMIT(1) -> n3++ } :: r3 == 0 fi }
inline recv3() { if :: atomic { n3 > 0 -> n3-- } :: s3 == 0 && n3 == 0 fi }

/* "p0", Strict */
active proctype p0() {
    do
    ::
        if
        :: atomic { n2 > 0 -> n2-- }
        :: s2 == 0 && n2 == 0 -> break
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
        :: atomic { n1 > 0 -> n1-- }
        :: s1 == 0 && n1 == 0 -> break
        fi;
        send3();
    od;
    r1--;
    s3--;
}

active proctype source2() {
    do
    :: true -> send2()
    :: true -> break
    od;
    s2--
}

active proctype sink3() {
    do
    :: true -> recv3()
    :: true -> break
    od;
    r3--
}
