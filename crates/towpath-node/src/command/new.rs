//! `towpath new`: something that runs, to begin with.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use super::{Exit, Failure};

const NETWORK: &str = include_str!("new/network.yaml");
const OWN: &str = include_str!("new/own.yaml");
const MAIN: &str = include_str!("new/main.rs.txt");
const TEST: &str = include_str!("new/test.rs.txt");
const MANIFEST: &str = include_str!("new/Cargo.toml.txt");

/// What is made when a program runs, and belongs into no repository.
const IGNORED: &str = "/data\n/target\n";

#[derive(Args)]
pub(super) struct Options {
    /// What it is called; a folder of that name is made.
    #[arg(value_parser = name)]
    name: String,
    /// A program with a component of your own, and not only a network file.
    #[arg(long)]
    rust: bool,
    /// Where the sources of Towpath are, for a program that builds on them and not on what was published.
    #[arg(long, value_name = "DIR", requires = "rust")]
    towpath: Option<PathBuf>,
    /// Tells it as JSON.
    #[arg(long)]
    json: bool,
}

/// A name that a package, a folder and a network can have.
fn name(text: &str) -> Result<String, String> {
    let begins = text.starts_with(|it: char| it.is_ascii_lowercase());
    let is_word =
        text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-');
    if begins && is_word {
        Ok(text.to_owned())
    } else {
        Err("a name is of small letters, digits and `-`, and begins with a letter".to_owned())
    }
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let Options { name, rust, towpath, json } = options;
    let files = if *rust { program(name, towpath.as_deref())? } else { network(name) };
    let folder = Path::new(name);
    fs::create_dir(folder).map_err(|error| {
        Exit::not(format!("{name}: {error}; choose another name, or remove the folder"))
    })?;
    for (path, text) in &files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    if *json {
        let files: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
        println!("{}", json!({"folder": name, "files": files}));
    } else if *rust {
        println!("cd {name}\ncargo test\ncargo run -- run network.yaml");
    } else {
        println!("cd {name}\ntowpath test network.yaml\ntowpath run network.yaml");
    }
    Ok(())
}

type Files = Vec<(&'static str, String)>;

fn network(name: &str) -> Files {
    vec![("network.yaml", NETWORK.replace("NAME", name)), (".gitignore", IGNORED.to_owned())]
}

fn program(name: &str, towpath: Option<&Path>) -> Result<Files, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let from = |package: &str| -> Result<String, Failure> {
        let Some(sources) = towpath else { return Ok(format!("\"{version}\"")) };
        let path = sources.join("crates").join(package);
        let path = path.canonicalize().map_err(|error| {
            format!(
                "{}: {error}; --towpath is the folder with Towpath's own Cargo.toml",
                path.display()
            )
        })?;
        // As JSON it is a string of TOML too.
        Ok(format!("{{ path = {} }}", json!(path)))
    };
    let manifest = MANIFEST
        .replace("NAME", name)
        .replace("TOWPATH", &from("towpath")?)
        .replace("NODE", &from("towpath-node")?);
    Ok(vec![
        ("Cargo.toml", manifest),
        ("src/main.rs", MAIN.to_owned()),
        ("tests/network.rs", TEST.replace("NAME", name)),
        ("network.yaml", OWN.replace("NAME", name)),
        (".gitignore", IGNORED.to_owned()),
    ])
}
