//! A log from any bytes: read or refused, within small limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_patterns::xes::{Limits, Log};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        markup_bytes_max: 4096,
        depth_max: 16,
        trace_events_max: 100,
        attributes_max: 20,
        log_bytes_max: 1 << 20,
    };
    let mut log = Log::with_limits(bytes, limits);
    while let Ok(Some(trace)) = log.next_trace() {
        assert!(trace.events.len() <= limits.trace_events_max);
    }
});
