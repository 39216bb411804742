//! One file against an oracle that keeps every state since the last sync: after a power cut each sector is as it was in
//! one of them, and so is the length.

use proptest::prelude::*;
use towpath_sim::disk::{Disk, Faults};

const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Operation {
    Write { at: u16, count: u16 },
    Append(u16),
    SetLen(u16),
    Allocate(u16),
    Sync,
    Crash,
    Kill,
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    prop_oneof![
        6 => (0..3_000_u16, 1..2_000_u16).prop_map(|(at, count)| Write { at, count }),
        4 => (1..1_500_u16).prop_map(Append),
        2 => (0..4_000_u16).prop_map(SetLen),
        1 => (0..6_000_u16).prop_map(Allocate),
        3 => Just(Sync),
        2 => Just(Crash),
        1 => Just(Kill),
    ]
}

/// Everything the file has been since it was last safe; the last is what is seen.
struct Oracle(Vec<Vec<u8>>);

impl Oracle {
    fn seen(&self) -> &Vec<u8> {
        &self.0[self.0.len() - 1]
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut next = self.seen().clone();
        change(&mut next);
        self.0.push(next);
    }

    fn synced(&mut self) {
        self.0.drain(..self.0.len() - 1);
    }

    /// Whether a power cut may leave this.
    fn may_leave(&self, found: &[u8]) -> Result<(), String> {
        let lengths: Vec<usize> = self.0.iter().map(Vec::len).collect();
        let least = lengths.iter().min().copied().unwrap_or(0);
        let most = lengths.iter().max().copied().unwrap_or(0);
        let between = (least..most).contains(&found.len()) && found.len().is_multiple_of(SECTOR);
        if !lengths.contains(&found.len()) && !between {
            return Err(format!("length {} is none of {lengths:?}", found.len()));
        }
        for (index, sector) in found.chunks(SECTOR).enumerate() {
            let start = index * SECTOR;
            // Some state of this sector, cut by a length that the file had.
            let possible = self.0.iter().any(|state| {
                let mut cuts = lengths.iter().chain([&usize::MAX]);
                cuts.any(|cut| {
                    sector.iter().enumerate().all(|(i, byte)| {
                        let at = start + i;
                        let was = state.get(at).copied().unwrap_or(0);
                        *byte == if at < *cut { was } else { 0 }
                    })
                })
            });
            if !possible {
                return Err(format!("sector {index} never was {sector:?}"));
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_file_is_what_it_was_in_every_sector(
        operations in prop::collection::vec(operation(), 1..40),
        seed in any::<u64>(),
        lost in prop::sample::select(vec![0, 500, 1_000_u16]),
        torn in prop::sample::select(vec![0, 500, 1_000_u16]),
        reordered in prop::sample::select(vec![0, 500, 1_000_u16]),
    ) {
        let disk = Disk::seeded(Faults { lost, torn, reordered, ..Faults::default() }, seed);
        let mut file = disk.create("file").unwrap();
        disk.sync_dir("/").unwrap();
        let mut oracle = Oracle(vec![Vec::new()]);
        let mut fresh = 0_u8;
        for operation in operations {
            fresh = fresh % 250 + 1;
            match operation {
                Operation::Write { at, count } => {
                    let bytes = vec![fresh; usize::from(count)];
                    file.write_all_at(&bytes, u64::from(at)).unwrap();
                    let (at, end) = (usize::from(at), usize::from(at) + bytes.len());
                    oracle.change(|state| {
                        state.resize(state.len().max(end), 0);
                        state[at..end].copy_from_slice(&bytes);
                    });
                }
                Operation::Append(count) => {
                    let bytes = vec![fresh; usize::from(count)];
                    prop_assert_eq!(file.append(&bytes).unwrap(), bytes.len());
                    oracle.change(|state| state.extend(bytes));
                }
                Operation::SetLen(len) => {
                    file.set_len(u64::from(len)).unwrap();
                    oracle.change(|state| state.resize(usize::from(len), 0));
                }
                Operation::Allocate(len) => {
                    file.allocate(u64::from(len)).unwrap();
                    oracle.change(|state| state.resize(state.len().max(usize::from(len)), 0));
                }
                Operation::Sync => {
                    file.sync_data().unwrap();
                    oracle.synced();
                }
                Operation::Crash => {
                    disk.crash();
                    prop_assert!(file.len().is_err());
                    file = disk.open("file").unwrap();
                    let found = file.read_to_end().unwrap();
                    if let Err(why) = oracle.may_leave(&found) {
                        return Err(TestCaseError::fail(why));
                    }
                    if (lost, torn, reordered) == (0, 0, 0) {
                        prop_assert_eq!(&found, oracle.seen());
                    }
                    // What was found is safe: nothing but a new change may take it away.
                    oracle = Oracle(vec![found]);
                }
                Operation::Kill => {
                    disk.kill();
                    file = disk.open("file").unwrap();
                }
            }
            prop_assert_eq!(&file.read_to_end().unwrap(), oracle.seen());
        }
    }
}

/// Both halves of a write of two sectors are seen alone, both together and neither: the model may not be kinder than
/// it says.
#[test]
fn every_subset_of_sectors_happens() {
    let mut found = std::collections::BTreeSet::new();
    for seed in 0..300 {
        let disk = Disk::seeded(Faults::default(), seed);
        let file = super::keep(&disk, "file", &[1; 2 * SECTOR]);
        disk.set_faults(Faults::power_cuts());
        file.write_all_at(&[2; 2 * SECTOR], 0).unwrap();
        disk.crash();
        let bytes = disk.open("file").unwrap().read_to_end().unwrap();
        found.insert((bytes[0], bytes[SECTOR]));
    }
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [(1, 1), (1, 2), (2, 1), (2, 2)]);
}

/// A later write survives without an earlier one elsewhere, but not without one in the same sector.
#[test]
fn order_is_kept_within_a_sector_only() {
    let mut found = std::collections::BTreeSet::new();
    for seed in 0..300 {
        let disk = Disk::seeded(Faults::default(), seed);
        let file = super::keep(&disk, "file", &[1; 2 * SECTOR]);
        disk.set_faults(Faults { reordered: 1_000, ..Faults::default() });
        file.write_all_at(&[2], 0).unwrap();
        file.write_all_at(&[2], SECTOR as u64).unwrap();
        file.write_all_at(&[2], 1).unwrap();
        disk.crash();
        let bytes = disk.open("file").unwrap().read_to_end().unwrap();
        found.insert((bytes[0], bytes[1], bytes[SECTOR]));
    }
    let expected = [(1, 1, 1), (1, 1, 2), (2, 1, 1), (2, 1, 2), (2, 2, 1), (2, 2, 2)];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
}
