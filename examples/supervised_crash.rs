//! A dispatcher crashes, and nobody who waits for a driver notices.
//!
//! The supervisor owns the dispatcher's ports and lends them to one run after the other. So the orders that were waiting
//! when it crashed are still there when it comes back, and those who send them see one channel that never closes. Only
//! what the crashed run had in its hands is gone; it goes where the desk for odd cases looks.
//!
//! Then the same with an order that crashes every run: three times is bad luck, a fourth time is not, and the supervisor
//! says what it has seen.

use std::{error::Error as _, time::Duration};

use towpath::{
    BoxError, Ctx, Receiver, SendError, Sender,
    supervisor::{Backoff, GaveUp, Intensity, OnExit, Strategy, Supervisor},
};

/// Orders that wait: more than a day has.
const ORDERS: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Order {
    number: u32,
    passengers: u32,
}

/// What a dispatcher works with. It outlives every single run.
struct Desk {
    orders: Receiver<Order>,
    rides: Sender<String>,
    /// The order that is being worked on. Still here in the next run: then the last one crashed over it.
    at_hand: Option<Order>,
    odd: Vec<Order>,
}

impl Desk {
    fn new(orders: Receiver<Order>, rides: Sender<String>) -> Self {
        Self { orders, rides, at_hand: None, odd: Vec::new() }
    }
}

async fn dispatcher(_ctx: Ctx, desk: &mut Desk) -> Result<(), SendError<String>> {
    if let Some(order) = desk.at_hand.take() {
        desk.rides
            .send(format!("order {} put aside, the last run crashed over it", order.number))
            .await?;
        desk.odd.push(order);
    }
    while let Some(order) = desk.orders.recv().await {
        desk.at_hand = Some(order);
        // The bug: nobody thought of an order for no one.
        let cars = 4_u32.div_ceil(order.passengers);
        desk.rides
            .send(format!("order {} rides, {cars} such parties to a car", order.number))
            .await?;
        desk.at_hand = None;
    }
    desk.rides.send(format!("closed, odd cases: {}", desk.odd.len())).await
}

/// Restarts without waiting: a story should not take seconds.
fn supervisor() -> Supervisor {
    Supervisor::new("dispatch", Strategy::OneForOne)
        .with_backoff(Backoff::NONE)
        .with_intensity(Intensity::new(3, Duration::from_secs(60)))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    println!("-- a crash");
    let (tx, orders) = towpath::bounded(ORDERS);
    let (rides, mut board) = towpath::bounded(ORDERS);
    for (number, passengers) in (1..).zip([2, 1, 0, 4, 1]) {
        tx.try_send(Order { number, passengers }).map_err(|_| "the board is full")?;
    }
    drop(tx);
    let mut dispatch = supervisor();
    dispatch.child("dispatcher", OnExit::RestartOnFailure, Desk::new(orders, rides), dispatcher);
    dispatch.run(&Ctx::root()).await?;
    while let Some(line) = board.recv().await {
        println!("{line}");
    }

    println!("-- one crash too many");
    let mut dispatch = supervisor();
    dispatch.child("dispatcher", OnExit::RestartOnFailure, (), async |_, ()| {
        Err::<(), _>("the map is missing")
    });
    let Err(error) = dispatch.run(&Ctx::root()).await else { return Ok(()) };
    println!("{error}");
    if let Some(gave_up) = error.source().and_then(|source| source.downcast_ref::<GaveUp>()) {
        println!("{gave_up}");
        let last = gave_up.last.as_ref().and_then(|last| last.source());
        println!("the last time: {}", last.map(ToString::to_string).unwrap_or_default());
        println!("times before that: {}", gave_up.earlier.len());
    }
    Ok(())
}
