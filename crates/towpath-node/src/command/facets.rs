//! What single processes have to show: `towpath dlq`, `saga`, `machine`, and `facet` for those of any kind.
//!
//! They ask for facets by kind, so a component of one's own that shows dead letters is served by `dlq` as well.

use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::{
    Exit, Failure,
    ask::{At, part},
    messages::said,
    table::{Table, time},
};

/// Letters, sagas or instances that a list shows when nobody says how many.
const ROWS: usize = 100;

/// As many as a node gives: to find one among them.
const ALL: usize = 10_000;

#[derive(Args)]
pub(super) struct Which {
    /// The process, where several are of this kind.
    #[arg(long, value_name = "PROCESS")]
    process: Option<String>,
    #[command(flatten)]
    at: At,
}

impl Which {
    /// The process that has a facet of this kind.
    fn process(&self, kind: &str) -> Result<String, Failure> {
        if let Some(process) = &self.process {
            return Ok(process.clone());
        }
        let facets: Vec<Value> = self.at.get("/facets")?;
        let of_kind = facets.iter().filter(|it| it["kind"] == kind);
        let names: Vec<&str> = of_kind.filter_map(|it| it["process"].as_str()).collect();
        match names[..] {
            [name] => Ok(name.to_owned()),
            [] => Err(format!("no process of this network has {}", kind.replace('_', " ")).into()),
            _ => Err(format!("there are several: say --process {}", names.join(", or --process "))
                .into()),
        }
    }

    fn show(&self, kind: &str, limit: usize) -> Result<Value, Failure> {
        self.at.get(&format!("/facets/{}?limit={limit}", part(&self.process(kind)?)))
    }

    fn act(&self, kind: &str, verb: &str, args: &Value) -> Result<Value, Failure> {
        self.at.post(&format!("/facets/{}/{verb}", part(&self.process(kind)?)), args)
    }
}

const DEAD_LETTERS: &str = "dead_letters";

#[derive(Subcommand)]
pub(super) enum Dlq {
    /// Lists dead letters, and how many there are of each cause.
    Ls {
        /// How many to list.
        #[arg(long, default_value_t = ROWS)]
        limit: usize,
        #[command(flatten)]
        which: Which,
    },
    /// Shows a letter.
    Show {
        /// Its number.
        id: String,
        #[command(flatten)]
        which: Which,
    },
    /// Sends letters on their way again.
    Replay {
        /// Their numbers.
        ids: Vec<String>,
        /// All of one cause.
        #[arg(long, value_name = "CAUSE", conflicts_with_all = ["ids", "all"])]
        group: Option<String>,
        /// All there are.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Says how many it would be, and does nothing.
        #[arg(long)]
        dry_run: bool,
        /// At most so many in a second.
        #[arg(long, value_name = "N")]
        per_second: Option<f64>,
        #[command(flatten)]
        which: Which,
    },
    /// Throws letters away.
    Discard {
        /// Their numbers.
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        which: Which,
    },
}

pub(super) fn dlq(command: &Dlq) -> Result<(), Failure> {
    match command {
        Dlq::Ls { limit, which } => {
            let shown = which.show(DEAD_LETTERS, *limit)?;
            if which.at.json {
                println!("{shown}");
                return Ok(());
            }
            println!("{} dead letters", shown["total"]);
            let mut groups = Table::new(&[">COUNT", "CAUSE", "FIRST", "LAST"]);
            for group in list(&shown["groups"]) {
                groups.row(["count", "cause", "first", "last"].map(|it| word(&group[it])));
            }
            groups.print();
            let mut letters = Table::new(&[">ID", "FROM", ">ATTEMPTS", "AT", "CAUSE"]);
            for letter in list(&shown["letters"]) {
                letters.row(["id", "from", "attempts", "at", "cause"].map(|it| word(&letter[it])));
            }
            letters.print();
            Ok(())
        }
        Dlq::Show { id, which } => {
            let shown = which.show(DEAD_LETTERS, ALL)?;
            let letter = list(&shown["letters"]).iter().find(|it| word(&it["id"]) == *id);
            let letter = letter.ok_or_else(|| {
                format!("there is no dead letter {id}: `towpath dlq ls` lists them")
            })?;
            tell(&which.at, letter);
            Ok(())
        }
        Dlq::Replay { ids, group, all, dry_run, per_second, which } => {
            let mut args = match (group, all) {
                (Some(group), _) => json!({"group": group}),
                (None, true) => json!({"all": true}),
                (None, false) if ids.is_empty() => {
                    let told = "which letters? give their numbers, --group CAUSE or --all";
                    return Err(Exit::usage(told.to_owned()).into());
                }
                (None, false) => json!({"ids": numbers(ids)}),
            };
            args["dry_run"] = json!(dry_run);
            if let Some(rate) = per_second {
                args["per_second"] = json!(rate);
            }
            // It can take long at a rate, and shows nothing where nobody looks.
            let bar = ProgressBar::new_spinner().with_message("replaying");
            bar.enable_steady_tick(Duration::from_millis(100));
            let done = which.act(DEAD_LETTERS, "replay", &args);
            bar.finish_and_clear();
            let done = done?;
            let words = match done.get("would") {
                Some(count) => format!("{count} would be sent again"),
                None => format!("{} sent again", done["replayed"]),
            };
            said(&which.at, &done, &words);
            Ok(())
        }
        Dlq::Discard { ids, which } => {
            let done = which.act(DEAD_LETTERS, "discard", &json!({"ids": numbers(ids)}))?;
            said(&which.at, &done, &format!("thrown away: {}", ids.join(", ")));
            Ok(())
        }
    }
}

const SAGA: &str = "saga";

#[derive(Subcommand)]
pub(super) enum Saga {
    /// Lists sagas, and how many there are in each state.
    Ls {
        /// How many to list.
        #[arg(long, default_value_t = ROWS)]
        limit: usize,
        #[command(flatten)]
        which: Which,
    },
    /// Shows a saga with its history.
    Show {
        /// Its key.
        key: String,
        #[command(flatten)]
        which: Which,
    },
    /// Tries the next step now.
    Resume {
        /// Its key.
        key: String,
        #[command(flatten)]
        which: Which,
    },
    /// Undoes what was done.
    Cancel {
        /// Its key.
        key: String,
        #[command(flatten)]
        which: Which,
    },
}

pub(super) fn saga(command: &Saga) -> Result<(), Failure> {
    match command {
        Saga::Ls { limit, which } => {
            let shown = which.show(SAGA, *limit)?;
            if which.at.json {
                println!("{shown}");
                return Ok(());
            }
            let counts = shown["counts"].as_object().into_iter().flatten();
            let counts: Vec<String> =
                counts.map(|(state, count)| format!("{state}: {count}")).collect();
            println!("{}", counts.join(", "));
            let mut table = Table::new(&["KEY", "STATE", "STEP", ">ATTEMPTS", ">NEXT IN", "WHY"]);
            for it in list(&shown["sagas"]) {
                let next = it["next_in_ms"].as_u64().map_or_else(|| "-".to_owned(), time);
                let [key, state, step, attempts, why] =
                    ["key", "state", "step", "attempts", "why"].map(|name| word(&it[name]));
                table.row([key, state, step, attempts, next, why]);
            }
            table.print();
            Ok(())
        }
        Saga::Show { key, which } => {
            let shown = which.show(SAGA, ALL)?;
            let found = list(&shown["sagas"]).iter().find(|it| word(&it["key"]) == *key);
            let found = found
                .ok_or_else(|| format!("there is no saga `{key}`: `towpath saga ls` lists them"))?;
            tell(&which.at, found);
            Ok(())
        }
        Saga::Resume { key, which } => {
            let done = which.act(SAGA, "resume", &json!({"key": key}))?;
            said(&which.at, &done, &format!("{key} is tried again now"));
            Ok(())
        }
        Saga::Cancel { key, which } => {
            let done = which.act(SAGA, "cancel", &json!({"key": key}))?;
            said(&which.at, &done, &format!("{key} is being undone"));
            Ok(())
        }
    }
}

#[derive(Subcommand)]
pub(super) enum Machine {
    /// Lists the states of a machine with how many are in each, and its instances.
    Ls {
        /// How many instances to list.
        #[arg(long, default_value_t = ROWS)]
        limit: usize,
        #[command(flatten)]
        which: Which,
    },
}

pub(super) fn machine(command: &Machine) -> Result<(), Failure> {
    let Machine::Ls { limit, which } = command;
    let shown = which.show("machine", *limit)?;
    if which.at.json {
        println!("{shown}");
        return Ok(());
    }
    let mut states = Table::new(&["STATE", ">COUNT", ""]);
    for state in list(&shown["states"]) {
        let last = if state["final"] == true { "final" } else { "" };
        states.row([word(&state["name"]), word(&state["count"]), last.to_owned()]);
    }
    states.print();
    println!();
    let mut instances = Table::new(&["KEY", "STATE", ">VERSION"]);
    for it in list(&shown["instances"]) {
        instances.row(["key", "state", "version"].map(|name| word(&it[name])));
    }
    instances.print();
    Ok(())
}

#[derive(Subcommand)]
pub(super) enum Facet {
    /// Lists processes that have something to show, and what they can be told.
    Ls {
        #[command(flatten)]
        at: At,
    },
    /// Shows what a process has to show.
    Show {
        /// Which process.
        process: String,
        /// How many entries of its lists.
        #[arg(long, default_value_t = ROWS)]
        limit: usize,
        #[command(flatten)]
        at: At,
    },
    /// Tells a process something that it can do: another rate, another radius.
    Act {
        /// Which process.
        process: String,
        /// What it should do.
        verb: String,
        /// How, as JSON.
        #[arg(default_value = "{}", value_parser = arguments)]
        args: Value,
        #[command(flatten)]
        at: At,
    },
}

fn arguments(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))
}

pub(super) fn facet(command: &Facet) -> Result<(), Failure> {
    match command {
        Facet::Ls { at } => {
            let facets: Value = at.get("/facets")?;
            if at.json {
                println!("{facets}");
                return Ok(());
            }
            let mut table = Table::new(&["PROCESS", "KIND", "CAN"]);
            for facet in list(&facets) {
                let verbs = list(&facet["verbs"]).iter().map(|verb| word(&verb["name"]));
                let verbs = verbs.collect::<Vec<_>>().join(", ");
                table.row([word(&facet["process"]), word(&facet["kind"]), verbs]);
            }
            table.print();
        }
        Facet::Show { process, limit, at } => {
            let shown: Value = at.get(&format!("/facets/{}?limit={limit}", part(process)))?;
            tell(at, &shown);
        }
        Facet::Act { process, verb, args, at } => {
            let done = at.post(&format!("/facets/{}/{}", part(process), part(verb)), args)?;
            tell(at, &done);
        }
    }
    Ok(())
}

/// Something that has no table: JSON, in lines for people.
fn tell(at: &At, value: &Value) {
    if at.json {
        println!("{value}");
    } else {
        println!("{value:#}");
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A value in a cell: words without quotes, nothing as a dash.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Numbers as numbers; what is none is handed on for the process to refuse.
fn numbers(ids: &[String]) -> Vec<Value> {
    ids.iter().map(|id| id.parse::<u64>().map_or_else(|_| json!(id), |id| json!(id))).collect()
}
