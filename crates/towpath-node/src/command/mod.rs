//! The command line `towpath`.
//!
//! Exit codes: 0 done, 1 it did not work, 2 the command line is wrong.

mod check;
mod components;
mod graph;
mod run;
mod test;

use std::{error::Error, fs, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{component::Registry, file::NetworkFile};

/// What went wrong, for whoever typed the command.
type Failure = Box<dyn Error + Send + Sync>;

/// Runs networks of processes that a file declares.
#[derive(Parser)]
#[command(name = "towpath", version, arg_required_else_help = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says whether a network's parts fit together.
    Check(check::Options),
    /// Draws a network.
    Graph(graph::Options),
    /// Runs a network until it ends, or SIGTERM or Ctrl-C ends it.
    Run(run::Options),
    /// Runs the tests of network files in the simulator, under many schedules.
    Test(test::Options),
    /// Lists what processes can use.
    Components(components::Options),
}

/// Which network.
#[derive(Args)]
struct Source {
    /// The network file.
    file: PathBuf,
    /// Sets one of the file's settings.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Source {
    fn read(&self) -> Result<NetworkFile, Failure> {
        let path = self.file.display().to_string();
        let text = fs::read_to_string(&self.file).map_err(|error| format!("{path}: {error}"))?;
        Ok(NetworkFile::read(&path, &text, &self.set)?)
    }
}

/// The program: what the command line says, with these components.
///
/// A program of your own with components of your own is this:
///
/// ```no_run
/// use towpath_node::{Component, Registry};
///
/// fn main() -> std::process::ExitCode {
///     towpath_node::main(Registry::builtin().with(Component::new("mine", "does what I want")))
/// }
/// ```
pub fn main(registry: Registry) -> ExitCode {
    let done = match Line::parse().command {
        Command::Check(options) => check::run(&options, &registry),
        Command::Graph(options) => graph::run(&options, &registry),
        Command::Run(options) => run::run(&options, &registry),
        Command::Test(options) => test::run(&options, &registry),
        Command::Components(options) => components::run(&options, &registry),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}
