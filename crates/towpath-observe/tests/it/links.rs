//! No link is lost: whatever the schedule, what left the network can be followed back to where it entered.

use std::collections::{BTreeMap, BTreeSet};

use towpath::{
    Ctx, Receiver, Sender, SharedReceiver, Traced, bounded, rendezvous, rt, scope, select,
    unbounded,
};
use towpath_observe::{
    span::{Record, Sampling, Tracer},
    trace::{SpanId, TraceId},
};
use towpath_patterns::gateway::{Call, Gateway, Options};

/// Messages of each of two sources.
const EACH: u32 = 4;
const PLACES: usize = 2;
/// At most so many in a batch.
const BATCH: usize = 3;

type Orders = Receiver<Traced<u32>>;
type Out<T> = Sender<Traced<T>>;

/// Two sources, by a select; the first message of each channel may come first.
async fn merge(tracer: Tracer, mut one: Orders, mut other: Orders, out: Out<u32>) {
    let (mut one_is_open, mut other_is_open) = (true, true);
    while one_is_open || other_is_open {
        let (order, channel) = select! {
            order = one.recv(), if one_is_open => {
                one_is_open = order.is_some();
                (order, "one")
            },
            order = other.recv(), if other_is_open => {
                other_is_open = order.is_some();
                (order, "other")
            },
        };
        let Some(order) = order else { continue };
        let (span, order) = tracer.receive("merge", order);
        let span = span.on(channel);
        out.send(span.traced(order)).await.expect("the workers stay");
    }
}

/// One of several, which asks the gateway.
async fn work(
    tracer: Tracer,
    gateway: Gateway<u32, u32>,
    mut orders: SharedReceiver<Traced<u32>>,
    out: Out<u32>,
) {
    while let Some(order) = orders.recv().await {
        let (span, order) = tracer.receive("work", order);
        let ctx = span.under(&Ctx::root());
        let answer = gateway.call(&ctx, order).await.expect("it answers");
        out.send(span.traced(answer)).await.expect("the store stays");
    }
}

/// Takes what there is at once.
async fn store(tracer: Tracer, mut answers: Orders, out: Out<Vec<u32>>) {
    let mut batch = Vec::new();
    while answers.recv_many(&mut batch, BATCH).await > 0 {
        let span = tracer.linked("store", batch.iter().map(Traced::headers));
        let stored = batch.drain(..).map(Traced::into_inner).collect();
        out.send(span.traced(stored)).await.expect("the last one stays");
    }
}

/// Everything that was recorded.
struct Recorded(BTreeMap<(TraceId, SpanId), Record>);

impl Recorded {
    fn of(tracer: &Tracer) -> Self {
        let traces = tracer.recent(usize::MAX);
        let spans = traces.into_iter().flat_map(|trace| {
            trace.spans.into_iter().map(move |span| ((trace.trace, span.id), span))
        });
        Self(spans.collect())
    }

    /// Where `span` and what it was done for began.
    fn origins(&self, span: (TraceId, SpanId), found: &mut BTreeSet<(TraceId, SpanId)>) {
        assert!(found.len() <= self.0.len(), "a circle");
        let record = self.0.get(&span).expect("a link leads to a span that was recorded");
        let parent = record.parent.map(|parent| (span.0, parent));
        let before: Vec<_> = parent
            .into_iter()
            .chain(record.links.iter().map(|link| (link.trace, link.span)))
            .collect();
        if before.is_empty() {
            found.insert(span);
        }
        before.into_iter().for_each(|before| self.origins(before, found));
    }

    fn count(&self, name: &str) -> usize {
        self.0.values().filter(|span| span.name == name).count()
    }
}

/// Runs all messages through. The answer is what entered under a recorded span, and what that span was.
async fn run(tracer: &Tracer) -> BTreeMap<(TraceId, SpanId), u32> {
    let root = Ctx::root();
    scope(&root, |s| async move {
        let (to_one, one) = rendezvous();
        let (to_other, other) = bounded(PLACES);
        let (to_work, orders) = bounded(PLACES);
        let (to_store, answers) = unbounded();
        let (to_last, mut last) = rendezvous::<Traced<Vec<u32>>>();
        let served = tracer.clone();
        let gateway =
            Gateway::start(&s, "gateway", Options::new(2), move |call: Call<u32, u32>| {
                let tracer = served.clone();
                async move {
                    let span = tracer.span("handle", call.ctx());
                    let answer = call.request() + 100;
                    rt::spawn(async {}).await.expect("a task of nothing");
                    drop(span);
                    call.answer(answer);
                }
            });
        let mut sources = Vec::new();
        for (source, out) in [(0, to_one), (1, to_other)] {
            let tracer = tracer.clone();
            sources.push(s.spawn("source", move |_| async move {
                let mut entered = Vec::new();
                for number in 0..EACH {
                    let span = tracer.root("source");
                    let order = source * EACH + number;
                    entered.extend(span.context().map(|here| ((here.trace, here.span), order)));
                    out.send(span.traced(order)).await?;
                }
                Ok::<_, towpath::SendError<Traced<u32>>>(entered)
            }));
        }
        s.spawn("merge", {
            let tracer = tracer.clone();
            move |_| merge(tracer, one, other, to_work)
        });
        let orders = orders.into_shared();
        for _ in 0..2 {
            let (tracer, gateway) = (tracer.clone(), gateway.clone());
            let (orders, out) = (orders.clone(), to_store.clone());
            s.spawn("worker", move |_| work(tracer, gateway, orders, out));
        }
        drop((to_store, orders));
        s.spawn("store", {
            let tracer = tracer.clone();
            move |_| store(tracer, answers, to_last)
        });
        let mut stored = Vec::new();
        while let Some(batch) = last.recv().await {
            let (_span, batch) = tracer.receive("last", batch);
            stored.extend(batch);
        }
        stored.sort_unstable();
        assert_eq!(stored, (100..100 + 2 * EACH).collect::<Vec<_>>());
        let mut entered = BTreeMap::new();
        for source in sources {
            entered.extend(source.await?);
        }
        drop(gateway);
        Ok(entered)
    })
    .await
    .expect("all goes well")
}

#[towpath::test]
async fn every_message_can_be_followed_back_to_where_it_entered() {
    let tracer = Tracer::new(Sampling::ratio(1.0));
    let entered = run(&tracer).await;
    let recorded = Recorded::of(&tracer);
    let messages = 2 * EACH as usize;
    assert_eq!(entered.len(), messages);
    for (name, spans) in
        [("source", messages), ("merge", messages), ("work", messages), ("handle", messages)]
    {
        assert_eq!(recorded.count(name), spans, "{name}");
    }
    let mut found = BTreeSet::new();
    for (&span, record) in &recorded.0 {
        let mut own = BTreeSet::new();
        recorded.origins(span, &mut own);
        match record.name.as_str() {
            "store" => assert_eq!(own.len(), record.links.len()),
            "last" => found.extend(own),
            _ => assert_eq!(own.len(), 1),
        }
    }
    assert_eq!(found, entered.keys().copied().collect(), "links lost or made up");
}

#[towpath::test]
async fn a_trace_that_is_sampled_is_recorded_whole_and_the_others_not_at_all() {
    let tracer = Tracer::new(Sampling::ratio(0.5));
    let entered = run(&tracer).await;
    let recorded = Recorded::of(&tracer);
    for name in ["source", "merge", "work", "handle"] {
        assert_eq!(recorded.count(name), entered.len(), "{name}");
    }
    let mut found = BTreeSet::new();
    for (span, _) in recorded.0.iter().filter(|(_, record)| record.name == "last") {
        recorded.origins(*span, &mut found);
    }
    assert_eq!(found, entered.keys().copied().collect(), "links lost or made up");
}
