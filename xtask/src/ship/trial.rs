//! `cargo xtask ship --try`: the package in a fresh Debian that runs, with systemd, as somebody would have it who has just got it.
//!
//! What always holds:
//! - Nothing of it stays: root, processes and control group are gone when it ends, however it ends short of being killed.
//! - It cannot be left out in silence: what is missing here is an error that says what to do.
//!
//! `boot.sh` starts the root as if it were a machine, and `trial.sh` is what is tried in it: the lines of the book's chapter "Installing a
//! node", in order, and what they promise.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::session::{Job, Outcome, Session, root, target_dir};

/// Boots a root.
const BOOT: &str = include_str!("boot.sh");

/// Tries the package in it.
const TRIAL: &str = include_str!("trial.sh");

/// What a Debian server has that a smallest root has not, and `curl`, `ip` for the trial.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,man-db,curl,iproute2";

/// Where packages come from.
const MIRROR: &str = "http://deb.debian.org/debian";

/// What the trial reads, beside the package.
const FILES: &[(&str, &str)] = &[
    ("docs/book/src/operating/install.md", "srv/install.md"),
    ("ops/kubernetes/towpath.yaml", "srv/towpath.yaml"),
    ("networks/rides.yaml", "srv/rides.yaml"),
    ("networks/machines/ride.yaml", "srv/ride.yaml"),
];

/// Tenths of a second that systemd may take to come up, on a machine that does much else.
const BOOT_TRIES: usize = 1200;

/// Tenths of a second until those who were killed are gone.
const END_TRIES: usize = 100;

pub(super) fn run(session: &mut Session, package: &Path) -> Result<Outcome> {
    let hierarchy = able()?;
    let place = target_dir().join("ship-root");
    let kept = target_dir().join("debian-packages");
    fs::create_dir_all(&kept)?;
    let mut trial = Trial { place, group: hierarchy.join(GROUP), init: None };
    trial.sweep()?;
    let make = Job::program("debootstrap", &root()).args([
        "--variant=minbase".to_owned(),
        format!("--include={PACKAGES}"),
        format!("--cache-dir={}", kept.display()),
        release()?,
        trial.place.display().to_string(),
        MIRROR.to_owned(),
    ]);
    session.run(&make).context("no root could be made; is the mirror in reach?")?;
    trial.furnish(package)?;
    let init = trial.boot()?;
    let inside = Job::program("nsenter", &root())
        .args(["--target".to_owned(), init.to_string()])
        .args(["--all", "env", "-i"])
        .args(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "PAGER=cat"])
        .args(["sh", "/srv/trial.sh"]);
    session.run(&inside)?;
    Ok(Outcome::Done)
}

/// What the control group of the trial is called.
const GROUP: &str = "towpath-trial";

/// Whether it can run here; where control groups are made, if so.
fn able() -> Result<PathBuf> {
    let user = Job::program("id", &root()).arg("-u").output();
    if user.as_deref().map(str::trim) != Some("0") {
        bail!("the trial makes a root and boots it: run `cargo xtask ship --try` as root");
    }
    for (program, package) in
        [("debootstrap", "debootstrap"), ("nsenter", "util-linux"), ("setpriv", "util-linux")]
    {
        if Job::program(program, &root()).arg("--version").output().is_none() {
            bail!("no {program} here: `apt-get install {package}`");
        }
    }
    let mounts = fs::read_to_string("/proc/self/mounts").context("this is no Linux")?;
    let unified = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, kind) = (words.next()?, words.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(place))
    });
    unified.context("no control groups of version 2 here: `mount -t cgroup2 cgroup2 FOLDER`")
}

/// The release of this machine: what the package asks for was found on it.
fn release() -> Result<String> {
    let about = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = about.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name.context("this is no Debian: /etc/os-release names no VERSION_CODENAME")?.to_owned())
}

/// A root, and what runs in it; taken away with this value.
struct Trial {
    place: PathBuf,
    group: PathBuf,
    init: Option<Child>,
}

impl Trial {
    /// Puts in what the trial needs.
    fn furnish(&self, package: &Path) -> Result<()> {
        for (from, to) in FILES {
            fs::copy(root().join(from), self.place.join(to)).with_context(|| (*from).to_owned())?;
        }
        fs::copy(package, self.place.join("srv/towpath.deb"))?;
        fs::write(self.place.join("srv/trial.sh"), TRIAL)?;
        fs::write(self.place.join("srv/boot.sh"), BOOT)?;
        // Nobody is there to answer.
        let yes = "APT::Get::Assume-Yes \"true\";\n";
        fs::write(self.place.join("etc/apt/apt.conf.d/90yes"), yes)?;
        Ok(())
    }

    /// Starts the root's systemd and waits until everything in it is up; its process.
    fn boot(&mut self) -> Result<u32> {
        fs::create_dir(&self.group)
            .with_context(|| format!("no control group {}", self.group.display()))?;
        let mut command = Command::new("sh");
        command.arg(self.place.join("srv/boot.sh")).args([&self.place, &self.group]);
        let child = command.stdin(Stdio::null()).spawn().context("could not start `sh`")?;
        let outer = child.id();
        self.init = Some(child);
        for _ in 0..BOOT_TRIES {
            sleep(Duration::from_millis(100));
            if let Some(child) = &mut self.init
                && let Some(status) = child.try_wait()?
            {
                bail!("the root did not boot: {status}; it needs namespaces and mounts");
            }
            let below = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"));
            let Some(init) = below.ok().and_then(|it| it.trim().parse::<u32>().ok()) else {
                continue;
            };
            let ask = Job::program("nsenter", &root())
                .args(["--target".to_owned(), init.to_string()])
                .args(["--all", "systemctl", "is-system-running"]);
            match ask.all_output()?.1.trim() {
                "running" => return Ok(init),
                "degraded" => bail!("systemd came up in the root, but a unit of Debian's failed"),
                _ => {}
            }
        }
        bail!("systemd did not come up in the root; see what `sh boot.sh` does by hand")
    }

    /// Takes away what is there, of this trial or of one that was killed.
    fn sweep(&mut self) -> Result<()> {
        if let Some(mut child) = self.init.take() {
            // With it everybody dies that is in its namespace.
            child.kill()?;
            child.wait()?;
        }
        for _ in 0..END_TRIES {
            if remove_groups(&self.group) {
                break;
            }
            sleep(Duration::from_millis(100));
        }
        if self.group.exists() {
            bail!("somebody still runs in {}: is another trial under way?", self.group.display());
        }
        if self.place.exists() {
            fs::remove_dir_all(&self.place).context("could not remove the root of the trial")?;
        }
        Ok(())
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Err(error) = self.sweep() {
            eprintln!("error: of the trial something is left: {error:#}");
        }
    }
}

/// Removes a control group and those below, from the leaves; whether it is gone. A group with processes stays.
fn remove_groups(group: &Path) -> bool {
    let Ok(entries) = fs::read_dir(group) else { return !group.exists() };
    for entry in entries.flatten() {
        if entry.path().is_dir() {
            remove_groups(&entry.path());
        }
    }
    fs::remove_dir(group).is_ok()
}
