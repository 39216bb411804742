//! Components through which messages flow: what comes out of what goes in, under many schedules.

use std::time::Duration;

use serde_json::json;
use towpath::{Ctx, rt, scope};
use towpath_node::{
    Node, Registry, Setup,
    facet::Query,
    file::NetworkFile,
    node::StartError,
    testing::{self, Trial},
};
use towpath_sim::Sim;

/// A network of these processes between `a`, which comes from outside, and `out`, `more` and `bad`, which go there; and its test.
fn network(channels: &str, processes: &str, test: &str) -> String {
    format!(
        "version: 1\nname: n\nchannels: {{a: , out: , more: , bad: {channels}}}\nprocesses:\n  \
         from: {{uses: file, path: x.ndjson, out: a}}\n{processes}  \
         to: {{uses: write, path: y.ndjson, in: [out, more, bad]}}\ntests:\n  - {test}\n"
    )
}

fn passes(text: &str) {
    let file = NetworkFile::read("n.yaml", text, &[]).unwrap_or_else(|it| panic!("{it}"));
    let trial = Trial::Schedules { count: 60, seed: 0 };
    let outcome = testing::run(&file, &file.tests[0], &Registry::builtin(), &trial);
    let outcome = outcome.unwrap_or_else(|it| panic!("{it}"));
    assert!(outcome.failure.is_none(), "{outcome:?}");
}

fn problems(text: &str) -> Vec<String> {
    let file = NetworkFile::read("n.yaml", text, &[]).unwrap_or_else(|it| panic!("{it}"));
    let setup = Setup::new("none");
    let started = Node::start(file, Registry::builtin(), &setup, &Ctx::root());
    let error = match started {
        Err(StartError::File(error)) => error,
        other => panic!("there is something wrong with it: {:?}", other.map(|_| ())),
    };
    let told = error.problems().iter();
    told.map(|it| format!("{}:{} {}", it.place.line, it.place.column, it.message)).collect()
}

#[test]
fn map_makes_other_messages() {
    passes(&network(
        "",
        "  m: {uses: map, keep: true, fields: {total: it.fare + it.tip, id: \"string(it.id)\"}, in: a, out: out, on_error: bad}\n  \
           n: {uses: load, count: 0, out: more}\n",
        "{send: [{a: {id: 7, fare: 2, tip: 1}}, {a: {id: 8}}], expect: [{out: {id: '7', fare: 2, total: 3}}, {bad: {from: m, message: {id: 8}}}]}",
    ));
    passes(&network(
        "",
        "  m: {uses: map, value: \"it.items.map(x, x * 2)\", in: a, out: out, on_error: bad}\n  n: {uses: load, count: 0, out: more}\n",
        "{send: {a: {items: [1, 2]}}, expect: {out: [2, 4]}}",
    ));
}

#[test]
fn filter_and_route_send_where_it_is_true() {
    passes(&network(
        "",
        "  f: {uses: filter, when: it.n > 1, in: a, out: {out: out, rest: more}, on_error: bad}\n",
        "{send: [{a: {n: 1}}, {a: {n: 2}}, {a: {x: 3}}], expect: [{out: {n: 2}}, {more: {n: 1}}, {bad: {message: {x: 3}}}]}",
    ));
    passes(&network(
        "",
        "  r: {uses: route, when: {big: it.n > 10, even: it.n % 2 == 0}, in: a, out: {big: out, even: more}, on_error: bad}\n",
        "{send: [{a: {n: 12}}, {a: {n: 2}}, {a: {n: 3}}], expect: [{out: {n: 12}}, {more: {n: 2}}, {bad: {message: {n: 3}}}]}",
    ));
}

#[test]
fn limit_holds_the_pace_and_takes_changes() {
    // Ten at once, then one a second; the change lets the rest through.
    passes(&network(
        ", c: {capacity: 0}",
        "  k: {uses: file, path: k.ndjson, out: c}\n  \
           l: {uses: limit, per_second: 1, burst: 2, in: {in: a, control: c}, out: out, on_error: bad}\n  \
           n: {uses: load, count: 0, out: more}\n",
        "{send: [{a: 1}, {a: 2}, {a: 3}, {a: 4}], expect: [{out: 1}, {out: 2}, {out: 3}, {out: 4}], within: 3s}",
    ));
    passes(&network(
        ", c: {capacity: 0}",
        "  k: {uses: file, path: k.ndjson, out: c}\n  \
           l: {uses: limit, per_second: 1, burst: 1, over: refuse, in: {in: a, control: c}, out: out, on_error: bad}\n  \
           n: {uses: load, count: 0, out: more}\n",
        "{send: [{a: 1}, {a: 2}], expect: [{out: 1}, {bad: {message: 2}}]}",
    ));
}

#[test]
fn retry_sends_again_and_gives_up() {
    // What the filter lets through nobody can handle: it comes round until it is given up.
    passes(&network(
        ", again: , failed: ",
        "  m: {uses: map, value: it.n, in: a, out: out, on_error: failed}\n  \
           t: {uses: retry, attempts: 3, first: 10ms, most: 20ms, in: failed, out: {out: more, given_up: bad}}\n  \
           n: {uses: load, count: 0, out: again}\n  l: {uses: log, in: again}\n",
        "{send: [{a: {x: 1}}, {a: {x: 1}}, {a: {x: 1}}], expect: [{more: {x: 1}}, {more: {x: 1}}, {bad: {message: {x: 1}}}], within: 5s}",
    ));
}

#[test]
fn what_is_wrong_is_told_at_its_place() {
    let told = |processes: &str| problems(&network("", processes, "{expect: {out: 1}}"));
    let line = |options: &str| {
        format!(
            "  m: {{uses: {options}, in: a, out: out}}\n  n: {{uses: load, out: more}}\n  e: {{uses: load, out: bad}}\n"
        )
    };
    for (options, expected) in [
        ("map", "what becomes of a message? give `fields` or `value`"),
        ("map, value: it, keep: true", "`keep` goes with `fields`: what would it keep?"),
        ("map, fields: {a: it.b + c}", "there is no `c` here: the message is `it`"),
        ("map, value: 'it.b ++'", "this is no expression"),
        ("filter, when: \"it.a.matches('(')\"", "this is no pattern"),
        ("filter, wen: it.a", "`wen` is not known here; did you mean `when`?"),
        ("limit, per_second: 0", "`per_second` is 1 to 1000000, and not 0"),
        ("limit, per_second: 5, burst: 0", "`burst` is 1 to 1000000, and not 0"),
        ("retry, attempts: 1", "one attempt is made by others"),
        ("metrics, name: rides", "`rides` is no name of a counter"),
    ] {
        let found = told(&line(options));
        assert!(
            found
                .iter()
                .any(|it| it.split_once(' ').is_some_and(|(_, told)| told.starts_with(expected))),
            "{options}: {found:?}"
        );
    }
    let routes = "  m: {uses: route, when: {big: it.n > 1}, in: a, out: {bigg: out}}\n  n: {uses: load, out: more}\n  e: {uses: load, out: bad}\n";
    assert!(
        told(routes)[0].contains("has no output `bigg`; did you mean `big`?"),
        "{:?}",
        told(routes)
    );
    let source = |options: &str| {
        let text = format!(
            "version: 1\nname: n\nchannels: {{a: }}\nprocesses:\n  s: {{uses: {options}, out: a}}\n  l: {{uses: log, in: a}}\n"
        );
        problems(&text).remove(0)
    };
    for (options, expected) in [
        ("timer", "when? give `every` or `at`"),
        ("timer, at: 25h", "`25h` is no time of the day"),
        ("file, path: x", "what is in it? give `format`"),
        ("file, path: x.csv, speed: 0", "a speed is a number above 0"),
        ("file, path: x.csv, speed: 60", "a speed goes with `time`"),
        ("file, path: x.xes, from: tail", "an event log or a packed file has an end"),
        ("file, path: x.csv, columns: {a: int}", ""),
        ("http, listen: here", "`here` is no address and port"),
        ("http, listen: '127.0.0.1:1', key: id", "there is no `id` here"),
    ] {
        let found = source(options);
        assert!(
            found.split_once(' ').is_some_and(|(_, told)| told.starts_with(expected)),
            "{options}: {found}"
        );
    }
}

/// Sources do not run in tests of a file, so this has the node itself.
#[test]
fn a_timer_rings_and_metrics_count() {
    // As it is on a machine that is not busy: what is due rings when it is due.
    Sim::new().schedules(40).stall(Duration::ZERO).test("flow::a_timer_rings_and_metrics_count", || async {
        let text = "
version: 1
name: n
channels: {a: , b: , c: }
processes:
  t: {uses: timer, every: 10s, count: 3, message: {n: \"{n}\"}, out: a}
  d: {uses: timer, at: [\"00:00\", \"12:00\"], count: 2, message: {day: true}, out: c}
  m: {uses: metrics, name: rings_total, labels: {odd: it.n % 2 == 1}, value: it.n, in: a, out: b}
  l: {uses: limit, per_second: 1000, in: b, out: e}
  o: {uses: metrics, name: days_total, in: c}
  p: {uses: metrics, name: ends_total, in: e}
"
        .replace("c: }", "c: , e: }");
        let file = NetworkFile::read("n.yaml", &text, &[]).unwrap();
        let ctx = Ctx::root();
        let (node, work) = Node::start(file, Registry::builtin(), &Setup::new("none"), &ctx).unwrap();
        let began = rt::now();
        let watched = node.clone();
        let done = scope(&ctx, |s| async move {
            let run = s.spawn("work", move |_| work.run());
            rt::sleep(Duration::from_secs(29)).await;
            let show = |process: &str| watched.facet(process).map(|it| it.show(&Query::default())).unwrap();
            assert_eq!(
                show("m")["series"],
                json!([{"labels": {"odd": "false"}, "value": 2.0}, {"labels": {"odd": "true"}, "value": 1.0}])
            );
            assert_eq!((&show("l")["passed"], &show("l")["held"]), (&json!(2), &json!(0)));
            let set = watched.facet("l").unwrap();
            assert_eq!(set.act("set", json!({"burst": 3})).await.unwrap(), json!({"per_second": 1000, "burst": 3}));
            assert!(set.act("set", json!({"burst": 0})).await.is_err());
            run.await?;
            Ok(())
        });
        done.await.unwrap();
        let hours = (rt::now() - began).as_secs_f64() / 3600.0;
        assert!((12.0..=24.1).contains(&hours), "two times of the day are {hours} hours");
    });
}
