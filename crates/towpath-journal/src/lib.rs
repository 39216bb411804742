//! A segmented append log with group commit: what must survive.
//!
//! One [`Writer`] appends records; [`Writer::commit`] makes all of them durable at once. A [`Reader`] follows it live.
#![forbid(unsafe_code)]

mod cursor;
mod disk;
mod error;
pub mod format;
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
pub use options::{Options, SEGMENT_BYTES, SEGMENT_BYTES_MIN, SPARES};
pub use reader::Reader;
pub use record::{Entry, Lsn, Record};
pub use writer::{Checkpoint, Readers, Writer};
