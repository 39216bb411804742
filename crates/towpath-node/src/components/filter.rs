//! `filter`: lets some messages through.
//!
//! ```yaml
//! dear: {uses: filter, in: rides, when: it.fare > 50, out: {out: dear_rides, rest: others}}
//! ```
//!
//! A message for which `when` is true goes to `out`; the others go to `rest`, or are gone if the file gives it no channel. One for which
//! it has no value is refused.

use serde::Deserialize;
use towpath::{BoxError, Ctx};

use crate::{
    component::{Component, Need, Port},
    expr::Written,
    ports::Ports,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    when: Written,
}

pub(super) fn component() -> Component {
    Component::new("filter", "lets messages through for which an expression is true")
        .input(Port::new("in"))
        .output(Port::new("out"))
        .output(Port::new("rest").need(Need::Maybe))
        .refuses()
        .makes(|options: Options, _| {
            let when = options.when.compile()?;
            Ok(async move |_: Ctx, ports: &mut Ports| {
                while let Some(message) = ports.recv("in").await {
                    match when.test(&message) {
                        Ok(true) => ports.send("out", message).await?,
                        Ok(false) => ports.send("rest", message).await?,
                        Err(why) => ports.refuse(message, why).await?,
                    }
                }
                Ok::<_, BoxError>(())
            })
        })
}
