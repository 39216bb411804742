//! `towpath-bench pool`: what it costs to borrow a warm instance, and how often there is none.
//!
//! Two tables. *Borrowing*: 1, 64 and 1,000 tasks borrow from a pool of 64 instances that are all there, look at the one they got, let
//! others run, and give it back; beside deadpool, bb8 and mobc, which people use instead, each with its health check before
//! the loan, which answers at once. All kinds take turns within one process. *Real load*: three months of requests to the web site
//! of the 1998 World Cup with durations of Azure functions, replayed in virtual time against policies; cold starts beside
//! the memory held.

mod borrow;
mod load;

use std::path::PathBuf;

use clap::Args;

#[derive(Args)]
pub(crate) struct Options {
    /// A fraction of the time, once: shows that everything still runs.
    #[arg(long)]
    quick: bool,
    /// Samples of each pool.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// The folder in which `functions/` with the real load is; that of `TOWPATH_DATA`, or `shared/data` beside the repository, without
    /// it.
    #[arg(long)]
    data: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    borrow::run(options.quick, if options.quick { 1 } else { options.repeats })?;
    println!();
    load::run(options.quick, options.data.as_deref())
}
