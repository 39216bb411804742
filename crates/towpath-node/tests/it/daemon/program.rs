//! The program with components of a test: the test binary itself, which finds out from its environment that it is to be one.

use std::{pin::Pin, process::Command, sync::Mutex};

use serde_json::{Value, json};
use towpath::{BoxError, Ctx};
use towpath_node::{
    Component, Facet, Need, NoOptions, Port, Ports, Registry,
    facet::{Query, Verb},
};

const ARGUMENTS: &str = "TOWPATH_TEST_ARGUMENTS";

/// The program with these arguments.
pub(super) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "daemon::program::as_program", "--nocapture"]);
    command.env(ARGUMENTS, json!(arguments).to_string());
    command
}

/// Nothing, unless this process is to be the program.
#[test]
fn as_program() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let arguments: Vec<String> = serde_json::from_str(&arguments).unwrap();
    let arguments = std::iter::once("towpath".to_owned()).chain(arguments);
    let code = towpath_node::main_with(registry(), arguments);
    std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
}

fn registry() -> Registry {
    Registry::builtin()
        .with(relay())
        .with(
            Component::new("sleeps", "takes one, and forgets the rest")
                .input(Port::new("in"))
                .runs(|_: NoOptions| {
                    async move |_: Ctx, ports: &mut Ports| {
                        let _taken = ports.recv("in").await;
                        std::future::pending::<()>().await;
                    }
                }),
        )
        .with(
            Component::new("shows", "takes orders, and cannot handle each fifth")
                .input(Port::new("in"))
                .runs(|_: NoOptions| {
                    async move |_: Ctx, ports: &mut Ports| {
                        let _shown = ports.home().show(Shown::default());
                        let mut count = 0;
                        while let Some(message) = ports.recv("in").await {
                            count += 1;
                            if count % 5 == 0 {
                                ports.refuse(message, "each fifth is too much").await?;
                            }
                        }
                        Ok::<_, BoxError>(())
                    }
                }),
        )
        .with(Component::new("swallow", "takes").input(Port::new("in").need(Need::Some)).runs(
            |_: NoOptions| {
                async move |_: Ctx, ports: &mut Ports| while ports.recv("in").await.is_some() {}
            },
        ))
        .with(
            Component::new("wants", "sends what it has received")
                .input(Port::new("in"))
                .output(Port::new("out"))
                .source()
                .runs(|_: NoOptions| {
                    async move |_: Ctx, ports: &mut Ports| {
                        while let Some(message) = ports.recv("in").await {
                            ports.send("out", message).await?;
                        }
                        Ok::<_, BoxError>(())
                    }
                }),
        )
}

/// Hands on, to one channel and the other in turn.
fn relay() -> Component {
    let outputs = Component::new("relay", "hands on to x and y in turn")
        .input(Port::new("in").need(Need::Some))
        .output(Port::new("x"))
        .output(Port::new("y"));
    outputs.runs(|_: NoOptions| {
        async move |_: Ctx, ports: &mut Ports| {
            let mut ways = ["x", "y"].into_iter().cycle();
            while let (Some(message), Some(way)) = (ports.recv("in").await, ways.next()) {
                ports.send(way, message).await?;
            }
            Ok::<_, BoxError>(())
        }
    })
}

/// Dead letters, sagas and a machine in one, with a memory of what it was told.
#[derive(Default)]
struct Shown {
    told: Mutex<Vec<Value>>,
}

impl Facet for Shown {
    fn kind(&self) -> &'static str {
        "dead_letters"
    }

    fn show(&self, query: &Query) -> Value {
        let mut letter =
            json!({"id": 7, "cause": "too dear", "from": "till", "attempts": 3, "at": "12:00"});
        if query.payloads() {
            letter["message"] = json!({"secret": "pie"});
        }
        json!({
            "total": 1,
            "groups": [{"cause": "too dear", "count": 1, "first": "12:00", "last": "12:00"}],
            "letters": [letter],
            "counts": {"running": 1},
            "sagas": [{"key": "trip-1", "state": "waiting", "step": "charge", "attempts": 2, "next_in_ms": 4000,
                "why": "the bank is asleep", "history": []}],
            "states": [{"name": "Open", "count": 2, "final": false}],
            "instances": [{"key": "k", "state": "Open", "version": 1}],
            "told": *self.told.lock().unwrap(),
            "limit": query.limit(),
        })
    }

    fn verbs(&self) -> &'static [Verb] {
        const VERBS: &[Verb] = &[
            Verb::new("replay", "sends letters again"),
            Verb::new("discard", "throws letters away"),
            Verb::new("resume", "tries now"),
            Verb::new("cancel", "undoes"),
            Verb::new("fail", "never works"),
        ];
        VERBS
    }

    fn act<'a>(
        &'a self,
        verb: &'a str,
        args: Value,
    ) -> Pin<Box<dyn Future<Output = Result<Value, BoxError>> + Send + 'a>> {
        Box::pin(async move {
            if verb == "fail" {
                return Err("it never works".into());
            }
            self.told.lock().unwrap().push(json!({"verb": verb, "args": args}));
            if args["dry_run"] == true {
                Ok(json!({"would": 1}))
            } else {
                Ok(json!({"replayed": 1}))
            }
        })
    }
}
