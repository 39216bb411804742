//! Spans: how they are related, which are recorded, and what is kept of them.

use std::sync::{Arc, Mutex};

use serde_json::json;
use towpath::{Ctx, Headers, Traced};
use towpath_observe::{
    metrics::{Metrics, Samples, Source},
    span::{Export, Record, Sampling, Status, Tracer},
    trace::{TraceContext, TraceId},
};

fn all() -> Tracer {
    Tracer::new(Sampling::ratio(1.0))
}

#[test]
fn what_is_not_sampled_carries_nothing() {
    let tracer = Tracer::new(Sampling::NONE);
    let span = tracer.root("intake");
    assert!(!span.is_recorded() && span.headers().is_empty() && span.fields().is_empty());
    let (span, order) = tracer.receive("cook", span.traced(7));
    assert_eq!((order, span.is_recorded()), (7, false));
    assert!(!tracer.linked("batch", [span.headers()]).is_recorded());
    assert_eq!(tracer.recent(10), []);
}

#[test]
fn a_ratio_of_roots_is_recorded() {
    let tracer = Tracer::new(Sampling::ratio(0.25));
    let recorded = (0..10_000).filter(|_| tracer.root("intake").is_recorded()).count();
    // Beyond ten standard deviations.
    assert!((2_000..3_000).contains(&recorded), "{recorded}");
    for none in [Sampling::ratio(0.0), Sampling::ratio(-1.0), Sampling::ratio(f64::NAN)] {
        assert!(!Tracer::new(none).root("intake").is_recorded());
    }
    assert!(Tracer::new(Sampling::ratio(7.0)).root("intake").is_recorded());
}

#[test]
fn what_others_put_into_headers_goes_along() {
    let tracer = all();
    let tenant = Headers::new(*b"tenant: blue");
    let (span, ()) = tracer.receive("cook", Traced::new(tenant.clone(), ()));
    assert_eq!((span.headers(), span.is_recorded()), (&tenant, false));
    let root = tracer.root("intake");
    let both = root.context().unwrap().put_into(&tenant);
    let (span, ()) = tracer.receive("cook", Traced::new(both, ()));
    assert!(span.is_recorded());
    let text = String::from_utf8(span.headers().as_bytes().to_vec()).unwrap();
    assert!(text.starts_with("tenant: blue\ntraceparent: 00-"), "{text}");
    assert_eq!(text.matches("traceparent").count(), 1);
}

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-";

#[test]
fn a_caller_decides_unless_he_is_not_asked() {
    let serve = |tracer: &Tracer, flags: &str| {
        let parent = format!("{CALLER}{flags}");
        tracer.serve("http", [("traceparent", parent), ("tracestate", "rojo=1".to_owned())])
    };
    let none = Tracer::new(Sampling::NONE);
    let span = serve(&none, "01");
    let here = span.context().expect("the caller has sampled it").clone();
    assert_eq!(here.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(span.fields()[0].1.ends_with("-01") && span.fields()[1].1 == "rojo=1");
    drop(span);
    let recorded = none.trace(here.trace).unwrap();
    assert_eq!(recorded.spans[0].parent.unwrap().to_string(), "00f067aa0ba902b7");

    // Not sampled by the caller: continued and not recorded, whatever the ratio.
    let span = serve(&all(), "00");
    assert!(!span.is_recorded());
    assert_eq!(span.fields()[0].1, format!("{CALLER}00"));
    // Not asked: by the ratio.
    assert!(serve(&Tracer::new(Sampling::ratio(1.0).ignoring_callers()), "00").is_recorded());
    let span = serve(&Tracer::new(Sampling::NONE.ignoring_callers()), "01");
    assert!(!span.is_recorded() && span.fields()[0].1 == format!("{CALLER}00"));
    // No caller, or none that can be understood: a root.
    assert!(all().serve("http", [("traceparent", "nonsense")]).is_recorded());
    assert!(all().serve("http", [] as [(&str, &str); 0]).is_recorded());
}

#[test]
fn sampling_goes_by_the_id_so_that_all_agree() {
    let parent = |low: &str| format!("00-4bf92f3577b34da6a3{low}-00f067aa0ba902b7-00");
    let recorded = |ratio: f64, low: &str| {
        let tracer = Tracer::new(Sampling::ratio(ratio).ignoring_callers());
        tracer.serve("http", [("traceparent", parent(low))]).is_recorded()
    };
    // The last seven bytes as a part of what they can be.
    let half = "80000000000000";
    assert!(!recorded(0.5, half) && recorded(0.500_001, half));
    assert!(recorded(0.5, "7fffffffffffff") && !recorded(0.49, "7fffffffffffff"));
}

#[test]
fn contexts_carry_spans() {
    let tracer = all();
    let root = tracer.root("intake");
    let ctx = root.under(&Ctx::root());
    let below = tracer.span("work", &ctx.child());
    assert_eq!(below.context().unwrap().trace, root.context().unwrap().trace);
    assert_eq!(TraceContext::of(&below.under(&ctx)).as_ref(), below.context());
    assert!(!tracer.span("work", &Ctx::root()).is_recorded());
}

#[test]
fn the_last_traces_are_kept_and_shown_as_json() {
    let tracer = all();
    for _ in 0..300 {
        tracer.root("old").fail("this one is forgotten");
    }
    let root = tracer.root("intake");
    let (mut cook, ()) = tracer.receive("cook", root.traced(()));
    cook.fail("burnt");
    cook.fail("too late to count");
    let (trace, root_id) = (root.context().unwrap().trace, root.context().unwrap().span);
    let cook_id = cook.context().unwrap().span;
    drop(root);
    drop(cook.on("orders"));
    let store = tracer.linked(
        "store",
        [&TraceContext::of(&Ctx::root()).map_or(Headers::none(), |_| unreachable!())],
    );
    assert!(!store.is_recorded());

    let recent = tracer.recent(usize::MAX);
    assert_eq!(recent.len(), 256);
    assert_eq!(tracer.recent(1), recent[..1]);
    let [first, second] = &recent[0].spans[..] else { panic!("{recent:?}") };
    assert!(first.start_us <= second.start_us && first.start_us <= first.end_us);
    let span = |id, parent: Option<_>, record: &Record, name, channel: Option<&str>, status| {
        json!({"id": id, "parent": parent, "links": [], "name": name, "process": null,
            "channel": channel, "start_us": record.start_us, "end_us": record.end_us, "status": status})
    };
    let mut cooked = span(
        cook_id.to_string(),
        Some(root_id.to_string()),
        second,
        "cook",
        Some("orders"),
        "error",
    );
    cooked["why"] = json!("burnt");
    assert_eq!(
        serde_json::to_value(&recent[0]).unwrap(),
        json!({"trace": trace.to_string(), "spans": [span(root_id.to_string(), None, first, "intake", None, "ok"), cooked]})
    );
}

#[test]
fn a_trace_without_end_is_cut_and_that_is_counted() {
    let tracer = all();
    let root = tracer.root("intake");
    for number in 0..600 {
        drop(tracer.receive("step", root.traced(number)));
    }
    assert_eq!(tracer.recent(1)[0].spans.len(), 512);
    let mut samples = Samples::default();
    tracer.collect(&mut samples);
    let metrics = Metrics::new("test");
    let tracer = Arc::new(tracer);
    metrics.add(&tracer);
    let scrape = metrics.scrape();
    for (outcome, count) in [("recorded", 600), ("too_many_in_trace", 88)] {
        let line = format!("towpath_spans_total{{network=\"test\",outcome=\"{outcome}\"}} {count}");
        assert!(scrape.contains(&line), "{scrape}");
    }
}

#[test]
fn a_panic_is_an_error_of_its_span() {
    let tracer = all();
    let inside = tracer.clone();
    let panicked = std::thread::spawn(move || {
        let _span = inside.root("work");
        std::panic::resume_unwind(Box::new("quietly"));
    });
    assert!(panicked.join().is_err());
    let span = &tracer.recent(1)[0].spans[0];
    assert_eq!((span.status, span.why.as_deref()), (Status::Error, Some("panicked")));
}

#[test]
fn an_exporter_is_given_what_is_recorded() {
    #[derive(Default)]
    struct Kept(Mutex<Vec<(TraceId, String)>>);
    impl Export for Kept {
        fn export(&self, trace: TraceId, span: &Record) {
            self.0.lock().unwrap().push((trace, span.name.clone()));
        }
    }
    let kept = Arc::new(Kept::default());
    let tracer = Tracer::exporting(Sampling::ratio(1.0), kept.clone());
    let root = tracer.root("intake");
    let trace = root.context().unwrap().trace;
    drop(tracer.receive("cook", root.traced(())));
    drop(root);
    let names: Vec<_> = kept.0.lock().unwrap().drain(..).collect();
    assert_eq!(names, [(trace, "cook".to_owned()), (trace, "intake".to_owned())]);
}
