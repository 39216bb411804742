//! `towpath why`, `stuck` and `dump`: who waits for whom.

use clap::Args;
use serde_json::json;

use super::{
    Exit, Failure,
    ask::{At, part},
    ps::certainty,
};
use crate::state::{State, Stuck, Why};

#[derive(Args)]
pub(super) struct WhyOptions {
    /// Which process.
    process: String,
    #[command(flatten)]
    at: At,
}

pub(super) fn why(options: &WhyOptions) -> Result<(), Failure> {
    let why: Why = options.at.get(&format!("/why/{}", part(&options.process)))?;
    if options.at.json {
        println!("{}", json!(why));
        return Ok(());
    }
    if let Some(grade) = why.grade {
        println!("{} is stuck ({})", why.process, certainty(grade));
    }
    why.words.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// Its exit code says whether somebody is stuck, for scripts.
pub(super) fn stuck(at: &At) -> Result<(), Failure> {
    let stuck: Vec<Stuck> = at.get("/stuck")?;
    if at.json {
        println!("{}", json!(stuck));
    } else {
        if stuck.is_empty() {
            println!("nobody is stuck");
        }
        for (index, set) in stuck.iter().enumerate() {
            if index > 0 {
                println!();
            }
            println!("{}", set.words.trim_end());
        }
    }
    if stuck.is_empty() { Ok(()) } else { Err(Exit::silent().into()) }
}

pub(super) fn dump(at: &At) -> Result<(), Failure> {
    if at.json {
        println!("{}", json!(at.get::<State>("/state")?));
    } else {
        print!("{}", at.text("/dump")?);
    }
    Ok(())
}
