//! Ways in for the fuzz targets, to what reads bytes and is nobody else's to call.

use crate::components::{file, http::body};

/// A body of a request: read or refused, and what is read has keys that fit.
pub fn http_intake(bytes: &[u8]) {
    body::fuzz(bytes);
}

/// A file of records: however its bytes come, it is the same records, in bounded memory.
pub fn records(bytes: &[u8]) {
    file::fuzz(bytes);
}
