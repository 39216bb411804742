//! The ambient runtime is the simulator: tasks, threads, `block_on`, chance.

use std::time::Duration;

use towpath::{
    block_on,
    rt::{Handle, now, random, sleep, spawn, spawn_blocking},
};

use crate::tools::some_channel;

#[towpath::test]
async fn tasks_and_threads_give_their_values() {
    let task = spawn(async { 1 });
    let thread = spawn_blocking(|| 2);
    let nested = spawn(async { spawn_blocking(|| 3).await.unwrap() });
    let sum = task.await.unwrap() + thread.await.unwrap() + nested.await.unwrap();
    assert_eq!(sum, 6);
}

#[towpath::test]
async fn block_on_waits_in_the_middle_of_a_thread() {
    let (tx, mut rx) = some_channel();
    let thread = spawn_blocking(move || {
        block_on(async {
            sleep(Duration::from_secs(5)).await;
            rx.recv().await
        })
    });
    tx.send(1).await.unwrap();
    assert_eq!(thread.await.unwrap(), Some(1));
}

/// Also in a task, where it should not be done: the others go on meanwhile.
#[towpath::test]
async fn block_on_in_a_task_stops_nobody_else() {
    let (tx, mut rx) = some_channel();
    let sender = spawn(async move { tx.send(1).await });
    assert_eq!(block_on(rx.recv()), Some(1));
    sender.await.unwrap().unwrap();
}

#[towpath::test]
async fn a_handle_can_be_carried_along() {
    let handle = Handle::current();
    let start = now();
    let thread = spawn_blocking(move || {
        let task = handle.spawn(async { sleep(Duration::from_secs(60)).await });
        block_on(task).unwrap();
    });
    thread.await.unwrap();
    assert!(now() - start >= Duration::from_secs(60));
}

#[towpath::test]
async fn a_panic_is_in_the_value_of_its_task() {
    let task = spawn(async { assert_eq!(1, 2, "no") });
    let thread = spawn_blocking(|| assert_eq!(1, 2, "no"));
    assert!(task.await.is_err() && thread.await.is_err());
}

/// Chance is part of the schedule: the same program gets the same, and one number is not like the next.
#[towpath::test]
async fn chance_comes_from_the_schedule() {
    let numbers = [random(), random(), random(), random()];
    let (one, other) = (spawn(async { random() }), spawn(async { random() }));
    let _ = (one.await.unwrap(), other.await.unwrap());
    assert!(numbers.iter().any(|n| *n != numbers[0]) || numbers == [0; 4], "{numbers:?}");
}
