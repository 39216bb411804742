//! Numbers in as few bytes as they need: seven bits a byte, the lowest first; the top bit says that more follow.
//!
//! LEB128, as in DWARF. The records of sagas and of dead letters are made of such numbers; each format says itself what it makes
//! of one that is written longer than it need be.

/// A number that was read.
pub(crate) struct Number {
    pub(crate) value: u64,
    /// Whether it could not have been written shorter.
    pub(crate) is_shortest: bool,
}

/// Why there is no number.
pub(crate) enum NoNumber {
    /// The bytes end in it.
    Cut,
    /// It has more than 64 bits.
    TooLarge,
}

/// Appends a number.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number from the front of some bytes.
pub(crate) fn take(bytes: &mut &[u8]) -> Result<Number, NoNumber> {
    let mut value = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(NoNumber::Cut)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits.leading_zeros() < shift {
            break;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok(Number { value, is_shortest: shift == 0 || bits != 0 });
        }
    }
    Err(NoNumber::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_comes_back() {
        for bits in 0..=u64::BITS {
            let number = u64::MAX.checked_shr(u64::BITS - bits).unwrap_or(0);
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            let mut rest = &bytes[..];
            let read = take(&mut rest);
            assert!(matches!(read, Ok(Number { value, is_shortest: true }) if value == number));
            assert!(rest.is_empty(), "{bits} bits");
            assert!(matches!(take(&mut &bytes[..bytes.len() - 1]), Err(NoNumber::Cut)));
        }
    }

    #[test]
    fn what_is_too_long_or_too_large_is_told() {
        assert!(matches!(take(&mut &[0x80, 0][..]), Ok(Number { value: 0, is_shortest: false })));
        let mut bytes = [0xff; 10];
        bytes[9] = 2;
        assert!(matches!(take(&mut &bytes[..]), Err(NoNumber::TooLarge)));
        assert!(matches!(take(&mut &[0x80; 11][..]), Err(NoNumber::TooLarge)));
    }
}
