//! Automation of the repository: `cargo xtask <command>`.
//!
//! What always holds:
//! - One command per file; this file only reads arguments and hands over.
//! - CI runs `cargo xtask ci` and nothing else, so whatever fails there can be repeated at a desk.
//! - A command that cannot run here (no nightly compiler, no cargo-deny) says so in one line and
//!   what would make it run. It never passes in silence.
//!
//! Why a program and not shell: it is typed, it is tested, and it works where cargo works.

#![forbid(unsafe_code)]

mod api;
mod bench;
mod book;
mod changelog;
mod ci;
mod lint;
mod loom;
mod mutants;
mod ops;
mod session;
mod ship;
mod sim;
mod spin;
mod tally;
mod test;
mod tidy;
mod tsan;
mod ui;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use session::{Outcome, Session};

/// The tasks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check the rules that no compiler knows: layers, seams, named capacities, unsafe homes
    Tidy,
    /// Run every test, then the documentation's examples
    Test(test::Options),
    /// Run the loom models: all interleavings of two or three threads
    Loom(loom::Options),
    /// Run the simulated tests for longer, and say how many schedules and choices they saw
    Sim(sim::Options),
    /// Run the stress tests under ThreadSanitizer (needs a nightly compiler)
    Tsan(tsan::Options),
    /// Check the Promela models of the protocols, and that broken ones are rejected (needs spin)
    Spin(spin::Options),
    /// Turn seeded mistakes on one by one and see that the tests notice
    Mutants(mutants::Options),
    /// Build the dashboard, compare it with the committed files and test it in Chromium (needs Node)
    Ui(ui::Options),
    /// Check alert rules and manifests for Kubernetes (needs promtool and kubernetes-validate)
    Ops,
    /// Make the book as HTML, and see that its links lead somewhere (needs mdbook)
    Book,
    /// Fold the notes of changelog.d into CHANGELOG.md
    Changelog,
    /// Compare with other channel libraries and keep the result in docs/bench
    Bench(bench::Options),
    /// Check formatting, clippy, rustdoc and the dependencies' licences
    Lint,
    /// Compare the public API with its snapshot (needs a nightly compiler)
    Api(api::Options),
    /// Make what is handed out: program, package, man page, completions, bill of materials
    Ship(ship::Options),
    /// Do all that CI does, in its order
    Ci(ci::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut session = Session::new();
    let result = match arguments.command {
        Command::Tidy => tidy::run(),
        Command::Test(options) => test::run(&mut session, &options),
        Command::Loom(options) => loom::run(&mut session, &options),
        Command::Sim(options) => sim::run(&mut session, &options),
        Command::Tsan(options) => tsan::run(&mut session, &options),
        Command::Spin(options) => spin::run(&mut session, &options),
        Command::Mutants(options) => mutants::run(&mut session, &options),
        Command::Ui(options) => ui::run(&mut session, &options),
        Command::Ops => ops::run(&mut session),
        Command::Book => book::run(&mut session),
        Command::Changelog => changelog::run(),
        Command::Bench(options) => bench::run(&mut session, &options),
        Command::Lint => lint::run(&mut session),
        Command::Api(options) => api::run(&mut session, &options),
        Command::Ship(options) => ship::run(&mut session, &options),
        Command::Ci(options) => ci::run(&mut session, &options),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Skipped(why)) => {
            println!("skipped: {why}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
