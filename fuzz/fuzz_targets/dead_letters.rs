//! Any records, and any checkpoint, as a store of dead letters: it opens or says what it cannot read, and what it has can be looked at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath::{Ctx, scope};
use towpath_journal::{Entry, Options};
use towpath_patterns::fault::dead::{DeadLetters, LetterId, Pick};
use towpath_sim::disk::{Disk, Faults};

#[path = "../../crates/towpath-node/src/testing/disk.rs"]
mod sim_disk;

/// Records of one input: more of them find nothing new.
const RECORDS_MAX: usize = 16;
/// Small, since a simulated disk is memory.
const SEGMENT: u64 = 1 << 14;
/// Letters that are looked at: all there can be.
const LOOKED_AT: usize = 64;

type Input = (Vec<(u8, u8, Vec<u8>)>, Option<Vec<u8>>);

fuzz_target!(|input: Input| {
    let (records, checkpoint) = input;
    let options = Options::new().segment_bytes(SEGMENT);
    let disk = Disk::new(Faults::default());
    let Ok(mut writer) = options.open_on(sim_disk::sim_disk(&disk), "letters") else { return };
    for (kind, id, payload) in records.iter().take(RECORDS_MAX) {
        let key = u64::from(*id).to_be_bytes();
        let entry = Entry { kind: 0x0d00 + u16::from(*kind % 12), key: &key, payload };
        // Too large for a segment is not what is looked for.
        let _ = writer.append(entry);
    }
    let Ok(durable) = writer.commit() else { return };
    if let Some(state) = checkpoint {
        let _ = writer.checkpoint(durable, &state);
    }
    let looked = towpath::block_on(scope(&Ctx::root(), |s| async move {
        let letters = match DeadLetters::open(&s, "fuzz", writer) {
            Ok(letters) => letters,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return Ok(());
            }
        };
        let _ = letters.groups().await;
        let listed = letters.list(Pick::all(), LetterId(0), LOOKED_AT).await;
        for summary in listed.into_iter().flatten() {
            let _ = letters.show(summary.id).await;
        }
        Ok(())
    }));
    looked.expect("nothing fails but the opening");
});
