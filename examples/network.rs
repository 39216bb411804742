//! A ride service as a network: declared first, then drawn, checked and run, and at last drained.
//!
//! Orders come from outside. An intake gives each a number, two dispatchers share the work of finding a driver, and a
//! ledger on a thread of its own adds up what was earned. Nobody opens or closes a channel: who is lent a port has it
//! for as long as it works, and when it returns its neighbours see the end.
//!
//! ```text
//!   calls ──▶ intake ──▶ orders ──▶ dispatcher 1 ──▶ paid ──▶ ledger ──▶ total
//!                              └──▶ dispatcher 2 ──┘
//! ```

use std::time::Duration;

use towpath::{
    BoxError, Ctx, Receiver, SendError, Sender, SharedReceiver,
    network::{Cycle, Network},
};

/// Calls that wait for somebody to answer: a caller hangs up after a minute, and an answer takes four seconds.
const CALLS: usize = 16;
/// Orders that wait for a dispatcher: one each, so that a free one never has to wait for the intake.
const ORDERS: usize = 2;
/// How long rides that are under way may take when the service closes.
const CLOSING: Duration = Duration::from_secs(30);

struct Order {
    number: u32,
    kilometres: u32,
}

struct Paid {
    number: u32,
    cents: u32,
}

/// Gives every call its number.
async fn intake(
    _ctx: Ctx,
    (calls, orders): &mut (Receiver<u32>, Sender<Order>),
) -> Result<(), SendError<Order>> {
    let mut number = 0;
    while let Some(kilometres) = calls.recv().await {
        number += 1;
        orders.send(Order { number, kilometres }).await?;
    }
    Ok(())
}

/// Finds a driver; one of two who share the orders.
async fn dispatcher(
    _ctx: Ctx,
    (orders, paid): &mut (SharedReceiver<Order>, Sender<Paid>),
) -> Result<(), SendError<Paid>> {
    while let Some(Order { number, kilometres }) = orders.recv().await {
        paid.send(Paid { number, cents: 300 + 120 * kilometres }).await?;
    }
    Ok(())
}

/// Writes down what was paid. On a thread, as if it wrote to a disk.
fn ledger(
    _ctx: Ctx,
    (paid, total): &mut (Receiver<Paid>, Sender<(usize, u32)>),
) -> Result<(), SendError<(usize, u32)>> {
    let mut book = Vec::new();
    while let Some(entry) = paid.recv_blocking() {
        book.push(entry);
    }
    // Two dispatchers finish in any order.
    book.sort_by_key(|entry| entry.number);
    for Paid { number, cents } in &book {
        println!("ride {number}: {}.{:02}", cents / 100, cents % 100);
    }
    total.send_blocking((book.len(), book.iter().map(|entry| entry.cents).sum()))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut net = Network::new("rides");
    let (callers, calls) = net.input("calls", CALLS);
    let (orders_out, orders) = net.channel("orders", ORDERS);
    let (paid_out, paid) = net.channel("paid", 0);
    let (total_out, mut total) = net.output("total", 1);

    let orders = orders.into_shared();
    net.process("intake", (calls, orders_out), intake);
    net.process("dispatcher 1", (orders.clone(), paid_out.clone()), dispatcher);
    net.process("dispatcher 2", (orders, paid_out), dispatcher);
    net.process_blocking("ledger", (paid, total_out), ledger);

    let cycles: Vec<Cycle> = net.check()?;
    println!("processes: {}, cycles: {}", net.graph().processes.len(), cycles.len());
    println!("{}", net.graph().to_mermaid());

    let running = net.start(&Ctx::root())?;
    for kilometres in [3, 12, 7, 1] {
        callers.send(kilometres).await?;
    }

    // Closing time: what is on its way arrives, and who calls now is told.
    running.drain(CLOSING).await?;
    if let Err(SendError(kilometres)) = callers.send(5).await {
        println!("too late for a ride of {kilometres} km");
    }
    if let Some((rides, cents)) = total.recv().await {
        println!("{rides} rides, {}.{:02} earned", cents / 100, cents % 100);
    }
    Ok(())
}
