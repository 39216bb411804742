//! What is done about a failure: a table from its class to a rule.

use super::{Class, Retry};

/// What is done with a message once it is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes to the dead letters, and the stream goes on.
    DeadLetter,
    /// It is given up: counted and told, not kept. For what is worth nothing when it is late.
    GiveUp,
    /// The process stops, with the message in hand and not settled.
    Stop,
}

/// One line of a [`Policy`].
#[derive(Clone, Debug)]
pub struct Rule {
    pub(crate) retry: Retry,
    pub(crate) then: Then,
    pub(crate) alert: bool,
}

impl Rule {
    /// Tries again like this, then a dead letter.
    pub const fn retry(retry: Retry) -> Self {
        Self { retry, then: Then::DeadLetter, alert: false }
    }

    /// A dead letter at once.
    pub const fn dead_letter() -> Self {
        Self { retry: Retry::none(), then: Then::DeadLetter, alert: false }
    }

    /// Given up at once.
    pub const fn give_up() -> Self {
        Self { retry: Retry::none(), then: Then::GiveUp, alert: false }
    }

    /// The process stops at once.
    pub const fn stop() -> Self {
        Self { retry: Retry::none(), then: Then::Stop, alert: false }
    }

    /// Something else when it is not tried again.
    #[must_use]
    pub const fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }

    /// Somebody is told at once when it is not tried again, beside the conditions that the aggregator has.
    #[must_use]
    pub const fn with_alert(mut self) -> Self {
        self.alert = true;
        self
    }
}

/// What is done about a failure, by its class.
///
/// | class | by default |
/// |---|---|
/// | [`Transient`](Class::Transient), [`Timeout`](Class::Timeout) | five attempts, then a dead letter |
/// | [`Schema`](Class::Schema) | a dead letter at once, and an alert |
/// | [`Panic`](Class::Panic) | the process is restarted; a message over which it panicked three times is a poison message: a dead letter and an alert |
/// | [`Fatal`](Class::Fatal) | the process stops, and an alert |
///
/// A message that fails in several ways is counted once: the rule of its latest failure looks at all its attempts.
///
/// ```
/// use std::time::Duration;
/// use towpath_patterns::fault::{Class, Policy, Retry, Rule, Then};
///
/// let policy = Policy::default()
///     .on(Class::Transient, Rule::retry(Retry::new(8).with_total_limit(Duration::from_secs(20))))
///     .on(Class::Timeout, Rule::give_up());
/// ```
#[derive(Clone, Debug)]
pub struct Policy {
    rules: [Rule; 5],
}

/// How often a process may panic over one message before that is taken for poison.
///
/// Twice may be bad luck with a neighbour's state; a third time it is the message.
const PANICS_MAX: u32 = 3;

impl Default for Policy {
    fn default() -> Self {
        let retry = || Rule::retry(Retry::default());
        Self {
            rules: [
                retry(),
                retry(),
                Rule::dead_letter().with_alert(),
                Rule::retry(Retry::new(PANICS_MAX)).with_alert(),
                Rule::stop().with_alert(),
            ],
        }
    }
}

impl Policy {
    /// The same with another rule for one class.
    #[must_use]
    pub fn on(mut self, class: Class, rule: Rule) -> Self {
        self.rules[class.index()] = rule;
        self
    }

    /// A message is tried for the first time: each budget among the rules is paid once.
    pub(crate) fn called(&self) {
        for (index, rule) in self.rules.iter().enumerate() {
            if let Some(budget) = rule.retry.budget()
                && !self.rules[..index].iter().any(|it| it.retry.shares(budget))
            {
                budget.called();
            }
        }
    }

    /// The rule for a class.
    pub fn rule(&self, class: Class) -> &Rule {
        &self.rules[class.index()]
    }
}
