//! What the chapter on state machines shows.

use std::time::SystemTime;

use towpath::{BoxError, Ctx, bounded, scope};
use towpath_patterns::machine;
use towpath_patterns::machine::{Keyed, Table};

/// Events that wait for the gates; more than the story has.
const MAILBOX: usize = 8;

// ANCHOR: machine
/// What a gate remembers.
#[derive(Default)]
struct Books {
    passed: u32,
}

machine! {
    /// A gate that wants a coin.
    machine Gate(Books) -> &'static str, version 1;

    enum State { initial Closed, Open, final Scrapped }

    #[derive(Clone, Copy)]
    enum Event { Coin { cents: u32 }, Push, Wait, Scrap }

    Closed {
        Coin if is_enough => Open,
        Coin => refuse "a passage costs 50 cents",
        Push => refuse "the gate is closed",
        Wait => stay,
        Scrap => Scrapped,
    }
    Open {
        after 30s => Wait,                 // time brings this event
        Push => Closed / count / greet,
        Wait => Closed,
        Coin => stay,
        Scrap => refuse "somebody may be in it",
    }
    Scrapped {
        _ => refuse "the gate is scrap",
    }
}

fn is_enough(_: &Books, event: &Event, _: SystemTime) -> bool {
    matches!(event, Event::Coin { cents: 50.. })
}

fn count(books: &mut Books, _: &Event, _: SystemTime) -> Option<&'static str> {
    books.passed += 1;
    None
}

fn greet(_: &mut Books, _: &Event, _: SystemTime) -> Option<&'static str> {
    Some("good morning")
}
// ANCHOR_END: machine

// ANCHOR: yaml
const YAML: &str = "
machine: Gate
version: 1
states:
  Closed: {initial: true}
  Open: {after: 30s, then: Wait}
  Scrapped: {final: true}
events: [Coin, Push, Wait, Scrap]
rules:
  Closed:
    Coin:
      - {if: is_enough, to: Open}
      - {refuse: a passage costs 50 cents}
    Push: {refuse: the gate is closed}
    Wait: stay
    Scrap: {to: Scrapped}
  Open:
    Push: {to: Closed, do: [count, greet]}
    Wait: {to: Closed}
    Coin: stay
    Scrap: {refuse: somebody may be in it}
  Scrapped:
    _: {refuse: the gate is scrap}
";
// ANCHOR_END: yaml

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // ANCHOR: one
    let now = SystemTime::UNIX_EPOCH; // time is an argument
    let mut gate = Gate::start(Books::default());
    for event in [
        Event::Push,
        Event::Coin { cents: 20 },
        Event::Coin { cents: 50 },
        Event::Push,
        Event::Scrap,
    ] {
        match gate.on(&event, now) {
            Ok(transition) => {
                println!("{} -> {}: {:?}", transition.from, transition.to, transition.decisions)
            }
            Err(refused) => println!("{refused}"),
        }
    }
    println!("{} passed", gate.data().passed);
    // ANCHOR_END: one

    // ANCHOR: load
    let table = Table::from_yaml("gate.yaml", YAML)?;
    assert_eq!(&table, Gate::table()); // the same machine
    let gate = Gate::bindings().bind(table)?; // its guards and actions are the same functions
    let wrong = YAML.replace("do: [count, greet]", "do: [count, gret]");
    let unbound = Gate::bindings().bind(Table::from_yaml("gate.yaml", &wrong)?);
    println!("{}", unbound.err().ok_or("bound")?);
    let wrong = YAML.replace("    Coin: stay\n", "");
    println!("{}", Table::from_yaml("gate.yaml", &wrong).err().ok_or("loaded")?);
    // ANCHOR_END: load

    // ANCHOR: keyed
    let told = scope(&Ctx::root(), |s| async move {
        let (events, mailbox) = bounded(MAILBOX);
        let (outputs, mut told) = bounded(MAILBOX);
        s.spawn("gates", move |ctx| Keyed::new(gate).run(ctx, mailbox, outputs));
        for gate_and_event in
            [(7, Event::Coin { cents: 50 }), (8, Event::Push), (7, Event::Push), (8, Event::Scrap)]
        {
            events.send(gate_and_event.into()).await?;
        }
        drop(events);
        let mut lines = Vec::new();
        while let Some(output) = told.recv().await {
            let gate = output.key;
            lines.push(match output.outcome {
                Ok(transition) => format!("gate {gate}: {:?}", transition.decisions),
                Err(rejected) => format!("gate {gate}: {rejected}"),
            });
        }
        Ok(lines)
    });
    println!("{}", told.await?.join("\n"));
    // ANCHOR_END: keyed
    Ok(())
}
