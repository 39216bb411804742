//! Numbers for the channels, locks and contexts of a schedule, in the order in which they appear.
//!
//! What always holds: an address has one number until something else is made there; a number is given once in a schedule.
//!
//! Why not a map of the standard library: this is asked at every step. Forgetting everything is one addition here.

/// Addresses a table has room for at first, twice as many as it takes; a power of two.
const SLOTS_AT_FIRST: usize = 64;

/// Instead of a number: nothing is there any more.
const GONE: u32 = 0;

/// By address, with open addressing.
pub(super) struct Objects {
    slots: Vec<Slot>,
    /// Slots of other rounds are free.
    round: u32,
    used: usize,
    given: u32,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    address: usize,
    round: u32,
    number: u32,
}

impl Default for Objects {
    fn default() -> Self {
        Self { slots: vec![Slot::default(); SLOTS_AT_FIRST], round: 1, used: 0, given: 0 }
    }
}

impl Objects {
    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.given = 0;
        match self.round.checked_add(1) {
            Some(round) => self.round = round,
            None => *self = Self::default(),
        }
    }

    /// The number of what is at `address`; 0 for 0.
    #[inline]
    pub(super) fn number(&mut self, address: usize) -> u32 {
        if address == 0 {
            return 0;
        }
        let slot = self.slots[self.place(address)];
        if slot.round == self.round && slot.number != GONE {
            slot.number
        } else {
            self.made(address)
        }
    }

    /// What was at `address` has been freed: where memory is used again depends on the allocator, which is no part of a
    /// schedule.
    pub(super) fn gone(&mut self, address: usize) {
        let place = self.place(address);
        if self.slots[place].round == self.round {
            self.slots[place].number = GONE;
        }
    }

    /// Something new is at `address`.
    pub(super) fn made(&mut self, address: usize) -> u32 {
        self.given += 1;
        let (round, number) = (self.round, self.given);
        let place = self.place(address);
        if self.slots[place].round != round {
            self.used += 1;
        }
        self.slots[place] = Slot { address, round, number };
        if self.used * 2 > self.slots.len() {
            self.grow();
        }
        number
    }

    /// Where `address` is, or would be: at most half of the slots are in use, so there is a place.
    #[inline]
    fn place(&self, address: usize) -> usize {
        let last = self.slots.len() - 1;
        // What differs between addresses is in the middle of them; the product has it at the top.
        let mut place = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> 32;
        loop {
            place &= last;
            let slot = &self.slots[place];
            if slot.round != self.round || slot.address == address {
                return place;
            }
            place += 1;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let room = vec![Slot::default(); self.slots.len() * 2];
        let before = std::mem::replace(&mut self.slots, room);
        for slot in before {
            if slot.round == self.round {
                let place = self.place(slot.address);
                self.slots[place] = slot;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_order_of_appearance() {
        let mut objects = Objects::default();
        for round in 0..3 {
            assert_eq!(objects.number(0), 0, "round {round}");
            for number in 1..=500_u32 {
                assert_eq!(objects.number(number as usize * 16), number);
            }
            for number in 1..=500_u32 {
                assert_eq!(objects.number(number as usize * 16), number);
            }
            assert_eq!(objects.made(32), 501, "another object at an address that was used");
            assert_eq!(objects.number(32), 501);
            objects.clear();
        }
    }

    #[test]
    fn what_comes_after_something_gone_is_another() {
        let mut objects = Objects::default();
        assert_eq!((objects.number(16), objects.number(32)), (1, 2));
        objects.gone(16);
        objects.gone(48);
        assert_eq!((objects.number(32), objects.number(16)), (2, 3));
        assert_eq!(objects.number(48), 4);
    }

    #[test]
    fn rounds_do_not_come_back() {
        let mut objects = Objects { round: u32::MAX, ..Objects::default() };
        assert_eq!(objects.number(48), 1);
        objects.clear();
        assert_eq!(objects.number(16), 1);
        assert_eq!(objects.number(48), 2);
    }
}
