//! What a process lets people see and do beyond its channels: its letters, its sagas, its counters.
//!
//! What always holds: the daemon, its dashboard and the command line know facets only by this trait, so a component of one's own
//! has there what those that come with the node have.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use serde_json::Value;
use towpath::BoxError;
use towpath_observe::metrics::{self, Family, Kind, Samples};

/// An answer that takes its time.
pub type Acting<'a> = Pin<Box<dyn Future<Output = Result<Value, BoxError>> + Send + 'a>>;

/// What a process lets people see and do; given to [`Home::show`](crate::Home::show).
pub trait Facet: Send + Sync {
    /// What it is, in one word; the dashboard has a page for each kind that comes with the node.
    fn kind(&self) -> &'static str;

    /// How things are now. It is asked often and in the middle of everything, so it does not wait.
    fn show(&self, query: &Query) -> Value;

    /// Its numbers for a scrape of the node. As quick as [`show`](Self::show). Counters begin at 0 with the facet: what an earlier one of
    /// the process has counted is added.
    fn measure(&self, to: &mut Measures<'_>) {
        let _ = to;
    }

    /// What can be done.
    fn verbs(&self) -> &'static [Verb] {
        &[]
    }

    /// Does it. Asked only for what [`verbs`](Self::verbs) has.
    fn act<'a>(&'a self, verb: &'a str, args: Value) -> Acting<'a> {
        let _ = args;
        Box::pin(async move { Err(format!("`{verb}` is not there").into()) })
    }
}

/// Where a facet puts its numbers.
pub struct Measures<'a> {
    process: &'a str,
    /// The facet goes, and only its counters are wanted.
    leaves: bool,
    put: &'a mut dyn FnMut(&Family, &[&str], metrics::Value),
}

impl Measures<'_> {
    /// Whether the facet goes: nobody looks at what it makes ready then.
    pub(crate) fn is_last(&self) -> bool {
        self.leaves
    }

    /// One number. `family` has the label `process` first; `labels` are the values of those behind it.
    ///
    /// # Panics
    /// When there are more or fewer labels than the family has.
    pub fn put(&mut self, family: &Family, labels: &[&str], value: impl Into<metrics::Value>) {
        let labels: Vec<&str> = [self.process].into_iter().chain(labels.iter().copied()).collect();
        (self.put)(family, &labels, value.into());
    }
}

impl fmt::Debug for Measures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measures").field("process", &self.process).finish_non_exhaustive()
    }
}

/// Something that can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verb {
    /// What it is called.
    pub name: &'static str,
    /// What it does, in a few words, with its arguments.
    pub about: &'static str,
}

impl Verb {
    /// A verb.
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about }
    }
}

/// Entries of a list that are shown when nobody says how many.
const LIMIT: usize = 100;
/// Entries that are shown at most: an answer stays below a megabyte or so.
const LIMIT_MAX: usize = 10_000;

/// What somebody wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    words: BTreeMap<String, String>,
}

impl Query {
    /// From names and values.
    pub fn new(words: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { words: words.into_iter().collect() }
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.words.get(name).map(String::as_str)
    }

    /// How many entries of a list are wanted: `limit`, 100 if it is not there, 10,000 at most.
    pub fn limit(&self) -> usize {
        self.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(LIMIT).min(LIMIT_MAX)
    }

    /// Whether payloads may be shown: somebody with the right to see them asks.
    pub fn payloads(&self) -> bool {
        self.get("payloads") == Some("true")
    }
}

/// The facets of a node's processes.
#[derive(Clone, Default)]
pub(crate) struct Board {
    facets: Arc<Mutex<Facets>>,
}

#[derive(Default)]
struct Facets {
    here: BTreeMap<String, Arc<dyn Facet>>,
    /// What those have counted that have gone: few words for each label that a process of this node ever had.
    counted: Vec<Measured>,
}

/// A series of a facet, and its number.
type Measured = (Family, Vec<String>, metrics::Value);

/// What a facet that goes has counted. Nothing of the board is locked meanwhile, as a facet may do anything.
fn counted(process: &str, facet: &dyn Facet) -> Vec<Measured> {
    let mut counted = Vec::new();
    let put = &mut |family: &Family, labels: &[&str], value: metrics::Value| {
        if family.kind == Kind::Counter {
            counted.push((*family, labels.iter().map(|&label| label.to_owned()).collect(), value));
        }
    };
    facet.measure(&mut Measures { process, leaves: true, put });
    counted
}

impl Facets {
    /// Adds what a facet has counted that goes.
    fn keep(&mut self, counted: Vec<Measured>) {
        for (family, labels, value) in counted {
            let is_it = |it: &&mut Measured| it.0 == family && it.1 == labels;
            match self.counted.iter_mut().find(is_it) {
                Some((_, _, sum)) => *sum = sum.and(value),
                None => self.counted.push((family, labels, value)),
            }
        }
    }
}

impl Board {
    pub(crate) fn show(&self, process: &str, facet: Arc<dyn Facet>) -> Shown {
        let before = self.get(process).map_or(Vec::new(), |before| counted(process, &*before));
        let mut facets = self.lock();
        facets.here.insert(process.to_owned(), facet.clone());
        facets.keep(before);
        drop(facets);
        Shown { board: self.clone(), process: process.to_owned(), facet }
    }

    pub(crate) fn get(&self, process: &str) -> Option<Arc<dyn Facet>> {
        self.lock().here.get(process).cloned()
    }

    pub(crate) fn all(&self) -> Vec<(String, Arc<dyn Facet>)> {
        self.lock().here.iter().map(|(process, facet)| (process.clone(), facet.clone())).collect()
    }

    /// The numbers of all facets, and the counters of those that have gone.
    pub(crate) fn measure(&self, to: &mut Samples<'_>) {
        // Both as of one moment, so that none is counted twice, or not, that goes meanwhile.
        let (here, counted) = {
            let facets = self.lock();
            (facets.here.clone(), facets.counted.clone())
        };
        for (process, facet) in &here {
            let put = &mut |family: &Family, labels: &[&str], value| to.put(family, labels, value);
            facet.measure(&mut Measures { process, leaves: false, put });
        }
        for (family, labels, value) in &counted {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            to.put(family, &labels, *value);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Facets> {
        // A facet that panics when it is asked leaves what others have counted.
        self.facets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().here.keys()).finish()
    }
}

/// A facet that can be seen for as long as this lives.
#[must_use = "dropped, the facet cannot be seen any more"]
pub struct Shown {
    board: Board,
    process: String,
    facet: Arc<dyn Facet>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        let counted = counted(&self.process, &*self.facet);
        let mut facets = self.board.lock();
        // The next run of the process may have its own there by now, and has seen to this one's counters.
        if facets.here.get(&self.process).is_some_and(|it| Arc::ptr_eq(it, &self.facet)) {
            facets.here.remove(&self.process);
            facets.keep(counted);
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("process", &self.process).finish_non_exhaustive()
    }
}
