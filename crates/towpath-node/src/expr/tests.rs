//! What expressions say of messages, and what is told of those that are none.

use serde_json::json;

use super::*;

fn ride() -> Value {
    json!({
        "id": 7, "fare": 52.5, "city": "NYC", "at": [40.76, -73.98], "free": true, "none": null,
        "big": u64::MAX, "rider": {"name": "Ann", "last name": "Lee", "tags": ["a", "b"]},
        "items": [{"n": 1}, {"n": 3}],
    })
}

fn value(text: &str) -> Result<Value, String> {
    let expr = Expr::compile(text).map_err(|error| error.to_string())?;
    expr.value(&ride()).map_err(|error| error.why)
}

#[test]
fn what_is_in_a_message_can_be_said() {
    for (text, expected) in [
        ("it.id + 1", json!(8)),
        ("it.fare * 2.0", json!(105.0)),
        ("double(it.id) * 1.5", json!(10.5)),
        ("it.at[0]", json!(40.76)),
        ("it.at", json!([40.76, -73.98])),
        ("it.rider", json!({"last name": "Lee", "name": "Ann", "tags": ["a", "b"]})),
        ("it.rider['last name']", json!("Lee")),
        ("it.rider.name + '/' + string(it.id)", json!("Ann/7")),
        ("it.fare > 50 && it.city in ['NYC', 'LON']", json!(true)),
        ("it.id < 7.5", json!(true)),
        ("has(it.tip)", json!(false)),
        ("has(it.rider.name)", json!(true)),
        ("it.?tip.orValue(0)", json!(0)),
        ("it.?rider.?name.orValue('-')", json!("Ann")),
        ("'name' in it.rider", json!(true)),
        ("it.none == null", json!(true)),
        ("it.big", json!(u64::MAX)),
        ("it.free ? 'yes' : 'no'", json!("yes")),
        ("it.items.map(x, x.n * 10)", json!([10, 30])),
        ("it.items.filter(x, x.n > 1)", json!([{"n": 3}])),
        ("it.items.exists(x, x.n == 3)", json!(true)),
        ("it.rider.all(name, name.size() > 3)", json!(true)),
        ("size(it.rider) + it.items.size()", json!(5)),
        ("{'id': it.id, 'where': {'lat': it.at[0]}}", json!({"id": 7, "where": {"lat": 40.76}})),
        ("math.round(it.fare)", json!(53.0)),
        ("math.greatest(it.id, 9)", json!(9)),
        ("it.city.lowerAscii()", json!("nyc")),
        ("it.city.matches('^N.C$')", json!(true)),
        ("it.rider == it.rider", json!(true)),
        ("it.items[0] == it.items[1]", json!(false)),
        ("type(it.city) == string", json!(true)),
        ("[it.id, it.none]", json!([7, null])),
    ] {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
    assert_eq!(value("it"), Ok(ride()));
    assert_eq!(Expr::compile("it").unwrap().value(&json!(3)), Ok(json!(3)));
    assert_eq!(Expr::compile("it + 1").unwrap().value(&json!(3)), Ok(json!(4)));
}

#[test]
fn what_has_no_value_says_why() {
    for (text, expected) in [
        ("it.tip + 1", "there is no `tip`; ask with `has`, or with `.?` and `orValue`"),
        ("it.id / 0", "a division by zero"),
        ("it.at[2]", "the list is shorter"),
        ("it.id * 1000000000 * 10000000000", "the number is too large"),
        ("it.fare / 0.0", "the result is no number that JSON can write"),
        ("it.?tip", "the result is a value of type `optional_type`"),
        ("b'abc'", "the result is a value of type `bytes`, which JSON has no word for"),
        ("{1: 2}", "the names of an object's fields are words"),
    ] {
        let why = value(text).unwrap_err();
        assert!(why.starts_with(expected) || why.contains("optional value"), "{text}: {why}");
    }
    let why = value("it.id + it.city").unwrap_err();
    assert!(why.contains("does not go with"), "{why}");
    let why = value("it.id < it.city").unwrap_err();
    assert!(why.contains("does not go with int and string"), "{why}");
    let told = Expr::compile("it.id").unwrap().test(&ride()).unwrap_err().to_string();
    assert_eq!(
        told,
        "`it.id` has no value for this message: it should be true or false, and is a value of type `int`"
    );
}

#[test]
fn what_is_no_expression_is_told_at_its_character() {
    for (text, at, expected) in [
        ("it.fare > limt", 10, "there is no `limt` here: the message is `it`"),
        ("fare > 3", 0, "there is no `fare` here: the message is `it`"),
        ("it.items.map(x, y)", 16, "there is no `y` here"),
        ("it.items.map(x, x) == x", 22, "there is no `x` here"),
        ("sise(it.city)", 4, "there is no function `sise`; did you mean `size`?"),
        ("it.city.replace('a', 'b')", 15, "there is no function `replace`; the documentation"),
        ("math.cos(1.0)", 8, "there is no function `math.cos`"),
        ("it.a > ", 7, "this is no expression: "),
        ("it.a ++ 1", 6, "this is no expression: "),
        ("", 0, "this is no expression: "),
        ("it.items.map(x, it.items.map(y, x))", 28, "a loop in a loop"),
        ("it.items.all(x, it.items.exists(y, y == x))", 31, "a loop in a loop"),
        ("it.city.matches(it.pattern)", 15, "the pattern of `matches` is a word in quotes"),
        ("it.city.matches('(')", 16, "this is no pattern: error: unclosed group"),
        ("it.rider == {'name': 'Ann'}", 9, "objects are not compared as a whole"),
        ("it.rider in [{'name': 'Ann'}]", 9, "objects are not compared as a whole"),
        ("acme.Ride{id: 1}", 9, "there is no type `acme.Ride`"),
    ] {
        let error = Expr::compile(text).unwrap_err();
        assert!(error.why.starts_with(expected), "{text}: {error}");
        assert_eq!(error.at, at, "{text}: {error}");
    }
    let long = format!("it.a == '{}'", "x".repeat(TEXT_BYTES_MAX));
    assert!(Expr::compile(&long).unwrap_err().why.contains("2048 bytes at most"));
    let error = Expr::compile("it.a &&\n  it.b > limt").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no `limt` here: the message is `it`\n    it.b > limt\n           ^"
    );
}

#[test]
fn a_file_points_at_the_character() {
    let node = towpath_patterns::yaml::parse("when: \"it.fare > limt\"\n").unwrap();
    #[derive(Debug, Deserialize)]
    struct Options {
        when: Written,
    }
    let options: Options = towpath_patterns::yaml::read(&node).unwrap();
    let problem = options.when.compile().unwrap_err();
    assert_eq!((problem.place.line, problem.place.column), (1, 18));
    let node = towpath_patterns::yaml::parse("when: 7\n").unwrap();
    let options: Options = towpath_patterns::yaml::read(&node).unwrap();
    assert_eq!(options.when.compile().unwrap().value(&json!(null)), Ok(json!(7)));
}

#[test]
fn a_loop_over_too_many_is_refused() {
    let long = json!({"l": vec![1; 1001]});
    for text in ["it.l.map(x, x)", "it.l.all(x, x > 0)"] {
        let error = Expr::compile(text).unwrap().value(&long).unwrap_err();
        assert!(error.why.contains("items at most") || error.why.contains("list"), "{error}");
    }
    // What does not loop is not held up.
    assert_eq!(Expr::compile("it.l[1000]").unwrap().value(&long), Ok(json!(1)));
    let fits = json!({"l": vec![1; 1000]});
    assert_eq!(Expr::compile("it.l.all(x, x > 0)").unwrap().test(&fits), Ok(true));
}

#[test]
fn no_expression_is_too_deep_for_the_stack() {
    let makes: [fn(usize) -> String; 9] = [
        |n| format!("{}1{}", "(".repeat(n), ")".repeat(n)),
        |n| format!("{}1{}", "[".repeat(n), "]".repeat(n)),
        |n| format!("{}true", "!".repeat(n)),
        |n| format!("1{}", "+1".repeat(n)),
        |n| format!("true{}", "||true".repeat(n)),
        |n| format!("{}1", "true?1:".repeat(n)),
        |n| format!("it{}", ".a".repeat(n)),
        |n| format!("it{}", "[0]".repeat(n)),
        |n| format!("it{}", ".trim()".repeat(n)),
    ];
    // A third of what threads have, three quarters of what the simulator gives a process; a tenth of it would do where the compiler optimises.
    let small = std::thread::Builder::new().stack_size(768 << 10);
    let tried = small.spawn(move || {
        let mut ran = 0;
        for make in makes {
            for n in (1..45).chain([100, 500, 1000, 2000]) {
                let Ok(expr) = Expr::compile(&make(n)) else { continue };
                let _ = expr.value(&json!({"a": true}));
                ran = ran.max(n);
            }
        }
        ran
    });
    assert!(tried.unwrap().join().unwrap() >= DEPTH_MAX - 1);
}

/// What is told without the language is what the language tells, of messages of every kind.
#[test]
fn short_expressions_say_what_the_language_says() {
    let messages = [
        json!("word"),
        json!({"a": "x"}),
        json!({"a": "y", "b": 1}),
        json!({"a": {"b": "x"}}),
        json!({"a": {"b": {"b": 1}}}),
        json!({"a": [1]}),
        json!({"a": null}),
        json!({"a": true}),
        json!({"a": -1.0}),
        json!({"a": 1e300}),
        json!({"a": u64::MAX}),
        json!({"a": i64::MIN}),
        json!({}),
    ];
    let texts = [
        "it.a",
        "it.a.b",
        "it.a == 'x'",
        "it.a != 'x'",
        "it.a.b == 'x'",
        "it.a in ['x', 'z']",
        "it.a in []",
    ];
    for text in texts {
        let short = Expr::compile(text).unwrap();
        let long = Expr { short: None, ..Expr::compile(text).unwrap() };
        assert!(short.short.is_some(), "{text}");
        for it in &messages {
            assert_eq!(short.value(it), long.value(it), "{text} of {it}");
            assert_eq!(short.test(it), long.test(it), "{text} of {it}");
        }
    }
    for text in [
        "it",
        "has(it.a)",
        "'x' in it.a",
        "it.a == it.b",
        "it.a in ['x', 1]",
        "it.a == 1",
        "it.a[0]",
        "it.?a",
    ] {
        assert!(Expr::compile(text).unwrap().short.is_none(), "{text}");
    }
}
