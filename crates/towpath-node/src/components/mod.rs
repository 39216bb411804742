//! Components that come with the node.

mod copy;
mod dead_letters;
mod dispatch;
pub(crate) mod file;
mod filter;
pub(crate) mod http;
pub(crate) mod http_out;
mod key;
mod limit;
mod load;
mod log;
mod machine;
mod map;
mod matching;
mod metrics;
mod retry;
mod route;
mod saga;
mod service;
mod tell;
mod timer;
mod write;

use crate::component::Registry;

impl Registry {
    /// The components that come with the node.
    pub fn builtin() -> Self {
        Self::new()
            .with(copy::component())
            .with(dead_letters::component())
            .with(dispatch::component())
            .with(file::component())
            .with(filter::component())
            .with(http::component())
            .with(http_out::component())
            .with(limit::component())
            .with(load::component())
            .with(log::component())
            .with(machine::component())
            .with(map::component())
            .with(matching::component())
            .with(metrics::component())
            .with(retry::component())
            .with(route::component())
            .with(saga::component())
            .with(service::component())
            .with(timer::component())
            .with(write::component())
    }
}
