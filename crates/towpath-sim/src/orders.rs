//! What a test is to run, put together from its configuration, its committed tokens and the environment.
//!
//! A mistake in any of them is an error with a place and advice, before anything is run.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Config;
use crate::choice::Token;
use crate::real::Environment;

/// What to run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Orders {
    pub(crate) config: Config,
    /// Run first, in this order.
    pub(crate) committed: Vec<Committed>,
    /// Run alone, instead of everything else.
    pub(crate) replay: Option<Token>,
    /// Somebody asked for more than the test's own configuration, so they want to know how it went.
    pub(crate) talkative: bool,
}

/// A token that once failed and is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) token: Token,
    /// File and line.
    pub(crate) place: String,
}

impl Orders {
    /// Only what the configuration says.
    pub(crate) fn of(config: Config) -> Self {
        Self { config, committed: Vec::new(), replay: None, talkative: false }
    }

    /// With what the environment says about the test `name`, a path of modules.
    pub(crate) fn read(
        mut config: Config,
        name: &str,
        environment: &Environment,
    ) -> Result<Self, String> {
        if let Some(text) = &environment.replay {
            let token = text.parse().map_err(|error| format!("TOWPATH_REPLAY={text}: {error}"))?;
            return Ok(Self { replay: Some(token), ..Self::of(config) });
        }
        let mut talkative = false;
        if let Some(text) = &environment.schedules {
            config.schedules = number("TOWPATH_SIM_SCHEDULES", text)?;
            config.budget = None;
            talkative = true;
        }
        if let Some(text) = &environment.seed {
            config.seed = number("TOWPATH_SIM_SEED", text)?;
        }
        if let Some(text) = &environment.budget {
            let seconds = text.trim().trim_end_matches('s').parse();
            let budget = seconds.ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let advice = || {
                format!("TOWPATH_SIM_BUDGET={text}: give a number of seconds, such as 60 or 0.5")
            };
            config.budget = Some(budget.ok_or_else(advice)?);
            talkative = true;
        }
        let committed = match &environment.manifest {
            Some(folder) => committed(folder, name)?,
            None => Vec::new(),
        };
        Ok(Self { config, committed, replay: None, talkative })
    }
}

/// Where the committed tokens of a test are, below its crate: `tests/replays/it__channel__closes.txt`.
pub(crate) fn replays_of(name: &str) -> PathBuf {
    Path::new("tests").join("replays").join(format!("{}.txt", name.replace("::", "__")))
}

fn committed(folder: &Path, name: &str) -> Result<Vec<Committed>, String> {
    let file = replays_of(name);
    let text = match fs::read_to_string(folder.join(&file)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", file.display())),
    };
    let mut tokens = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let place = format!("{}:{number}", file.display());
        let token = line.split('#').next().unwrap_or_default().trim();
        if token.is_empty() {
            continue;
        }
        let token = token.parse().map_err(|error| format!("{place}: {error}"))?;
        tokens.push(Committed { token, place });
    }
    Ok(tokens)
}

/// A number as people write it: `1000`, `1_000`, `0x51ee7`.
fn number(variable: &str, text: &str) -> Result<u64, String> {
    let plain = text.trim().replace('_', "");
    let number = match plain.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => plain.parse(),
    };
    number.map_err(|_| format!("{variable}={text}: give a number, such as 1000 or 0x51ee7"))
}

#[cfg(test)]
mod tests;
