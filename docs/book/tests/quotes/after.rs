//! The desk of `before.rs`, repaired: closing gives up the quotes that nobody looks at any more.

use std::time::Duration;

use towpath::{Ctx, Join, Receiver, Scope, at, bounded, rt, scope, select};

/// Quotes that have come and were not looked at: one, as looking at a quote takes no time.
const QUOTE_CAPACITY: usize = 1;

/// Asks carriers what they want for a parcel.
struct Desk {
    quotes: Receiver<u32>,
    carriers: Vec<Join<()>>,
}

impl Desk {
    /// Begins to ask. `carriers` are names, and how long each thinks.
    fn open(s: &Scope, carriers: &[(&'static str, Duration)]) -> Self {
        let (quote_tx, quotes) = bounded(QUOTE_CAPACITY);
        let quote_tx = quote_tx.named("quotes");
        let ask = |&(name, thinks): &(&'static str, Duration)| {
            let quote_tx = quote_tx.clone();
            s.spawn(name, move |_| async move {
                rt::sleep(thinks).await; // in the real desk: a request to the carrier
                // An error means that the desk is closed: nobody wants the quote any more.
                let _ = quote_tx.send(thinks.as_millis() as u32).await;
            })
        };
        Self { carriers: carriers.iter().map(ask).collect(), quotes }
    }

    /// The best of the quotes that come in time.
    async fn best(&mut self, patience: Duration) -> Option<u32> {
        let (mut best, deadline) = (None, rt::now() + patience);
        loop {
            select! {
                quote = self.quotes.recv() => match quote {
                    Some(quote) => best = Some(best.map_or(quote, |best: u32| best.min(quote))),
                    None => return best, // all have answered
                },
                _ = at(deadline) => return best,
            }
        }
    }

    // ANCHOR: close
    /// Waits until no carrier is being asked any more. What they still say is given back to them.
    async fn close(self) {
        drop(self.quotes);
        for carrier in self.carriers {
            let _ = carrier.await;
        }
    }
    // ANCHOR_END: close
}

async fn asks_three_carriers() {
    let asked = scope(&Ctx::root(), |s| async move {
        let ms = Duration::from_millis;
        let mut desk = Desk::open(&s, &[("north", ms(40)), ("south", ms(60)), ("west", ms(90))]);
        let best = desk.best(ms(300)).await;
        desk.close().await;
        Ok(best)
    });
    // Whoever is slow may come too late; that is no error.
    let best = asked.await.expect("no carrier fails");
    assert!(best.is_none_or(|best| best >= 40), "a quote that nobody gave: {best:?}");
}

#[tokio::test(start_paused = true)]
async fn the_desk_closes() {
    asks_three_carriers().await;
}

#[towpath::test]
async fn the_desk_always_closes() {
    asks_three_carriers().await;
}
