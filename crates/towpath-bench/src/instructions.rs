//! Instructions per operation where nobody contends, counted by valgrind's callgrind: what a change costs when a clock on a
//! busy machine cannot tell.
//!
//! Each case is done N and 2N times in a process of its own; the difference, by N, is one operation without start and end.
//! Everything runs on one thread, so the count hardly varies: by what a select draws at random, and by a table of the
//! allocator or the runtime that grows once.
//!
//! What is counted is instructions, not time: a branch that is never taken costs one, and a cache miss as well.

use std::collections::BTreeMap;
use std::future::Future;
use std::hint::black_box;
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::task::{Context, Poll, Waker};

use serde::Serialize;
use towpath::select::SelectSet;
use towpath::{Cause, Ctx, Receiver, Sender, bounded, rendezvous, scope, unbounded};

/// Operations of the smaller run. An operation takes 50 to 3,000 instructions, of which callgrind does some 20 million in a
/// second; the difference of two runs is exact to one part in N.
const OPS: usize = 20_000;

/// Places of the ring.
const RING: usize = 128;

/// The smallest buffer; sender and receiver meet at every message, as on a rendezvous.
const ONE: usize = 1;

type Link = fn() -> (Sender<u64>, Receiver<u64>);

/// One thing to count.
pub(crate) struct Case {
    name: &'static str,
    work: fn(usize) -> u64,
}

macro_rules! cases {
    ($($name:literal: $work:ident($($link:ident),*);)*) => {
        &[$(Case { name: $name, work: |ops| $work($($link,)* ops) }),*]
    };
}

/// In the order of the table.
const CASES: &[Case] = cases! {
    "try/ring": tries(ring);
    "try/list": tries(unbounded);
    "try/meet1": tries(one);
    "async/ring": awaits(ring);
    "async/list": awaits(unbounded);
    "async/meet1": awaits(one);
    "stream/ring": streams(ring);
    "stream/list": streams(unbounded);
    "stream/meet1": streams(one);
    "stream/meet0": streams(rendezvous);
    "ping/ring": plays(ring);
    "ping/list": plays(unbounded);
    "ping/meet1": plays(one);
    "ping/meet0": plays(rendezvous);
    "select/ring": selects(ring);
    "select/list": selects(unbounded);
    "select/meet1": selects(one);
    "eight/ring": eights(ring);
    "eight/list": eights(unbounded);
    "eight/meet1": eights(one);
    "set/ring": sets(ring);
    "set/list": sets(unbounded);
    "set/meet1": sets(one);
    "wait/ring": waits(ring);
    "wait/list": waits(unbounded);
    "wait/meet1": waits(one);
    "wait/meet0": waits(rendezvous);
    "done/task": ends();
    "scope/task": processes();
};

fn ring() -> (Sender<u64>, Receiver<u64>) {
    bounded(RING)
}

fn one() -> (Sender<u64>, Receiver<u64>) {
    bounded(ONE)
}

/// `try_send`, `try_recv`.
fn tries(link: Link, ops: usize) -> u64 {
    let (tx, mut rx) = link();
    let mut sum = 0;
    for n in 0..ops as u64 {
        tx.try_send(black_box(n)).expect("room");
        sum += rx.try_recv().expect("a message");
    }
    sum
}

/// `send().await`, `recv().await` in one task: neither waits.
fn awaits(link: Link, ops: usize) -> u64 {
    let (tx, mut rx) = link();
    towpath::block_on(async {
        let mut sum = 0;
        for n in 0..ops as u64 {
            tx.send(black_box(n)).await.expect("room");
            sum += rx.recv().await.expect("a message");
        }
        sum
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts")
}

/// A task sends to another on the same thread.
fn streams(link: Link, ops: usize) -> u64 {
    let (tx, mut rx) = link();
    runtime().block_on(async {
        let sending = tokio::spawn(async move {
            for n in 0..ops as u64 {
                tx.send(black_box(n)).await.expect("a receiver");
            }
        });
        let receiving = tokio::spawn(async move {
            let mut sum = 0;
            while let Some(n) = rx.recv().await {
                sum += n;
            }
            sum
        });
        sending.await.expect("no panic");
        receiving.await.expect("no panic")
    })
}

/// Two tasks on one thread, and one message that goes there and back.
fn plays(link: Link, ops: usize) -> u64 {
    let (there, mut questions) = link();
    let (back, mut answers) = link();
    runtime().block_on(async {
        let answering = tokio::spawn(async move {
            while let Some(n) = questions.recv().await {
                back.send(n).await.expect("a receiver");
            }
        });
        let asking = tokio::spawn(async move {
            let mut sum = 0;
            for n in 0..ops as u64 {
                there.send(black_box(n)).await.expect("a receiver");
                sum += answers.recv().await.expect("an answer");
            }
            sum
        });
        let sum = asking.await.expect("no panic");
        answering.await.expect("no panic");
        sum
    })
}

/// A select over two arms that are both ready; and the `try_send` that makes the winner ready again.
fn selects(link: Link, ops: usize) -> u64 {
    let ((a, mut from_a), (b, mut from_b)) = (link(), link());
    a.try_send(0).expect("room");
    b.try_send(0).expect("room");
    towpath::block_on(async {
        let mut sum = 0;
        for n in 0..ops as u64 {
            towpath::select! {
                got = from_a.recv() => {
                    sum += got.expect("a message");
                    a.try_send(black_box(n)).expect("room");
                },
                got = from_b.recv() => {
                    sum += got.expect("a message");
                    b.try_send(black_box(n)).expect("room");
                },
            }
        }
        // What is left in the two channels.
        sum + from_a.try_recv().expect("a message") + from_b.try_recv().expect("a message")
    })
}

/// As `selects` on a thread, over eight arms of which two are ready.
fn eights(link: Link, ops: usize) -> u64 {
    let (txs, mut rxs): (Vec<_>, Vec<_>) = (0..8).map(|_| link()).unzip();
    [2, 5].iter().for_each(|&ready: &usize| txs[ready].try_send(0).expect("room"));
    let [a, b, c, d, e, f, g, h] = &mut rxs[..] else { unreachable!("made with this width") };
    let mut sum = 0;
    for n in 0..ops as u64 {
        let (from, got) = towpath::select_blocking! {
            got = a.recv() => (0, got),
            got = b.recv() => (1, got),
            got = c.recv() => (2, got),
            got = d.recv() => (3, got),
            got = e.recv() => (4, got),
            got = f.recv() => (5, got),
            got = g.recv() => (6, got),
            got = h.recv() => (7, got),
        };
        sum += got.expect("a message");
        txs[from].try_send(black_box(n)).expect("room");
    }
    sum + c.try_recv().expect("a message") + f.try_recv().expect("a message")
}

/// As `eights` with a `SelectSet`.
fn sets(link: Link, ops: usize) -> u64 {
    let mut set = SelectSet::new();
    let txs: BTreeMap<_, _> = (0..8).map(|_| link()).map(|(tx, rx)| (set.recv(rx), tx)).collect();
    txs.values().skip(2).step_by(3).for_each(|tx| tx.try_send(0).expect("room"));
    let mut sum = 0;
    for n in 0..ops as u64 {
        let (key, got) = set.next_blocking();
        sum += got.expect("a message");
        txs[&key].try_send(black_box(n)).expect("room");
    }
    for _ in 0..2 {
        sum += set.try_next().and_then(|(_, got)| got).expect("a message");
    }
    sum
}

/// A task that waits for the end of a context of its own, all below one that ends.
fn ends(ops: usize) -> u64 {
    let (ctx, canceller) = Ctx::root().with_cancel();
    runtime().block_on(async {
        let tasks: Vec<_> = (0..ops as u64)
            .map(|n| (n, ctx.child()))
            .map(|(n, child)| {
                tokio::spawn(async move {
                    child.done().await;
                    n
                })
            })
            .collect();
        tokio::task::yield_now().await;
        canceller.cancel("enough");
        let mut sum = 0;
        for task in tasks {
            sum += task.await.expect("no panic");
        }
        sum
    })
}

/// A process of a scope that ends at once, and its join.
fn processes(ops: usize) -> u64 {
    let all = scope(&Ctx::root(), |s| async move {
        let mut sum = 0;
        for n in 0..ops as u64 {
            sum += s.spawn("one", move |_| async move { Ok::<_, Cause>(black_box(n)) }).await?;
        }
        Ok(sum)
    });
    runtime().block_on(all).expect("nobody fails")
}

/// A receive that parks, is woken by a `try_send` and then finishes.
fn waits(link: Link, ops: usize) -> u64 {
    let (tx, mut rx) = link();
    let mut cx = Context::from_waker(Waker::noop());
    let mut sum = 0;
    for n in 0..ops as u64 {
        let mut receiving = pin!(rx.recv());
        assert!(receiving.as_mut().poll(&mut cx).is_pending(), "nothing is there yet");
        tx.try_send(black_box(n)).expect("a receiver waits");
        let Poll::Ready(Some(got)) = receiving.poll(&mut cx) else { panic!("it was sent") };
        sum += got;
    }
    sum
}

/// The child: does the work of one case. This is what is counted.
pub(crate) fn work(name: &str, ops: usize) -> Result<(), String> {
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.ok_or_else(|| format!("`{name}` names no case"))?;
    let (got, want) = ((case.work)(ops), (ops as u64 * (ops as u64 - 1)) / 2);
    if got == want { Ok(()) } else { Err(format!("{name}: received {got}, sent {want}")) }
}

/// What was counted in one case.
#[derive(Serialize)]
struct Count {
    case: &'static str,
    instructions: f64,
    /// Of the other binary.
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<f64>,
}

impl Count {
    /// How much more than the other, in percent.
    fn more(&self) -> Option<f64> {
        self.beside.map(|beside| (self.instructions / beside - 1.0) * 100.0)
    }
}

/// Counts the cases that match, and with `beside` those of another build of this program, and prints a table.
pub(crate) fn run(
    globs: &[glob::Pattern],
    beside: Option<&Path>,
    json: Option<&Path>,
) -> Result<(), String> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        return Err(
            "no valgrind here, so no instructions are counted; Debian has it as `valgrind`".into(),
        );
    }
    let own = std::env::current_exe().map_err(|error| format!("this binary: {error}"))?;
    let mut counts = Vec::new();
    let wanted =
        |case: &&Case| globs.is_empty() || globs.iter().any(|glob| glob.matches(case.name));
    for case in CASES.iter().filter(wanted) {
        let instructions = per_operation(&own, case.name)?;
        let beside = beside.map(|other| per_operation(other, case.name)).transpose()?;
        counts.push(Count { case: case.name, instructions, beside });
    }
    if counts.is_empty() {
        let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        return Err(format!("no case matches; there are {}", names.join(", ")));
    }
    print!("{}", table(&counts));
    let Some(path) = json else { return Ok(()) };
    let text = serde_json::to_string_pretty(&counts).expect("counts are plain data");
    std::fs::write(path, text).map_err(|error| format!("write {}: {error}", path.display()))
}

fn table(counts: &[Count]) -> String {
    let mut text = String::from("| case | instructions | beside | more |\n|---|---:|---:|---:|\n");
    for count in counts {
        let beside = count.beside.map_or("-".into(), |beside| format!("{beside:.1}"));
        let more = count.more().map_or("-".into(), |more| format!("{more:+.1} %"));
        let line = format!("| {} | {:.1} | {beside} | {more} |\n", count.case, count.instructions);
        text.push_str(&line);
    }
    text
}

fn per_operation(binary: &Path, case: &str) -> Result<f64, String> {
    let (one, two) = (count(binary, case, OPS)?, count(binary, case, 2 * OPS)?);
    Ok((two as f64 - one as f64) / OPS as f64)
}

fn count(binary: &Path, case: &str, ops: usize) -> Result<u64, String> {
    of_program(binary, &["work", case, &ops.to_string()])
}

/// Instructions of a whole child: this program with these arguments.
pub(crate) fn of_child(arguments: &[&str]) -> Result<u64, String> {
    let own = std::env::current_exe().map_err(|error| format!("this binary: {error}"))?;
    of_program(&own, arguments)
}

fn of_program(binary: &Path, arguments: &[&str]) -> Result<u64, String> {
    let case = arguments.join(" ");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(binary)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("nothing");
        return Err(format!("{case}: {}: {last}", output.status));
    }
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    collected
        .and_then(|(_, number)| number.trim().parse().ok())
        .ok_or_else(|| format!("{case}: callgrind gave no count"))
}

#[cfg(test)]
mod tests {
    use super::{CASES, Count, table, work};

    #[test]
    fn every_case_does_its_work() {
        CASES.iter().for_each(|case| work(case.name, 100).unwrap());
    }

    #[test]
    fn a_table_says_how_much_more_it_is() {
        let counts = [
            Count { case: "a", instructions: 102.0, beside: Some(100.0) },
            Count { case: "b", instructions: 7.0, beside: None },
        ];
        let lines: Vec<_> = table(&counts).lines().skip(2).map(str::to_owned).collect();
        assert_eq!(lines, ["| a | 102.0 | 100.0 | +2.0 % |", "| b | 7.0 | - | - |"]);
    }
}
