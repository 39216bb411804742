//! A segmented append log with group commit: what must survive.
//!
//! One [`Writer`] appends records; [`Writer::commit`] makes all of them durable at once. A [`Reader`] follows it live.
#![forbid(unsafe_code)]

mod disk;
mod error;
mod reader;
mod record;
mod writer;

pub use disk::{Disk, File, Opening, RealDisk};
pub use error::{Error, ErrorKind};
pub use reader::Reader;
pub use record::{Entry, Lsn, Record};
pub use writer::{Checkpoint, Options, Writer};
