//! A fingerprint of what a schedule did: two runs of the same choices that differ anywhere differ here.

use std::{panic::Location, time::Duration};

use towpath::rt::sim::Op;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trace(u64);

impl Trace {
    #[inline]
    pub(super) fn step(
        &mut self,
        task: u32,
        op: Op,
        object: u32,
        at: Option<&'static Location<'static>>,
    ) {
        // Lines and not addresses, so that it is the same in another process.
        let place = at.map_or(0, |at| u64::from(at.line()) << 12 ^ u64::from(at.column()));
        self.mix(u64::from(task) << 40 ^ u64::from(object) << 8 ^ op as u64);
        self.mix(place);
    }

    #[inline]
    pub(super) fn choice(&mut self, value: u64) {
        self.mix(value ^ 1 << 63);
    }

    /// Time has passed.
    #[inline]
    pub(super) fn jump(&mut self, time: Duration) {
        self.mix(time.as_nanos() as u64);
    }

    /// The schedule is over.
    pub(super) fn end(&mut self, time: Duration, failed: bool) {
        self.jump(time);
        self.mix(u64::from(failed));
    }

    pub(super) fn hash(self) -> u64 {
        self.0
    }

    /// As rustc's own hasher; good enough to tell runs apart.
    #[inline]
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word ^ 0x9e37_79b9_7f4a_7c15)
            .wrapping_mul(0xf135_7aea_2e62_a9c5);
    }
}
