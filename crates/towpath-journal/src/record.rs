//! One record and how it is laid out.

use std::fmt;

/// The number of a record: 1 for the first of a journal, one more for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Before every record.
    pub const ZERO: Self = Self(0);

    /// The one after this.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is appended: the caller's kind, a key that may be empty, and bytes the journal does not look into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What the payload is; the caller's to number.
    pub kind: u16,
    /// Whom it is about; may be empty.
    pub key: &'a [u8],
    /// The content.
    pub payload: &'a [u8],
}

/// What is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number.
    pub lsn: Lsn,
    /// How many times the journal had been opened for writing when it was written.
    pub epoch: u64,
    /// As appended.
    pub kind: u16,
    /// As appended.
    pub key: &'a [u8],
    /// As appended.
    pub payload: &'a [u8],
}

/// Bytes in front of key and payload: length, checksum, number, epoch, kind, length of the key, whether the group goes on.
pub(crate) const HEAD: usize = 4 + 4 + 8 + 8 + 2 + 2 + 1;

/// Appends the bytes of a record.
pub(crate) fn encode(out: &mut Vec<u8>, lsn: Lsn, epoch: u64, entry: Entry<'_>, goes_on: bool) {
    let start = out.len();
    let len = HEAD + entry.key.len() + entry.payload.len();
    out.extend_from_slice(&(len as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&lsn.0.to_le_bytes());
    out.extend_from_slice(&epoch.to_le_bytes());
    out.extend_from_slice(&entry.kind.to_le_bytes());
    out.extend_from_slice(&(entry.key.len() as u16).to_le_bytes());
    out.push(u8::from(goes_on));
    out.extend_from_slice(entry.key);
    out.extend_from_slice(entry.payload);
    let crc = crc32c::crc32c(&out[start + 8..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the record at the start of some bytes, with its length and whether its group goes on.
pub(crate) fn decode(bytes: &[u8]) -> Option<(Record<'_>, usize, bool)> {
    let len = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let body = bytes.get(8..len)?;
    let crc = u32::from_le_bytes(bytes[4..8].try_into().ok()?);
    if len < HEAD || crc32c::crc32c(body) != crc {
        return None;
    }
    let number = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().expect("8 bytes"));
    let short = |at: usize| u16::from_le_bytes([body[at], body[at + 1]]);
    let (key, payload) = body[HEAD - 8..].split_at_checked(usize::from(short(18)))?;
    let record = Record { lsn: Lsn(number(0)), epoch: number(8), kind: short(16), key, payload };
    Some((record, len, body[20] == 1))
}
