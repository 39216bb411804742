//! `towpath completions` and `towpath man`: what shells and manuals want to know of the command line.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
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
    let whole = clap_mangen::Man::new(command.clone());
    whole.render(&mut page)?;
    for sub in command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help") {
        let man = clap_mangen::Man::new(sub.clone());
        page.extend_from_slice(
            format!(".SH \"TOWPATH {}\"\n", sub.get_name().to_uppercase()).as_bytes(),
        );
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
    }
    let page = String::from_utf8(page)?;
    if options.json {
        println!("{}", json!({"page": page}));
    } else {
        print!("{page}");
    }
    Ok(())
}
