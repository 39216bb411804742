//! The tests of a network file, in the simulator: many schedules, virtual time, a disk of their own.
//!
//! What always holds:
//! - A process that reaches outside of the network, or makes messages by itself, does not run; the test sends in its place,
//!   and takes what is sent to it.
//! - Everything else is the network as it will run, component by component and channel by channel.
//! - A test passes when every message that it expects came in one and the same order on each channel, within its time, under
//!   every schedule that was tried, and the network then ended as it was told.

pub(crate) mod disk;
mod stand_in;

use std::{error::Error, sync::Arc, time::Duration};

use serde_json::Value;
use towpath::{BoxError, Ctx, after, scope, select, unbounded};
use towpath_patterns::yaml::LoadError;
use towpath_sim::{
    Sim,
    disk::{Disk, Faults},
};

use crate::{
    Node, Setup,
    assemble::plan,
    component::Registry,
    file::{NetworkFile, Test},
    line::Tap,
};
use stand_in::StandIns;

/// Messages of a channel that a test looks at: more than a test file has room to expect.
const TAPPED: usize = 65_536;

/// Time to end, once the test has what it expected.
const ENDING: Duration = Duration::from_secs(3600);

/// Things that went wrong besides, of which a failed test tells.
const ERRORS: usize = 5;

/// Steps of one schedule; a test of a network with timers takes many, and one that never ends more.
const STEPS: u64 = 2_000_000;

/// How a test went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Schedules that were run.
    pub schedules: u64,
    /// Real time.
    pub took: Duration,
    /// What went wrong, if anything did.
    pub failure: Option<Broken>,
}

/// A test that failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Broken {
    /// What was wrong, in a sentence or two.
    pub summary: String,
    /// Runs the schedule again in which it was: for `towpath test --replay`.
    pub token: String,
    /// That run, an operation a line.
    pub story: Vec<String>,
}

/// What to try.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Trial {
    /// So many schedules of this seed.
    Schedules {
        /// How many.
        count: u64,
        /// Which.
        seed: u64,
    },
    /// The one of this token.
    Replay(String),
}

/// Runs a test of a file.
///
/// # Errors
/// The file does not fit together.
pub fn run(
    file: &NetworkFile,
    test: &Test,
    registry: &Registry,
    trial: &Trial,
) -> Result<Outcome, LoadError> {
    // Told once, and not from within a schedule.
    plan(file, registry)?;
    // Timers ring when it is their time: a test says how long things take.
    let sim = Sim::new().stall(Duration::ZERO).max_steps(STEPS);
    let (file, test, registry) = (Arc::new(file.clone()), Arc::new(test.clone()), registry.clone());
    let program = move || {
        let (file, test, registry) = (file.clone(), test.clone(), registry.clone());
        async move {
            if let Err(error) = schedule(&file, &test, registry).await {
                panic!("{}", whole(&*error));
            }
        }
    };
    let report = match trial {
        Trial::Schedules { count, seed } => sim.schedules(*count).seed(*seed).explore(program),
        Trial::Replay(token) => sim.replay(token, program),
    };
    let failure = report.failure.map(|failed| Broken {
        summary: failed.finding.summary,
        token: failed.token,
        story: failed.story,
    });
    Ok(Outcome { schedules: report.schedules, took: report.time, failure })
}

/// An error with its causes.
fn whole(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told += &format!("\n    because: {error}");
        cause = error.source();
    }
    told
}

/// One schedule.
async fn schedule(file: &NetworkFile, test: &Test, registry: Registry) -> Result<(), BoxError> {
    let setup = Setup::new("data").on(disk::sim_disk(&Disk::new(Faults::default())));
    let ctx = Ctx::root();
    let mut stand_ins = StandIns::default();
    let mut plan = plan(file, &registry)?;
    stand_ins.put(file, &registry, &mut plan);
    let (node, work) = Node::start_with(file.clone(), plan, registry, &setup, &ctx)?;
    let mut expected: Vec<Expected> = Vec::new();
    for (channel, message) in &test.expect {
        match expected.iter_mut().find(|it| it.channel == channel.text) {
            Some(expected) => expected.messages.push(message.clone()),
            None => {
                let tap = node.tap(&channel.text, TAPPED)?;
                let messages = vec![message.clone()];
                expected.push(Expected { channel: channel.text.clone(), tap, messages });
            }
        }
    }
    let (failures, mut failed) = unbounded::<BoxError>();
    let within = test.within;
    let send = test.send.clone();
    let done = scope(&ctx, |s| async move {
        let network = failures.clone();
        s.spawn("network", move |_| async move {
            if let Err(error) = work.run().await {
                // Nobody may want to know any more.
                let _ = network.try_send(error);
            }
        });
        let verdict = s.spawn("test", {
            let node = node.clone();
            move |_| async move {
                let late = after(within);
                let all = async {
                    for (channel, message) in send {
                        stand_ins.send(&node, &channel.text, message).await?;
                    }
                    for expected in &mut expected {
                        expected.come().await?;
                    }
                    Ok::<_, BoxError>(())
                };
                let in_time = select! { biased;
                    done = select::future(all) => Some(done),
                    _ = late => None,
                };
                // Those who stand in end, and what they sent to sees it.
                drop(stand_ins);
                let verdict = match in_time {
                    Some(done) => done,
                    None => Err(missing(&node, &mut expected, within).into()),
                };
                Ok::<_, BoxError>(verdict.err())
            }
        });
        let verdict = verdict.await?;
        node.drain(ENDING).await;
        Ok(verdict)
    });
    match done.await? {
        Some(error) => Err(error),
        None => match failed.try_recv() {
            Ok(error) => Err(error),
            Err(_) => Ok(()),
        },
    }
}

/// Messages that a channel has to have, in this order; others may come between them.
struct Expected {
    channel: String,
    tap: Tap,
    messages: Vec<Value>,
}

impl Expected {
    /// Waits until all have come.
    async fn come(&mut self) -> Result<(), BoxError> {
        while let Some(next) = self.messages.first() {
            let Some(message) = self.tap.recv().await else {
                return Err(format!("channel `{}` has ended", self.channel).into());
            };
            if has(&message, next) {
                self.messages.remove(0);
            }
        }
        Ok(())
    }
}

/// What did not come, for people.
fn missing(node: &Node, expected: &mut [Expected], within: Duration) -> String {
    let mut told = format!("within {within:?} this did not come:");
    for Expected { channel, tap, messages } in expected {
        if let Some(next) = messages.first() {
            told += &format!("\n    on `{channel}`: {next}");
            let seen = tap.passed();
            if seen.is_empty() {
                told += "\n      nothing came there at all";
            }
            for message in &seen {
                told += &format!("\n      came: {}", **message);
            }
        }
    }
    for error in node.errors(ERRORS) {
        told += &format!("\n    `{}` {}: {}", error.process, error.kind, error.text);
    }
    told
}

/// Whether a message has at least what is expected: each field of it, at any depth; lists and plain values are equal.
fn has(message: &Value, expected: &Value) -> bool {
    match (message, expected) {
        (Value::Object(message), Value::Object(expected)) => expected
            .iter()
            .all(|(name, value)| message.get(name).is_some_and(|found| has(found, value))),
        (Value::Number(message), Value::Number(expected)) => {
            message == expected || message.as_f64() == expected.as_f64()
        }
        _ => message == expected,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::has;

    #[test]
    fn a_message_has_what_is_expected_and_may_have_more() {
        let message = json!({"id": 1, "at": {"lat": 40.0, "lon": -73}, "tags": ["a", "b"]});
        for yes in [
            json!({}),
            json!({"id": 1.0}),
            json!({"at": {"lon": -73}}),
            json!({"tags": ["a", "b"]}),
        ] {
            assert!(has(&message, &yes), "{yes}");
        }
        for no in [
            json!({"id": 2}),
            json!({"of": null}),
            json!({"tags": ["a"]}),
            json!([]),
            json!({"at": 1}),
        ] {
            assert!(!has(&message, &no), "{no}");
        }
    }
}
