//! `towpath run`: a network at work, until it ends or somebody ends it.

use std::{path::PathBuf, pin::pin, time::Duration};

use clap::Args;
use towpath::{Ctx, select};

use super::{Failure, Source, check::warn};
use crate::{Node, Setup, component::Registry, real};

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// How long it may take to finish what it has begun, in seconds, when it is told to end.
    #[arg(long, default_value_t = 30)]
    drain_seconds: u64,
    /// The directory of everything that must survive a crash.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
}

pub(super) fn run(options: &Options, registry: &Registry) -> Result<(), Failure> {
    let file = options.source.read()?;
    let within = Duration::from_secs(options.drain_seconds);
    let setup = Setup::new(options.data.clone());
    let registry = registry.clone();
    real::block_on(async move {
        let mut ending = real::Ending::new()?;
        let (node, work) = Node::start(file.clone(), registry, &setup, &Ctx::root())?;
        warn(&file, node.warnings());
        let mut work = pin!(work.run());
        let signal = select! { biased;
            ended = select::future(work.as_mut()) => return ended.map_err(Failure::from),
            signal = select::future(ending.next()) => signal,
        };
        eprintln!("{signal}: taking nothing more, finishing what has begun; again to stop at once");
        node.drain(within).await;
        select! { biased;
            drained = select::future(work.as_mut()) => drained.map_err(Failure::from),
            signal = select::future(ending.next()) => Err(format!("stopped at once by {signal}").into()),
        }
    })?
}
