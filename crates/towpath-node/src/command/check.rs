//! `towpath check`: whether a network's parts fit together.

use clap::Args;
use serde_json::json;
use towpath_patterns::yaml::{LoadError, Problem};

use super::{Failure, Source};
use crate::{assemble::plan, component::Registry, file::NetworkFile};

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// Tells it as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, registry: &Registry) -> Result<(), Failure> {
    let checked = options.source.read().and_then(|file| Ok((plan(&file, registry)?, file)));
    match checked {
        Ok((plan, file)) => {
            if options.json {
                println!("{}", json!({"problems": [], "warnings": places(&plan.warnings)}));
            } else {
                warn(&file, plan.warnings);
                let (processes, channels) = (file.processes.len(), file.channels.len());
                println!(
                    "{}: fits together; processes: {processes}, channels: {channels}",
                    file.path
                );
            }
            Ok(())
        }
        Err(error) => {
            if options.json
                && let Some(error) = error.downcast_ref::<LoadError>()
            {
                println!("{}", json!({"problems": places(error.problems()), "warnings": []}));
            }
            Err(error)
        }
    }
}

fn places(problems: &[Problem]) -> serde_json::Value {
    let place = |problem: &Problem| {
        let Problem { place, message } = problem;
        json!({"line": place.line, "column": place.column, "message": message})
    };
    problems.iter().map(place).collect()
}

/// Tells what is probably not meant.
pub(super) fn warn(file: &NetworkFile, warnings: Vec<Problem>) {
    if !warnings.is_empty() {
        eprintln!("warning: {}", LoadError::new(&file.path, &file.text, warnings));
    }
}
