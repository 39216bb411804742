//! Keys in messages: the number or the word by which messages belong together.
//!
//! What always holds: two messages have the same key if their JSON has the same number or the same word; a number and a word that
//! looks like it are two keys. What comes out again is what went in.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A key: sixteen bytes, and those of its word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Key {
    Number(i64),
    Word(Box<str>),
}

impl Key {
    /// The key that a field of a message has.
    ///
    /// # Errors
    /// In words: the field is not there, or no key.
    pub(super) fn of(message: &Value, field: &str) -> Result<Self, String> {
        let Some(value) = message.get(field) else {
            return Err(format!("the message has no field `{field}`, which is its key"));
        };
        Self::from_value(value).ok_or_else(|| {
            format!("field `{field}` is the message's key, so it is a whole number or a word of at least one letter")
        })
    }

    /// The key that a value is: a whole number, or a word.
    pub(super) fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_i64().map(Self::Number),
            Value::String(word) if !word.is_empty() => Some(Self::Word(word.as_str().into())),
            _ => None,
        }
    }

    /// As it was in its message.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Word(word) => Value::from(&**word),
        }
    }

    /// As a word of somebody's query: of a number that is also how it is written.
    pub(super) fn is(&self, text: &str) -> bool {
        match self {
            Self::Number(number) => text.parse() == Ok(*number),
            Self::Word(word) => **word == *text,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Word(word) => word.fmt(f),
        }
    }
}

/// A number for the id that a message has, if it has one: itself if it is a number, else 64 bits of its text. Two texts of one key that
/// have the same number are one in 2^64 pairs.
///
/// # Errors
/// In words: it is no id.
pub(super) fn id_of(message: &Value, field: &str) -> Result<Option<u64>, String> {
    match message.get(field) {
        Some(Value::Number(number)) if number.is_u64() => Ok(number.as_u64()),
        Some(Value::String(word)) if !word.is_empty() => Ok(Some(hash(word.as_bytes()))),
        Some(Value::Null) | None => Ok(None),
        Some(_) => Err(format!(
            "field `{field}` is the message's id, so it is a number that counts, or a word"
        )),
    }
}

/// FNV-1a: small, and the same everywhere and for ever, as what is in a journal must be.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_and_words_are_keys_and_come_out_as_they_went_in() {
        assert_eq!(size_of::<Key>(), 16);
        for value in [json!(7), json!(-7), json!("7"), json!("ride 7")] {
            let key = Key::of(&json!({"ride": value}), "ride").unwrap();
            assert_eq!(key.to_value(), value);
            let bytes = postcard::to_allocvec(&key).unwrap();
            assert_eq!(postcard::from_bytes::<Key>(&bytes).unwrap(), key);
        }
        assert_ne!(Key::from_value(&json!(7)), Key::from_value(&json!("7")));
        assert!(Key::Number(7).is("7") && Key::Word("7".into()).is("7"));
        for value in [json!(7.5), json!(""), json!(null), json!([1]), json!(u64::MAX)] {
            assert!(Key::of(&json!({"ride": value}), "ride").unwrap_err().contains("`ride`"));
        }
        assert_eq!(
            Key::of(&json!(3), "ride").unwrap_err(),
            "the message has no field `ride`, which is its key"
        );
    }

    #[test]
    fn ids_are_numbers_or_words() {
        assert_eq!(id_of(&json!({"id": 7}), "id"), Ok(Some(7)));
        assert_eq!(id_of(&json!({"id": "a"}), "id"), Ok(Some(0xaf63_dc4c_8601_ec8c)));
        assert!(id_of(&json!({"id": -7}), "id").unwrap_err().contains("`id`"));
        assert_eq!(id_of(&json!({}), "id"), Ok(None));
    }
}
