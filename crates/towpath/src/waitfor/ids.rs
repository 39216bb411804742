//! From an id to a position, fast for ids that were counted up and no slower than a binary search for any others.
//!
//! What always holds: the first of several equal ids is found.
//!
//! Why no hash map: ids come from counters, so they lie about evenly; a table over their upper bits leads to the
//! place in the sorted list in one step, in fixed order and without chance. If they lie unevenly, a binary search
//! within one entry of the table remains.

/// Positions of ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    /// In order.
    ids: Vec<u64>,
    /// Of each of `ids`; empty when the ids were given in order, as they mostly are.
    positions: Vec<u32>,
    /// The smallest id.
    base: u64,
    /// `(id - base) >> shift` is an entry of the table.
    shift: u32,
    /// Where in `ids` those of an entry begin; one more than there are entries.
    begins: Vec<u32>,
}

/// Up to this many ids are looked through one by one.
const SCAN_MAX: usize = 8;

impl Ids {
    /// Notes each id's position.
    ///
    /// # Panics
    /// With `u32::MAX` ids or more.
    pub(super) fn of(ids: impl Iterator<Item = u64>) -> Self {
        let mut ids: Vec<u64> = ids.collect();
        let mut positions = Vec::new();
        let count = u32::try_from(ids.len()).expect("fewer than 2^32 ids");
        if !ids.is_sorted() {
            let mut sorted: Vec<(u64, u32)> = ids.into_iter().zip(0..count).collect();
            sorted.sort_unstable();
            (ids, positions) = sorted.into_iter().unzip();
        }
        let (Some(&base), Some(&last)) = (ids.first(), ids.last()) else {
            return Self::default();
        };
        let span = last - base;
        // About as many entries as ids.
        let wanted = u64::from(count).next_power_of_two();
        let shift = (u64::BITS - span.leading_zeros()).saturating_sub(wanted.trailing_zeros());
        let entries = (span >> shift) as usize + 1;
        let mut begins = vec![0; entries + 1];
        for &id in &ids {
            begins[((id - base) >> shift) as usize + 1] += 1;
        }
        let mut sum = 0;
        for begin in &mut begins {
            sum += *begin;
            *begin = sum;
        }
        Self { ids, positions, base, shift, begins }
    }

    /// The position of `id`.
    #[inline]
    pub(super) fn get(&self, id: u64) -> Option<u32> {
        let entry = usize::try_from(id.checked_sub(self.base)?.checked_shr(self.shift)?).ok()?;
        let end = *self.begins.get(entry.checked_add(1)?)? as usize;
        let begin = self.begins[entry] as usize;
        let ids = &self.ids[begin..end];
        let first = if ids.len() <= SCAN_MAX {
            ids.iter().position(|&other| other == id)?
        } else {
            ids.partition_point(|&other| other < id)
        };
        ids.get(first).filter(|&&other| other == id)?;
        let at = begin + first;
        Some(self.positions.get(at).copied().unwrap_or(at as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;

    fn check(ids: &[u64]) {
        let table = Ids::of(ids.iter().copied());
        for &id in ids {
            let first = ids.iter().position(|&other| other == id).unwrap();
            assert_eq!(table.get(id), Some(first as u32), "{id} in {ids:?}");
        }
        for id in ids.iter().flat_map(|&id| [id.wrapping_sub(1), id.wrapping_add(1), id ^ 1 << 40])
        {
            assert_eq!(table.get(id).is_some(), ids.contains(&id), "{id} in {ids:?}");
        }
    }

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        check(&[]);
        check(&[7]);
        check(&[0, u64::MAX]);
        check(&[5, 3, 4, 1, 2]);
        check(&[9, 9, 9]);
        check(&(0..1000).map(|n| n * 37).collect::<Vec<_>>());
        check(&(0..1000).map(|n| n * n * n).collect::<Vec<_>>());
    }

    #[test]
    fn ids_that_crowd_together_are_found_too() {
        let far = u64::MAX;
        check(&(100..400).rev().chain([far, far - 1]).collect::<Vec<_>>());
    }
}
