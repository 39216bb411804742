//! State machines: the macro, the loader, what they find, and the process for many keys.

mod forget;
mod golden;
mod keyed;
mod keyed_sim;
mod oracle;
mod order;
mod ui;
mod yaml;
