//! `towpath-bench gateway`: our reverse proxy beside others.

mod serve;

pub(crate) use serve::{Options as ServeOptions, run as serve};
