//! Components that come with the node.

mod load;
mod log;

use crate::component::Registry;

impl Registry {
    /// The components that come with the node.
    pub fn builtin() -> Self {
        Self::new().with(load::component()).with(log::component())
    }
}
