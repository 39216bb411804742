//! Names of topics, patterns over them, and who listens where: a trie that is never changed, only replaced.
//!
//! What always holds:
//! - A topic is words between dots, none of them empty, and no wildcard among them. In a pattern `*` stands for exactly one
//!   word, and `>` at the end for one or more.
//! - Whoever holds a root sees the listeners of one moment; [`Node::with`] and [`Node::without`] make another root.
//! - No branch is without a listener: what the last one leaves is cut off.
//!
//! Why it is copied: publishing reads it without a lock and without counting. Subscribing copies the nodes on the pattern's
//! path, each with the list of its children, so that it is the rare operation that pays.

use std::{collections::BTreeMap, error, fmt, sync::Arc};

/// What stands for exactly one word.
const ANY: &str = "*";
/// What stands for one or more words, at the end.
const REST: &str = ">";

/// Why something is no topic, or no pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicError {
    text: String,
    why: &'static str,
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.text, self.why)
    }
}

impl error::Error for TopicError {}

/// Checks what messages are published under.
pub(super) fn topic(text: &str) -> Result<&str, TopicError> {
    let refuse = |why| Err(TopicError { text: text.to_owned(), why });
    for word in text.split('.') {
        match word {
            "" => return refuse("a word is empty; write a topic as words with dots between them"),
            ANY | REST => {
                return refuse("a wildcard is for subscribing; publish under plain words");
            }
            _ => {}
        }
    }
    Ok(text)
}

/// Checks what is subscribed to.
pub(super) fn pattern(text: &str) -> Result<&str, TopicError> {
    let refuse = |why| Err(TopicError { text: text.to_owned(), why });
    let mut words = text.split('.').peekable();
    while let Some(word) = words.next() {
        match word {
            "" => {
                return refuse("a word is empty; write a pattern as words with dots between them");
            }
            REST if words.peek().is_some() => {
                return refuse("`>` stands for all that follows; put it at the end, or write `*`");
            }
            _ => {}
        }
    }
    Ok(text)
}

/// Whether a pattern that was checked matches a topic that was checked.
pub(super) fn matches(pattern: &str, topic: &str) -> bool {
    let mut words = topic.split('.');
    for wanted in pattern.split('.') {
        match (wanted, words.next()) {
            (_, None) => return false,
            (REST, Some(_)) => return true,
            (ANY, Some(_)) => {}
            (wanted, Some(word)) if wanted == word => {}
            _ => return false,
        }
    }
    words.next().is_none()
}

/// The listeners at one place of the trie, and what is below it.
pub(super) struct Node<L> {
    /// Below a plain word or `*`.
    below: BTreeMap<Arc<str>, Arc<Self>>,
    /// Whose pattern ends here.
    here: Vec<Arc<L>>,
    /// Whose pattern ends in `>` here.
    rest: Vec<Arc<L>>,
}

// By hand: `L` need not be `Clone`.
impl<L> Clone for Node<L> {
    fn clone(&self) -> Self {
        Self { below: self.below.clone(), here: self.here.clone(), rest: self.rest.clone() }
    }
}

impl<L> Default for Node<L> {
    fn default() -> Self {
        Self { below: BTreeMap::new(), here: Vec::new(), rest: Vec::new() }
    }
}

impl<L> Node<L> {
    /// The same with one listener more, behind those of its pattern.
    pub(super) fn with(&self, pattern: &str, listener: Arc<L>) -> Self {
        let mut node = self.clone();
        let (word, left) = split(pattern);
        match (word, left) {
            (REST, _) => node.rest.push(listener),
            (word, None) => {
                let mut child = node.child(word);
                child.here.push(listener);
                node.below.insert(word.into(), Arc::new(child));
            }
            (word, Some(left)) => {
                let child = match node.below.get(word) {
                    Some(child) => child.with(left, listener),
                    None => Self::default().with(left, listener),
                };
                node.below.insert(word.into(), Arc::new(child));
            }
        }
        node
    }

    /// The same without one listener.
    pub(super) fn without(&self, pattern: &str, listener: &Arc<L>) -> Self {
        let mut node = self.clone();
        let (word, left) = split(pattern);
        if word == REST {
            node.rest.retain(|other| !Arc::ptr_eq(other, listener));
            return node;
        }
        let child = match (node.below.get(word), left) {
            (None, _) => return node,
            (Some(child), Some(left)) => child.without(left, listener),
            (Some(child), None) => {
                let mut child = Self::clone(child);
                child.here.retain(|other| !Arc::ptr_eq(other, listener));
                child
            }
        };
        if child.is_empty() {
            node.below.remove(word);
        } else {
            node.below.insert(word.into(), Arc::new(child));
        }
        node
    }

    /// Calls `each` with every listener whose pattern matches the topic, once; the same topic and root give the same order.
    pub(super) fn matching<'a>(&'a self, topic: &str, each: &mut impl FnMut(&'a Arc<L>)) {
        self.rest.iter().for_each(&mut *each);
        let (word, left) = split(topic);
        for child in [word, ANY].into_iter().filter_map(|word| self.below.get(word)) {
            match left {
                Some(left) => child.matching(left, each),
                None => child.here.iter().for_each(&mut *each),
            }
        }
    }

    /// Calls `each` with every listener.
    pub(super) fn all<'a>(&'a self, each: &mut impl FnMut(&'a Arc<L>)) {
        self.here.iter().chain(&self.rest).for_each(&mut *each);
        for child in self.below.values() {
            child.all(each);
        }
    }

    /// A copy of the child below a word, or a new one.
    fn child(&self, word: &str) -> Self {
        self.below.get(word).map(|child| Self::clone(child)).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.below.is_empty() && self.here.is_empty() && self.rest.is_empty()
    }
}

/// The first word, and what is behind its dot.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once('.') {
        Some((word, left)) => (word, Some(left)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text of up to four words over a small alphabet.
    fn texts(words: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let mut last = all.clone();
        for _ in 1..4 {
            last = last
                .iter()
                .flat_map(|text| words.iter().map(move |word| format!("{text}.{word}")))
                .collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    #[test]
    fn what_is_no_topic_is_refused_with_what_to_do() {
        for (text, part) in [
            ("", "empty"),
            ("rides.", "empty"),
            (".rides", "empty"),
            ("rides..paid", "empty"),
            ("rides.*", "for subscribing"),
            (">", "for subscribing"),
        ] {
            let error = topic(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(topic("rides.42.paid"), Ok("rides.42.paid"));
        assert_eq!(topic("a*.b>"), Ok("a*.b>"), "only a whole word is a wildcard");
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_what_to_do() {
        for (text, part) in [("", "empty"), ("*.", "empty"), ("rides.>.paid", "at the end")] {
            let error = pattern(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        for text in [">", "*", "rides.*.paid", "*.*.>"] {
            assert_eq!(pattern(text), Ok(text));
        }
    }

    #[test]
    fn wildcards_match_as_in_nats() {
        for (pattern, topic, expected) in [
            ("rides.*.paid", "rides.42.paid", true),
            ("rides.*.paid", "rides.42.43.paid", false),
            ("rides.*.paid", "rides.paid", false),
            ("rides.>", "rides.42", true),
            ("rides.>", "rides.42.paid", true),
            ("rides.>", "rides", false),
            (">", "rides", true),
            ("*", "rides", true),
            ("*", "rides.42", false),
            ("rides", "rides.42", false),
        ] {
            assert_eq!(matches(pattern, topic), expected, "{pattern} {topic}");
        }
    }

    #[test]
    fn the_trie_finds_whom_the_rule_finds() {
        let patterns: Vec<String> =
            texts(&["a", "b", "*", ">"]).into_iter().filter(|text| pattern(text).is_ok()).collect();
        let mut root = Node::default();
        let listeners: Vec<Arc<String>> = patterns.iter().cloned().map(Arc::new).collect();
        for listener in &listeners {
            root = root.with(listener, listener.clone());
        }
        // Half of them leave again.
        for listener in listeners.iter().step_by(2) {
            root = root.without(listener, listener);
        }
        for topic in texts(&["a", "b", "c"]) {
            let mut found = Vec::new();
            root.matching(&topic, &mut |listener| found.push(listener.as_str()));
            found.sort_unstable();
            let here = patterns.iter().skip(1).step_by(2);
            let mut expected: Vec<_> =
                here.map(String::as_str).filter(|pattern| matches(pattern, &topic)).collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "{topic}");
        }
    }

    #[test]
    fn nothing_is_left_when_all_have_left() {
        let patterns = ["a.b.c", "a.*", ">", "a.>", "a.b.c"];
        let listeners = patterns.map(|pattern| Arc::new(pattern.to_owned()));
        let mut root = Node::default();
        for listener in &listeners {
            root = root.with(listener, listener.clone());
        }
        for listener in &listeners {
            root = root.without(listener, listener);
        }
        assert!(root.is_empty());
        assert!(root.without("a.b", &listeners[0]).is_empty(), "who is not there does not matter");
    }
}
