//! A matcher by brute force: all parts in a list, second by second, everything thought over each time.

use std::collections::BTreeMap;

use towpath_patterns::matcher::{Part, What};

use super::Paper;

/// What the rules of `rules()` say, written down another way.
pub(super) struct Brute {
    pub(super) within: u64,
    pub(super) settle: u64,
}

/// A set on its way: when it was opened, when it was touched last, what it has.
struct Draft<'a> {
    opened: u64,
    touched: u64,
    parts: Vec<(u64, &'a Part<u8, Paper>)>,
}

/// What is left when everything that undoes has undone: parts that count, and whether something was undone, or was to undo nothing.
#[derive(Default)]
struct Left {
    live: Vec<(u64, u64, Paper, i64)>,
    undone: bool,
    loose: bool,
}

fn think(parts: &[(u64, &Part<u8, Paper>)]) -> Left {
    let mut left = Left::default();
    let mut waiting: Vec<u64> = Vec::new();
    let mut seen: Vec<u64> = Vec::new();
    for &(_, part) in parts {
        let victim = match part.what {
            What::Is { kind, amount } => {
                if let Some(place) = waiting.iter().position(|id| *id == part.id) {
                    waiting.remove(place);
                    left.undone = true;
                } else {
                    left.live.push((part.id, part.at.as_secs(), kind, amount));
                }
                seen.push(part.id);
                continue;
            }
            What::Undo { id } if !seen.contains(&id) => {
                waiting.push(id);
                seen.push(part.id);
                continue;
            }
            What::Undo { id } => left.live.iter().position(|it| it.0 == id),
            What::UndoLast { kind } => left.live.iter().rposition(|it| it.2 == kind),
        };
        seen.push(part.id);
        let Some(victim) = victim else {
            left.loose = true;
            continue;
        };
        let (_, _, kind, _) = left.live.remove(victim);
        left.undone = true;
        let count = |left: &Left, kind| left.live.iter().filter(|it| it.2 == kind).count();
        if kind == Paper::Bill && count(&left, Paper::Payment) > count(&left, Paper::Bill) {
            let last = left.live.iter().rposition(|it| it.2 == Paper::Payment).unwrap();
            left.live.remove(last);
        }
    }
    left.loose |= !waiting.is_empty();
    left
}

impl Left {
    fn of(&self, kind: Paper) -> impl Iterator<Item = &(u64, u64, Paper, i64)> {
        self.live.iter().filter(move |it| it.2 == kind)
    }

    fn matches(&self) -> bool {
        let count = |kind| self.of(kind).count();
        let sum = |kind| self.of(kind).map(|it| it.3).sum::<i64>();
        let first = |kind| self.of(kind).map(|it| it.1).min();
        count(Paper::Order) == 1
            && [1, 2].contains(&count(Paper::Goods))
            && [1, 2].contains(&count(Paper::Bill))
            && count(Paper::Payment) == count(Paper::Bill)
            && (sum(Paper::Goods) - sum(Paper::Bill)).abs() <= 5
            && first(Paper::Goods) <= first(Paper::Bill)
            && !self.loose
    }

    fn is_void(&self) -> bool {
        let none = [Paper::Order, Paper::Goods, Paper::Bill, Paper::Payment]
            .into_iter()
            .all(|kind| self.of(kind).count() == 0);
        none && self.undone && !self.loose
    }
}

impl Brute {
    /// All that is told of these parts, which come in this order and at these times, per key in order.
    pub(super) fn told(&self, parts: &[(u64, Part<u8, Paper>)]) -> BTreeMap<u8, Vec<String>> {
        let mut told: BTreeMap<u8, Vec<String>> = BTreeMap::new();
        let keys =
            parts.iter().map(|(_, part)| part.key).collect::<std::collections::BTreeSet<_>>();
        let end = parts.iter().map(|(at, _)| *at).max().unwrap_or(0);
        for key in keys {
            let told = told.entry(key).or_default();
            let mut draft: Option<Draft<'_>> = None;
            // Ids of the set that was told, and whether it matched.
            let mut closed: Option<(Vec<u64>, bool)> = None;
            for now in 0..=end {
                let due = draft.as_ref().is_some_and(|it| self.is_due(it, now));
                if due && let Some(it) = draft.take() {
                    closed = Some(close(key, &it, now, "Deadline", told));
                }
                for (_, part) in parts.iter().filter(|(at, part)| *at == now && part.key == key) {
                    if let Some((ids, matched)) = &mut closed {
                        let why = if ids.contains(&part.id) {
                            "Duplicate".to_owned()
                        } else {
                            format!("Late {{ matched: {matched} }}")
                        };
                        ids.push(part.id);
                        told.push(format!("{why} {key}#{}", part.id));
                        continue;
                    }
                    let it =
                        draft.get_or_insert(Draft { opened: now, touched: now, parts: vec![] });
                    if it.parts.iter().any(|(_, other)| other.id == part.id) {
                        told.push(format!("Duplicate {key}#{}", part.id));
                        continue;
                    }
                    it.parts.push((now, part));
                    it.touched = now;
                    if self.is_due(it, now) {
                        closed = draft.take().map(|it| close(key, &it, now, "Deadline", told));
                    }
                }
            }
            if let Some(it) = draft {
                close(key, &it, end, "Ended", told);
            }
        }
        told
    }

    fn is_due(&self, draft: &Draft<'_>, now: u64) -> bool {
        now >= draft.opened + self.within
            || think(&draft.parts).matches() && now >= draft.touched + self.settle
    }
}

fn close(
    key: u8,
    draft: &Draft<'_>,
    now: u64,
    why: &str,
    told: &mut Vec<String>,
) -> (Vec<u64>, bool) {
    let ids: Vec<u64> = draft.parts.iter().map(|(_, part)| part.id).collect();
    let left = think(&draft.parts);
    let what = match (left.matches(), left.is_void()) {
        (true, _) => "matched",
        (_, true) => "void",
        _ => why,
    };
    let listed: Vec<_> = ids.iter().map(u64::to_string).collect();
    told.push(format!("{what} {key} [{}] {}..{now}", listed.join(" "), draft.opened));
    (ids, left.matches())
}
