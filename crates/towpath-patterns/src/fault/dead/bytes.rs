//! The bytes of numbers, texts and lists, as the records of dead letters have them.
//!
//! Why by hand: what is on a disk is a promise to the next version. A format that follows from the shape of a Rust type changes
//! whenever somebody tidies the type; here nothing changes unless somebody changes it, and a golden file says so.
//!
//! - a number: as `leb128.rs` says; ten bytes at most
//! - bytes and texts: their length as a number, then they
//! - something that may be missing: 0, or 1 and then it
//! - a list: its length, then its items
//! - a time: a number of milliseconds since 1970-01-01T00:00:00Z

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use towpath::process::Name;

use crate::{
    fault::{Class, Fault},
    leb128::{self, NoNumber},
};

/// What could not be read, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) what: &'static str,
}

pub(super) type Read<T> = Result<T, Unreadable>;

/// Writes.
#[derive(Default)]
pub(super) struct Pack(pub(super) Vec<u8>);

impl Pack {
    pub(super) fn number(&mut self, number: u64) {
        leb128::put(&mut self.0, number);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.number(u64::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.number(items.len() as u64);
        items.iter().for_each(|item| write(self, item));
    }

    pub(super) fn time(&mut self, time: SystemTime) {
        self.number(millis(time));
    }

    pub(super) fn class(&mut self, class: Class) {
        self.number(class.index() as u64);
    }

    pub(super) fn fault(&mut self, fault: &Fault) {
        let Fault { process, class, cause, message, at, when } = fault;
        self.bytes(process.as_bytes());
        self.class(*class);
        self.bytes(cause.as_bytes());
        self.bytes(message.as_bytes());
        self.maybe(at.as_ref(), |pack, at| pack.bytes(at.as_bytes()));
        self.time(*when);
    }
}

/// Reads.
pub(super) struct Unpack<'a>(pub(super) &'a [u8]);

impl<'a> Unpack<'a> {
    pub(super) fn number(&mut self) -> Read<u64> {
        match leb128::take(&mut self.0) {
            Ok(number) => Ok(number.value),
            Err(NoNumber::Cut) => Err(Unreadable { what: "a number" }),
            Err(NoNumber::TooLarge) => Err(Unreadable { what: "a number that is too large" }),
        }
    }

    pub(super) fn small(&mut self) -> Read<u32> {
        u32::try_from(self.number()?).map_err(|_| Unreadable { what: "a number that is too large" })
    }

    pub(super) fn bytes(&mut self) -> Read<&'a [u8]> {
        let len = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let short = Unreadable { what: "bytes that are not all there" };
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(short)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn text(&mut self) -> Read<String> {
        let bytes = self.bytes()?.to_vec();
        String::from_utf8(bytes).map_err(|_| Unreadable { what: "a text that is no UTF-8" })
    }

    pub(super) fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        match self.number()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Unreadable { what: "whether something is there" }),
        }
    }

    pub(super) fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let len = self.number()?;
        // Each item is a byte at least: a length that cannot be is found before memory is asked for.
        if len > self.0.len() as u64 {
            return Err(Unreadable { what: "a list that is not all there" });
        }
        (0..len).map(|_| read(self)).collect()
    }

    pub(super) fn time(&mut self) -> Read<SystemTime> {
        let millis = Duration::from_millis(self.number()?);
        UNIX_EPOCH.checked_add(millis).ok_or(Unreadable { what: "a time that is too late" })
    }

    pub(super) fn class(&mut self) -> Read<Class> {
        let number = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        Class::ALL.get(number).copied().ok_or(Unreadable { what: "a class that is not known" })
    }

    pub(super) fn fault(&mut self) -> Read<Fault> {
        Ok(Fault {
            process: Name::from(self.text()?),
            class: self.class()?,
            cause: self.text()?,
            message: self.text()?,
            at: self.maybe(Self::text)?,
            when: self.time()?,
        })
    }

    pub(super) fn end(&self) -> Read<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Unreadable { what: "the end" }) }
    }
}

/// Milliseconds since 1970; times before that count as then.
pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The time as it is after being written and read.
pub(super) fn whole_millis(time: SystemTime) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis(time))).unwrap_or(time)
}
