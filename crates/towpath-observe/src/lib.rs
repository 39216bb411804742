//! What a running system of processes tells: traces that go through channels.
//!
//! The core carries bytes along with a context and knows no format ([`towpath::Headers`]). Here are the formats: [`trace`] is the
//! W3C's trace context, read strictly and written as it should be.
#![forbid(unsafe_code)]

pub mod trace;
