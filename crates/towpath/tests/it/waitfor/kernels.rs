//! Shapes of hangs in real programs, each at the moment when it hangs.
//!
//! Named after the kernel whose shape it is. Where owned ends make a value of the hang, this is the twin in which
//! both ends sit in a handle that everybody shares, the habit that brings the hang back.

use std::fmt::Write as _;

use towpath::waitfor::Options;

use super::world;

/// Members of each set, and who is stuck behind them; `-` when nobody is.
fn verdict(text: &str) -> String {
    let report = world::parse(text).analyse(&Options::new());
    let mut verdict = String::new();
    for set in report.stuck_sets() {
        let _ = write!(verdict, "{}{}:", if verdict.is_empty() { "" } else { "; " }, set.grade());
        set.members().for_each(|process| verdict += &format!(" {}", process.name));
        set.followers().enumerate().for_each(|(at, process)| {
            verdict += &format!("{} {}", if at == 0 { " <" } else { "" }, process.name);
        });
    }
    if verdict.is_empty() { "-".into() } else { verdict }
}

fn kernel(text: &str, expected: &str) {
    assert_eq!(verdict(text), expected, "\nof the world:\n{text}");
}

// A channel that is waited for by everybody who could serve it.

#[test]
fn grpc_1275_the_closer_forgets_to_close_the_buffer() {
    kernel(
        "reader: recv buffer
         closer: all readers
         chan buffer 0/8: closer? reader? -> reader
         group readers: reader",
        "LIKELY: reader closer",
    );
}

#[test]
fn grpc_1424_nobody_announces_done() {
    kernel(
        "watcher: over
         parent: recv done
         chan done 0/0: parent? -> parent",
        "LIKELY: parent",
    );
}

#[test]
fn etcd_6857_a_late_asker_and_a_server_that_stopped() {
    // The server is over, and the handle that all share keeps its end.
    kernel(
        "server: over
         asker: send status
         chan status 0/0: asker -> asker",
        "PROVEN: asker",
    );
    // With an owned end the channel closes, and the send returns.
    kernel("server: over\n asker: send status\n chan status 0/0: asker -> -", "-");
}

#[test]
fn cockroach_35931_an_error_for_a_consumer_not_started() {
    kernel(
        "caller: send errors
         chan errors 1/1: caller -> caller",
        "PROVEN: caller",
    );
}

#[test]
fn cockroach_35073_pushers_and_an_outbox_that_failed() {
    kernel(
        "outbox: over
         push1: send input
         push2: send input
         chan input 16/16: push1 push2 -> push1? push2?",
        "LIKELY: push1 push2",
    );
}

#[test]
fn cockroach_25456_waits_for_an_event_that_a_live_holder_never_sends() {
    // The stopper is alive and could send: only the program knows that it will not.
    kernel(
        "worker: recv quiesce
         stopper: runs
         chan quiesce 0/0: stopper -> worker",
        "-",
    );
    // Once it waits for the worker to drain, both are stuck.
    kernel(
        "worker: recv quiesce
         stopper: all workers
         chan quiesce 0/0: stopper -> worker
         group workers: worker",
        "PROVEN: worker stopper",
    );
}

#[test]
fn cockroach_24808_fills_its_own_channel() {
    kernel("start: send work\n chan work 1/1: start -> start", "PROVEN: start");
}

#[test]
fn kubernetes_70277_a_third_party_waits_for_a_signal_nobody_can_fire() {
    kernel("callee: over\n third: notified done\n notify done: -", "PROVEN: third");
}

#[test]
fn kubernetes_38669_a_watcher_that_sends_before_it_listens() {
    kernel(
        "watcher: send events
         client: all watchers
         chan events 0/0: watcher -> client
         group watchers: watcher",
        "PROVEN: watcher client",
    );
}

#[test]
fn kubernetes_5316_the_caller_timed_out() {
    kernel(
        "caller: over
         worker: send result
         chan result 0/0: worker -> worker?",
        "LIKELY: worker",
    );
}

#[test]
fn moby_33293_sends_before_the_receiver_is_returned() {
    kernel("monitor: send errors\n chan errors 0/0: monitor -> monitor", "PROVEN: monitor");
}

#[test]
fn moby_21233_a_printer_that_quits_early() {
    kernel(
        "print: over
         part1: send progress
         part2: send progress
         part3: send progress
         release: all parts
         chan progress 0/0: part1 part2 part3 -> release
         group parts: part1 part2 part3",
        "PROVEN: part1 release part2 part3",
    );
}

#[test]
fn moby_4395_a_result_that_is_ignored() {
    kernel(
        "helper: send result\n caller: over\n chan result 0/0: helper -> helper?",
        "LIKELY: helper",
    );
}

#[test]
fn grpc_862_a_retry_loop_lives_on() {
    // It is not stuck: its timer brings it on for ever. A scope removes the shape.
    kernel("dial: over\n retry: timer 1s | done ctx\n ctx ctx: -", "-");
}

#[test]
fn cockroach_18101_a_producer_that_does_not_watch_cancel() {
    kernel(
        "view: over
         restore: send ready
         chan ready 4/4: restore -> restore?",
        "LIKELY: restore",
    );
}

#[test]
fn cockroach_13197_a_transaction_neither_committed_nor_rolled_back() {
    kernel("canceller: done tx\n ctx tx: -", "PROVEN: canceller");
}

// Notifications that are missed.

#[test]
fn kubernetes_11298_a_notification_without_a_waiter_is_lost() {
    kernel("notifier: over\n service: notified work\n notify work: service", "PROVEN: service");
}

#[test]
fn moby_30408_the_failure_path_never_notifies() {
    kernel(
        "start: over
         wait1: notified active
         wait2: notified active
         notify active: wait1 wait2",
        "PROVEN: wait1 wait2",
    );
}

// A channel and a lock that are waited for crosswise.

#[test]
fn grpc_1460_parks_on_awaken_with_the_lock() {
    kernel(
        "keeper: recv awaken
         stream: lock mu
         chan awaken 0/1: stream -> keeper
         lock mu: keeper",
        "PROVEN: keeper stream",
    );
}

#[test]
fn grpc_1353_sends_under_the_lock_that_the_receiver_wants() {
    kernel(
        "source: send updates
         user: lock mu
         chan updates 0/0: source -> user
         lock mu: source",
        "PROVEN: source user",
    );
}

#[test]
fn etcd_7902_waits_for_the_next_round_under_the_lock() {
    kernel(
        "follower: notified round
         leader: lock mu
         third: lock mu
         notify round: leader
         lock mu: follower",
        "PROVEN: follower leader < third",
    );
}

#[test]
fn etcd_7492_a_full_channel_and_a_timer_branch_that_wants_the_lock() {
    kernel(
        "assign: send tokens
         keeper: lock mu
         user1: lock mu
         user2: lock mu
         chan tokens 1/1: assign user1 user2 -> keeper
         lock mu: assign",
        "PROVEN: assign keeper < user1 user2",
    );
}

#[test]
fn etcd_6873_stop_holds_the_lock_and_waits_for_done() {
    kernel(
        "stop: recv done
         worker: lock mu
         chan done 0/0: worker -> stop
         lock mu: stop",
        "PROVEN: stop worker",
    );
}

#[test]
fn kubernetes_26980_keeps_the_lock_while_it_selects_on_stop() {
    kernel(
        "pop: recv stop
         adder: lock mu
         chan stop 0/0: adder -> pop
         lock mu: pop",
        "PROVEN: pop adder",
    );
    // As long as the stopper is alive, it may end this.
    kernel(
        "pop: recv stop\n adder: lock mu\n main: runs\n chan stop 0/0: main -> pop\n lock mu: pop",
        "-",
    );
}

#[test]
fn kubernetes_10182_two_setters_under_the_lock() {
    kernel(
        "set1: send status
         set2: lock mu
         syncer: lock mu
         chan status 0/0: set1 set2 -> syncer
         lock mu: set1",
        "PROVEN: set1 syncer < set2",
    );
}

#[test]
fn cockroach_1462_the_stopper_waits_for_the_producer() {
    kernel(
        "producer: send work
         consumer: over
         stopper: all tasks
         chan work 0/0: producer -> stopper?
         group tasks: producer",
        "LIKELY: producer stopper",
    );
}

#[test]
fn moby_25384_waits_inside_the_loop_for_all() {
    kernel("main: all done\n one: over\n group done: main", "PROVEN: main");
}

// Locks only.

#[test]
fn two_locks_in_two_orders() {
    kernel("a: lock n\n b: lock m\n lock m: a\n lock n: b", "PROVEN: a b");
}

#[test]
fn reader_writer_reader() {
    // The second read of `r1` queues behind the writer, which waits for the first.
    kernel("r1: lock rw\n w: lock rw\n r2: runs\n lock rw: r1 r2", "PROVEN: r1 < w");
}

#[test]
fn one_lock_twice() {
    kernel("a: lock m\n lock m: a", "PROVEN: a");
}

// What only Rust has.

#[test]
fn futurelock_a_lost_branch_keeps_the_lock() {
    // The branch was given the lock, was set aside, and its task waits for the same lock.
    kernel("task: lock m\n other: lock m\n lock m: task", "PROVEN: task < other");
    // The same with a place that a permit keeps.
    kernel("task: send x\n sink: recv x\n chan x 0+1/1: task -> sink", "PROVEN: task sink");
}

#[test]
fn a_pool_exhausted_by_tasks_that_wait_for_each_other() {
    kernel(
        "job1: all part1
         job2: all part2
         sub1: permits pool 1
         sub2: permits pool 1
         group part1: sub1
         group part2: sub2
         sem pool 0: job1 job2",
        "PROVEN: job1 sub1 job2 sub2",
    );
}

#[test]
fn workers_on_a_queue_that_is_never_closed() {
    // The pool's own handle keeps the queue open, and whoever held it is over.
    kernel(
        "main: over
         w1: recv jobs
         w2: recv jobs
         chan jobs 0/inf: w1? -> w1 w2",
        "LIKELY: w1 < w2",
    );
}
