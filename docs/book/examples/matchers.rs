//! What the chapter on the matcher shows.

use std::time::Duration;

use towpath::{BoxError, Ctx, Receiver, bounded, scope};
use towpath_patterns::matcher::{Matcher, Output, Part, Rules, Tolerance, What};

/// Papers and outputs on their way.
const PLACES: usize = 8;

// ANCHOR: rules
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Paper {
    Order,
    Goods,
    Bill,
}

fn rules() -> Rules<Paper> {
    Rules::within(DAY * 90) // since the first paper of a set
        .needs(Paper::Order, 1..=1)
        .needs(Paper::Goods, 1..=10)
        .needs(Paper::Bill, 1..=10)
        .equal(Paper::Goods, Paper::Bill, Tolerance { amount: 0, per_mille: 20 })
        .after(Paper::Goods, Paper::Order)
}
// ANCHOR_END: rules

const DAY: Duration = Duration::from_secs(86_400);

async fn tell(mut told: Receiver<Output<&'static str, Paper>>) {
    while let Some(output) = told.recv().await {
        match output {
            Output::Matched(set) => {
                let live = set.parts.iter().filter(|part| {
                    part.is_live(Paper::Order)
                        || part.is_live(Paper::Goods)
                        || part.is_live(Paper::Bill)
                });
                println!("{}: {} papers match", set.key, live.count());
            }
            Output::Unmatched { set, differences, why } => {
                println!("{}, {why:?}: {}", set.key, differences[0]);
            }
            Output::Void(set) => println!("{}: taken back", set.key),
            Output::Stray { part, .. } => println!("{}: paper {} came late", part.key, part.id),
        }
    }
}

fn main() -> Result<(), BoxError> {
    towpath::block_on(scope(&Ctx::root(), |s| async move {
        // ANCHOR: start
        let ((orders, at_orders), (goods, at_goods)) = (bounded(PLACES), bounded(PLACES));
        let ((bills, at_bills), (out, told)) = (bounded(PLACES), bounded(PLACES));
        let matcher = Matcher::new(rules()).event_time(1_000);
        s.spawn("matcher", |ctx| matcher.run(ctx, vec![at_orders, at_goods, at_bills], out));
        // ANCHOR_END: start
        let listening = s.spawn("listener", |_| async move {
            tell(told).await;
            Ok::<_, BoxError>(())
        });
        let paper =
            |item, id, kind, day, amount| Part::new(item, id, kind).amount(amount).at(DAY * day);
        let undo_last = |item, id, kind, day| {
            let undo = Part::new(item, id, kind).at(DAY * day);
            Part { what: What::UndoLast { kind }, ..undo }
        };
        for part in [
            paper("lamp", 1, Paper::Order, 1, 0),
            paper("desk", 2, Paper::Order, 2, 0),
            paper("fan", 3, Paper::Order, 3, 0),
            paper("chair", 4, Paper::Order, 150, 0),
            undo_last("chair", 5, Paper::Order, 151),
        ] {
            orders.send(part.into()).await?;
        }
        for part in [
            paper("lamp", 6, Paper::Goods, 5, 100),
            undo_last("lamp", 7, Paper::Goods, 6),
            paper("desk", 8, Paper::Goods, 7, 500),
            paper("lamp", 9, Paper::Goods, 8, 100),
            paper("fan", 10, Paper::Goods, 9, 30),
        ] {
            goods.send(part.into()).await?;
        }
        for part in [
            paper("lamp", 11, Paper::Bill, 10, 101),
            paper("desk", 12, Paper::Bill, 11, 540),
            paper("desk", 13, Paper::Bill, 120, -40),
        ] {
            bills.send(part.into()).await?;
        }
        drop((orders, goods, bills));
        listening.await?;
        Ok(())
    }))?;
    Ok(())
}
