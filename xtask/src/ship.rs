//! `cargo xtask ship`: what is handed out: the program, its man page and completions, a Debian package, a bill of materials, sums.
//!
//! What always holds:
//! - Everything is made from the tree as it is, into `target/ship`, and nothing of it is committed.
//! - The bill of materials is compared with the program before either goes into the package.
//!
//! With `--try` the package is installed, run, stopped and removed in a fresh Debian, as somebody would who has just got it (`trial.rs`).

mod bill;
mod notices;
mod trial;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::session::{Job, Outcome, Session, root, target_dir};

#[derive(Args)]
pub(crate) struct Options {
    /// Also install, run, stop and remove the package in a fresh Debian (needs root, debootstrap and a Debian mirror)
    #[arg(long = "try")]
    try_it: bool,
    /// Try the package that was made last, and make nothing
    #[arg(long, requires = "try_it")]
    again: bool,
}

/// Tools that cargo does not bring, and how they are installed.
const TOOLS: &[&str] = &["cargo-deb", "cargo-cyclonedx"];

/// The licences of others.
const NOTICES: &str = "third-party-licenses.txt";

/// Completions: the shell, and the file it looks for.
const SHELLS: &[(&str, &str)] =
    &[("bash", "towpath.bash"), ("zsh", "_towpath"), ("fish", "towpath.fish")];

pub(crate) fn run(session: &mut Session, options: &Options) -> Result<Outcome> {
    let ship = target_dir().join("ship");
    let package = ship.join("towpath.deb");
    if !options.again {
        for tool in TOOLS {
            let words = [tool.trim_start_matches("cargo-"), "--version"];
            if Job::cargo(words).output().is_none() {
                let why = format!("no {tool}; `cargo install --locked {tool}`");
                return if options.try_it { bail!(why) } else { Ok(Outcome::Skipped(why)) };
            }
        }
        make(session, &ship, &package)?;
    }
    if options.try_it {
        if !package.is_file() {
            bail!("no package is there to try: leave out --again");
        }
        return trial::run(session, &package);
    }
    Ok(Outcome::Done)
}

/// Makes everything.
fn make(session: &mut Session, ship: &Path, package: &Path) -> Result<()> {
    if ship.exists() {
        fs::remove_dir_all(ship).context("could not empty target/ship")?;
    }
    fs::create_dir_all(ship)?;
    session.run(&Job::cargo(["build", "--release", "--locked", "-p", "towpath-node"]))?;
    let program = target_dir().join("release/towpath");
    fs::copy(&program, ship.join("towpath"))?;
    let program = program.to_str().context("the target folder's name is no text")?;
    write(program, &["man"], &ship.join("towpath.1"))?;
    for (shell, file) in SHELLS {
        write(program, &["completions", shell], &ship.join(file))?;
    }
    bill::make(session, ship)?;
    println!("{}", bill::check(&ship.join(bill::NAME), Path::new(program))?);
    let count = notices::make(&ship.join(NOTICES))?;
    println!("licences of {count} crates of others");
    fs::write(ship.join("changelog.Debian"), changelog()?)?;
    session.run(&Job::program("gzip", ship).args(["-9n", "changelog.Debian"]))?;
    stage(ship)?;
    let deb = Job::cargo(["deb", "--no-build", "--strip", "-p", "towpath-node", "--output"]);
    session.run(&deb.arg(package.to_string_lossy()))?;
    let sums = "sha256sum -- * > SHA256SUMS.new && mv SHA256SUMS.new SHA256SUMS";
    session.run(&Job::program("sh", ship).args(["-c", sums]))?;
    println!(
        "in {}: the program, its package, man page, completions and bill of materials",
        ship.display()
    );
    Ok(())
}

/// cargo-deb finds what was built below `target/release`, wherever that is, and nothing else outside of the sources.
fn stage(ship: &Path) -> Result<()> {
    let stage = target_dir().join("release/ship");
    if stage.exists() {
        fs::remove_dir_all(&stage)?;
    }
    fs::create_dir_all(&stage)?;
    for file in fs::read_dir(ship)? {
        let file = file?;
        if file.file_name() != "towpath" {
            fs::copy(file.path(), stage.join(file.file_name()))?;
        }
    }
    Ok(())
}

/// What Debian wants to know of a version, in its form; the changes themselves are in CHANGELOG.md beside it. Its day is that of the last
/// commit, so that the same tree makes the same package.
fn changelog() -> Result<String> {
    let day = Job::program("git", &root()).args(["log", "-1", "--format=%cD"]).output();
    let day = day.context("no day for the package's changelog: this is no git checkout")?;
    let id = Job::cargo(["pkgid", "-p", "towpath-node"]).output();
    let id = id.context("`cargo pkgid` failed")?;
    let version = id.trim().rsplit(['#', '@']).next().unwrap_or_default();
    Ok(format!(
        "towpath ({version}-1) unstable; urgency=medium\n\n  * See the project's own changelog.\n\n -- The Towpath authors <towpath@example.invalid>  {}\n",
        day.trim()
    ))
}

/// Writes what the program prints.
fn write(program: &str, arguments: &[&str], file: &Path) -> Result<()> {
    let text = Job::program(program, &root()).args(arguments.iter().copied()).output();
    let text = text.with_context(|| format!("`towpath {}` failed", arguments.join(" ")))?;
    Ok(fs::write(file, text)?)
}
