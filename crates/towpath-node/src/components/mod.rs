//! Components that come with the node.

mod copy;
mod dead_letters;
mod dispatch;
mod key;
mod load;
mod log;
mod machine;
mod matching;
mod saga;
mod service;
mod tell;

use crate::component::Registry;

impl Registry {
    /// The components that come with the node.
    pub fn builtin() -> Self {
        Self::new()
            .with(copy::component())
            .with(dead_letters::component())
            .with(dispatch::component())
            .with(load::component())
            .with(log::component())
            .with(machine::component())
            .with(matching::component())
            .with(saga::component())
            .with(service::component())
    }
}
