//! Components that come with the node.

pub(crate) mod file;
mod filter;
pub(crate) mod http;
mod limit;
mod load;
mod log;
mod map;
mod metrics;
mod retry;
mod route;
mod timer;
mod write;

use crate::component::Registry;

impl Registry {
    /// The components that come with the node.
    pub fn builtin() -> Self {
        Self::new()
            .with(load::component())
            .with(log::component())
            .with(http::component())
            .with(file::component())
            .with(write::component())
            .with(timer::component())
            .with(map::component())
            .with(filter::component())
            .with(route::component())
            .with(limit::component())
            .with(retry::component())
            .with(metrics::component())
    }
}
