//! What must hold of any bytes. The fuzz targets `journal_recover` and `journal_record` call these, and so do the
//! property tests.

use towpath_journal::{Entry, Lsn, Options, Reader, Record, format};
use towpath_sim::disk::{Disk, Faults};

use crate::sim_disk::sim_disk;

/// Any bytes as the first segment of a journal on an empty disk: opening and reading end, without a panic, and a
/// record that is given has the checksum it says. `whole`: the header's checksum and the name are made right first.
pub(crate) fn journal_recover(bytes: &[u8], whole: bool) {
    let disk = Disk::seeded(Faults::default(), 0);
    let put = |name: &str, bytes: &[u8]| {
        disk.create(name).and_then(|file| file.write_all_at(bytes, 0)).expect("a file");
    };
    let mut bytes = bytes.to_vec();
    let mut first = 1;
    if whole && bytes.len() >= 64 {
        bytes[..8].copy_from_slice(b"TOWPLOG\0");
        bytes[8..12].copy_from_slice(&format::VERSION.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..64]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        first = u64::from_le_bytes(bytes[16..24].try_into().expect("8 bytes"));
    }
    put(&format!("{first:020}.log"), &bytes);
    // `start` as it would be beside such a segment.
    let mut start = [0; 64];
    start[..8].copy_from_slice(b"TOWPSTA\0");
    start[8..12].copy_from_slice(&format::VERSION.to_le_bytes());
    start[16..24].copy_from_slice(&first.to_le_bytes());
    start[32..40].copy_from_slice(&64_u64.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&start[..12]), &start[16..]);
    start[12..16].copy_from_slice(&crc.to_le_bytes());
    put("start", &start);

    let small = Options::new().segment_bytes(1024);
    if let Ok(mut reader) = Reader::open_on(sim_disk(&disk), "", Lsn::ZERO) {
        read(&mut reader, &bytes);
    }
    if let Ok(mut writer) = small.open_on(sim_disk(&disk), "") {
        if let Ok(mut reader) = writer.reader(Lsn::ZERO) {
            let given = read(&mut reader, &bytes);
            assert_eq!(given, writer.durable().0.saturating_sub(first.saturating_sub(1)));
        }
        // And it can be gone on with.
        let entry = Entry { kind: 1, key: b"", payload: b"more" };
        if writer.next().0 < u64::MAX && writer.append(entry).is_ok() {
            writer.commit().expect("a disk that works");
        }
        drop(writer);
        if first < u64::MAX - 1_000_000 {
            small.open_on(sim_disk(&disk), "").expect("what was repaired once is whole");
        }
    }
}

fn read(reader: &mut Reader, bytes: &[u8]) -> u64 {
    let mut given = 0;
    while let Ok(Some(record)) = reader.next() {
        given += 1;
        assert!(given <= bytes.len() as u64 / 32, "more records than there is room for");
        assert!(stands_in(&record, bytes), "{record:?} is not in the file");
    }
    given
}

/// Whether a record stands somewhere in a segment, with its checksum.
fn stands_in(record: &Record<'_>, bytes: &[u8]) -> bool {
    let seed = u32::from_le_bytes(bytes[12..16].try_into().expect("4 bytes"));
    let mut places = (64..bytes.len()).step_by(8);
    places.any(|at| format::record(&bytes[at..], seed).is_some_and(|(found, _)| found == *record))
}

/// Any bytes as a record: it is refused, or its checksum is that of its bytes.
pub(crate) fn journal_record(bytes: &[u8], seed: u32) {
    let Some((record, step)) = format::record(bytes, seed) else {
        // With the checksum put right, it is only refused for what it says.
        let mut mended = bytes.to_vec();
        if let Some(length) = mended.get(..4).map(|b| u32::from_le_bytes(b.try_into().expect("4")))
            && (32..=mended.len()).contains(&(length as usize))
        {
            let crc = crc32c::crc32c_append(seed, &mended[..4]);
            let crc = crc32c::crc32c_append(crc, &mended[8..length as usize]);
            mended[4..8].copy_from_slice(&crc.to_le_bytes());
            let key = usize::from(u16::from_le_bytes([mended[26], mended[27]]));
            let sound = mended[28] <= 1 && key <= length as usize - 32;
            assert_eq!(format::record(&mended, seed).is_some(), sound);
        }
        return;
    };
    let length = 32 + record.key.len() + record.payload.len();
    assert_eq!(length, u32::from_le_bytes(bytes[..4].try_into().expect("4 bytes")) as usize);
    assert_eq!(step, length.next_multiple_of(8));
    let crc = crc32c::crc32c_append(crc32c::crc32c_append(seed, &bytes[..4]), &bytes[8..length]);
    assert_eq!(crc.to_le_bytes(), bytes[4..8]);
}
