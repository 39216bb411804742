//! `cargo xtask lint`: formatting, clippy, rustdoc, and what our dependencies bring with them.
//!
//! Warnings are errors here and nowhere else: at a desk an unfinished line should still build.

use anyhow::{Result, bail};

use crate::session::{Job, Outcome, Session};

pub(crate) fn run(session: &mut Session) -> Result<Outcome> {
    session.run(&Job::cargo(["fmt", "--all", "--check"]))?;
    let deny_warnings = ["--", "-D", "warnings"];
    session.run(
        &Job::cargo(["clippy", "--workspace", "--all-targets", "--all-features"])
            .args(deny_warnings),
    )?;
    // The channel crate must also stand without tokio.
    session.run(
        &Job::cargo(["clippy", "-p", "towpath", "--no-default-features"]).args(deny_warnings),
    )?;
    session.run(
        &Job::cargo(["doc", "--no-deps", "--workspace", "--all-features"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    dependencies(session)?;
    Ok(Outcome::Done)
}

/// Licences, sources and bans are read from what cargo already has. Advisories need a database from the
/// network, so a machine that cannot fetch it says so and goes on.
fn dependencies(session: &mut Session) -> Result<()> {
    if Job::cargo(["deny", "--version"]).output().is_none() {
        println!(
            "skipped: `cargo deny` is not installed; get it with `cargo install cargo-deny --locked`"
        );
        return Ok(());
    }
    session.run(&Job::cargo(["deny", "check", "bans", "licenses", "sources"]))?;
    let advisories = Job::cargo(["deny", "check", "advisories"]);
    println!("$ {advisories}");
    let (good, text) = advisories.all_output()?;
    if good {
        return Ok(());
    }
    if database_is_out_of_reach(&text) {
        println!("skipped: the advisory database could not be fetched; it needs github.com");
        return Ok(());
    }
    bail!(
        "{text}`{advisories}` found something; upgrade it, or list it in deny.toml with a reason"
    );
}

fn database_is_out_of_reach(text: &str) -> bool {
    let text = text.to_lowercase();
    ["fetch advisory database", "load advisory database"].iter().any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_fetch_is_forgiven() {
        assert!(database_is_out_of_reach("[ERROR] failed to fetch advisory database https://.."));
        assert!(!database_is_out_of_reach("error[vulnerability]: a hole in crate x"));
    }
}
