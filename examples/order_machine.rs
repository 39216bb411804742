//! A morning in a shop: what happens to three orders, what is refused, and what the warehouse is told.
//!
//! The machine is the one that ships, `machine::order`: a table in which every event in every state is handled or refused. Here it runs
//! as a process, with an instance for each order and a journal under it. In the middle of the morning the power goes. The orders are
//! where they were, and what nobody had confirmed is told again, under the same number: so the warehouse knows it when it sees it.
//!
//! ```text
//!   shop ──(order, event)──▶ Keyed ──decisions, refusals──▶ warehouse
//!                              │  ▲                             │
//!                          journal └────────── confirm ◀────────┘
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use towpath::{BoxError, Ctx, scope};
use towpath_journal::{Lsn, Writer};
use towpath_patterns::machine::Keyed;
use towpath_patterns::machine::keyed::Output;
use towpath_patterns::machine::order::{Event, Order};

/// Events on their way to the orders; the shop is never far ahead.
const MAILBOX: usize = 16;

/// Decisions on their way to the warehouse.
const OUTPUTS: usize = 16;

/// Before the power goes.
const MORNING: &[(u32, Event)] = &[
    (1, Event::Create { price_cents: 4_900 }),
    (1, Event::Ship { parcel: 70 }),
    (1, Event::Pay { cents: 4_000 }),
    (1, Event::Pay { cents: 5_000 }),
    (1, Event::Pay { cents: 5_000 }),
    (2, Event::Create { price_cents: 1_500 }),
    (2, Event::Pay { cents: 1_500 }),
    (1, Event::Confirm),
    (2, Event::Confirm),
];

/// After the lights are on again.
const LATER: &[(u32, Event)] = &[
    (1, Event::Ship { parcel: 71 }),
    (1, Event::Cancel),
    (2, Event::Cancel),
    (2, Event::Pay { cents: 1_500 }),
    (1, Event::Deliver),
    (3, Event::Pay { cents: 900 }),
];

/// What is told of one event, in a line.
fn line(output: &Output<u32, Order>, known: &mut BTreeSet<Lsn>) -> String {
    let key = output.key;
    match &output.outcome {
        Ok(to) => {
            let again = if known.insert(output.lsn) {
                ""
            } else {
                ", which the warehouse knows by its number"
            };
            format!("order {key}: {} -> {}, {:?}{again}", to.from, to.to, to.decisions)
        }
        Err(rejected) => format!("order {key}: {rejected}"),
    }
}

/// One run of the shop; `known` are the numbers of what the warehouse has seen. The warehouse confirms the first `awake` of what it is told; of the rest nobody knows.
async fn run(
    journal: &Path,
    events: &'static [(u32, Event)],
    awake: usize,
    mut known: BTreeSet<Lsn>,
) -> Result<BTreeSet<Lsn>, BoxError> {
    let (orders, outbox) = Keyed::new(Order).report_all().journalled(Writer::open(journal)?)?;
    let (found, recovery) = (orders.store(), orders.recovery());
    println!("  {} orders, {} told again", found.len(), recovery.told_again);
    for (order, state, data) in found.iter() {
        println!("  order {order} is {state}, {} cents paid", data.paid_cents);
    }
    let expected = events.len() + recovery.told_again;
    scope(&Ctx::root(), |s| async move {
        let (shop, mailbox) = towpath::bounded(MAILBOX);
        let (outputs, mut warehouse) = towpath::bounded(OUTPUTS);
        s.spawn_blocking("orders", move |ctx| orders.run(ctx, mailbox, outputs));
        for (order, event) in events {
            shop.send((*order, event.clone()).into()).await?;
        }
        for seen in 0..expected {
            let output = warehouse.recv().await.ok_or("the orders have ended")?;
            println!("  {}", line(&output, &mut known));
            if seen < awake && output.lsn > Lsn::ZERO {
                outbox.confirm(output.lsn);
            }
        }
        // Nobody can send any more, so the process ends; it writes the last confirmation first.
        drop(shop);
        Ok(known)
    })
    .await
    .map_err(BoxError::from)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    println!("what the table says of a paid order");
    let text = Order::table().to_text();
    for row in text.split("\n\n").find(|part| part.starts_with("Paid")).unwrap_or_default().lines()
    {
        println!("  {row}");
    }

    let journal = empty_folder()?;
    println!("\nthe morning");
    let known = run(&journal, MORNING, 5, BTreeSet::new()).await?;
    println!("\nthe power was gone; the same journal");
    run(&journal, LATER, usize::MAX, known).await?;
    println!("\nat night");
    let (orders, _) = Keyed::<u32, _>::new(Order).journalled(Writer::open(&journal)?)?;
    for (order, state, data) in orders.store().iter() {
        println!("  order {order} is {state}, {} cents paid", data.paid_cents);
    }
    drop(orders);
    std::fs::remove_dir_all(&journal)?;
    Ok(())
}

/// A folder of its own, empty.
fn empty_folder() -> Result<PathBuf, BoxError> {
    let folder = std::env::temp_dir().join(format!("towpath-order-machine-{}", std::process::id()));
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(folder)
}
