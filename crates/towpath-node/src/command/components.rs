//! `towpath components`: what processes can use.

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use crate::component::{Component, Need, Port, Registry};

#[derive(Args)]
pub(super) struct Options {
    /// Tells it as JSON.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Tells it as a table in Markdown, as in the book.
    #[arg(long)]
    markdown: bool,
}

pub(super) fn run(options: &Options, registry: &Registry) -> Result<(), Failure> {
    let all: Vec<&Component> = registry.names().filter_map(|name| registry.get(name)).collect();
    if options.json {
        let all: Vec<Value> = all.into_iter().map(told).collect();
        println!("{}", Value::from(all));
        return Ok(());
    }
    if options.markdown {
        print!("{}", markdown(&all));
        return Ok(());
    }
    for component in all {
        println!("{}: {}", component.name(), component.about());
        for (side, ports) in [("in", component.inputs()), ("out", component.outputs())] {
            for port in ports {
                let kind = port.kind().map(|kind| format!(" of {kind}")).unwrap_or_default();
                println!("  {side} {}{kind}{}", port.name(), count(port.needs()));
            }
        }
    }
    Ok(())
}

fn count(need: Need) -> &'static str {
    match need {
        Need::One => "",
        Need::Maybe => ", may be left out",
        Need::Some => ", one channel or more",
    }
}

/// A table of all, by name.
fn markdown(all: &[&Component]) -> String {
    let mut all = all.to_vec();
    all.sort_by_key(|component| component.name());
    let mut text = String::from("| component | in | out | what it does |\n|---|---|---|---|\n");
    for component in all {
        let ports = |ports: &[Port]| {
            let names: Vec<String> = ports.iter().map(port).collect();
            names.join(", ")
        };
        // A bar would end the cell.
        let about = component.about().replace('|', "\\|");
        text.push_str(&format!(
            "| `{}` | {} | {} | {about} |\n",
            component.name(),
            ports(component.inputs()),
            ports(component.outputs())
        ));
    }
    text
}

/// `name: Type?`: with a question mark it may be left out, with three dots it takes several.
fn port(port: &Port) -> String {
    let kind = port.kind().map(|kind| format!(": {kind}")).unwrap_or_default();
    let mark = match port.needs() {
        Need::One => "",
        Need::Maybe => "?",
        Need::Some => "…",
    };
    format!("`{}{mark}{kind}`", port.name())
}

fn told(component: &Component) -> Value {
    let ports = |ports: &[Port]| -> Value {
        let port = |port: &Port| {
            let need = match port.needs() {
                Need::One => "one",
                Need::Maybe => "maybe",
                Need::Some => "some",
            };
            json!({"name": port.name(), "type": port.kind(), "need": need})
        };
        ports.iter().map(port).collect()
    };
    json!({
        "name": component.name(),
        "about": component.about(),
        "in": ports(component.inputs()),
        "out": ports(component.outputs()),
    })
}
