//! A component of one's own in a network file: a kitchen that can only cook what it has learnt.
//!
//! The ten lines are those of `kitchen`: what it is called, its ports, and an async closure from its options. All else of the node comes with
//! it: options are checked with their place in the file, a message that cannot be handled goes where the file says, the process begins again
//! when it fails, and it is there in `towpath ps`, in the dashboard and in the tests of the file.
//!
//! A program with all commands of `towpath` and this component is one line: `towpath_node::main(registry())`.

use serde::Deserialize;
use serde_json::json;
use towpath::{BoxError, Ctx};
use towpath_node::{
    Component, Need, NoOptions, Node, Port, Ports, Registry, Setup, file::NetworkFile,
};

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kitchen {
    cooks: Vec<String>,
}

fn kitchen() -> Component {
    let kitchen = Component::new("kitchen", "cooks what it has learnt: cooks, a list");
    kitchen.input(Port::new("in")).output(Port::new("out")).refuses().runs(|options: Kitchen| {
        async move |_: Ctx, ports: &mut Ports| {
            while let Some(order) = ports.recv("in").await {
                match order["dish"].as_str() {
                    Some(dish) if options.cooks.iter().any(|it| it == dish) => {
                        let served = order
                            .map(|order| json!({"table": order["table"], "served": order["dish"]}));
                        ports.send("out", served).await?;
                    }
                    _ => ports.refuse(order, "nobody here can cook that").await?,
                }
            }
            Ok::<_, BoxError>(())
        }
    })
}

/// Prints what comes.
fn table() -> Component {
    Component::new("table", "prints").input(Port::new("in").need(Need::Some)).runs(
        |_: NoOptions| {
            async move |_: Ctx, ports: &mut Ports| {
                while let Some(message) = ports.recv("in").await {
                    println!("{}", *message);
                }
            }
        },
    )
}

fn registry() -> Registry {
    Registry::builtin().with(kitchen()).with(table())
}

const FILE: &str = "
version: 1
name: restaurant
channels: {orders: , served: }
processes:
  guests: {uses: load, every: 200ms, count: 3, message: {table: '{n}', dish: soup}, out: orders}
  kitchen: {uses: kitchen, cooks: [soup, bread], in: orders, out: served, on_error: served}
  table: {uses: table, in: served}
";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // What is wrong is told before anything runs.
    let typo = NetworkFile::read("restaurant.yaml", &FILE.replace("cooks:", "cook:"), &[])?;
    let setup = Setup::new("not-written-to");
    if let Err(error) = Node::start(typo, registry(), &setup, &Ctx::root()) {
        println!("{error}\n");
    }

    let file = NetworkFile::read("restaurant.yaml", FILE, &[])?;
    let (node, work) = Node::start(file, registry(), &setup, &Ctx::root())?;
    node.inject("orders", json!({"table": 9, "dish": "lobster"}))?;
    work.run().await?;

    let state = node.state();
    let kitchen = &state.processes[1];
    println!(
        "\n{}: received {}, sent {}, refused {}",
        kitchen.name, kitchen.received, kitchen.sent, kitchen.refused
    );
    Ok(())
}
