//! `cargo xtask ship`: what is handed out: the program, its man page and completions, a Debian package, a bill of materials, sums.
//!
//! What always holds: everything is made from the tree as it is, into `target/ship`, and nothing of it is committed.
//!
//! With `--try` the package is installed, run, stopped and removed in a fresh Debian root, as somebody would who has just got it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::session::{Job, Outcome, Session, root, target_dir};

#[derive(Args)]
pub(crate) struct Options {
    /// Also install, run, stop and remove the package in a fresh root (needs root, debootstrap and a Debian mirror)
    #[arg(long = "try")]
    try_it: bool,
}

/// Tools that cargo does not bring, and how they are installed.
const TOOLS: &[&str] = &["cargo-deb", "cargo-cyclonedx"];

/// The Debian release of the root that the package is tried in: the one it is built on, or a later one.
const RELEASE: &str = "stable";

pub(crate) fn run(session: &mut Session, options: &Options) -> Result<Outcome> {
    for tool in TOOLS {
        if !answers("cargo", &[tool.trim_start_matches("cargo-"), "--version"]) {
            return Ok(Outcome::Skipped(format!("no {tool}; `cargo install --locked {tool}`")));
        }
    }
    let ship = target_dir().join("ship");
    if ship.exists() {
        fs::remove_dir_all(&ship).context("could not empty target/ship")?;
    }
    fs::create_dir_all(&ship)?;
    session.run(&Job::cargo(["build", "--release", "--locked", "-p", "towpath-node"]))?;
    let program = target_dir().join("release/towpath");
    let program = program.to_str().context("the target folder's name is no text")?;
    write(program, &["man"], &ship.join("towpath.1"))?;
    for (shell, file) in [("bash", "towpath.bash"), ("zsh", "_towpath"), ("fish", "towpath.fish")] {
        write(program, &["completions", shell], &ship.join(file))?;
    }
    let deb = Job::cargo(["deb", "--no-build", "--no-strip", "-p", "towpath-node", "--output"]);
    let package = ship.join("towpath.deb");
    session.run(&deb.arg(package.to_string_lossy()))?;
    let bill = [
        "cyclonedx",
        "--format",
        "json",
        "--manifest-path",
        "crates/towpath-node/Cargo.toml",
        "--override-filename",
        "towpath.cdx",
    ];
    session.run(&Job::cargo(bill))?;
    let made = root().join("crates/towpath-node/towpath.cdx.json");
    fs::rename(&made, ship.join("towpath.cdx.json")).context("no bill of materials was made")?;
    fs::copy(program, ship.join("towpath"))?;
    sweep_bills()?;
    let sums = "sha256sum towpath towpath.deb towpath.1 towpath.cdx.json towpath.bash _towpath towpath.fish > SHA256SUMS";
    session.run(&Job::program("sh", &ship).args(["-c", sums]))?;
    println!(
        "in {}: the program, its package, man page, completions and bill of materials",
        ship.display()
    );
    if options.try_it {
        return try_package(session, &package);
    }
    Ok(Outcome::Done)
}

/// The tool writes a bill beside each crate of ours.
fn sweep_bills() -> Result<()> {
    for folder in fs::read_dir(root().join("crates"))? {
        let bill = folder?.path().join("towpath.cdx.json");
        if bill.exists() {
            fs::remove_file(bill)?;
        }
    }
    Ok(())
}

/// Whether a program is there.
fn answers(program: &str, arguments: &[&str]) -> bool {
    let told = std::process::Command::new(program).args(arguments).output();
    told.is_ok_and(|told| told.status.success())
}

/// Writes what the program prints.
fn write(program: &str, arguments: &[&str], file: &Path) -> Result<()> {
    let told = std::process::Command::new(program).args(arguments).output()?;
    if !told.status.success() {
        bail!(
            "`towpath {}` failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&told.stderr)
        );
    }
    Ok(fs::write(file, told.stdout)?)
}

/// Installs, runs, stops and removes the package in a root of its own.
fn try_package(session: &mut Session, package: &Path) -> Result<Outcome> {
    if !answers("debootstrap", &["--version"]) {
        return Ok(Outcome::Skipped("no debootstrap; `apt-get install debootstrap`".to_owned()));
    }
    let place = target_dir().join("ship-root");
    let place = place.to_str().context("the target folder's name is no text")?;
    let make = Job::program("debootstrap", &root()).args([
        "--variant=minbase",
        "--include=curl,ca-certificates",
        RELEASE,
        place,
    ]);
    session.run(&make)?;
    fs::copy(package, format!("{place}/towpath.deb"))?;
    let script = format!("{place}/try.sh");
    fs::write(&script, TRY)?;
    let tried =
        session.run(&Job::program("chroot", &root()).args([place, "sh", "-eux", "/try.sh"]));
    fs::remove_dir_all(place).context("could not remove the root that the package was tried in")?;
    tried?;
    session.report("1 passed, 0 failed");
    Ok(Outcome::Done)
}

/// What a new user does, without an init: as the service would, by hand.
const TRY: &str = r#"
apt-get install -y --no-install-recommends /towpath.deb
towpath --version
test -f /usr/share/man/man1/towpath.1.gz
test -f /usr/share/bash-completion/completions/towpath
test -f /lib/systemd/system/towpath.service -o -f /usr/lib/systemd/system/towpath.service
towpath check /etc/towpath/networks/rides.yaml
towpath test /etc/towpath/networks/rides.yaml --schedules 10
su towpath -s /bin/sh -c 'towpath run /etc/towpath/networks/rides.yaml --data /var/lib/towpath --listen 127.0.0.1:7070 2>/tmp/run.log & echo $! >/tmp/pid'
for n in $(seq 100); do curl -fs http://127.0.0.1:7070/readyz && break; sleep 0.1; done
curl -fs -d '{"id": "first", "at": [40.76, -73.98]}' http://127.0.0.1:8080/rides
towpath ps --data /var/lib/towpath
kill -TERM "$(cat /tmp/pid)"
for n in $(seq 400); do kill -0 "$(cat /tmp/pid)" 2>/dev/null || break; sleep 0.1; done
! kill -0 "$(cat /tmp/pid)" 2>/dev/null
apt-get remove -y towpath
! command -v towpath
test -d /var/lib/towpath
apt-get purge -y towpath
! test -d /var/lib/towpath
"#;
