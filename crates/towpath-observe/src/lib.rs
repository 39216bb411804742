//! What a running system of processes tells: metrics, and traces that go through channels.
//!
//! The core shows what there is ([`towpath::observe`]), tells what happens ([`towpath::probe`]) and carries bytes along with a context
//! ([`towpath::Headers`]); it knows no format. Here are the formats:
//!
//! - [`metrics`]: channels, processes and waits as OpenMetrics text.
//! - [`span`]: what was done for one message on its way, sampled, and the last of it kept to be looked at.
//! - [`trace`]: the W3C's trace context, read strictly and written as it should be.
//! - `otlp` (feature `otlp`): spans sent to an OpenTelemetry collector.
#![forbid(unsafe_code)]

pub mod metrics;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod span;
pub mod trace;
