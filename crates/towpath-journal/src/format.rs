//! The bytes on the disk, version 1.
//!
//! What always holds:
//! - Numbers are little-endian. Headers and records begin at multiples of 8.
//! - Every checksum is CRC-32C and covers all of its header or record but itself.
//! - A record's checksum starts from the checksum of its segment's header. What lies in a segment from an earlier life of
//!   the file, or was moved there from another segment, is not a record of it.
//!
//! # The directory
//!
//! | name | what it is |
//! |---|---|
//! | `lock` | empty; the writer holds `flock` on it |
//! | `start` | the first record that retention has kept; made after the first segment, so it also says that there is one |
//! | `00000000000000000001.log` | a segment, named by its first record |
//! | `00000000000000000007.checkpoint` | a state that stands for all records up to 7 |
//! | `00000000000000000001.spare` | a segment that retention let go, to be written over; its content means nothing |
//! | `*.new` | a file that is being made; removed at the next opening |
//!
//! # A segment
//!
//! One header of 64 bytes, records, zeros. The file has its whole length from the start. Files get their name when header
//! and length are durable, so a shorter file, or one whose header does not check, is damaged.
//!
//! | offset | bytes | header of a segment |
//! |---|---|---|
//! | 0 | 8 | `TOWPLOG\0` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | checksum |
//! | 16 | 8 | number of the first record, as in the name |
//! | 24 | 8 | epoch in which the segment was made |
//! | 32 | 8 | length of the file |
//! | 40 | 24 | zeros |
//!
//! The first 16 bytes mean the same in every version, and the checksum covers 64 bytes in every version: so a file from
//! the future is told from a damaged one.
//!
//! | offset | bytes | record |
//! |---|---|---|
//! | 0 | 4 | length: 32, key and payload, without padding; 0: nothing follows |
//! | 4 | 4 | checksum |
//! | 8 | 8 | number (LSN), one more than that of the record before |
//! | 16 | 8 | epoch |
//! | 24 | 2 | kind, the user's |
//! | 26 | 2 | length of the key |
//! | 28 | 1 | flags: 1 the group goes on with the next record, 2 a mark, 4 the last mark of the segment |
//! | 29 | 3 | zeros |
//! | 32 | | key, then payload |
//! | | 0 to 7 | zeros up to a multiple of 8 |
//!
//! # Marks
//!
//! A mark is a record without key and payload that takes no number: it has that of the record before, and says that all
//! up to there *was durable when it was written*. One is the first thing that each opening writes, with a new epoch, and
//! one is written behind each batch as soon as that is durable, where the next batch will begin. The last mark of a segment
//! says that the next one is there.
//!
//! So, where a record does not check: if a mark behind it, a later segment or a checkpoint says that the record was
//! durable, it is damage. If nothing does, it is what a crash left of a batch that nobody was told of.
//!
//! # Epochs
//!
//! Each opening writes a mark with the next epoch and waits until that is durable. Only a mark or a header changes the
//! epoch, so records are of the epoch of what is before them. A number can be given twice, when the first record
//! with it was torn off; number and epoch together never.
//!
//! # Checkpoints and `start`
//!
//! | offset | bytes | header of a checkpoint, or all of `start` |
//! |---|---|---|
//! | 0 | 8 | `TOWPCKP\0` or `TOWPSTA\0` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | checksum, also of what follows the header |
//! | 16 | 8 | the last record in the state; for `start`, the first record kept |
//! | 24 | 8 | epoch |
//! | 32 | 8 | length of the file |
//! | 40 | 24 | zeros |
//! | 64 | | the state, the user's bytes |

use std::path::Path;

use crate::error::{Error, ErrorKind};
use crate::record::{Entry, Lsn, Record};

/// The version that is written, and the latest that is read.
pub const VERSION: u32 = 1;

/// Bytes in the header of a file.
pub const FILE_HEAD: usize = 64;

/// Bytes in front of a record's key, and all the bytes of a mark.
pub const RECORD_HEAD: usize = 32;

const GOES_ON: u8 = 1;
const MARK: u8 = 2;
const SEAL: u8 = 4;

/// What kind of file a header begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Magic {
    Segment,
    Checkpoint,
    Start,
}

impl Magic {
    fn bytes(self) -> [u8; 8] {
        match self {
            Self::Segment => *b"TOWPLOG\0",
            Self::Checkpoint => *b"TOWPCKP\0",
            Self::Start => *b"TOWPSTA\0",
        }
    }
}

/// The header of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHead {
    pub(crate) lsn: Lsn,
    pub(crate) epoch: u64,
    pub(crate) file_bytes: u64,
}

impl FileHead {
    /// The header's bytes, and their checksum. `body` is what the checksum covers besides.
    pub(crate) fn encode(&self, magic: Magic, body: &[u8]) -> ([u8; FILE_HEAD], u32) {
        let mut bytes = [0; FILE_HEAD];
        bytes[..8].copy_from_slice(&magic.bytes());
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.lsn.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.file_bytes.to_le_bytes());
        let crc = file_crc(&bytes, body);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        (bytes, crc)
    }

    /// Reads a header, with its checksum.
    ///
    /// # Errors
    /// `Version` when it is whole and newer than we are, `Corrupt`.
    pub(crate) fn decode(
        path: &Path,
        magic: Magic,
        bytes: &[u8],
        body: &[u8],
    ) -> Result<(Self, u32), Error> {
        let corrupt = |what: &str| {
            let advice = "put the file back from a copy; the other files are not to blame";
            Error::new(ErrorKind::Corrupt, path, format!("{what}: {advice}"))
        };
        let Some((head, _)) = bytes.split_first_chunk::<FILE_HEAD>() else {
            return Err(corrupt("the file is shorter than its header"));
        };
        let crc = u32_at(head, 12);
        if head[..8] != magic.bytes() {
            return Err(corrupt("the file does not begin as it must"));
        }
        let version = u32_at(head, 8);
        // Of a newer version we know only that the checksum of its header stands where ours does.
        if crc != file_crc(head, body) && (version == VERSION || crc != file_crc(head, &[])) {
            return Err(corrupt("the header at offset 0 does not match its checksum"));
        }
        if version != VERSION {
            let what = format!(
                "written in format {version}, and this version reads up to {VERSION}: open it with \
                 the version that wrote it, or a newer one"
            );
            return Err(Error::new(ErrorKind::Version, path, what));
        }
        let (lsn, epoch, file_bytes) = (Lsn(u64_at(head, 16)), u64_at(head, 24), u64_at(head, 32));
        Ok((Self { lsn, epoch, file_bytes }, crc))
    }
}

fn file_crc(head: &[u8; FILE_HEAD], body: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head[..12]), &head[16..]);
    crc32c::crc32c_append(crc, body)
}

/// What stands at a place in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Record(Head),
    /// All up to the number was durable; `seal`: the next segment is there.
    Mark {
        lsn: Lsn,
        epoch: u64,
        seal: bool,
    },
    /// Nothing was written here.
    Nothing,
    /// Something that does not check.
    Bad,
}

/// The first bytes of a record, checked together with all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) lsn: Lsn,
    pub(crate) epoch: u64,
    pub(crate) goes_on: bool,
    kind: u16,
    key_bytes: usize,
    /// Without padding.
    bytes: usize,
}

impl Head {
    /// Bytes up to the next record.
    pub(crate) fn step(&self) -> usize {
        padded(self.bytes)
    }

    /// The record whose head this is; `bytes` begin with it.
    pub(crate) fn record<'a>(&self, bytes: &'a [u8]) -> Record<'a> {
        let (key, payload) = bytes[RECORD_HEAD..self.bytes].split_at(self.key_bytes);
        Record { lsn: self.lsn, epoch: self.epoch, kind: self.kind, key, payload }
    }
}

/// Bytes that a record takes.
pub(crate) fn record_bytes(entry: &Entry<'_>) -> usize {
    padded(RECORD_HEAD + entry.key.len() + entry.payload.len())
}

fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(8)
}

/// Appends a record. The key must be shorter than 64 KiB and the record shorter than 4 GiB.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    seed: u32,
    lsn: Lsn,
    epoch: u64,
    entry: &Entry<'_>,
    goes_on: bool,
) {
    let bytes = RECORD_HEAD + entry.key.len() + entry.payload.len();
    let mut head = [0; RECORD_HEAD];
    head[..4].copy_from_slice(&(bytes as u32).to_le_bytes());
    head[8..16].copy_from_slice(&lsn.0.to_le_bytes());
    head[16..24].copy_from_slice(&epoch.to_le_bytes());
    head[24..26].copy_from_slice(&entry.kind.to_le_bytes());
    head[26..28].copy_from_slice(&(entry.key.len() as u16).to_le_bytes());
    head[28] = if goes_on { GOES_ON } else { 0 };
    let start = out.len();
    out.extend_from_slice(&head);
    out.extend_from_slice(entry.key);
    out.extend_from_slice(entry.payload);
    let crc = record_crc(seed, &out[start..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    out.resize(start + padded(bytes), 0);
}

/// A mark: all up to `lsn` is durable.
pub(crate) fn mark(seed: u32, lsn: Lsn, epoch: u64, seal: bool) -> [u8; RECORD_HEAD] {
    let mut head = [0; RECORD_HEAD];
    head[..4].copy_from_slice(&(RECORD_HEAD as u32).to_le_bytes());
    head[8..16].copy_from_slice(&lsn.0.to_le_bytes());
    head[16..24].copy_from_slice(&epoch.to_le_bytes());
    head[28] = if seal { MARK | SEAL } else { MARK };
    let crc = record_crc(seed, &head);
    head[4..8].copy_from_slice(&crc.to_le_bytes());
    head
}

/// Bytes that the record at the start of `bytes` says it has, without padding; `None` when there are fewer than a head.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    (bytes.len() >= RECORD_HEAD).then(|| u32_at(bytes, 0) as usize)
}

/// What stands at the start of some bytes.
pub(crate) fn decode(bytes: &[u8], seed: u32) -> Found {
    let Some(length) = length(bytes) else {
        let nothing = bytes.iter().all(|byte| *byte == 0);
        return if nothing { Found::Nothing } else { Found::Bad };
    };
    if length == 0 {
        return Found::Nothing;
    }
    let Some(bytes) = bytes.get(..length).filter(|bytes| bytes.len() >= RECORD_HEAD) else {
        return Found::Bad;
    };
    if u32_at(bytes, 4) != record_crc(seed, bytes) {
        return Found::Bad;
    }
    let (lsn, epoch) = (Lsn(u64_at(bytes, 8)), u64_at(bytes, 16));
    let key_bytes = usize::from(u16::from_le_bytes([bytes[26], bytes[27]]));
    match bytes[28] {
        flags @ (0 | GOES_ON) if key_bytes <= length - RECORD_HEAD => Found::Record(Head {
            lsn,
            epoch,
            goes_on: flags == GOES_ON,
            kind: u16::from_le_bytes([bytes[24], bytes[25]]),
            key_bytes,
            bytes: length,
        }),
        MARK if length == RECORD_HEAD => Found::Mark { lsn, epoch, seal: false },
        flags if flags == MARK | SEAL && length == RECORD_HEAD => {
            Found::Mark { lsn, epoch, seal: true }
        }
        _ => Found::Bad,
    }
}

fn record_crc(seed: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &bytes[..4]), &bytes[8..])
}

/// The record at the start of some bytes of a segment, if it checks, and how far the next one is: for tools that look
/// into a segment by hand. `None` for marks too.
///
/// `seed` is the checksum of the segment's header: its bytes 12 to 16.
pub fn record(bytes: &[u8], seed: u32) -> Option<(Record<'_>, usize)> {
    match decode(bytes, seed) {
        Found::Record(head) => Some((head.record(bytes), head.step())),
        _ => None,
    }
}

/// The name of a file that belongs to a record's number.
pub(crate) fn name(lsn: Lsn, ending: &str) -> String {
    format!("{lsn:020}.{ending}")
}

/// The number that a file of this ending is named by.
pub(crate) fn number(name: &str, ending: &str) -> Option<Lsn> {
    let digits = name.strip_suffix(ending)?.strip_suffix('.')?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok().map(Lsn) } else { None }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}
