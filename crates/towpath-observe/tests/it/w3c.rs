//! What the W3C asks of a service that takes part in traces: the behaviours that its validation suite checks, one test each, written
//! from the specification.
//!
//! The service here is what stands at every edge of Towpath: it takes the fields of a request, works under them, and sends requests
//! of its own.

use std::collections::BTreeSet;

use towpath_observe::trace::TraceContext;

const TRACE: &str = "12345678901234567890123456789012";
const PARENT: &str = "1234567890123456";

/// What a request came out with.
struct Sent {
    trace: String,
    parent: String,
    state: Vec<(String, String)>,
}

impl Sent {
    fn get(&self, key: &str) -> Option<&str> {
        self.state.iter().find(|(known, _)| known == key).map(|(_, value)| &**value)
    }
}

/// Serves a request with these fields, and sends so many on; reads what was sent as a stranger would.
fn send(fields: &[(&str, &str)], requests: usize) -> Vec<Sent> {
    let here = TraceContext::serve(fields.iter().copied());
    let sent = (0..requests).map(|_| {
        let fields = here.child().to_fields();
        let named = |name| fields.iter().filter(move |(it, _)| *it == name);
        assert_eq!(named("traceparent").count(), 1);
        assert!(named("tracestate").count() <= 1);
        let parent = &named("traceparent").next().unwrap().1;
        let parts: Vec<&str> = parent.split('-').collect();
        let [version, trace, parent, flags] = parts[..] else { panic!("{parent}") };
        assert_eq!((version.len(), trace.len(), parent.len(), flags.len()), (2, 32, 16, 2));
        assert_eq!(version, "00");
        for part in [trace, parent, flags] {
            assert!(part.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it)));
        }
        assert!(trace.bytes().any(|it| it != b'0') && parent.bytes().any(|it| it != b'0'));
        let state = named("tracestate").next().map(|(_, state)| {
            assert!(!state.is_empty(), "an empty field was sent");
            let members = state.split(',').map(|member| member.split_once('=').unwrap());
            members.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        });
        Sent {
            trace: trace.to_owned(),
            parent: parent.to_owned(),
            state: state.unwrap_or_default(),
        }
    });
    sent.collect()
}

fn one(fields: &[(&str, &str)]) -> Sent {
    send(fields, 1).pop().unwrap()
}

fn with_parent(parent: &str) -> Sent {
    one(&[("traceparent", parent)])
}

#[track_caller]
fn continues(parent: &str) {
    let sent = with_parent(parent);
    assert_eq!(sent.trace, TRACE, "{parent:?}");
    assert_ne!(sent.parent, PARENT, "{parent:?}");
}

#[track_caller]
fn begins_anew(parent: &str) {
    let sent = with_parent(parent);
    let digits = |text: &str| text.replace(['.', '-'], "");
    assert!(!digits(parent).contains(&sent.trace), "{parent:?} was continued");
}

/// A valid parent, and these fields with the state.
fn with_states(states: &[&str]) -> Sent {
    let parent = format!("00-{TRACE}-{PARENT}-00");
    let mut fields = vec![("traceparent", &*parent)];
    fields.extend(states.iter().map(|state| ("tracestate", *state)));
    let sent = one(&fields);
    assert_eq!(sent.trace, TRACE, "the state has no say in the parent: {states:?}");
    sent
}

#[track_caller]
fn is_discarded(states: &[&str]) {
    assert_eq!(with_states(states).state, [], "{states:?}");
}

#[test]
fn without_both_fields_there_is_a_valid_parent() {
    assert_eq!(one(&[]).state, []);
}

#[test]
fn a_parent_without_state_is_continued() {
    continues(&format!("00-{TRACE}-{PARENT}-01"));
}

#[test]
fn two_parents_are_none() {
    let (first, second) = (
        "00-12345678901234567890123456789011-1234567890123456-01",
        format!("00-{TRACE}-{PARENT}-01"),
    );
    let sent = one(&[("traceparent", first), ("traceparent", &second)]);
    assert!(sent.trace != TRACE && sent.trace != first[3..35]);
}

#[test]
fn a_parent_under_another_name_is_none() {
    for name in ["trace-parent", "trace.parent"] {
        assert_ne!(one(&[(name, &format!("00-{TRACE}-{PARENT}-01"))]).trace, TRACE);
    }
}

#[test]
fn the_name_of_the_parent_is_known_in_any_case() {
    for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        assert_eq!(one(&[(name, &format!("00-{TRACE}-{PARENT}-01"))]).trace, TRACE);
    }
}

#[test]
fn version_00_ends_where_it_ends() {
    begins_anew(&format!("00-{TRACE}-{PARENT}-01."));
    begins_anew(&format!("00-{TRACE}-{PARENT}-01-what-the-future-will-be-like"));
}

#[test]
fn a_later_version_may_go_on_behind_a_dash() {
    continues(&format!("cc-{TRACE}-{PARENT}-01"));
    continues(&format!("cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like"));
    begins_anew(&format!("cc-{TRACE}-{PARENT}-01.what-the-future-will-be-like"));
}

#[test]
fn version_ff_is_none() {
    begins_anew(&format!("ff-{TRACE}-{PARENT}-01"));
}

#[test]
fn a_version_has_digits() {
    begins_anew(&format!(".0-{TRACE}-{PARENT}-01"));
    begins_anew(&format!("0.-{TRACE}-{PARENT}-01"));
}

#[test]
fn a_version_has_no_more_than_two_digits() {
    begins_anew(&format!("000-{TRACE}-{PARENT}-01"));
    begins_anew(&format!("0000-{TRACE}-{PARENT}-01"));
}

#[test]
fn a_version_has_no_fewer_than_two_digits() {
    begins_anew(&format!("0-{TRACE}-{PARENT}-01"));
}

#[test]
fn a_trace_id_is_not_all_zero() {
    begins_anew(&format!("00-{}-{PARENT}-01", "0".repeat(32)));
}

#[test]
fn a_trace_id_has_digits() {
    for trace in [".2345678901234567890123456789012", "1234567890123456789012345678901."] {
        begins_anew(&format!("00-{trace}-{PARENT}-01"));
    }
    // Upper case is not what the grammar says either.
    let upper = "ABCDEF78901234567890123456789012";
    let sent = with_parent(&format!("00-{upper}-{PARENT}-01"));
    assert_ne!(sent.trace, upper.to_lowercase());
}

#[test]
fn a_trace_id_has_no_more_than_32_digits() {
    let sent = with_parent(&format!("00-{TRACE}3-{PARENT}-01"));
    assert!(sent.trace != TRACE && sent.trace != format!("{TRACE}3")[1..]);
}

#[test]
fn a_trace_id_has_no_fewer_than_32_digits() {
    begins_anew(&format!("00-{}-{PARENT}-01", &TRACE[1..]));
}

#[test]
fn a_parent_id_is_not_all_zero() {
    begins_anew(&format!("00-{TRACE}-{}-01", "0".repeat(16)));
}

#[test]
fn a_parent_id_has_digits() {
    begins_anew(&format!("00-{TRACE}-.234567890123456-01"));
    begins_anew(&format!("00-{TRACE}-123456789012345.-01"));
}

#[test]
fn a_parent_id_has_no_more_than_16_digits() {
    begins_anew(&format!("00-{TRACE}-{PARENT}7-01"));
}

#[test]
fn a_parent_id_has_no_fewer_than_16_digits() {
    begins_anew(&format!("00-{TRACE}-{}-01", &PARENT[1..]));
}

#[test]
fn flags_have_digits() {
    begins_anew(&format!("00-{TRACE}-{PARENT}-.0"));
    begins_anew(&format!("00-{TRACE}-{PARENT}-0."));
}

#[test]
fn flags_have_no_more_than_two_digits() {
    begins_anew(&format!("00-{TRACE}-{PARENT}-001"));
}

#[test]
fn flags_have_no_fewer_than_two_digits() {
    begins_anew(&format!("00-{TRACE}-{PARENT}-1"));
}

#[test]
fn whitespace_around_a_parent_is_not_part_of_it() {
    for (before, after) in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")] {
        continues(&format!("{before}00-{TRACE}-{PARENT}-01{after}"));
    }
}

#[test]
fn a_state_without_a_parent_is_discarded() {
    assert_eq!(one(&[("tracestate", "foo=1")]).state, []);
    assert_eq!(one(&[("tracestate", "foo=1,bar=2")]).state, []);
}

#[test]
fn a_state_with_a_parent_is_inherited() {
    let sent = with_states(&["foo=1,bar=2"]);
    assert_eq!((sent.get("foo"), sent.get("bar")), (Some("1"), Some("2")));
}

#[test]
fn a_state_under_another_name_is_none() {
    let parent = format!("00-{TRACE}-{PARENT}-00");
    for name in ["trace-state", "trace.state"] {
        assert_eq!(one(&[("traceparent", &parent), (name, "foo=1")]).state, []);
    }
}

#[test]
fn the_name_of_the_state_is_known_in_any_case() {
    let parent = format!("00-{TRACE}-{PARENT}-00");
    for name in ["TraceState", "TrAcEsTaTe", "TRACESTATE"] {
        assert_eq!(one(&[("traceparent", &parent), (name, "foo=1")]).get("foo"), Some("1"));
    }
}

#[test]
fn an_empty_state_is_nothing() {
    is_discarded(&[""]);
    assert_eq!(with_states(&["foo=1", ""]).get("foo"), Some("1"));
    assert_eq!(with_states(&["", "foo=1"]).get("foo"), Some("1"));
}

#[test]
fn several_states_are_one_in_their_order() {
    let sent = with_states(&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"]);
    let keys: Vec<_> = sent.state.iter().map(|(key, _)| &**key).collect();
    assert_eq!(keys, ["foo", "bar", "rojo", "congo", "baz"]);
}

#[test]
fn a_key_stands_once() {
    is_discarded(&["foo=1,foo=1"]);
    is_discarded(&["foo=1,foo=2"]);
    is_discarded(&["foo=1", "foo=1"]);
    is_discarded(&["foo=1", "foo=2"]);
}

#[test]
fn every_allowed_character_passes() {
    let key: String = ('a'..='z').chain('0'..='9').chain("_-*/".chars()).collect();
    let value: String = (' '..='~').filter(|it| !",=".contains(*it)).collect();
    for key in [key.clone(), format!("{key}@a-z0-9_-*/")] {
        assert_eq!(with_states(&[&format!("{key}={value}")]).get(&key), Some(&*value));
    }
}

#[test]
fn whitespace_around_members_is_not_part_of_them() {
    for state in ["foo=1 \t , \t bar=2, \t baz=3", "foo=1\t \t,\t \tbar=2,\t \tbaz=3"] {
        let sent = with_states(&[state]);
        let values = ["foo", "bar", "baz"].map(|key| sent.get(key));
        assert_eq!(values, [Some("1"), Some("2"), Some("3")]);
    }
    for state in [" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t"] {
        assert_eq!(with_states(&[state]).get("foo"), Some("1"), "{state:?}");
    }
    // Inside, spaces in front are the value's.
    assert_eq!(with_states(&["foo= 1"]).get("foo"), Some(" 1"));
}

#[test]
fn a_key_with_other_characters_discards_all() {
    for state in ["foo =1", "FOO=1", "foo.bar=1"] {
        is_discarded(&[state]);
    }
}

#[test]
fn a_tenant_without_a_system_discards_all() {
    for state in ["foo@=1,bar=2", "@foo=1,bar=2", "foo@@bar=1,bar=2", "foo@bar@baz=1,bar=2"] {
        is_discarded(&[state]);
    }
}

#[test]
fn thirty_two_members_pass_and_thirty_three_do_not() {
    let states = |last: u32| -> Vec<String> {
        let all: Vec<_> = (1..=last).map(|n| format!("bar{n:02}={n:02}")).collect();
        all.chunks(10).map(|some| some.join(",")).collect()
    };
    let (fits, too_many) = (states(32), states(33));
    let sent = with_states(&fits.iter().map(|it| &**it).collect::<Vec<_>>());
    assert_eq!((sent.state.len(), sent.get("bar01")), (32, Some("01")));
    is_discarded(&too_many.iter().map(|it| &**it).collect::<Vec<_>>());
}

#[test]
fn keys_have_a_length() {
    let (z, t, v) = ("z", "t", "v");
    assert_eq!(with_states(&["foo=1", &format!("{}=1", z.repeat(256))]).get("foo"), Some("1"));
    is_discarded(&["foo=1", &format!("{}=1", z.repeat(257))]);
    let tenant = format!("{}@{}=1", t.repeat(241), v.repeat(14));
    assert_eq!(with_states(&["foo=1", &tenant]).get("foo"), Some("1"));
    is_discarded(&["foo=1", &format!("{}@v=1", t.repeat(242))]);
    is_discarded(&["foo=1", &format!("t@{}=1", v.repeat(15))]);
}

#[test]
fn values_have_neither_equals_nor_nothing() {
    is_discarded(&["foo=bar=baz"]);
    is_discarded(&["foo=,bar=3"]);
    is_discarded(&[&format!("foo={}", "x".repeat(257))]);
}

#[test]
fn all_requests_of_one_piece_of_work_share_the_trace() {
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let sent = send(&[("traceparent", &parent)], 3);
    assert!(sent.iter().all(|it| it.trace == TRACE));
    let parents: BTreeSet<_> = sent.iter().map(|it| &it.parent).collect();
    assert_eq!(parents.len(), 3);
}

#[test]
fn requests_without_a_parent_have_their_own_ids() {
    let sent = send(&[], 3);
    let parents: BTreeSet<_> = sent.iter().map(|it| &it.parent).collect();
    assert_eq!(parents.len(), 3);
}

#[test]
fn requests_under_a_parent_that_is_none_have_a_new_trace() {
    let zero = "0".repeat(32);
    let sent = send(&[("traceparent", &format!("00-{zero}-{PARENT}-01"))], 3);
    assert!(sent.iter().all(|it| it.trace != zero));
    let parents: BTreeSet<_> = sent.iter().map(|it| &it.parent).collect();
    assert_eq!(parents.len(), 3);
}

#[test]
fn flags_that_nobody_knows_are_not_passed_on() {
    let fields = |flags: &str| {
        let parent = format!("00-{TRACE}-{PARENT}-{flags}");
        TraceContext::serve([("traceparent", parent)]).child().to_fields()[0].1[53..].to_owned()
    };
    assert_eq!((fields("00"), fields("01"), fields("fd")), ("00".into(), "01".into(), "01".into()));
    // Level 2 knows one more.
    assert_eq!(fields("03"), "03");
}
