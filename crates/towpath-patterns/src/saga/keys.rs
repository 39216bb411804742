//! The books of a process that receives calls: which keys it has done, and which it must not do any more.
//!
//! What always holds: a key that is done answers the same for as long as it is remembered, and a step that was taken back
//! is not done afterwards. A value: no I/O; who must survive a crash keeps its records with its effects.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::call::Call;

/// Remembers what was done under which key. See what [a process promises](super::Call).
///
/// In memory. A process that loses these books and keeps its effects takes the compensation of what it has done for that of
/// a step which never came. If your effects outlive the process, keep the keys beside them.
///
/// ```
/// use towpath_patterns::saga::{Call, Keys};
///
/// fn reserve(keys: &mut Keys, call: Call) {
///     // Answered, if it has come before or must not be done any more.
///     let Some(call) = keys.fresh(call) else { return };
///     // … the effect …
///     keys.done(call, *b"seat 12");
/// }
/// ```
#[derive(Debug)]
pub struct Keys {
    known: BTreeMap<String, Known>,
    /// The oldest first.
    order: VecDeque<String>,
    most: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    Done(Arc<[u8]>),
    /// Taken back, perhaps before it came.
    Void,
}

impl Keys {
    /// No keys yet; the oldest is forgotten when there are more than `most`. A call that comes after its key is forgotten is
    /// done again: keep as many as can come within the longest time that a saga takes.
    pub fn new(most: usize) -> Self {
        Self { known: BTreeMap::new(), order: VecDeque::new(), most: most.max(1) }
    }

    /// The call, if there is something to do. Otherwise it is answered: with what was answered before; a step that is taken
    /// back already, with a refusal; a compensation of what never came, with success.
    pub fn fresh(&mut self, call: Call) -> Option<Call> {
        match self.known.get(&call.key()) {
            Some(Known::Done(output)) => {
                let output = Arc::clone(output);
                call.done(output);
                None
            }
            Some(Known::Void) => {
                call.refuse("it was taken back before it came");
                None
            }
            None if call.is_undo() => match self.known.get(&call.step_key()) {
                Some(Known::Done(_)) => Some(call),
                _ => {
                    self.done(call, Vec::new());
                    None
                }
            },
            None => Some(call),
        }
    }

    /// Remembers that it is done, and answers so. A compensation makes its step's key void.
    pub fn done(&mut self, call: Call, output: impl Into<Arc<[u8]>>) {
        let output = output.into();
        if call.is_undo() {
            self.put(call.step_key(), Known::Void);
        }
        self.put(call.key(), Known::Done(Arc::clone(&output)));
        call.done(output);
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn put(&mut self, key: String, known: Known) {
        if self.known.insert(key.clone(), known).is_none() {
            self.order.push_back(key);
        }
        while self.known.len() > self.most {
            let Some(oldest) = self.order.pop_front() else { return };
            self.known.remove(&oldest);
        }
    }
}
