//! A kitchen that is watched: what a scrape shows of it, and what became of one order.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use towpath::{BoxError, Ctx, Receiver, Sender, Traced, bounded, scope};
use towpath_observe::{
    metrics::{Metrics, Samples, Source, families},
    span::{Sampling, Tracer},
};

/// As many orders as hang on the rail.
const RAIL: usize = 8;

// ANCHOR: cook
async fn cook(
    tracer: Tracer,
    mut orders: Receiver<Traced<&'static str>>,
    out: Sender<Traced<String>>,
) -> Result<(), BoxError> {
    while let Some(order) = orders.recv().await {
        let (mut span, order) = tracer.receive("cook", order);
        if order == "eel" {
            span.fail("there is no eel");
            continue;
        }
        out.send(span.traced(format!("fried {order}"))).await?;
    }
    Ok(())
}
// ANCHOR_END: cook

// ANCHOR: waiter
/// Takes as many dishes as are there at once.
async fn waiter(tracer: Tracer, mut dishes: Receiver<Traced<String>>) {
    let mut tray = Vec::new();
    while dishes.recv_many(&mut tray, RAIL).await > 0 {
        let span = tracer.linked("serve", tray.iter().map(Traced::headers));
        println!("served {:?}", tray.drain(..).map(Traced::into_inner).collect::<Vec<_>>());
        drop(span.on("dishes"));
    }
}
// ANCHOR_END: waiter

// ANCHOR: source
/// Guests who left because the rail was full.
#[derive(Default)]
struct Guests {
    left: AtomicU64,
}

impl Source for Guests {
    fn collect(&self, to: &mut Samples<'_>) {
        let left = self.left.load(Ordering::Relaxed);
        to.put(&families::CHANNEL_DROPPED, &["orders", "full"], left);
    }
}
// ANCHOR_END: source

/// The lines of a scrape that begin with one of these.
fn show(metrics: &Metrics, families: &[&str]) {
    let scrape = metrics.scrape();
    let shown =
        scrape.lines().filter(|line| families.iter().any(|family| line.starts_with(family)));
    shown.for_each(|line| println!("{line}"));
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // ANCHOR: begin
    let metrics = Metrics::new("kitchen");
    metrics.install()?; // before anything starts
    let tracer = Tracer::new(Sampling::ratio(1.0));
    // ANCHOR_END: begin
    let guests = Arc::new(Guests::default());
    metrics.add(&guests);

    let (orders, at_cook) = bounded(RAIL);
    let orders = orders.named("orders");
    let (dishes, at_waiter) = bounded(RAIL);
    let dishes = dishes.named("dishes");
    for order in ["perch", "eel", "carp"].into_iter().cycle().take(RAIL + 2) {
        let span = tracer.root("order");
        if orders.try_send(span.traced(order)).is_err() {
            guests.left.fetch_add(1, Ordering::Relaxed);
        }
    }
    show(&metrics, &["towpath_channel_load", "towpath_channel_length", "towpath_channel_dropped"]);

    drop(orders);
    let cooking = tracer.clone();
    scope(&Ctx::root(), |s| async move {
        s.spawn("cook", move |_| cook(cooking, at_cook, dishes)).await?;
        Ok(())
    })
    .await?;
    // ANCHOR: end
    waiter(tracer.clone(), at_waiter).await;
    show(&metrics, &["towpath_channel_receives"]);

    let serving = &tracer.recent(1)[0].spans[0];
    println!("{} for {} dishes", serving.name, serving.links.len());
    for link in serving.links.iter().take(2) {
        let trace = tracer.trace(link.trace).ok_or("it is kept")?;
        let names: Vec<_> = trace.spans.iter().map(|span| span.name.as_str()).collect();
        println!("which was {}", names.join(", then "));
    }
    let failed = tracer.recent(usize::MAX).into_iter().flat_map(|trace| trace.spans);
    let why: Vec<_> = failed.filter_map(|span| span.why).collect();
    println!("failed: {why:?}");
    // ANCHOR_END: end
    Ok(())
}
