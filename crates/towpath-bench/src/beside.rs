//! Peers that need what nobody else shall have to compile: programs in `peers/`, a workspace of its own, built when they are asked for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Builds one of them and says where it lies.
pub(crate) fn build(program: &str) -> Result<PathBuf, String> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--package", program, "--message-format", "json"])
        .current_dir(&workspace)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !built.status.success() {
        return Err(format!("`{program}` cannot be built: see above, or do not ask for it"));
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| format!("cargo built `{program}` and names no program"))
}
