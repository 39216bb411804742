//! `towpath ps` and `towpath ch`: processes and channels of a node, as tables.

use serde_json::json;

use super::{
    Failure,
    ask::At,
    table::{Table, Tone, time},
};
use crate::state::{Certainty, ChannelState, Doing, ProcessState, State};

pub(super) fn processes(at: &At) -> Result<(), Failure> {
    let state: State = at.get("/state")?;
    if at.json {
        println!("{}", json!(state.processes));
        return Ok(());
    }
    let mut table = Table::new(&PROCESS_HEADS);
    for process in &state.processes {
        table.toned(tone(process), process_cells(process));
    }
    table.print();
    Ok(())
}

pub(super) fn channels(at: &At) -> Result<(), Failure> {
    let state: State = at.get("/state")?;
    if at.json {
        println!("{}", json!(state.channels));
        return Ok(());
    }
    let mut table = Table::new(&CHANNEL_HEADS);
    for channel in &state.channels {
        let full = channel.capacity > 0 && channel.length >= channel.capacity;
        table.toned(if full { Tone::Doubtful } else { Tone::Plain }, channel_cells(channel));
    }
    table.print();
    Ok(())
}

pub(super) const PROCESS_HEADS: [&str; 8] =
    ["PROCESS", "USES", "STATE", "WAITS FOR", ">RECEIVED", ">SENT", ">REFUSED", ">STARTS"];

pub(super) fn process_cells(process: &ProcessState) -> [String; 8] {
    let state = match process.stuck {
        Some(grade) => format!("{}, stuck ({})", doing(process.state), certainty(grade)),
        None => doing(process.state).to_owned(),
    };
    let waits = process.waits.iter().map(|wait| match &wait.on {
        Some(on) => format!("{} {on} {}", wait.what, time(wait.for_ms)),
        None => format!("{} {}", wait.what, time(wait.for_ms)),
    });
    [
        process.name.clone(),
        process.component.clone(),
        state,
        waits.collect::<Vec<_>>().join(", "),
        process.received.to_string(),
        process.sent.to_string(),
        process.refused.to_string(),
        process.starts.to_string(),
    ]
}

const CHANNEL_HEADS: [&str; 8] = [
    "CHANNEL",
    "TYPE",
    ">LENGTH",
    ">SENT",
    ">RECEIVED",
    ">DROPPED",
    ">WAIT TO SEND/RECV",
    ">UNCHANGED",
];

fn channel_cells(channel: &ChannelState) -> [String; 8] {
    [
        channel.name.clone(),
        channel.kind.clone().unwrap_or_else(|| "-".to_owned()),
        format!("{}/{}", channel.length, channel.capacity),
        channel.sent.to_string(),
        channel.received.to_string(),
        channel.dropped.to_string(),
        format!("{}/{}", channel.waiting_send, channel.waiting_recv),
        time(channel.unchanged_ms),
    ]
}

pub(super) fn tone(process: &ProcessState) -> Tone {
    match (process.stuck, process.state) {
        (Some(Certainty::Suspect), _) | (None, Doing::Restarting | Doing::Blocked) => {
            Tone::Doubtful
        }
        (Some(_), _) => Tone::Bad,
        (None, _) => Tone::Plain,
    }
}

pub(super) fn doing(doing: Doing) -> &'static str {
    match doing {
        Doing::Running => "running",
        Doing::Waiting => "waiting",
        Doing::Blocked => "blocked",
        Doing::Paused => "paused",
        Doing::Restarting => "restarting",
        Doing::Ended => "ended",
    }
}

pub(super) fn certainty(grade: Certainty) -> &'static str {
    match grade {
        Certainty::Suspect => "suspect",
        Certainty::Likely => "likely",
        Certainty::Proven => "proven",
    }
}
