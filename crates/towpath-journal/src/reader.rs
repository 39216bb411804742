//! Follows a journal from a record on, also while it is written.
//!
//! What always holds: a record is given once, in order, and only when it is durable. Beside a writer that is what the
//! writer says; from another process, what the marks in the files say.
//!
//! Why not by the files' ends: what stands in a file is not durable because it can be read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cursor::{Chain, Cursor, Segment, rest};
use crate::disk::{Disk, Opening, RealDisk};
use crate::error::{Error, ErrorKind};
use crate::format::{Found, RECORD_HEAD};
use crate::record::{Lsn, Record};
use crate::recover::{Names, damaged_at};
use crate::writer::{Part, Shared};

/// Reads durable records in order. There may be any number of readers; none waits for another or for the writer.
///
/// Once [`next`](Self::next) has given an error it goes on giving errors; a new reader from the last record on may do better.
pub struct Reader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    cursor: Cursor,
    /// The number of the next record to give.
    next: Lsn,
    follows: Follows,
}

/// How a reader knows what is durable.
enum Follows {
    /// The writer says so. While we hold the part, its file is not written over.
    Writer(Arc<Shared>, Arc<Part>),
    /// A second place runs ahead and looks for marks.
    Marks(Box<Scout>),
}

struct Scout {
    cursor: Cursor,
    /// Where the last mark was seen, and how the chain stood there.
    safe: (u64, Chain),
    chain: Chain,
}

impl Reader {
    /// Reads a journal from a record on, with [`Lsn::ZERO`] from the oldest on, without a lock and without changing it:
    /// beside a writer in another process, or one that is closed or damaged.
    ///
    /// It gives those records that a mark in the files says were durable. A writer sets a mark right after each commit,
    /// so a reader follows it live. Of a journal whose machine lost power, the last batch may have no mark: a [`Writer`]
    /// that opens it finds those records, and a reader gives them from then on.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] when there is no journal or retention has removed the record; [`ErrorKind::Corrupt`],
    /// [`ErrorKind::Version`], [`ErrorKind::Io`].
    ///
    /// [`Writer`]: crate::Writer
    pub fn open(dir: impl AsRef<Path>, from: Lsn) -> Result<Self, Error> {
        Self::open_on(Arc::new(RealDisk), dir, from)
    }

    /// As [`open`](Self::open), on any [`Disk`].
    ///
    /// # Errors
    /// As there.
    pub fn open_on(disk: Arc<dyn Disk>, dir: impl AsRef<Path>, from: Lsn) -> Result<Self, Error> {
        let dir = dir.as_ref();
        let segments = Names::list(&*disk, dir)?.segments;
        let next =
            if from == Lsn::ZERO { segments.first().copied().unwrap_or(Lsn(1)) } else { from };
        let Some(first) = segments.range(..=next).next_back() else {
            return Err(gone(dir, next));
        };
        let segment = Segment::open(&*disk, dir, *first, Opening::ReadOnly)?;
        let chain = Chain::at_start(&segment.head);
        let scout =
            Scout { cursor: segment.cursor(), safe: (segment.cursor().offset(), chain), chain };
        let (cursor, follows) = (segment.cursor(), Follows::Marks(Box::new(scout)));
        Ok(Self { disk, dir: dir.to_owned(), cursor, next, follows })
    }

    /// A reader in the writer's process.
    pub(crate) fn beside(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        shared: &Arc<Shared>,
        from: Lsn,
    ) -> Result<Self, Error> {
        let (part, next) = {
            let parts = shared.parts();
            let oldest = parts.front().map_or(Lsn(1), |part| part.first);
            let next = if from == Lsn::ZERO { oldest } else { from };
            let after = parts.partition_point(|part| part.first <= next);
            let part = after.checked_sub(1).and_then(|index| parts.get(index));
            (part.map(Arc::clone).ok_or_else(|| gone(dir, next))?, next)
        };
        let segment = Segment::open(&**disk, dir, part.first, Opening::ReadOnly)?;
        let cursor = segment.cursor_at(part.place(next));
        let follows = Follows::Writer(Arc::clone(shared), part);
        Ok(Self { disk: Arc::clone(disk), dir: dir.to_owned(), cursor, next, follows })
    }

    /// The next record, or `None` when all that is durable was read; more may come later.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] at a damaged record; [`ErrorKind::Missing`] when retention has overtaken the reader;
    /// [`ErrorKind::Io`], [`ErrorKind::Version`].
    #[expect(
        clippy::should_implement_trait,
        reason = "lends from a buffer, which `Iterator` cannot"
    )]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, Error> {
        if !self.is_durable()? {
            return Ok(None);
        }
        let mut looked_again = false;
        loop {
            let found = self.cursor.look()?;
            match found {
                Found::Record(head) if head.lsn <= self.next => {
                    self.cursor.step(head.step());
                    if head.lsn == self.next {
                        self.next = head.lsn.next();
                        return Ok(Some(self.cursor.record_behind(&head)));
                    }
                    looked_again = false;
                }
                Found::Mark { seal: false, lsn, .. } if lsn < self.next => {
                    self.cursor.step(RECORD_HEAD);
                    looked_again = false;
                }
                Found::Mark { seal: true, lsn, .. } if lsn < self.next => {
                    self.enter(lsn.next())?;
                    looked_again = false;
                }
                // What was read ahead may be from before it was written.
                _ if !looked_again => {
                    self.cursor.look_again(self.cursor.offset());
                    looked_again = true;
                }
                // The last mark of a segment that a crash left without one.
                _ if self.segments()?.contains(&self.next)
                    && self.next > self.cursor.segment.head.lsn =>
                {
                    self.enter(self.next)?;
                }
                _ => return Err(self.why()?),
            }
        }
    }

    /// The number of the record that [`next`](Self::next) will give next.
    pub fn position(&self) -> Lsn {
        self.next
    }

    fn is_durable(&mut self) -> Result<bool, Error> {
        match &mut self.follows {
            Follows::Writer(shared, _) => Ok(shared.durable() >= self.next),
            Follows::Marks(scout) => {
                if scout.safe.1.seen < self.next {
                    scout.run(&*self.disk, &self.dir, self.next)?;
                    // What was read before the mark was may have been torn off and written anew since.
                    self.cursor.look_again(self.cursor.offset());
                }
                Ok(scout.safe.1.seen >= self.next)
            }
        }
    }

    /// Goes on in the segment that begins with a record.
    fn enter(&mut self, first: Lsn) -> Result<(), Error> {
        if let Follows::Writer(shared, part) = &mut self.follows {
            let parts = shared.parts();
            let next = parts.iter().find(|part| part.first == first);
            *part = Arc::clone(next.ok_or_else(|| gone(&self.dir, first))?);
        }
        self.cursor = Segment::open(&*self.disk, &self.dir, first, Opening::ReadOnly)
            .map_err(|error| overtaken(&self.dir, first, error))?
            .cursor();
        Ok(())
    }

    fn segments(&self) -> Result<std::collections::BTreeSet<Lsn>, Error> {
        Ok(Names::list(&*self.disk, &self.dir)?.segments)
    }

    /// Why a record that is durable is not there.
    fn why(&self) -> Result<Error, Error> {
        let segment = &self.cursor.segment;
        if !self.segments()?.contains(&segment.head.lsn) {
            return Ok(gone(&self.dir, self.next));
        }
        Ok(damaged_at(segment, self.cursor.offset(), self.next, self.next))
    }
}

impl Scout {
    /// Goes on to the last mark there is, or to the end of a segment that holds the record that is wanted.
    fn run(&mut self, disk: &dyn Disk, dir: &Path, wanted: Lsn) -> Result<(), Error> {
        let mut bad = false;
        loop {
            let found = self.cursor.look()?;
            let taken = self.chain.take(&found);
            match found {
                Found::Record(head) if taken => self.cursor.step(head.step()),
                Found::Mark { seal: true, .. } if taken => {
                    self.safe = (self.cursor.offset(), self.chain);
                    if self.chain.seen >= wanted {
                        return Ok(());
                    }
                    self.enter(disk, dir)?;
                }
                Found::Mark { .. } if taken => {
                    self.cursor.step(RECORD_HEAD);
                    self.safe = (self.cursor.offset(), self.chain);
                }
                _ if self.safe.1.seen >= wanted => {
                    self.cursor.look_again(self.safe.0);
                    self.chain = self.safe.1;
                    return Ok(());
                }
                _ => {
                    let segment = self.cursor.segment.clone();
                    let next = self.chain.seen.next();
                    let names = Names::list(disk, dir)?.segments;
                    if !names.contains(&segment.head.lsn) {
                        return Err(gone(dir, next));
                    }
                    if !self.chain.in_group && next > segment.head.lsn && names.contains(&next) {
                        // The last mark of this segment was not written, or we read before it was. The next segment
                        // speaks for all of it.
                        self.safe = (self.cursor.offset(), self.chain);
                        self.enter(disk, dir)?;
                        continue;
                    }
                    let at = self.cursor.offset();
                    let claim = rest(&segment, at)?.claim;
                    let later = names.range(next..).find(|first| **first > next);
                    let claim = later.map_or(claim, |first| claim.max(Lsn(first.0 - 1)));
                    // Unless it was written between the two looks.
                    if claim >= next && bad {
                        return Err(damaged_at(&segment, at, next, claim));
                    }
                    bad = claim >= next;
                    let (safe, chain) = self.safe;
                    self.cursor.look_again(safe);
                    self.chain = chain;
                    if !bad {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn enter(&mut self, disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
        let first = self.chain.seen.next();
        let segment = Segment::open(disk, dir, first, Opening::ReadOnly)
            .map_err(|error| overtaken(dir, first, error))?;
        self.cursor = segment.cursor();
        self.chain = Chain::at_start(&segment.head);
        self.safe = (self.cursor.offset(), self.chain);
        Ok(())
    }
}

/// A file that is not there any more was let go.
fn overtaken(dir: &Path, first: Lsn, error: Error) -> Error {
    if error.is_not_found() { gone(dir, first) } else { error }
}

fn gone(dir: &Path, lsn: Lsn) -> Error {
    let what = format!(
        "record {lsn} is not there any more, or there is no journal: begin with the last checkpoint, or \
         with the oldest record, which `Lsn::ZERO` means"
    );
    Error::new(ErrorKind::Missing, dir, what)
}
