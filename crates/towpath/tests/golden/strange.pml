/* Network "say \"hi\": \\". */

#ifndef CAPACITY_MAX
#define CAPACITY_MAX 3
#endif
#define LIMIT(capacity) ((capacity) < CAPACITY_MAX -> (capacity) : CAPACITY_MAX)

/* Of each channel: s its senders that are left, r its receivers, n the messages in it. */

/* "`x` #35;\n\\N\t|\u2028東京" (1) */
short s0 = 1, r0 = 0;
short n0;
inline send0() { if :: atomic { n0 < LIMIT(1) -> n0++ } :: r0 == 0 fi }
inline recv0() { if :: atomic { n0 > 0 -> n0-- } :: s0 == 0 && n0 == 0 fi }

/* "loose" (1) */
short s1 = 0, r1 = 0;
short n1;
inline send1() { if :: atomic { n1 < LIMIT(1) -> n1++ } :: r1 == 0 fi }
inline recv1() { if :: atomic { n1 > 0 -> n1-- } :: s1 == 0 && n1 == 0 fi }

/* "a\"]; end[<b>&lt;", Free */
active proctype p0() {
    do
    :: true -> send0()
    :: true -> break
    od;
    s0--;
}
