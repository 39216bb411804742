//! Each check finds what it is for, and leaves the rest alone.

use super::tree::Tree;
use super::{Check, capacity, deps, form, names, seam, size, unsafe_homes};

/// Runs a check on a small tree; `expected` are places, with a part of the message.
fn check(check: Check, files: &[(&str, &str)], expected: &[(&str, &str)]) {
    compare(check(&Tree::of(files)), expected);
}

fn compare(mut problems: Vec<super::Problem>, expected: &[(&str, &str)]) {
    for (place, part) in expected {
        let wanted = |p: &super::Problem| {
            format!("{}:{}", p.path, p.line) == *place && p.message.contains(part)
        };
        let found = problems.iter().position(wanted);
        let index = found.unwrap_or_else(|| panic!("no {part:?} at {place} in {problems:#?}"));
        problems.remove(index);
    }
    assert_eq!(problems, [], "more was found than expected");
}

const LIB: &str = "crates/towpath/src/lib.rs";
const KUBE: &str = "crates/towpath-kube/src/lib.rs";

#[test]
fn layers_that_match_the_picture_pass() {
    check(
        deps::check,
        &[
            ("Cargo.toml", "[workspace.dependencies]\ntowpath = \"1\""),
            ("crates/towpath/Cargo.toml", "[dev-dependencies]\ntowpath-sim.workspace = true"),
            ("crates/towpath-kube/Cargo.toml", "[dependencies]\ntowpath-patterns.workspace = true"),
            (
                "crates/towpath-bench/Cargo.toml",
                "[dependencies]\ntowpath = { path = \"../towpath\" }",
            ),
            ("docs/book/Cargo.toml", "[dev-dependencies]\ntowpath.workspace = true"),
            ("xtask/Cargo.toml", "[dependencies]\nanyhow = \"1\""),
        ],
        &[],
    );
}

#[test]
fn a_dependency_against_the_picture_is_found() {
    check(
        deps::check,
        &[
            ("crates/towpath/Cargo.toml", "[dependencies]\ntowpath-sim.workspace = true"),
            ("crates/towpath-kube/Cargo.toml", "[dependencies]\na = \"1\"\ntowpath-ebpf = \"1\""),
            (
                "crates/towpath-patterns/Cargo.toml",
                "[target.'cfg(unix)'.dependencies]\neyes = { package = \"towpath-observe\", version = \"1\" }",
            ),
            ("crates/towpath-observe/Cargo.toml", "[build-dependencies]\nxtask = \"1\""),
        ],
        &[
            ("crates/towpath/Cargo.toml:2", "`towpath-sim`"),
            ("crates/towpath-kube/Cargo.toml:3", "`towpath-ebpf`"),
            ("crates/towpath-observe/Cargo.toml:2", "`xtask`"),
            ("crates/towpath-patterns/Cargo.toml:2", "`towpath-observe`"),
        ],
    );
}

#[test]
fn a_crate_outside_the_picture_is_found() {
    check(
        deps::check,
        &[
            ("crates/towpath-utils/Cargo.toml", "[package]"),
            ("docs/slides/Cargo.toml", "[package]"),
            ("e2e/Cargo.toml", "= broken"),
        ],
        &[
            ("crates/towpath-utils/Cargo.toml:1", "no place in the picture"),
            ("docs/slides/Cargo.toml:1", "`slides` has no place"),
            ("e2e/Cargo.toml:1", "does not parse"),
        ],
    );
}

#[test]
fn a_crate_list_that_matches_passes() {
    let map = "# Map\n<!-- crates:begin -->\n- `towpath`: channels\n<!-- crates:end -->\n- `towpath-wasm`: planned";
    check(names::crate_list, &[("ARCHITECTURE.md", map), (LIB, "")], &[]);
}

#[test]
fn a_crate_list_that_differs_is_found() {
    let map = "<!-- crates:begin -->\n- `towpath`: channels\n- `gone`: x\n<!-- crates:end -->";
    check(
        names::crate_list,
        &[("ARCHITECTURE.md", map), (LIB, ""), (KUBE, "")],
        &[("ARCHITECTURE.md:1", "`towpath-kube`"), ("ARCHITECTURE.md:3", "no crates/gone")],
    );
    check(names::crate_list, &[(LIB, "")], &[("ARCHITECTURE.md:1", "has no list")]);
}

#[test]
fn folders_are_called_like_their_packages() {
    let manifest = "[package]\nname = \"towpath\"";
    check(names::folders, &[("crates/towpath/Cargo.toml", manifest)], &[]);
    check(
        names::folders,
        &[("crates/channels/Cargo.toml", manifest), (KUBE, "")],
        &[
            ("crates/channels/Cargo.toml:1", "rename one"),
            ("crates/towpath-kube/Cargo.toml:1", "no manifest"),
        ],
    );
}

#[test]
fn the_machine_is_known_only_at_home() {
    let source = "use std::time::Instant;\nfn f() { Instant::now(); thread::sleep(d); tokio::spawn(x); rand::random(); }";
    check(
        seam::check,
        &[
            ("crates/towpath/src/rt/tokio.rs", source),
            ("crates/towpath/src/ctx/tests.rs", source),
            ("crates/towpath/tests/it/main.rs", source),
            ("crates/towpath-node/src/real/clock.rs", source),
            ("crates/towpath-bench/src/main.rs", source),
            ("xtask/src/main.rs", source),
            (
                LIB,
                "//! Not tokio::spawn.\nfn f() { brand::new(); log(\"Instant::now\") }\n#[cfg(test)]\nmod t { fn f() { Instant::now() } }",
            ),
        ],
        &[],
    );
}

#[test]
fn the_machine_is_found_elsewhere() {
    check(
        seam::check,
        &[
            (LIB, "//! Lib.\n\nfn f() { Instant::now() }\nfn g() { std::thread::sleep(d) }"),
            ("crates/towpath/src/rtx.rs", "SystemTime::now()\nuse tokio::task;"),
            ("crates/towpath-node/src/main.rs", "let r = getrandom(&mut x);"),
            (KUBE, "std::hash::RandomState::new()"),
        ],
        &[
            ("crates/towpath/src/lib.rs:3", "crates/towpath/src/rt/"),
            ("crates/towpath/src/lib.rs:4", "thread::sleep"),
            ("crates/towpath/src/rtx.rs:1", "SystemTime::now"),
            ("crates/towpath/src/rtx.rs:2", "tokio::"),
            ("crates/towpath-kube/src/lib.rs:1", "runtime handle of `towpath`"),
            ("crates/towpath-node/src/main.rs:1", "src/real/"),
        ],
    );
}

#[test]
fn capacities_with_a_name_pass() {
    check(
        capacity::check,
        &[
            (
                LIB,
                "/// `bounded(8)` is fine in prose.\npub fn bounded<T>(capacity: usize) {}\n\
                 fn f() { bounded(ORDERS); bounded::<Vec<u8>>(config.orders); bounded(2 * ORDERS); unbounded(); }\n\
                 #[cfg(test)]\nmod tests { fn f() { bounded(3) } }",
            ),
            ("crates/towpath/tests/it/main.rs", "fn f() { bounded(3) }"),
        ],
        &[],
    );
}

#[test]
fn bare_capacities_are_found() {
    check(
        capacity::check,
        &[(
            LIB,
            "bounded(16);\nx::bounded::<Vec<u8>>( 4 * 1024 );\nbounded(8_usize, y);\nbounded(\n    0x40 as usize,\n)",
        )],
        &[
            ("crates/towpath/src/lib.rs:1", "bounded(16)"),
            ("crates/towpath/src/lib.rs:2", "4 * 1024"),
            ("crates/towpath/src/lib.rs:3", "8_usize"),
            ("crates/towpath/src/lib.rs:4", "0x40 as usize"),
        ],
    );
}

#[test]
fn files_open_with_what_they_are() {
    check(form::opening, &[(LIB, "//! Lib."), ("notes.md", "hello")], &[]);
    check(
        form::opening,
        &[(LIB, "use x;\n//! Late."), (KUBE, "")],
        &[
            ("crates/towpath/src/lib.rs:1", "does not open"),
            ("crates/towpath-kube/src/lib.rs:1", "does not open"),
        ],
    );
}

#[test]
fn long_files_need_a_reason_and_reasons_need_long_files() {
    let (long, short) = ("x\n".repeat(701), "x\n".repeat(700));
    let files = [(LIB, long.as_str()), (KUBE, short.as_str())];
    let tree = Tree::of(&files);
    compare(form::length_with(&tree, &[(LIB, "a table")]), &[]);
    compare(form::length_with(&tree, &[]), &[("crates/towpath/src/lib.rs:701", "701 lines")]);
    compare(
        form::length_with(&tree, &[(LIB, ""), (KUBE, "it was long")]),
        &[
            ("crates/towpath/src/lib.rs:1", "without a reason"),
            ("crates/towpath-kube/src/lib.rs:1", "needs no exception"),
        ],
    );
}

#[test]
fn ignored_tests_say_why() {
    check(
        form::ignored,
        &[(
            LIB,
            "#[ignore = \"needs a kernel\"]\n// #[ignore]\n#[cfg_attr(miri, ignore = \"slow\")]\nfn f() { g(x, ignore) }",
        )],
        &[],
    );
    check(
        form::ignored,
        &[(
            LIB,
            "#[cfg(test)]\nmod t {\n#[ignore]\n#[ignore = \"\"]\n#[cfg_attr(miri, ignore)]\nfn f() {}\n}",
        )],
        &[
            ("crates/towpath/src/lib.rs:3", "in silence"),
            ("crates/towpath/src/lib.rs:4", "in silence"),
            ("crates/towpath/src/lib.rs:5", "in silence"),
        ],
    );
}

#[test]
fn unsafe_code_at_home_passes() {
    check(
        unsafe_homes::check,
        &[
            ("ARCHITECTURE.md", "`raw/ring.rs` and `pin.rs`"),
            (LIB, "//! Not unsafe: a word in prose."),
            (
                "crates/towpath/src/raw/ring.rs",
                "#![expect(unsafe_code, reason = \"\")]\nunsafe { x }",
            ),
            ("crates/towpath-bench/src/main.rs", "//! Bench."),
            ("crates/towpath-bench/src/pin.rs", "unsafe { x }"),
            (KUBE, "//! Kube.\n#![forbid(unsafe_code)]"),
            ("crates/towpath-kube/src/inner.rs", "//! Inner."),
        ],
        &[],
    );
}

#[test]
fn unsafe_code_elsewhere_is_found() {
    check(
        unsafe_homes::check,
        &[
            ("ARCHITECTURE.md", "`a.rs` and `b.rs`"),
            (LIB, "//! Lib.\nunsafe { x }"),
            ("crates/towpath/src/raw/list.rs", "unsafe impl Send for X {}"),
            ("crates/towpath-bench/src/a.rs", "unsafe { x }"),
            ("crates/towpath-bench/src/b.rs", "unsafe { x }"),
            (KUBE, "//! `#![forbid(unsafe_code)]` in prose only."),
            ("crates/towpath-kube/src/bin/tool.rs", "unsafe { x }"),
        ],
        &[
            ("crates/towpath/src/lib.rs:2", "lives in crates/towpath/src/raw/"),
            ("crates/towpath/src/raw/list.rs:1", "does not mention `raw/list.rs`"),
            ("crates/towpath-bench/src/b.rs:1", "may be unsafe in one file"),
            ("crates/towpath-kube/src/bin/tool.rs:1", "has no home"),
            ("crates/towpath-kube/src/bin/tool.rs:1", "has no unsafe code: write"),
            ("crates/towpath-kube/src/lib.rs:1", "has no unsafe code: write"),
        ],
    );
}

#[test]
fn large_files_are_found() {
    let (large, small) = ("x".repeat((1 << 20) + 1), "x".repeat(1 << 20));
    check(size::check, &[("docs/a.txt", &small)], &[]);
    check(size::check, &[("docs/a.txt", &large)], &[("docs/a.txt:1", "1048577 bytes")]);
}

#[test]
fn blobs_and_generated_files_are_found_in_src_only() {
    let marker = concat!("// @", "generated by a tool");
    let wide = format!("//! Wide.\n{}", "x".repeat(1_001));
    let files: &[(&str, &[u8])] = &[
        (LIB, b"//! Written by hand."),
        ("crates/towpath/data/table.bin", &[0, 255]),
        ("crates/towpath/src/table.bin", &[0, 255]),
        ("crates/towpath/src/nul.txt", b"a\0b"),
        ("crates/towpath/src/made.rs", marker.as_bytes()),
        ("crates/towpath/src/wide.rs", wide.as_bytes()),
    ];
    compare(
        size::blobs(&Tree::of_bytes(files)),
        &[
            ("crates/towpath/src/made.rs:1", "looks generated"),
            ("crates/towpath/src/nul.txt:1", "is not text"),
            ("crates/towpath/src/table.bin:1", "is not text"),
            ("crates/towpath/src/wide.rs:2", "looks generated"),
        ],
    );
    compare(size::blobs(&Tree::of_bytes(&files[..2])), &[]);
}

#[test]
fn pictures_of_the_book_are_no_blobs_while_they_are_small() {
    let (small, large) = (vec![0; 200_000], vec![0; 200_001]);
    let files: &[(&str, &[u8])] = &[
        ("docs/book/src/images/small.png", &small),
        ("docs/book/src/images/large.png", &large),
        ("docs/book/src/images/other.bin", &[0, 255]),
    ];
    compare(
        size::blobs(&Tree::of_bytes(files)),
        &[
            ("docs/book/src/images/large.png:1", "make it smaller"),
            ("docs/book/src/images/other.bin:1", "is not text"),
        ],
    );
}
