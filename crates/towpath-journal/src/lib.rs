//! A segmented append log with group commit: what must survive.
//!
//! ```
//! use towpath_journal::{Entry, Lsn, Writer};
//!
//! # fn main() -> Result<(), towpath_journal::Error> {
//! # let dir = tempfile::tempdir().unwrap();
//! let mut writer = Writer::open(dir.path())?;
//! writer.append(Entry { kind: 1, key: b"order-7", payload: b"created" })?;
//! let step = |payload| Entry { kind: 2, key: b"order-7", payload };
//! writer.append_group(&[step(b"reserved"), step(b"paid")])?; // both or none
//! assert_eq!(writer.commit()?, Lsn(3)); // one fdatasync; now they survive
//!
//! let mut reader = writer.reader(Lsn(2))?; // follows the writer
//! assert_eq!(reader.next()?.map(|record| record.payload), Some(&b"reserved"[..]));
//! # Ok(()) }
//! ```
//!
//! # What is promised
//! - A record that [`Writer::commit`] has acknowledged is there after any crash: of the process, of the machine, of its power.
//! - What was appended and not acknowledged is there or not; a group as a whole. What is there has no gap and no double, and is what
//!   was appended.
//! - What was durable and is damaged or gone is an error that names file, offset and record, and says what to do. It is never cut off.
//! - Readers give durable records only, each once, in order.
//!
//! Not promised: that damage to the batch written last is seen, if the power goes before the mark behind it is written by the page
//! cache (`format`, *Marks*); anything against somebody who forges files; anything on a disk that lies about fdatasync.
//!
//! # Where to look
//! - [`Writer`]: append, commit, checkpoint, retain. [`Options`]: how large, how many spares.
//! - [`Reader`]: beside a writer ([`Writer::reader`]) or from another process ([`Reader::open`]).
//! - [`format`](mod@format): the bytes.
//! - [`Disk`]: the seam to the file system, for tests that let it fail.
//! - `Index`, with the feature `index`: which records are about a key.
//!
//! Nothing here waits for anything but the disk, and nothing starts a thread: `towpath_patterns::log` has the journal as a process.
#![forbid(unsafe_code)]

mod cursor;
mod disk;
mod error;
pub mod format;
#[cfg(feature = "index")]
mod index;
mod keep;
mod open;
mod options;
mod reader;
mod record;
mod recover;
mod small;
mod writer;

pub use disk::{Disk, File, Opening, RealDisk};
pub use error::{Error, ErrorKind};
#[cfg(feature = "index")]
pub use index::Index;
pub use options::{Options, SEGMENT_BYTES, SEGMENT_BYTES_MIN, SPARES};
pub use reader::Reader;
pub use record::{Entry, Lsn, Record};
pub use writer::{Checkpoint, Readers, Writer};
