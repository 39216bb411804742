//! Components that come with the node.

mod dispatch;
mod key;
mod load;
mod log;
mod machine;

use crate::component::Registry;

impl Registry {
    /// The components that come with the node.
    pub fn builtin() -> Self {
        Self::new()
            .with(dispatch::component())
            .with(load::component())
            .with(log::component())
            .with(machine::component())
    }
}
