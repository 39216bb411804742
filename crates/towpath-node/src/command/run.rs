//! `towpath run`: a network at work, until it ends or somebody ends it.

use std::time::Duration;

use clap::Args;
use towpath::{Ctx, select};

use super::{Failure, Source, check::warn};
use crate::{assemble, component::Registry, real};

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// How long it may take to finish what it has begun, in seconds, when it is told to end.
    #[arg(long, default_value_t = 30)]
    drain_seconds: u64,
}

pub(super) fn run(options: &Options, registry: &Registry) -> Result<(), Failure> {
    let file = options.source.read()?;
    let assembled = assemble(&file, registry)?;
    warn(&file, assembled.warnings);
    let network = assembled.network;
    let within = Duration::from_secs(options.drain_seconds);
    real::block_on(async move {
        let mut ending = real::Ending::new()?;
        let mut running = network.start(&Ctx::root())?;
        let signal = select! { biased;
            ended = select::future(running.join()) => return ended.map_err(Failure::from),
            signal = select::future(ending.next()) => signal,
        };
        eprintln!("{signal}: taking nothing more, finishing what has begun; again to stop at once");
        select! { biased;
            drained = select::future(running.drain(within)) => drained.map_err(Failure::from),
            signal = select::future(ending.next()) => Err(format!("stopped at once by {signal}").into()),
        }
    })?
}
