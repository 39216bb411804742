//! `copy`: hands each message on to several channels.
//!
//! ```yaml
//! tell: {uses: copy, in: events, out: [to_bank, to_log]}
//! ```
//!
//! Each gets every message, in the same order. A channel that is full holds up the others, unless it says `full: drop`.

use towpath::{BoxError, Ctx};

use crate::{
    component::{Component, Need, NoOptions, Port},
    ports::Ports,
};

pub(super) fn component() -> Component {
    Component::new("copy", "hands each message on to several channels")
        .input(Port::new("in").need(Need::Some))
        .output(Port::new("out").need(Need::Some))
        .runs(|_: NoOptions| {
            async move |_: Ctx, ports: &mut Ports| {
                while let Some(message) = ports.recv("in").await {
                    ports.send("out", message).await?;
                }
                Ok::<_, BoxError>(())
            }
        })
}
