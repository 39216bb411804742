//! The simulator's own random numbers.
//!
//! Why not a crate: a token that names a seed has to replay in ten years, so the generator may never change, and crates
//! keep the right to change theirs. SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
//! OOPSLA 2014) is five lines, has one word of state, which makes starting a schedule free, and passes BigCrush.

/// A sequence of random numbers that its seed determines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rng {
    state: u64,
}

/// The fractional part of the golden ratio: no multiple of it comes near a whole number soon.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Rng {
    /// The sequence of this seed. Neighbouring seeds have nothing in common.
    #[inline]
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: mix(seed) }
    }

    /// Any number.
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A number below `below`, which is not 0.
    ///
    /// By multiplication instead of division (Lemire, "Fast random integer generation in an interval", 2019), and without
    /// his last correction: no answer is likelier than another by more than `below / 2^64`.
    #[inline]
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(below)) >> 64) as u64
    }

    /// True once in `n` times.
    #[inline]
    pub(crate) fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Every bit of the answer depends on every bit of `z`; no two numbers have the same answer.
#[inline]
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The seed of schedule `number` in the campaign with `seed`.
pub(crate) fn seed_of(seed: u64, number: u64) -> u64 {
    mix(mix(seed).wrapping_add(GAMMA.wrapping_mul(number.wrapping_add(1))))
}
