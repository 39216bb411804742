//! `tp1-…`: one word that replays a schedule.
//!
//! What always holds:
//! - What is written can be read again and is the same.
//! - A token in which one character was changed, or whose end is missing, is refused.
//! - It has lower-case letters and digits only, without `i`, `l`, `o` and `u`, so it survives chats, shells and people.
//!
//! ```text
//! tp1-  length  content                                     checksum
//!               0 flavour span seed (of 8 bytes)            CRC-16 of all before,
//!               1 then for each forced choice: gap, value   the last two bytes
//! ```
//!
//! Five bits a character. Numbers are varints; a gap counts the default choices in between; a value is kept less 1. The
//! CRC finds every error within 16 bits in a row, so every change of one character.

use std::fmt;

use super::{Flavour, Forced, Plan};

/// Version 1; another one for another meaning of anything below, the strategies' random walks included.
const VERSION: &str = "1";

/// Crockford's digits, in lower case.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

const CHECKSUM_BYTES: usize = 2;

/// What a replay follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The strategy decides again as it did.
    Plan(Plan),
    /// These choices, sorted by position, are not the default.
    Forced(Vec<Forced>),
}

/// Why a word is no token. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    NotAToken,
    Version(String),
    Character(char),
    CutOff {
        have: usize,
        need: usize,
    },
    TooLong {
        have: usize,
        need: usize,
    },
    Checksum,
    /// Its checksum is right and its content is not: written by a version that never was.
    Content,
}

impl std::error::Error for TokenError {}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAToken => {
                write!(f, "not a replay token: one begins with `tp{VERSION}-`; copy the whole word")
            }
            Self::Version(version) => write!(
                f,
                "the token is of version {version} and this simulator reads version {VERSION}: run \
                 the test again for a new token, or replay with the version of towpath-sim that wrote it"
            ),
            Self::Character(character) => write!(
                f,
                "{character:?} is in no token: they have digits and lower-case letters without i, l, o and u; \
                 copy the token again"
            ),
            Self::CutOff { have, need } => write!(
                f,
                "the token is cut off, or mistyped at its beginning: it has {have} of {need} \
                 characters; copy the whole word"
            ),
            Self::TooLong { have, need } => write!(
                f,
                "something follows the token, or it is mistyped at its beginning: it has {have} \
                 characters where {need} belong; copy it again"
            ),
            Self::Checksum => {
                f.write_str("a character of the token is wrong (its checksum says so): copy it again")
            }
            Self::Content => f.write_str("the token makes no sense, though its checksum is right: run the test again for a new one"),
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut content = Vec::new();
        match self {
            Self::Plan(Plan { flavour, span, seed }) => {
                content.push(0);
                content.push(number_of(*flavour));
                write_number(&mut content, *span);
                content.extend_from_slice(&seed.to_le_bytes());
            }
            Self::Forced(forced) => {
                content.push(1);
                let mut next = 0;
                for Forced { at, value } in forced {
                    write_number(&mut content, at - next);
                    write_number(&mut content, value - 1);
                    next = at + 1;
                }
            }
        }
        let mut bytes = Vec::with_capacity(content.len() + 2 + CHECKSUM_BYTES);
        write_number(&mut bytes, content.len() as u64);
        bytes.append(&mut content);
        bytes.extend_from_slice(&crc(&bytes).to_be_bytes());
        write!(f, "tp{VERSION}-{}", letters(&bytes))
    }
}

impl std::str::FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let (head, body) = text.trim().split_once('-').ok_or(TokenError::NotAToken)?;
        let version = head.strip_prefix("tp").ok_or(TokenError::NotAToken)?;
        if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TokenError::NotAToken);
        }
        if version != VERSION {
            return Err(TokenError::Version(version.to_owned()));
        }
        let have = body.chars().count();
        let (bytes, padding) = bytes(body)?;
        let mut rest = bytes.as_slice();
        let length = read_number(&mut rest).ok_or(TokenError::CutOff { have, need: have + 1 })?;
        let head = (bytes.len() - rest.len()) as u64;
        let need = length.saturating_add(head + CHECKSUM_BYTES as u64);
        // Characters for so many bytes, as `letters` writes them.
        let need = usize::try_from(need.saturating_mul(8).div_ceil(5)).unwrap_or(usize::MAX);
        if have != need {
            return Err(if have < need {
                TokenError::CutOff { have, need }
            } else {
                TokenError::TooLong { have, need }
            });
        }
        let (covered, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
        if padding != 0 || crc(covered).to_be_bytes() != checksum {
            return Err(TokenError::Checksum);
        }
        read(&rest[..rest.len() - CHECKSUM_BYTES]).ok_or(TokenError::Content)
    }
}

/// The content between length and checksum.
fn read(mut content: &[u8]) -> Option<Token> {
    let form = content.split_off_first()?;
    match form {
        0 => {
            let flavour = flavour_of(*content.split_off_first()?)?;
            let span = read_number(&mut content)?;
            let seed = u64::from_le_bytes(content.try_into().ok()?);
            Some(Token::Plan(Plan { flavour, span, seed }))
        }
        1 => {
            let mut forced = Vec::new();
            let mut next = 0_u64;
            while !content.is_empty() {
                let at = next.checked_add(read_number(&mut content)?)?;
                let value = read_number(&mut content)?.checked_add(1)?;
                forced.push(Forced { at, value });
                next = at.checked_add(1)?;
            }
            Some(Token::Forced(forced))
        }
        _ => None,
    }
}

/// The numbers of depths begin here.
const PCT: u8 = 16;

fn number_of(flavour: Flavour) -> u8 {
    match flavour {
        Flavour::Even => 1,
        Flavour::Calm => 2,
        Flavour::Starve => 3,
        Flavour::Late => 4,
        Flavour::Early => 5,
        Flavour::Pos => 6,
        Flavour::Exhaustive => 7,
        Flavour::Pct(depth) => PCT.saturating_add(depth),
    }
}

fn flavour_of(number: u8) -> Option<Flavour> {
    Some(match number {
        1 => Flavour::Even,
        2 => Flavour::Calm,
        3 => Flavour::Starve,
        4 => Flavour::Late,
        5 => Flavour::Early,
        6 => Flavour::Pos,
        // An exhaustive schedule has no seed.
        0 | 7..=PCT => return None,
        number => Flavour::Pct(number - PCT),
    })
}

fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// None if the bytes end before the number, or it does not fit.
fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        let part = u64::from(byte & 0x7f);
        if (part << shift) >> shift != part {
            return None;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Five bits a character, the highest first; what is left of the last is 0.
fn letters(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut held, mut bits) = (0_u32, 0);
    let mut letter = |index: u32| text.push(char::from(ALPHABET[index as usize & 31]));
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            letter(held >> bits);
        }
    }
    if bits > 0 {
        letter(held << (5 - bits));
    }
    text
}

/// The bytes, and the bits left over, which are 0 in what [`letters`] writes.
fn bytes(letters: &str) -> Result<(Vec<u8>, u32), TokenError> {
    let mut bytes = Vec::with_capacity(letters.len() * 5 / 8);
    let (mut held, mut bits) = (0_u32, 0);
    for letter in letters.chars() {
        let index = ALPHABET.iter().position(|known| char::from(*known) == letter);
        let index = index.ok_or(TokenError::Character(letter))? as u32;
        held = held << 5 | index;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    Ok((bytes, held))
}

/// CRC-16 with the polynomial of CCITT, begun at all ones.
fn crc(bytes: &[u8]) -> u16 {
    let mut crc = u16::MAX;
    for byte in bytes {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            let carry = crc & 0x8000 != 0;
            crc <<= 1;
            if carry {
                crc ^= 0x1021;
            }
        }
    }
    crc
}
