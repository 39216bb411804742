//! `log`: writes messages to the standard output, one a line, as JSON.

use std::io::{self, Write as _};

use towpath::{BoxError, Ctx};

use crate::{
    component::{Component, Need, NoOptions, Port},
    ports::Ports,
};

pub(super) fn component() -> Component {
    Component::new("log", "writes messages to the standard output, one a line, as JSON")
        .input(Port::new("in").need(Need::Some))
        .outside()
        .runs(|_: NoOptions| {
            async move |_: Ctx, ports: &mut Ports| {
                while let Some(message) = ports.recv("in").await {
                    let line = message.to_string();
                    writeln!(io::stdout().lock(), "{line}")?;
                }
                Ok::<_, BoxError>(())
            }
        })
}
