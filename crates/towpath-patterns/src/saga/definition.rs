//! How a saga is written down: its steps, and whom they call.
//!
//! What always holds: the names of a definition's steps differ, and there is at least one. Whatever is wrong with a
//! definition is found when the coordinator is started, by [`Error::Definition`](super::Error).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use towpath::Sender;

use super::call::Call;
use super::plan::{Backoff, Kind, Patience, Plan, Step};

/// How long an answer may take unless the action says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Deaths with one call in hand until quarantine, unless the saga says otherwise.
pub const DEATHS: u32 = 3;

/// Steps that a saga may have. Each costs some bytes in every unfinished saga; longer work is a saga of sagas.
const STEPS_MAX: usize = 1_000;

/// Bytes of a name that are allowed.
pub(crate) const NAME_BYTES_MAX: usize = 200;

/// A call that a saga makes: what it is named, which process receives it, what it tolerates.
///
/// Several actions may go to one process; it tells them apart by [`Call::action`].
#[derive(Clone)]
pub struct Action {
    pub(super) name: Arc<str>,
    pub(super) to: Sender<Call>,
    pub(super) patience: Patience,
}

impl Action {
    /// A call named `name` to whoever receives from `to`.
    pub fn new(name: &str, to: &Sender<Call>) -> Self {
        let patience = Patience { timeout: TIMEOUT, backoff: Backoff::DEFAULT };
        Self { name: name.into(), to: to.clone(), patience }
    }

    /// How long an answer may take, in place of [`TIMEOUT`]. Then the call is in doubt and is made again.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.patience.timeout = timeout;
        self
    }

    /// How often and with which pauses it is tried, in place of [`Backoff::DEFAULT`].
    #[must_use]
    pub fn retry(mut self, backoff: Backoff) -> Self {
        self.patience.backoff = backoff;
        self
    }
}

/// Whom a step calls, and whom its compensation.
pub(super) type Targets = (Option<Sender<Call>>, Option<Sender<Call>>);

/// The definition of a saga: steps, and for each how to take it back.
///
/// ```
/// use std::time::Duration;
/// use towpath_patterns::saga::{Action, Saga};
///
/// # const PLACES: usize = 8;
/// let (stock, _at_stock) = towpath::bounded(PLACES);
/// let (bank, _at_bank) = towpath::bounded(PLACES);
/// let (reserve, release) = (Action::new("reserve", &stock), Action::new("release", &stock));
/// let (pay, refund) = (Action::new("pay", &bank), Action::new("refund", &bank));
///
/// let order = Saga::new("order").step(reserve, release).step(pay, refund);
/// assert_eq!(order.plan().steps.len(), 2);
///
/// // Longer ones may be written step by step:
/// let order = Saga::new("order")
///     .version(2)
///     .action(Action::new("reserve", &stock).timeout(Duration::from_secs(5)))
///     .compensate(Action::new("release", &stock))
///     .signal("approved", Some(Duration::from_secs(24 * 3600)))
///     .pivot(Action::new("charge", &bank))
///     .sleep("let it settle", Duration::from_secs(60))
///     .action(Action::new("ship", &stock));
/// assert_eq!(order.plan().steps.len(), 5);
/// ```
#[derive(Clone)]
pub struct Saga {
    pub(super) plan: Plan,
    pub(super) targets: Vec<Targets>,
    /// What is wrong with it.
    pub(super) mistake: Option<String>,
}

impl Saga {
    /// A saga without steps, version 1.
    pub fn new(name: &str) -> Self {
        let plan = Plan { name: name.into(), version: 1, steps: Vec::new(), deaths: DEATHS };
        Self { plan, targets: Vec::new(), mistake: None }
    }

    /// Which version this is. Steps that are added, removed, renamed or moved need another version; timeouts and
    /// retries do not. Register the old versions beside the new until the last of their sagas has ended.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.plan.version = version;
        self
    }

    /// A step, and how to take it back.
    #[must_use]
    pub fn step(self, action: Action, undo: Action) -> Self {
        self.action(action).compensate(undo)
    }

    /// Steps from a table, each with how to take it back.
    #[must_use]
    pub fn steps(self, table: impl IntoIterator<Item = (Action, Action)>) -> Self {
        table.into_iter().fold(self, |saga, (action, undo)| saga.step(action, undo))
    }

    /// A step that leaves nothing to take back, unless [`compensate`](Self::compensate) follows.
    #[must_use]
    pub fn action(self, action: Action) -> Self {
        self.push(action, false)
    }

    /// How to take back the step before.
    #[must_use]
    pub fn compensate(mut self, undo: Action) -> Self {
        match (self.plan.steps.last_mut(), self.targets.last_mut()) {
            (
                Some(Step { kind: Kind::Call { undo: place @ None, pivot: false, .. }, .. }),
                Some(to),
            ) => {
                *place = Some((undo.name, undo.patience));
                to.1 = Some(undo.to);
            }
            _ => {
                self.mistake.get_or_insert(format!(
                    "`{}` must follow a step that can be taken back and is not yet",
                    undo.name
                ));
            }
        }
        self
    }

    /// The step behind which there is no way back. What follows is tried until it succeeds; when its tries are used up the
    /// saga becomes a dead letter, for a person to resume.
    #[must_use]
    pub fn pivot(self, action: Action) -> Self {
        self.push(action, true)
    }

    /// A step that lets time pass, also across restarts.
    #[must_use]
    pub fn sleep(self, name: &str, time: Duration) -> Self {
        self.wait(name, Kind::Sleep(time))
    }

    /// A step that waits for the signal `name`, whose payload is its output. A signal that came before is taken. If it
    /// does not come in time the saga turns back.
    #[must_use]
    pub fn signal(self, name: &str, within: Option<Duration>) -> Self {
        self.wait(name, Kind::Signal(within))
    }

    /// After how many deaths of a process with one call in hand the saga is paused and reported; [`DEATHS`] unless said.
    #[must_use]
    pub fn quarantine_after(mut self, deaths: u32) -> Self {
        self.plan.deaths = deaths.max(1);
        self
    }

    /// The steps as data.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is wrong with the definition, in words.
    pub(super) fn mistake(&self) -> Option<String> {
        if let Some(mistake) = &self.mistake {
            return Some(mistake.clone());
        }
        let steps = &self.plan.steps;
        if steps.is_empty() || steps.len() > STEPS_MAX {
            return Some(format!(
                "it has {} steps; from 1 to {STEPS_MAX} are allowed",
                steps.len()
            ));
        }
        let mut seen = BTreeSet::new();
        for step in steps {
            if !seen.insert(&step.name) {
                let name = &step.name;
                return Some(format!("two steps are named `{name}`; keys are made of these names"));
            }
        }
        let names = steps.iter().map(|step| &step.name).chain([&self.plan.name]);
        names.clone().find(|name| name.is_empty() || name.len() > NAME_BYTES_MAX).map(|name| {
            format!(
                "the name `{name}` has {} bytes; from 1 to {NAME_BYTES_MAX} are allowed",
                name.len()
            )
        })
    }

    fn push(mut self, action: Action, pivot: bool) -> Self {
        let kind = Kind::Call { patience: action.patience, undo: None, pivot };
        self.plan.steps.push(Step { name: action.name, kind });
        self.targets.push((Some(action.to), None));
        self
    }

    fn wait(mut self, name: &str, kind: Kind) -> Self {
        self.plan.steps.push(Step { name: name.into(), kind });
        self.targets.push((None, None));
        self
    }
}
