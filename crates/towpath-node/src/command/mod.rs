//! The command line `towpath`.
//!
//! Exit codes, which stay as they are:
//!
//! | code | what |
//! |---|---|
//! | 0 | done |
//! | 1 | it did not work, or the answer is no: a file is wrong, a test fails, somebody is `stuck` |
//! | 2 | the command line is wrong |
//! | 3 | no node answers where one was looked for |
//!
//! What always holds: every command that tells something tells it as JSON with `--json`, on the standard output, and nothing else with
//! it; what is for people alone (progress, hints) goes to the standard error.

mod ask;
mod bench;
mod check;
mod components;
mod demo;
mod doctor;
mod facets;
mod fmt;
mod graph;
mod messages;
mod new;
mod past;
mod ps;
mod run;
mod schema;
mod shell;
mod table;
mod test;
mod top;
mod waits;

use std::{error::Error, fmt as text, fs, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{component::Registry, file::NetworkFile};

/// What went wrong, for whoever typed the command.
type Failure = Box<dyn Error + Send + Sync>;

/// A failure with an exit code of its own. Others are 1.
#[derive(Debug)]
struct Exit {
    code: u8,
    /// Empty: all was said.
    told: String,
}

impl Exit {
    /// It did not work.
    fn not(told: String) -> Self {
        Self { code: 1, told }
    }

    /// The answer is no, and was told.
    fn silent() -> Self {
        Self { code: 1, told: String::new() }
    }

    /// The command line is wrong.
    fn usage(told: String) -> Self {
        Self { code: 2, told }
    }

    /// There is no node.
    fn nobody(told: String) -> Self {
        Self { code: 3, told }
    }
}

impl text::Display for Exit {
    fn fmt(&self, f: &mut text::Formatter<'_>) -> text::Result {
        f.write_str(&self.told)
    }
}

impl Error for Exit {}

/// Runs networks of processes that a file declares. Without a command: a network of rides to look at.
#[derive(Parser)]
#[command(name = "towpath", version)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Writes a network to begin with, or a program with a component of your own.
    New(new::Options),
    /// Says whether a network's parts fit together.
    Check(check::Options),
    /// Puts network files in order, without changing what they say.
    Fmt(fmt::Options),
    /// Draws a network.
    Graph(graph::Options),
    /// Runs the tests of network files in the simulator, under many schedules.
    Test(test::Options),
    /// Runs a network until it ends, or SIGTERM or Ctrl-C ends it. SIGQUIT tells who waits where, SIGHUP reads the file again.
    Run(run::Options),
    /// Measures a network under a load: messages a second, and how long they take to its channels.
    Bench(Box<bench::Options>),
    /// Runs the one schedule of a token that a failed test has told.
    Replay(test::ReplayOptions),
    /// Lists what processes can use.
    Components(components::Options),
    /// Lists the processes of a node.
    Ps(ask::At),
    /// Lists the channels of a node.
    Ch(ask::At),
    /// Shows the processes of a node as they go.
    Top(top::Options),
    /// Says why a process waits.
    Why(waits::WhyOptions),
    /// Says who waits for ever; its exit code is 1 when somebody does.
    Stuck(ask::At),
    /// Writes down every process with its wait.
    Dump(ask::At),
    /// Shows the messages of a channel as they go by.
    Tap(messages::TapOptions),
    /// Puts a message into a channel.
    Inject(messages::InjectOptions),
    /// Lets a process take nothing more for a while.
    Pause(messages::ProcessOptions),
    /// Lets a process go on.
    Resume(messages::ProcessOptions),
    /// Shows where messages went.
    Trace(past::TraceOptions),
    /// Lists what went wrong lately.
    Errors(past::ListOptions),
    /// Dead letters: what could not be handled.
    #[command(subcommand)]
    Dlq(facets::Dlq),
    /// Sagas: work in steps that is undone when one fails.
    #[command(subcommand)]
    Saga(facets::Saga),
    /// State machines: what is in which state.
    #[command(subcommand)]
    Machine(facets::Machine),
    /// What processes show of themselves, and what they can be told.
    #[command(subcommand)]
    Facet(facets::Facet),
    /// Has a node read its file again.
    Reload(past::ReloadOptions),
    /// Says whether this machine is fit for a node.
    Doctor(doctor::Options),
    /// Writes the JSON Schema of network files, for editors.
    Schema(schema::Options),
    /// Writes what a shell needs to complete commands.
    Completions(shell::CompletionOptions),
    /// Writes the manual page.
    #[command(hide = true)]
    Man(shell::ManOptions),
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
    main_with(registry, std::env::args_os())
}

/// The program, as with these arguments; the first is its own name.
///
/// A command line that is wrong ends the process, after it was said what is wrong with it.
pub fn main_with<A>(registry: Registry, arguments: impl IntoIterator<Item = A>) -> ExitCode
where
    A: Into<std::ffi::OsString> + Clone,
{
    let Some(command) = Line::parse_from(arguments).command else { return demo::run(registry) };
    let done = match command {
        Command::New(options) => new::run(&options),
        Command::Check(options) => check::run(&options, &registry),
        Command::Fmt(options) => fmt::run(&options),
        Command::Graph(options) => graph::run(&options, &registry),
        Command::Test(options) => test::run(&options, &registry),
        Command::Run(options) => run::run(&options, &registry),
        Command::Bench(options) => bench::run(&options, &registry),
        Command::Replay(options) => test::replay(options, &registry),
        Command::Components(options) => components::run(&options, &registry),
        Command::Ps(at) => ps::processes(&at),
        Command::Ch(at) => ps::channels(&at),
        Command::Top(options) => top::run(&options),
        Command::Why(options) => waits::why(&options),
        Command::Stuck(at) => waits::stuck(&at),
        Command::Dump(at) => waits::dump(&at),
        Command::Tap(options) => messages::tap(&options),
        Command::Inject(options) => messages::inject(&options),
        Command::Pause(options) => messages::pause(&options),
        Command::Resume(options) => messages::resume(&options),
        Command::Trace(options) => past::trace(&options),
        Command::Errors(options) => past::errors(&options),
        Command::Dlq(command) => facets::dlq(&command),
        Command::Saga(command) => facets::saga(&command),
        Command::Machine(command) => facets::machine(&command),
        Command::Facet(command) => facets::facet(&command),
        Command::Reload(options) => past::reload(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Schema(options) => schema::run(&options, &registry),
        Command::Completions(options) => shell::completions(&options),
        Command::Man(options) => shell::man(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let exit = error.downcast_ref::<Exit>();
            if exit.is_none_or(|exit| !exit.told.is_empty()) {
                eprintln!("{error}");
            }
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            exit.map_or(ExitCode::FAILURE, |exit| ExitCode::from(exit.code))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// Every command that can be run, with its path.
    fn leaves(command: &clap::Command, path: &str, all: &mut Vec<(String, bool)>) {
        let mut subs = command.get_subcommands().filter(|sub| sub.get_name() != "help").peekable();
        if subs.peek().is_none() {
            let has_json = command.get_arguments().any(|it| it.get_long() == Some("json"));
            all.push((path.to_owned(), has_json));
        }
        for sub in subs {
            leaves(sub, &format!("{path} {}", sub.get_name()), all);
        }
    }

    #[test]
    fn every_command_can_tell_as_json() {
        let mut command = Line::command();
        command.build();
        let mut all = Vec::new();
        leaves(&command, "towpath", &mut all);
        assert!(all.len() > 25, "{all:?}");
        let without: Vec<_> = all.iter().filter(|(_, has_json)| !has_json).collect();
        assert!(without.is_empty(), "these have no --json: {without:?}");
    }

    #[test]
    fn the_command_line_fits_together() {
        Line::command().debug_assert();
    }
}
