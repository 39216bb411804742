//! Components that come with the node.

mod dispatch;
mod key;
mod load;
mod log;
mod machine;
mod saga;
mod service;
mod tell;

use crate::component::Registry;

impl Registry {
    /// The components that come with the node.
    pub fn builtin() -> Self {
        Self::new()
            .with(dispatch::component())
            .with(load::component())
            .with(log::component())
            .with(machine::component())
            .with(saga::component())
            .with(service::component())
    }
}
