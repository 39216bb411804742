//! Trace contexts on their way through channels, and what any bytes are as such.

use proptest::prelude::*;
use towpath::{Ctx, Headers, Sender, Traced, bounded, rendezvous, scope, select};
use towpath_observe::trace::{ParentError, StateError, TraceContext, TraceState};

/// As many as are sent: nobody is to wait here.
const PLACES: usize = 4;

/// Hands on what it receives, from either channel, under the context it came with.
async fn stage(
    ctx: Ctx,
    one: &mut towpath::Receiver<Traced<u32>>,
    other: &mut towpath::Receiver<Traced<u32>>,
    out: &Sender<Traced<(u32, TraceContext)>>,
) {
    loop {
        let message = select! {
            message = one.recv() => message,
            message = other.recv() => message,
        };
        let Some(message) = message else { return };
        let (ctx, number) = message.under(&ctx);
        let here = TraceContext::of(&ctx).expect("every message here has a trace");
        let ctx = ctx.with_headers(here.child().to_headers());
        if out.send(ctx.traced((number, here))).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_through_channels_and_select_arms() {
    let root = Ctx::root();
    scope(&root, |s| async move {
        let (one, mut from_one) = bounded(PLACES);
        let (other, mut from_other) = rendezvous();
        let (out, mut results) = bounded(PLACES);
        s.spawn("stage", move |ctx| async move {
            stage(ctx, &mut from_one, &mut from_other, &out).await;
        });
        let mut roots = Vec::new();
        for number in 0..4_u32 {
            let root = TraceContext::root();
            let ctx = s.ctx().with_headers(root.to_headers());
            roots.push(root);
            let to = if number % 2 == 0 { &one } else { &other };
            to.send(ctx.traced(number)).await?;
        }
        drop((one, other));
        let mut seen = 0;
        while let Some(result) = results.recv().await {
            let below = TraceContext::from_headers(result.headers()).expect("a trace");
            let (number, at_stage) = result.into_inner();
            let root = &roots[number as usize];
            assert_eq!((at_stage.trace, at_stage.span), (root.trace, root.span));
            assert_eq!(below.trace, root.trace);
            assert_ne!(below.span, root.span);
            seen += 1;
        }
        assert_eq!(seen, 4);
        Ok::<_, towpath::BoxError>(())
    })
    .await
    .unwrap();
}

#[test]
fn headers_of_others_stay_out_of_it() {
    let headers = Headers::new(
        *b"tenant: blue\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\nx",
    );
    let here = TraceContext::from_headers(&headers).unwrap();
    assert_eq!(here.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(here.flags.is_sampled() && here.state.is_empty());
    assert_eq!(TraceContext::from_headers(&Headers::new(*b"tenant: blue")), None);
    assert_eq!(TraceContext::of(&Ctx::root()), None);
}

#[test]
fn what_is_wrong_is_said() {
    let why = |parent: &str| TraceContext::extract([("traceparent", parent)]).unwrap_err();
    assert_eq!(why("00-short"), ParentError::Short);
    let missing = why("00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert_eq!(missing.to_string(), "`traceparent` has no dash at 2");
    let state = TraceState::parse([&b"a=1,B=2"[..]]).unwrap_err();
    assert_eq!(state, StateError::Key { key: "B".to_owned() });
}

#[test]
fn who_changes_a_state_stands_in_front() {
    let state = TraceState::parse([&b"rojo=1,congo=2"[..]]).unwrap();
    let changed = state.with("congo", "3").unwrap();
    assert_eq!(changed.to_string(), "congo=3,rojo=1");
    let mut full = TraceState::default();
    for number in 0..40 {
        full = full.with(&format!("k{number}"), "v").unwrap();
    }
    assert_eq!((full.iter().len(), full.get("k39"), full.get("k7")), (32, Some("v"), None));
    assert!(state.with("Congo", "3").is_err() && state.with("congo", "3,4").is_err());
}

proptest! {
    #[test]
    fn what_was_written_is_read(states in prop::collection::vec(("[a-z0-9][a-z0-9_*/-]{0,20}", "[!-+.-<>-~]{1,20}"), 0..32)) {
        let mut here = TraceContext::root();
        for (key, value) in &states {
            here.state = here.state.with(key, value).unwrap();
        }
        prop_assert_eq!(TraceContext::from_headers(&here.to_headers()), Some(here.clone()));
        prop_assert_eq!(TraceContext::extract(here.to_fields()), Ok(Some(here)));
    }

    #[test]
    fn no_bytes_are_too_strange(parent in prop::collection::vec(any::<u8>(), 0..80), state in prop::collection::vec(any::<u8>(), 0..600)) {
        let fields = [("traceparent", &parent), ("tracestate", &state)];
        let _ = TraceContext::extract(fields);
        let sent = TraceContext::serve(fields).to_fields();
        prop_assert!(TraceContext::extract(sent).unwrap().is_some());
    }
}
