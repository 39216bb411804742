//! Files that are no tables, and what is said of them. The cases of `tests/ui/machine` again, and those that only a file can have.

use towpath_patterns::machine::Table;

/// What is wrong with rules of a door, without the lines that are shown.
fn problems(states: &str, events: &str, rules: &str) -> Vec<String> {
    let text =
        format!("machine: Door\nversion: 1\nstates: {states}\nevents: [{events}]\nrules:\n{rules}");
    all(&text)
}

fn all(text: &str) -> Vec<String> {
    let Err(error) = Table::from_yaml("door", text) else { return Vec::new() };
    error
        .problems()
        .iter()
        .map(|p| format!("{}:{} {}", p.place.line, p.place.column, p.message))
        .collect()
}

const DOOR: &str = "{Closed: {initial: true}, Open: }";

#[test]
fn a_sound_table_is_read() {
    let rules =
        "  Closed: {Push: {to: Open}, Pull: stay}\n  Open: {Pull: {to: Closed}, Push: stay}\n";
    assert_eq!(problems(DOOR, "Push, Pull", rules), [""; 0]);
}

#[test]
fn a_pair_that_is_missing_is_named_at_its_state() {
    assert_eq!(
        problems(
            DOOR,
            "Push, Pull",
            "  Closed: {Push: {to: Open}}\n  Open: {Pull: {to: Closed}, Push: stay}\n"
        ),
        [
            "3:10 nothing says what `Pull` does in state `Closed`: handle it, or refuse it with a reason"
        ]
    );
}

#[test]
fn rules_twice_and_rests_that_nobody_needs() {
    assert_eq!(
        problems(
            DOOR,
            "Push, Pull",
            "  Closed | Open: {Push: {to: Open}}\n  Open: {Push: stay, Pull: {to: Closed}, _: stay}\n  Closed: {Pull: stay}\n"
        ),
        [
            "7:10 `Push` in state `Open` has its rules in line 6 already",
            "7:42 no pair is left for this: each has rules that are nearer; remove it",
        ]
    );
    assert_eq!(
        problems(DOOR, "Push", "  Closed: {Push: {to: Open}, Push: stay}\n"),
        ["6:30 `Push` stands here twice; first in line 6"]
    );
}

#[test]
fn unknown_names_say_what_was_probably_meant() {
    assert_eq!(
        problems(
            DOOR,
            "Push, Pull",
            "  Closed: {Push: {to: Opne}, Pul: stay}\n  Closed | Opened: {_: {too: Closed}}\n"
        ),
        [
            "6:23 there is no state `Opne`; did you mean `Open`?",
            "6:30 there is no event `Pul`; did you mean `Pull`?",
            "7:12 there is no state `Opened`; did you mean `Open`?",
            "7:25 an arm has no `too`; did you mean `to`?",
        ]
    );
}

#[test]
fn states_that_cannot_be_reached_or_left() {
    let three = "{Closed: {initial: true}, Open: , Locked: }";
    let rules =
        "  Closed | Open: {Push: {to: Open}, Pull: {to: Closed}}\n  Locked: {_: {to: Open}}\n";
    assert_eq!(
        problems(three, "Push, Pull", rules),
        [
            "3:43 state `Locked` cannot be reached from `Closed`: lead a transition there, or remove it"
        ]
    );
    let four = "{Closed: {initial: true}, Open: , Jammed: , Gone: {final: true}}";
    let rules = "  Closed: {Push: {to: Open}, Take: {to: Gone}}
  Open: {Push: {to: Jammed}, Take: {refuse: no}}
  Jammed: {Push: stay, Take: {refuse: no}}
  Gone: {Push: {to: Closed}, Take: stay}\n";
    assert_eq!(
        problems(four, "Push, Take", rules),
        [
            "3:35 from state `Open` no final state can be reached: lead a transition towards one",
            "3:43 state `Jammed` is a dead end: no event leads out of it; mark it final, or lead a transition out",
            "9:16 state `Gone` is final, but `Push` leads out of it: refuse it there, or do not call the state final",
        ]
    );
}

#[test]
fn guards_that_leave_a_hole_and_arms_that_are_never_taken() {
    let open = "  Open: {Push: stay, Pull: {to: Closed}}\n";
    assert_eq!(
        problems(
            DOOR,
            "Push, Pull",
            &format!("  Closed: {{Push: {{if: fits, unless: wet, to: Open}}, Pull: stay}}\n{open}")
        ),
        [
            "6:18 the guards of `Push` in state `Closed` leave a hole: nothing says what happens when `fits` does not hold \
          and `wet` does not hold; end with an arm without a guard"
        ]
    );
    let arms = "[{if: fits, to: Open}, {unless: fits, stay: true}, stay]";
    assert_eq!(
        problems(DOOR, "Push, Pull", &format!("  Closed: {{Push: {arms}, Pull: stay}}\n{open}")),
        [
            "6:69 this arm of `Push` in state `Closed` is never taken: those above it cover everything; remove it or move it up"
        ]
    );
}

#[test]
fn an_event_that_nobody_handles() {
    let rules =
        "  Closed: {Push: {to: Open}}\n  Open: {Push: {to: Closed}}\n  _: {Kick: {refuse: no}}\n";
    assert_eq!(
        problems(DOOR, "Push, Kick", rules),
        ["4:16 event `Kick` is refused in every state: handle it in one, or remove it"]
    );
}

#[test]
fn timeouts_are_spans_and_events_that_are_handled() {
    let rules = "  Closed: {Push: {to: Open}}\n  Open: {Push: {to: Closed}}\n";
    assert_eq!(
        problems(
            "{Closed: {initial: true, after: 3w, then: Psh}, Open: {after: 1s}}",
            "Push",
            rules
        ),
        [
            "3:41 a span of time is a whole number and a unit: 250ms, 90s, 15min, 2h or 30d, and at most a century",
            "3:51 there is no event `Psh`; did you mean `Push`?",
            "3:57 `after` and `then` come together: how long, and which event happens",
        ]
    );
    let rules = "  Closed: {Push: {to: Open}, Kick: stay}\n  Open: {Push: {to: Closed}, Kick: {refuse: no}}\n";
    assert_eq!(
        problems("{Closed: {initial: true}, Open: {after: 1s, then: Kick}}", "Push, Kick", rules),
        [
            "3:35 state `Open` refuses the event that its own timeout brings: handle it, or remove the timeout"
        ]
    );
}

#[test]
fn an_arm_leads_to_one_place() {
    let rules = "  Closed: {Push: [{if: fits}, {to: Open, stay: true}, {refuse: no, do: count}, again, []]}\n";
    assert_eq!(
        problems(DOOR, "Push", rules),
        [
            "6:19 nothing says where this leads: an arm is `{to: State}`, `stay` or `{refuse: reason}`",
            "6:31 this leads to two places: an arm is `{to: State}`, `stay` or `{refuse: reason}`",
            "6:55 what is refused does nothing: remove `do`, or handle the event",
            "6:80 an arm is `{to: State}`, `stay` or `{refuse: reason}`, and this is a word",
            "6:87 an arm is `{to: State}`, `stay` or `{refuse: reason}`, and this is a list",
        ]
    );
}

#[test]
fn what_is_no_table_at_all() {
    for (text, expected) in [
        ("", "1:1 the file is empty; it begins with `machine: <name>`"),
        ("- a\n- b\n", "1:1 a table is a mapping, and this is a list"),
        ("machine: a\n---\nmachine: b\n", "3:1 a second document begins here; a file holds one"),
        ("machine: &a x\n", "1:13 anchors and tags are not read: write the value itself"),
        ("machine: !!str x\n", "1:16 anchors and tags are not read: write the value itself"),
        ("[[1]: 2]: 3\n", "1:2 a key is a word, and this is a list"),
    ] {
        let found = all(text);
        assert_eq!(found.first().map(String::as_str), Some(expected), "{text:?} gave {found:?}");
    }
    let found = all("machine: [a\n");
    assert!(found[0].contains("this is not YAML"), "{found:?}");
    let deep = format!("machine: {}{}", "[".repeat(20), "]".repeat(20));
    assert!(all(&deep)[0].contains("nests deeper than 16"), "{:?}", all(&deep));
    let deeper = format!("machine: {}", "[".repeat(100_000));
    assert!(all(&deeper)[0].contains("recursion limit"), "{:?}", all(&deeper));
    let parts = all("machin: a\nversion: one\n");
    assert_eq!(parts[0], "1:1 there is no key `machin`; did you mean `machine`?");
    assert_eq!(parts[1], "1:1 the key `machine` is missing");
}

#[test]
fn the_line_is_shown_with_the_place_under_it() {
    let error = Table::from_yaml(
        "door.yaml",
        "machine: Door\nversion: one\nstates: 3\nevents: a\nrules: b\n",
    )
    .unwrap_err();
    assert_eq!(
        error.to_string().lines().take(3).collect::<Vec<_>>(),
        [
            "door.yaml:2:10: `version` is a whole number, and `one` is not",
            "  2 | version: one",
            "               ^",
        ]
    );
}

#[test]
fn what_has_no_function_cannot_be_bound() {
    use towpath_patterns::machine::order::{Order, YAML};
    let text = YAML.replace("covers", "cover").replace("Deliver", "Arrive");
    let error = Order::bindings().bind(Table::from_yaml("order", &text).unwrap()).unwrap_err();
    assert_eq!(
        error.missing(),
        [
            "event `Arrive` of the table is not one of the type; did you mean `Archive`?",
            "event `Deliver` of the type is not in the table",
            "state `Arriveed` of the table is not one of the type; did you mean `Archived`?",
            "state `Delivered` of the type is not in the table",
            "guard `cover` has no function; did you mean `covers`?",
        ]
    );
}

proptest::proptest! {
    /// Whatever is in a file, reading it ends and does not panic.
    #[test]
    fn any_text_is_read_or_refused(text in "[a-zA-Z_:{}\\[\\],|&*!#'\"\n -]{0,200}") {
        let _ = Table::from_yaml("any", &text);
    }

    /// The same for a table that was damaged a little.
    #[test]
    fn a_damaged_table_is_read_or_refused(at in 0_usize..2400, len in 0_usize..20, with in "[a-zA-Z_:{}\\[\\], \n]{0,8}") {
        let text = towpath_patterns::machine::order::YAML;
        let at = at.min(text.len());
        let end = (at + len).min(text.len());
        let text = format!("{}{with}{}", &text[..at], &text[end..]);
        let _ = Table::from_yaml("damaged", &text).map_err(|error| error.to_string());
    }
}
