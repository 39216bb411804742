//! From an id to a position, fast for ids that were counted up and no slower than a binary search for any others.
//!
//! What always holds: the first of several equal ids is found.
//!
//! Why no hash map: ids come from counters, so they lie about evenly; a table over their upper bits leads to the place in the
//! sorted list in one step, in fixed order and without chance. If they lie unevenly, a binary search within one entry
//! of the table remains.

/// Positions of ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    /// In order of ids, then of positions.
    sorted: Vec<(u64, u32)>,
    /// The smallest id.
    base: u64,
    /// `(id - base) >> shift` is an entry of the table.
    shift: u32,
    /// Where in `sorted` the ids of an entry begin; one more than there are entries.
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
        let mut sorted: Vec<(u64, u32)> =
            ids.enumerate().map(|(at, id)| (id, u32::try_from(at).expect("fewer than 2^32"))).collect();
        if !sorted.is_sorted() {
            sorted.sort_unstable();
        }
        let (Some(&(base, _)), Some(&(last, _))) = (sorted.first(), sorted.last()) else {
            return Self::default();
        };
        let span = last - base;
        // About as many entries as ids.
        let wanted = (sorted.len() as u64).next_power_of_two();
        let shift = (u64::BITS - span.leading_zeros()).saturating_sub(wanted.trailing_zeros());
        let entries = (span >> shift) as usize + 1;
        let mut begins = vec![0; entries + 1];
        for &(id, _) in &sorted {
            begins[((id - base) >> shift) as usize + 1] += 1;
        }
        let mut sum = 0;
        for begin in &mut begins {
            sum += *begin;
            *begin = sum;
        }
        Self { sorted, base, shift, begins }
    }

    /// The position of `id`.
    #[inline]
    pub(super) fn get(&self, id: u64) -> Option<u32> {
        let entry = usize::try_from(id.checked_sub(self.base)?.checked_shr(self.shift)?).ok()?;
        let end = *self.begins.get(entry.checked_add(1)?)? as usize;
        let ids = &self.sorted[self.begins[entry] as usize..end];
        let first = if ids.len() <= SCAN_MAX {
            ids.iter().position(|&(other, _)| other == id)?
        } else {
            ids.partition_point(|&(other, _)| other < id)
        };
        ids.get(first).filter(|&&(other, _)| other == id).map(|&(_, at)| at)
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
        for id in ids.iter().flat_map(|&id| [id.wrapping_sub(1), id.wrapping_add(1), id ^ 1 << 40]) {
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
