//! `dead_letters`: messages that nobody could handle, kept until somebody has decided.
//!
//! ```yaml
//! dead: {uses: dead_letters, in: dead_letters, back: [life], out: {life: life_again}}
//! ```
//!
//! In comes what other processes give up by `on_error`: `{"error": "why", "from": "life", "message": …}`, from as many of them as there are.
//! Each is a letter, durably. The facet lists and groups them by cause; `replay` sends their messages again, those that `life` gave up by the
//! port `life`, if `back` names it, all others by `replayed`; `discard` lets them go.
//!
//! | option | means | unless said |
//! |---|---|---|
//! | `back` | processes to which their messages go back by a port of their own | none |
//! | `letters_max` | letters that may wait; when there are as many, no more are taken, and whoever gives up messages waits | `1000000` |
//!
//! # What is promised
//! - A message that was taken is a letter that survives crashes, also when the journal fails and the process begins again.
//! - A message that is replayed has a field `dead_letter`, by which it finds its letter again should it fail once more: it is one letter
//!   then, with a longer history, and not two.
//! - A replay that was cut short goes on when the process begins again; the message that it had in hand is sent once more.
//!
//! Not promised: that a message which was replayed, and is in a channel when the power goes, is handled. Give that channel the
//! capacity 0, and it is not sent before the next process takes it.

mod body;
mod facet;

use std::sync::Arc;

use serde::Deserialize;
use towpath::Ctx;
use towpath_patterns::{
    fault::dead::Limits,
    yaml::{At, Kind, Node, Problem},
};

use crate::{
    component::{Component, Need, Port},
    ports::Ports,
};

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(default)]
    #[expect(dead_code, reason = "the ports of these names are declared by it")]
    back: Vec<String>,
    letters_max: Option<At<usize>>,
}

/// Messages that have no port of their own go there.
const REPLAYED: &str = "replayed";

pub(super) fn component() -> Component {
    Component::new(
        "dead_letters",
        "keeps messages that nobody could handle: list, group, replay, discard",
    )
    .input(Port::new("in").need(Need::Some))
    .outputs_by(ports_of)
    .output(Port::new(REPLAYED).need(Need::Maybe))
    .makes(|options: Options, _| {
        let mut limits = Limits::default();
        match options.letters_max {
            Some(At { place, value: 0 }) => {
                return Err(Problem::new(place, "at least one letter has to be allowed"));
            }
            Some(At { value, .. }) => limits.letters_max = value,
            None => {}
        }
        let limits = Arc::new(limits);
        Ok(async move |ctx: Ctx, ports: &mut Ports| body::run(&ctx, ports, *limits).await)
    })
}

/// A port for each process that `back` names.
fn ports_of(options: &Node) -> Vec<Port> {
    let Kind::Mapping(entries) = &options.kind else { return Vec::new() };
    let back = entries.iter().find(|(key, _)| key.text == "back").map(|(_, back)| back);
    let Some(Node { kind: Kind::Sequence(names), .. }) = back else { return Vec::new() };
    let names = names.iter().filter_map(|name| match &name.kind {
        Kind::Scalar(name, _) => Some(Port::new(name.clone())),
        _ => None,
    });
    names.collect()
}
