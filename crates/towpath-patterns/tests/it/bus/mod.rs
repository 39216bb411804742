//! The bus: who hears what, what is lost and told, how it ends.

mod rules;
mod schedules;
mod threads;

use towpath::TryRecvError;
use towpath_patterns::bus::{Heard, Subscriber};

/// What there is to hear now, in words: values, losses as `-n`, and `end`.
fn hear_all(subscriber: &mut Subscriber<u32>) -> String {
    let mut heard = Vec::new();
    loop {
        match subscriber.try_recv() {
            Ok(Heard::Message(message)) => heard.push(message.value.to_string()),
            Ok(Heard::Lagged(lost)) => heard.push(format!("-{lost}")),
            Err(TryRecvError::Closed) => {
                heard.push("end".into());
                break;
            }
            Err(TryRecvError::Empty) => break,
        }
    }
    heard.join(" ")
}
