//! Starts other programs, shows what they print as they print it, and counts the tests in it.
//!
//! What always holds:
//! - Programs start in the repository's root unless they name another folder, and without input, so nothing can wait for a keyboard.
//! - Each command line is printed before it runs, ready to be pasted into a shell.
//! - Lines pass through unchanged; counting only looks.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Read, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

use crate::tally::Tally;

/// How a command ended when it did not fail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did its work.
    Done,
    /// It could not run here; the text says why and what would change that.
    Skipped(String),
}

/// One run of `cargo xtask`: adds up the tests of every program it starts.
pub(crate) struct Session {
    tally: Tally,
}

impl Session {
    pub(crate) fn new() -> Self {
        Self { tally: Tally::default() }
    }

    /// Tests counted so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Runs a program to its end; failing to start and failing to succeed are both errors.
    pub(crate) fn run(&mut self, job: &Job) -> Result<()> {
        println!("$ {job}");
        let mut child = job
            .command()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not start `{job}`"))?;
        let out = child.stdout.take().context("the child has no standard output")?;
        let err = child.stderr.take().context("the child has no standard error")?;
        let tally = Mutex::new(&mut self.tally);
        std::thread::scope(|scope| {
            scope.spawn(|| pass_through(out, stdout(), &tally));
            scope.spawn(|| pass_through(err, stderr(), &tally));
        });
        let status = child.wait().with_context(|| format!("could not wait for `{job}`"))?;
        if !status.success() {
            bail!("`{job}` ended with {status}");
        }
        Ok(())
    }

    /// Prints a runner's summary line, of checks that we ran ourselves, and counts it like any other.
    pub(crate) fn report(&mut self, line: &str) {
        println!("{line}");
        self.tally.see(line);
    }

    /// Like `run`, for tests chosen by name: a name that fits none must not look like success.
    pub(crate) fn run_some_tests(&mut self, job: &Job) -> Result<()> {
        let before = self.tally;
        self.run(job)?;
        if self.tally == before {
            bail!("`{job}` ran no test; look at the names and filters");
        }
        Ok(())
    }
}

/// Copies lines from a child to our own stream, showing each to the tally.
fn pass_through(from: impl Read, mut to: impl Write, tally: &Mutex<&mut Tally>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while let Ok(1..) = from.read_until(b'\n', &mut line) {
        // A reader that went away (`| head`) must not stop the tests, so a failed write is dropped.
        let _ = to.write_all(&line);
        let _ = to.flush();
        if let Ok(mut tally) = tally.lock() {
            tally.see(&String::from_utf8_lossy(&line));
        }
        line.clear();
    }
}

/// A program to start: its name, arguments and the variables it gets on top of ours.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    program: String,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    folder: PathBuf,
}

impl Job {
    /// `cargo` of the pinned toolchain, or of another one when the first argument is `+name`.
    pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            program: "cargo".to_owned(),
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            variables: BTreeMap::new(),
            folder: root(),
        }
    }

    /// Another program, in a folder that need not be the root: some leave their files where they stand.
    pub(crate) fn program(program: &str, folder: &Path) -> Self {
        Self {
            program: program.to_owned(),
            arguments: Vec::new(),
            variables: BTreeMap::new(),
            folder: folder.to_owned(),
        }
    }

    pub(crate) fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn args<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a variable unless the caller's environment already has it: the person at the desk wins.
    pub(crate) fn env_default(self, name: &str, value: impl Into<String>) -> Self {
        if env::var_os(name).is_some() { self } else { self.env(name, value) }
    }

    /// Builds into a folder of its own, so that other compiler flags do not throw the main build away.
    pub(crate) fn own_target_dir(self, name: &str) -> Self {
        let folder = target_dir().join(name).display().to_string();
        self.env("CARGO_TARGET_DIR", folder)
    }

    /// The program's standard output, if it starts and succeeds. Nothing is shown.
    pub(crate) fn output(&self) -> Option<String> {
        let output = self.command().output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Everything the program printed, and whether it succeeded. Nothing is shown.
    pub(crate) fn all_output(&self) -> Result<(bool, String)> {
        let output =
            self.command().output().with_context(|| format!("could not start `{self}`"))?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
    }

    /// Ready to start.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder).stdin(Stdio::null());
        // `cargo run` describes the xtask package to us; a cargo below us must not see that.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|p| name.starts_with(p)) {
                command.env_remove(name.as_ref());
            }
        }
        command.envs(&self.variables);
        command
    }
}

impl std::fmt::Display for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}={} ", quoted(value))?;
        }
        f.write_str(&self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{text}'") }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where builds go: `CARGO_TARGET_DIR`, or `target` in the root.
pub(crate) fn target_dir() -> PathBuf {
    let root = root();
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// Whether a nightly compiler is installed.
pub(crate) fn has_nightly() -> bool {
    Job::cargo(["+nightly", "--version"]).output().is_some()
}

/// What to say when it is not.
pub(crate) const NO_NIGHTLY: &str =
    "no nightly compiler here; install one with `rustup toolchain install nightly`";
