//! `towpath graph`: a picture of a network.

use clap::{Args, ValueEnum};

use super::{Failure, Source};
use crate::{check::check, component::Registry, draw::Drawing};

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// What to draw it in.
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
    /// The same as `--format json`.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Mermaid,
    Dot,
    Json,
    Svg,
}

pub(super) fn run(options: &Options, registry: &Registry) -> Result<(), Failure> {
    let file = options.source.read()?;
    let graph = check(&file, registry)?.graph;
    let format = if options.json { Format::Json } else { options.format };
    let text = match format {
        Format::Mermaid => graph.to_mermaid(),
        Format::Dot => graph.to_dot(),
        Format::Json => graph.to_json(),
        Format::Svg => Drawing::of(&file, &graph, registry).to_svg(),
    };
    println!("{}", text.trim_end());
    Ok(())
}
