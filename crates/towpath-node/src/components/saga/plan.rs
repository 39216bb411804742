//! The steps of a saga as a file says them.

use std::{collections::BTreeSet, time::Duration};

use serde::Deserialize;
use towpath::Sender;
use towpath_patterns::{
    saga::{Action, Backoff, Call, DEATHS, Saga, TIMEOUT},
    yaml::{self, At, Kind, Node, Problem, Span},
};

use crate::component::Port;

/// Sagas under way when the file does not say how many may be: some tens of megabytes.
const UNFINISHED_MAX: usize = 10_000;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    steps: At<Vec<At<Step>>>,
    #[serde(default = "key")]
    key: String,
    #[serde(default = "one")]
    version: u32,
    quarantine_after: Option<u32>,
    unfinished_max: Option<At<usize>>,
}

fn key() -> String {
    "key".to_owned()
}

fn one() -> u32 {
    1
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    name: At<String>,
    r#do: Option<String>,
    undo: Option<At<String>>,
    sleep: Option<At<Span>>,
    timeout: Option<Span>,
    attempts: Option<At<u32>>,
    pause: Option<Span>,
    longest_pause: Option<Span>,
    #[serde(default)]
    pivot: bool,
}

/// Everything that a process goes by.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) key: String,
    pub(super) version: u32,
    pub(super) quarantine_after: u32,
    pub(super) unfinished_max: usize,
    pub(super) steps: Vec<Planned>,
}

#[derive(Debug)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) does: Does,
}

#[derive(Debug)]
pub(super) enum Does {
    /// A call on a port, and perhaps one that takes it back.
    Call {
        to: String,
        undo: Option<String>,
        timeout: Duration,
        backoff: Backoff,
        pivot: bool,
    },
    Sleep(Duration),
}

impl Plan {
    /// # Errors
    /// What is wrong with the options.
    pub(super) fn of(options: Options) -> Result<Self, Problem> {
        let At { place, value } = options.steps;
        if value.is_empty() {
            return Err(Problem::new(place, "`steps` has no step"));
        }
        let mut names = BTreeSet::new();
        let mut steps = Vec::new();
        for At { place, value: step } in value {
            let name = step.name.value.clone();
            if !names.insert(name.clone()) {
                let message = format!(
                    "two steps are named `{name}`; calls and answers are known by these names"
                );
                return Err(Problem::new(step.name.place, message));
            }
            if name.is_empty() || name.len() > 200 {
                return Err(Problem::new(
                    step.name.place,
                    "the name of a step has from 1 to 200 bytes",
                ));
            }
            let does =
                step.does().map_err(|(at, message)| Problem::new(at.unwrap_or(place), message))?;
            steps.push(Planned { name, does });
        }
        let unfinished_max = match options.unfinished_max {
            Some(At { place, value: 0 }) => {
                return Err(Problem::new(place, "at least one saga has to be allowed"));
            }
            most => most.map_or(UNFINISHED_MAX, |it| it.value),
        };
        Ok(Self {
            key: options.key,
            version: options.version,
            quarantine_after: options.quarantine_after.unwrap_or(DEATHS),
            unfinished_max,
            steps,
        })
    }

    /// As the coordinator takes it; all its calls go to `calls`.
    pub(super) fn saga(&self, name: &str, calls: &Sender<Call>) -> Saga {
        let saga = Saga::new(name).version(self.version).quarantine_after(self.quarantine_after);
        self.steps.iter().fold(saga, |saga, Planned { name, does }| match does {
            Does::Sleep(time) => saga.sleep(name, *time),
            Does::Call { undo, timeout, backoff, pivot, .. } => {
                let action = || Action::new(name, calls).timeout(*timeout).retry(*backoff);
                match (pivot, undo) {
                    (true, _) => saga.pivot(action()),
                    (false, Some(_)) => saga.step(action(), action()),
                    (false, None) => saga.action(action()),
                }
            }
        })
    }

    /// The port that a call goes to.
    pub(super) fn port(&self, step: &str, is_undo: bool) -> Option<&str> {
        let step = self.steps.iter().find(|it| it.name == step)?;
        let Does::Call { to, undo, .. } = &step.does else { return None };
        if is_undo { undo.as_deref() } else { Some(to) }
    }
}

/// A problem, at a place of its own or at that of its step.
type Wrong = (Option<yaml::Place>, &'static str);

impl Step {
    fn does(&self) -> Result<Does, Wrong> {
        let at = |place| Some(place);
        let (to, sleep) = match (&self.r#do, &self.sleep) {
            (Some(to), None) => (to.clone(), None),
            (None, Some(sleep)) => (String::new(), Some(sleep)),
            _ => return Err((None, "a step has `do`, the port of its call, or `sleep`, how long")),
        };
        if let Some(sleep) = sleep {
            let is_more = self.undo.is_some()
                || self.timeout.is_some()
                || self.attempts.is_some()
                || self.pivot;
            if is_more {
                return Err((
                    at(sleep.place),
                    "a step that sleeps calls nobody, and has only its `name` and `sleep`",
                ));
            }
            return Ok(Does::Sleep(sleep.value.0));
        }
        if let (true, Some(undo)) = (self.pivot, &self.undo) {
            return Err((at(undo.place), "a pivot is what cannot be taken back: it has no `undo`"));
        }
        let default = Backoff::DEFAULT;
        let attempts = match &self.attempts {
            Some(At { place, value: 0 }) => {
                return Err((at(*place), "a step is tried at least once"));
            }
            attempts => attempts.as_ref().map_or(default.attempts, |it| it.value),
        };
        let span = |span: &Option<Span>, default| span.map_or(default, |Span(span)| span);
        let base = span(&self.pause, default.base);
        let backoff = Backoff {
            base,
            max: span(&self.longest_pause, default.max).max(base),
            attempts,
            ..default
        };
        let undo = self.undo.as_ref().map(|it| it.value.clone());
        Ok(Does::Call {
            to,
            undo,
            timeout: span(&self.timeout, TIMEOUT),
            backoff,
            pivot: self.pivot,
        })
    }
}

/// The ports that the steps of a process name, in their order.
pub(super) fn ports_of(options: &Node) -> Vec<Port> {
    let Kind::Mapping(entries) = &options.kind else { return Vec::new() };
    let steps = entries.iter().find(|(key, _)| key.text == "steps").map(|(_, steps)| steps);
    let Some(Node { kind: Kind::Sequence(steps), .. }) = steps else { return Vec::new() };
    let mut ports: Vec<Port> = Vec::new();
    for step in steps {
        let Kind::Mapping(entries) = &step.kind else { continue };
        for (key, value) in entries {
            if let (true, Kind::Scalar(port, _)) =
                (matches!(&*key.text, "do" | "undo"), &value.kind)
                && !ports.iter().any(|it| it.name() == port)
            {
                ports.push(Port::new(port.clone()));
            }
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Result<Plan, String> {
        let told = |it: Problem| format!("{}:{} {}", it.place.line, it.place.column, it.message);
        let node = yaml::parse(text).unwrap();
        yaml::read(&node).and_then(Plan::of).map_err(told)
    }

    #[test]
    fn steps_are_what_the_file_says() {
        let text = "steps:\n  - {name: pay, do: bank, undo: bank, timeout: 2s, attempts: 3, pause: 10ms}\n  - {name: rest, sleep: 1min}\n  - {name: send, do: post, pivot: true}\n";
        let plan = plan(text).unwrap();
        assert_eq!(
            (plan.port("pay", true), plan.port("send", false), plan.port("rest", false)),
            (Some("bank"), Some("post"), None)
        );
        let (tx, _rx) = towpath::bounded(plan.steps.len());
        assert_eq!(plan.saga("order", &tx).plan().steps.len(), 3);
        let ports = ports_of(&yaml::parse(text).unwrap());
        assert_eq!(ports.iter().map(Port::name).collect::<Vec<_>>(), ["bank", "post"]);
    }

    #[test]
    fn what_is_wrong_with_a_step_is_told_at_its_place() {
        let step = |step: &str| plan(&format!("steps:\n  - {step}\n")).unwrap_err();
        assert_eq!(
            step("{name: a}"),
            "2:5 a step has `do`, the port of its call, or `sleep`, how long"
        );
        assert_eq!(
            step("{name: a, do: b, pivot: true, undo: c}"),
            "2:41 a pivot is what cannot be taken back: it has no `undo`"
        );
        assert!(step("{name: a, sleep: 1s, attempts: 2}").starts_with("2:22 a step that sleeps"));
        assert_eq!(step("{name: a, do: b, attempts: 0}"), "2:32 a step is tried at least once");
        assert!(step("{name: a, do: b, timeuot: 1s}").contains("did you mean `timeout`?"));
        let twice = plan("steps: [{name: a, do: b}, {name: a, do: c}]\n").unwrap_err();
        assert!(twice.starts_with("1:34 two steps are named `a`"), "{twice}");
        assert_eq!(plan("steps: []\n").unwrap_err(), "1:8 `steps` has no step");
    }
}
