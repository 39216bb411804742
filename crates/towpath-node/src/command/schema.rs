//! `towpath schema`: the JSON Schema of network files, for editors that complete and check as one types.
//!
//! Names and shapes are the reader's own table ([`parts`]); components come from the registry, so a program with components of its own
//! writes a schema that knows them.

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use crate::{
    component::Registry,
    file::parts::{NETWORK, PROCESS, object},
};

#[derive(Args)]
pub(super) struct Options {
    /// Tells it as JSON, which it is; on one line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, registry: &Registry) -> Result<(), Failure> {
    let schema = schema(registry);
    if options.json {
        println!("{schema}");
    } else {
        println!("{schema:#}");
    }
    Ok(())
}

fn schema(registry: &Registry) -> Value {
    // The options of a component are its own to read, so a process is open.
    let mut process = object(&PROCESS, &["uses"], true);
    let components = registry.names().filter_map(|name| registry.get(name));
    let components: Vec<Value> =
        components.map(|it| json!({"const": it.name(), "description": it.about()})).collect();
    process["properties"]["uses"] =
        json!({"description": "The component that it uses.", "oneOf": components});
    let mut network = object(&NETWORK, &["version", "name"], false);
    network["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    network["title"] = "A network of processes, for towpath".into();
    network["$defs"] = json!({"process": process});
    network
}

#[cfg(test)]
mod tests {
    use towpath_patterns::yaml;

    use super::*;
    use crate::file::{
        NetworkFile,
        parts::{CHANNEL, TEST, names},
    };

    fn valid(schema: &Value, text: &str) -> bool {
        let value: Value = yaml::read(&yaml::parse(text).unwrap()).unwrap();
        jsonschema::validator_for(schema).unwrap().is_valid(&value)
    }

    /// What the schema takes and refuses is what the reader takes and refuses.
    #[test]
    fn the_reader_and_the_schema_agree() {
        let registry = Registry::builtin();
        let schema = schema(&registry);
        let base = "version: 1\nname: n\n";
        for (text, is_right) in [
            ("channels: {a: {type: T, capacity: 1, full: drop, trace: true}, b: }\n", true),
            ("channels: {a: {trace: link}, b: {trace: parent}, c: {trace: false}}\n", true),
            ("channels: {a: {trace: sometimes}}\n", false),
            ("channels: {a: {capacity: many}}\n", false),
            ("channels: {a: {fool: block}}\n", false),
            ("channels: {a: {full: explode}}\n", false),
            ("channels: {a: 5}\n", false),
            ("processes: {p: {uses: load, out: a, every: 1s}}\n", true),
            ("processes: {p: {uses: load, in: [a, b], out: {x: a}, on_error: c}}\n", true),
            ("processes: {p: {out: a}}\n", false),
            ("processes: {p: {uses: load, in: [[a]]}}\n", false),
            ("tests: [{name: t, send: {a: 1}, expect: [{b: 2}, {b: 3}], within: 1s}]\n", true),
            ("tests: [{send: {a: 1}}]\n", false),
            ("tests: [{expext: {a: 1}}]\n", false),
            ("setings: {}\n", false),
            ("settings: {a: 1}\ntypes: {T: {type: object}}\n", true),
        ] {
            let text = format!("{base}{text}");
            let read = NetworkFile::read("n.yaml", &text, &[]);
            assert_eq!(read.is_ok(), is_right, "the reader: {text}\n{read:?}");
            assert_eq!(valid(&schema, &text), is_right, "the schema: {text}");
        }
    }

    /// The reader takes a channel apart by serde; what it says is missing from its own list must be none of the table.
    #[test]
    fn every_name_of_the_table_is_read() {
        for (table, before, after) in [
            (&CHANNEL[..], "channels: {a: {", "}}"),
            (&TEST[..], "tests: [{", "}]"),
            (&NETWORK[..], "", ""),
        ] {
            for name in names(table) {
                let text = format!("version: 1\nname: n\n{before}{name}: {after}\n");
                let told = NetworkFile::read("n", &text, &[])
                    .map_or_else(|it| it.to_string(), |_| String::new());
                let unknown = format!("`{name}`");
                let is_unknown = told.contains("unknown") || told.contains("has no");
                assert!(!(is_unknown && told.contains(&unknown)), "{text}: {told}");
            }
        }
    }

    #[test]
    fn networks_that_ship_are_valid() {
        let schema = schema(&Registry::builtin());
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../networks");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "yaml") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(valid(&schema, &text), "{}", path.display());
                count += 1;
            }
        }
        assert!(count > 0);
    }
}
