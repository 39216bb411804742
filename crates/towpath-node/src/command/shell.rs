//! `towpath completions` and `towpath man`: what shells and manuals want to know of the command line.

use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::json;

use super::{Failure, Line};

#[derive(Args)]
pub(super) struct CompletionOptions {
    /// Which shell.
    shell: Shell,
    /// Tells it as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn completions(options: &CompletionOptions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Line::command(), "towpath", &mut script);
    let script = String::from_utf8(script)?;
    if options.json {
        println!("{}", json!({"shell": options.shell.to_string(), "script": script}));
    } else {
        print!("{script}");
    }
    Ok(())
}

#[derive(Args)]
pub(super) struct ManOptions {
    /// Tells it as JSON.
    #[arg(long)]
    json: bool,
}

/// One page with every command in it.
pub(super) fn man(options: &ManOptions) -> Result<(), Failure> {
    let mut command = Line::command();
    command.build();
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    for sub in command.get_subcommands() {
        section(sub, "towpath", &mut page)?;
    }
    // The list of commands speaks of pages, `towpath-run(1)`, where there is this one.
    let page = String::from_utf8(page)?;
    let own = |line: &str| match line.strip_prefix("towpath\\-")?.strip_suffix("(1)") {
        Some(name) if !name.contains(' ') => Some(format!("towpath {name}\n")),
        _ => None,
    };
    let page: String =
        page.lines().map(|line| own(line).unwrap_or_else(|| format!("{line}\n"))).collect();
    if options.json {
        println!("{}", json!({"page": page}));
    } else {
        print!("{page}");
    }
    Ok(())
}

/// A command with its own ones, `towpath dlq ls`, each with what it takes.
fn section(command: &Command, above: &str, page: &mut Vec<u8>) -> Result<(), Failure> {
    if command.is_hide_set() || command.get_name() == "help" {
        return Ok(());
    }
    let name = format!("{above} {}", command.get_name());
    page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
    let man = Man::new(command.clone());
    man.render_description_section(page)?;
    if command.has_subcommands() {
        for sub in command.get_subcommands() {
            section(sub, &name, page)?;
        }
    } else {
        man.render_options_section(page)?;
    }
    Ok(())
}
