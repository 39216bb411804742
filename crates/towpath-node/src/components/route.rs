//! `route`: sends each message to one of several channels.
//!
//! ```yaml
//! sort:
//!   uses: route
//!   in: rides
//!   when: {far: it.km > 30, dear: it.fare > 50}
//!   out: {far: far_rides, dear: dear_rides, else: others}
//! ```
//!
//! `when` has a condition for each port of `out`. The first that is true counts, in the order of the file; if none is, the message goes to
//! `else`, or is refused if the file gives that no channel. A message for which a condition has no value, before one is true, is refused.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::Deserialize;
use towpath::{BoxError, Ctx};
use towpath_patterns::yaml::{At, Kind, Node, Problem};

use crate::{
    component::{Component, Need, Port},
    expr::{Expr, Written},
    ports::Ports,
};

/// The port of those for which nothing is true.
const ELSE: &str = "else";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    when: At<IndexMap<String, Written>>,
}

pub(super) fn component() -> Component {
    Component::new("route", "sends each message where the first condition is true")
        .input(Port::new("in"))
        .output(Port::new(ELSE).need(Need::Maybe))
        .outputs_by(ports_of)
        .refuses()
        .makes(|options: Options, _| {
            let routes: Arc<[_]> = routes(options)?.into();
            Ok(async move |_: Ctx, ports: &mut Ports| {
                let has_else = ports.has_output(ELSE);
                while let Some(message) = ports.recv("in").await {
                    let mut tested = routes.iter().map(|(port, when)| {
                        when.test(&message).map(|is_so| is_so.then_some(port.as_str()))
                    });
                    match tested.find_map(Result::transpose) {
                        Some(Ok(port)) => ports.send(port, message).await?,
                        Some(Err(why)) => ports.refuse(message, why).await?,
                        None if has_else => ports.send(ELSE, message).await?,
                        None => {
                            let why =
                                "no condition is true for this message, and there is no `else`";
                            ports.refuse(message, why).await?;
                        }
                    }
                }
                Ok::<_, BoxError>(())
            })
        })
}

fn routes(options: Options) -> Result<Vec<(String, Arc<Expr>)>, Problem> {
    let At { place, value } = options.when;
    if value.is_empty() {
        return Err(Problem::new(place, "`when` has no condition"));
    }
    if value.contains_key(ELSE) {
        return Err(Problem::new(
            place,
            "`else` is for what no condition is true of, and has none",
        ));
    }
    value.into_iter().map(|(port, when)| Ok((port, when.compile()?))).collect()
}

/// A port for each condition.
fn ports_of(options: &Node) -> Vec<Port> {
    let Kind::Mapping(entries) = &options.kind else { return Vec::new() };
    let when = entries.iter().find(|(key, _)| key.text == "when");
    match when.map(|(_, node)| &node.kind) {
        Some(Kind::Mapping(conditions)) => {
            conditions.iter().map(|(port, _)| Port::new(port.text.clone())).collect()
        }
        _ => Vec::new(),
    }
}
