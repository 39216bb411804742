/* Network "rides". */

#ifndef CAPACITY_MAX
#define CAPACITY_MAX 3
#endif
#define LIMIT(capacity) ((capacity) < CAPACITY_MAX -> (capacity) : CAPACITY_MAX)

/* Of each channel: s its senders that are left, r its receivers, n the messages in it. */

/* "calls" (16) */
short s0 = 1, r0 = 1;
short n0;
inline send0() { if :: atomic { n0 < LIMIT(16) -> n0++ } :: r0 == 0 fi }
inline recv0() { if :: atomic { n0 > 0 -> n0-- } :: s0 == 0 && n0 == 0 fi }

/* "orders" (256) */
short s1 = 1, r1 = 2;
short n1;
inline send1() { if :: atomic { n1 < LIMIT(256) -> n1++ } :: r1 == 0 fi }
inline recv1() { if :: atomic { n1 > 0 -> n1-- } :: s1 == 0 && n1 == 0 fi }

/* "paid" (rendezvous) */
short s2 = 2, r2 = 1;
chan c2 = [0] of { bit };
inline send2() { if :: c2!0 :: r2 == 0 fi }
inline recv2() { if :: c2?_ :: s2 == 0 fi }

/* "receipts" (unbounded) */
short s3 = 1, r3 = 1;
short n3;
inline send3() { if :: atomic { n3 < CAPACITY_MAX -> n3++ } :: n3 == CAPACITY_MAX :: r3 == 0 fi }
inline recv3() { if :: atomic { n3 > 0 -> n3-- } :: n3 == CAPACITY_MAX :: s3 == 0 && n3 == 0 fi }

/* "intake", Free */
active proctype p0() {
    do
    :: true -> recv0()
    :: true -> send1()
    :: true -> break
    od;
    r0--;
    s1--;
}

/* "dispatcher 1", Free */
active proctype p1() {
    do
    :: true -> recv1()
    :: true -> send2()
    :: true -> break
    od;
    r1--;
    s2--;
}

/* "dispatcher 2", Free */
active proctype p2() {
    do
    :: true -> recv1()
    :: true -> send2()
    :: true -> break
    od;
    r1--;
    s2--;
}

/* "journal", Free */
active proctype p3() {
    do
    :: true -> recv2()
    :: true -> send3()
    :: true -> break
    od;
    r2--;
    s3--;
}

active proctype source0() {
    do
    :: true -> send0()
    :: true -> break
    od;
    s0--
}

active proctype sink3() {
    do
    :: true -> recv3()
    :: true -> break
    od;
    r3--
}
