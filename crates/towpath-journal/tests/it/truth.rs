//! What a journal must hold: kept beside it while it is written, and compared after each opening.
//!
//! What is checked: nothing acknowledged is lost, nothing is there that was not appended, nothing twice, no part of a group
//! without the rest, and readers of both kinds see the same.

use std::path::Path;
use std::sync::Arc;

use towpath_journal::{Disk, Entry, Error, Lsn, Options, Reader, Writer};

/// Small segments, so that a short script goes through several.
pub(crate) fn small() -> Options {
    Options::new().segment_bytes(1024).spares(2)
}

/// One appended record; what it is can be read from its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    kind: u16,
    key: Vec<u8>,
    payload: Vec<u8>,
    /// The last of its group.
    last: bool,
}

/// All records so far, by their numbers from 1 on; the first `acknowledged` of them must be there.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    sent: Vec<Sent>,
    acknowledged: usize,
    /// Never the same payload twice.
    counter: u32,
    /// What the last acknowledged checkpoint holds, and one that may be there besides.
    checkpoints: Vec<(Lsn, Vec<u8>)>,
    /// Records before it may be gone.
    pub(crate) retained: Lsn,
}

impl Truth {
    /// Appends a group of so many records, the sizes of whose payloads depend on `size`.
    pub(crate) fn append(
        &mut self,
        writer: &mut Writer,
        count: usize,
        size: usize,
    ) -> Result<Lsn, Error> {
        let mut group = Vec::new();
        for index in 0..count {
            self.counter += 1;
            let mut payload = self.counter.to_le_bytes().to_vec();
            payload.resize(4 + size * (index + 1) % 200, self.counter as u8);
            let key = vec![self.counter as u8; size % 5];
            let kind = self.counter as u16;
            group.push(Sent { kind, key, payload, last: index + 1 == count });
        }
        let entries: Vec<_> = group
            .iter()
            .map(|sent| Entry { kind: sent.kind, key: &sent.key, payload: &sent.payload })
            .collect();
        let last = writer.append_group(&entries)?;
        self.sent.extend(group);
        assert_eq!(last, Lsn(self.sent.len() as u64), "numbers have no gaps");
        Ok(last)
    }

    pub(crate) fn commit(&mut self, writer: &mut Writer) -> Result<(), Error> {
        let committed = writer.commit();
        self.acknowledged = self.acknowledged.max(writer.durable().0 as usize);
        assert_eq!(committed?, Lsn(self.sent.len() as u64));
        Ok(())
    }

    pub(crate) fn checkpoint(&mut self, writer: &mut Writer) -> Result<(), Error> {
        let lsn = writer.durable();
        self.counter += 1;
        let state = [&lsn.0.to_le_bytes()[..], &self.counter.to_le_bytes()].concat();
        self.checkpoints.push((lsn, state.clone()));
        writer.checkpoint(lsn, &state)?;
        self.checkpoints = vec![(lsn, state)];
        Ok(())
    }

    pub(crate) fn retain(&mut self, writer: &mut Writer, from: Lsn) -> Result<(), Error> {
        let covered = self.checkpoints.first().map_or(Lsn::ZERO, |(lsn, _)| *lsn);
        self.retained = self.retained.max(from.min(covered.next()));
        let oldest = writer.retain(from)?;
        assert!(oldest <= self.retained.max(Lsn(1)), "{oldest} {self:?}");
        Ok(())
    }

    /// After an opening: compares, and takes what is there as what must be there from now on.
    pub(crate) fn check(&mut self, writer: &Writer, disk: Arc<dyn Disk>, dir: &Path) {
        let found = writer.durable().0 as usize;
        assert!(found >= self.acknowledged, "lost: {found} of {} are there", self.acknowledged);
        assert!(found <= self.sent.len(), "invented: {found} of {} are there", self.sent.len());
        self.sent.truncate(found);
        self.acknowledged = found;
        assert!(self.sent.last().is_none_or(|sent| sent.last), "a part of a group");
        assert_eq!(writer.next(), Lsn(found as u64 + 1));
        self.check_reader(&mut writer.reader(Lsn::ZERO).unwrap(), writer.oldest());
        self.check_reader(&mut Reader::open_on(disk, dir, Lsn::ZERO).unwrap(), writer.oldest());

        let checkpoint = writer.latest_checkpoint().unwrap();
        let checkpoint = checkpoint.map(|checkpoint| (checkpoint.lsn, checkpoint.state));
        match &checkpoint {
            None => assert!(self.checkpoints.len() <= 1, "a checkpoint is lost: {self:?}"),
            Some(found) => assert!(self.checkpoints.contains(found), "{found:?}: {self:?}"),
        }
        self.checkpoints = checkpoint.into_iter().collect();
    }

    pub(crate) fn check_reader(&self, reader: &mut Reader, from: Lsn) {
        assert!(from <= self.retained.max(Lsn(1)), "records from {from} on: {self:?}");
        for (index, sent) in self.sent[..self.acknowledged].iter().enumerate() {
            let lsn = Lsn(index as u64 + 1);
            if lsn >= from {
                let record = reader.next().unwrap().unwrap_or_else(|| panic!("record {lsn}"));
                let found = (record.lsn, record.kind, record.key, record.payload);
                assert_eq!(found, (lsn, sent.kind, &sent.key[..], &sent.payload[..]));
            }
        }
        assert_eq!(reader.next().unwrap(), None);
    }

    pub(crate) fn len(&self) -> u64 {
        self.sent.len() as u64
    }
}
