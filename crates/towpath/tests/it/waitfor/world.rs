//! Snapshots as text.
//!
//! ```text
//! a: recv x | send y for 5s        a process and its wait; a second line with the same name is one more wait
//! b: runs                          or `over`, `parked` (nobody knows where), `nothing` (a wait without arms)
//! chan x 0/4: a b? ? * -> c        messages / capacity (or inf), senders -> receivers
//! chan y 1+2/4 still 3s: a -> c    two places kept, as it is for 3 s
//! lock m: a                        its holders
//! sem s 1: a b                     one permit free
//! notify n: a                      or `notify n stored: a`
//! group g: a b                     who is missing
//! ctx c: a                         or `ctx c < parent: a`, `ctx c in 3s: -`, `ctx c done: -`
//! ```
//!
//! Holders: `a` by declaration, `a?` as last seen, `?` unknown, `*` outside, `-` nobody.

use std::time::Duration;

use towpath::waitfor::{
    Arm, Channel, Ends, Kind, Location, Process, ProcessId, ResourceId, Snapshot, State,
};

pub(super) fn parse(text: &str) -> Snapshot {
    let mut world = Snapshot::new();
    let lines = text.lines().map(|line| line.split("//").next().unwrap().trim());
    for (number, line) in lines.filter(|line| !line.is_empty()).enumerate() {
        let (head, rest) = line.split_once(':').unwrap_or_else(|| panic!("no colon in `{line}`"));
        let words: Vec<&str> = head.split_whitespace().collect();
        match words[..] {
            [name] => process(&mut world, name, rest.trim(), number as u32 + 1),
            [kind, name, ref more @ ..] => {
                let kind = resource(kind, more, rest);
                let id = resource_id(name);
                world.resource(id, name, kind);
                if let Some(["still", time]) = more.last_chunk() {
                    world.resources.last_mut().unwrap().unchanged = duration(time);
                }
            }
            [] => panic!("no name in `{line}`"),
        }
    }
    world
}

/// The id of the process with this name: the same in all worlds.
pub(super) fn process_id(name: &str) -> ProcessId {
    ProcessId(number(name))
}

pub(super) fn resource_id(name: &str) -> ResourceId {
    ResourceId(number(name))
}

/// Different names have different numbers, or `parse` would show it: the reports name people.
fn number(name: &str) -> u64 {
    assert!(name.is_ascii(), "`{name}` is not ASCII");
    name.bytes().fold(0, |number: u64, byte| number.wrapping_mul(131) + u64::from(byte))
}

fn process(world: &mut Snapshot, name: &str, what: &str, line: u32) {
    let (state, waits) = match what {
        "runs" => (State::Running, false),
        "over" => (State::Ended, false),
        "parked" => (State::Parked, false),
        _ => (State::Parked, true),
    };
    if !world.processes.iter().any(|process: &Process| &*process.name == name) {
        world.process(process_id(name), name, state);
    }
    if waits {
        let (arms, age) = what.split_once(" for ").unwrap_or((what, "1s"));
        let arms: Vec<Arm> = match arms {
            "nothing" => Vec::new(),
            arms => arms.split('|').map(arm).collect(),
        };
        world.wait(process_id(name), duration(age), Location::new("w.rs", line, 5), arms);
    }
}

fn arm(text: &str) -> Arm {
    match text.split_whitespace().collect::<Vec<_>>()[..] {
        ["send", name] => Arm::Send(resource_id(name)),
        ["reserve", name] => Arm::Reserve(resource_id(name)),
        ["recv", name] => Arm::Recv(resource_id(name)),
        ["lock", name] => Arm::Lock(resource_id(name)),
        ["permits", name, permits] => {
            Arm::Acquire { semaphore: resource_id(name), permits: permits.parse().unwrap() }
        }
        ["notified", name] => Arm::Notified(resource_id(name)),
        ["all", name] => Arm::All(resource_id(name)),
        ["done", name] => Arm::Done(resource_id(name)),
        ["timer", time] => Arm::Timer { remaining: duration(time) },
        ["outside"] => Arm::Outside,
        ["foreign"] => Arm::Foreign,
        _ => panic!("`{text}` is no arm"),
    }
}

fn resource(kind: &str, more: &[&str], holders: &str) -> Kind {
    match (kind, more) {
        ("chan", [load, ..]) => {
            let (load, capacity) = load.split_once('/').expect("messages / capacity");
            let (queued, kept) = load.split_once('+').unwrap_or((load, "0"));
            let (senders, receivers) = holders.split_once("->").expect("senders -> receivers");
            Kind::Channel(Channel {
                capacity: (capacity != "inf").then(|| capacity.parse().unwrap()),
                queued: queued.parse().unwrap(),
                kept: kept.parse().unwrap(),
                sent: None,
                received: None,
                senders: ends(senders),
                receivers: ends(receivers),
            })
        }
        ("lock", _) => Kind::Lock { holders: ends(holders) },
        ("sem", [free, ..]) => {
            Kind::Semaphore { free: free.parse().unwrap(), holders: ends(holders) }
        }
        ("notify", more) => {
            Kind::Notify { stored: more.first() == Some(&"stored"), notifiers: ends(holders) }
        }
        ("group", _) => Kind::Group { members: ends(holders) },
        ("ctx", more) => Kind::Context {
            done: more.first() == Some(&"done"),
            deadline: match more {
                ["in", time, ..] => Some(duration(time)),
                _ => None,
            },
            parent: match more {
                ["<", parent, ..] => Some(resource_id(parent)),
                _ => None,
            },
            cancellers: ends(holders),
        },
        _ => panic!("`{kind}` is no resource"),
    }
}

fn ends(text: &str) -> Ends {
    text.split_whitespace().fold(Ends::gone(), |ends, word| match word {
        "-" => ends,
        "?" => ends.and_unknown(1),
        "*" => ends.and_outside(1),
        name => match name.strip_suffix('?') {
            Some(name) => ends.and(Ends::observed([process_id(name)])),
            None => ends.and(Ends::declared([process_id(name)])),
        },
    })
}

fn duration(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap());
    let number = number.parse().unwrap();
    match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "min" => Duration::from_secs(60 * number),
        "h" => Duration::from_secs(3600 * number),
        _ => panic!("`{text}` is no time"),
    }
}

#[test]
fn a_world_reads_as_it_is_written() {
    let world = parse(
        "a: recv x | timer 3s for 5s
         b: runs
         chan x 1+2/4 still 3s: b? ? * -> a",
    );
    assert_eq!(world.processes.len(), 2);
    assert_eq!(world.waits[0].age, Duration::from_secs(5));
    assert_eq!(world.waits[0].arms.len(), 2);
    assert_eq!(world.resources[0].unchanged, Duration::from_secs(3));
    let Kind::Channel(channel) = &world.resources[0].kind else { panic!("not a channel") };
    assert_eq!((channel.queued, channel.kept, channel.capacity), (1, 2, Some(4)));
    assert_eq!((channel.senders.total, channel.senders.unknown()), (3, 1));
    assert!(channel.has_room());
}
