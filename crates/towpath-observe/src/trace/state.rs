//! The field `tracestate`: a list of what tracing systems added, the newest first.

use std::{error, fmt, sync::Arc};

/// Members of one list.
const MEMBERS_MAX: usize = 32;

/// Bytes of a key without a tenant, and of a value.
const BYTES_MAX: usize = 256;

/// Bytes of the tenant in `tenant@system`, and of the system.
const TENANT_MAX: usize = 241;
const SYSTEM_MAX: usize = 14;

/// What tracing systems added to a trace: keys and values, the one that changed last first. Cloning copies a pointer.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct TraceState(Option<Arc<[Member]>>);

/// A key and its value.
type Member = (Box<str>, Box<str>);

/// Why a `tracestate` is not used.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StateError {
    /// More than 32 members.
    Many,
    /// A member without `=`.
    NoValue {
        /// What stands there.
        member: String,
    },
    /// A key that is none.
    Key {
        /// What stands there.
        key: String,
    },
    /// A value that is none: empty, longer than 256 bytes, or with what is not printable, a comma or `=`.
    Value {
        /// Whose it is.
        key: String,
    },
    /// A key that stands twice.
    Twice {
        /// Which.
        key: String,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Many => write!(f, "`tracestate` has more than {MEMBERS_MAX} members"),
            Self::NoValue { member } => write!(f, "`tracestate` has `{member}` without `=`"),
            Self::Key { key } => write!(
                f,
                "`tracestate` has the key `{key}`: it should be of a-z, 0-9, `_-*/`, perhaps with `@system`, and begin with a letter or digit"
            ),
            Self::Value { key } => write!(
                f,
                "`tracestate` has no good value for `{key}`: 1 to {BYTES_MAX} printable characters, but neither `,` nor `=`"
            ),
            Self::Twice { key } => write!(f, "`tracestate` has `{key}` twice"),
        }
    }
}

impl error::Error for StateError {}

impl TraceState {
    /// Reads the fields of one request, in their order, as if they were one.
    ///
    /// # Errors
    /// [`StateError`] for the first thing that is wrong. Then none of it is to be used.
    pub fn parse<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, StateError> {
        let mut members: Vec<Member> = Vec::new();
        let listed = fields.into_iter().flat_map(|field| field.split(|byte| *byte == b','));
        for member in listed.map(trim).filter(|member| !member.is_empty()) {
            let text = || String::from_utf8_lossy(member).into_owned();
            let equals = member.iter().position(|byte| *byte == b'=');
            let equals = equals.ok_or_else(|| StateError::NoValue { member: text() })?;
            let (key, value) = (&member[..equals], &member[equals + 1..]);
            let name = || String::from_utf8_lossy(key).into_owned();
            if !is_key(key) {
                return Err(StateError::Key { key: name() });
            }
            if !is_value(value) {
                return Err(StateError::Value { key: name() });
            }
            // Both are ASCII by now.
            let (key, value) = (name(), String::from_utf8_lossy(value));
            if members.iter().any(|(known, _)| **known == *key) {
                return Err(StateError::Twice { key });
            }
            if members.len() == MEMBERS_MAX {
                return Err(StateError::Many);
            }
            members.push((key.into(), value.into()));
        }
        Ok(Self((!members.is_empty()).then(|| members.into())))
    }

    /// Whether nobody added anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Keys and values, the one that changed last first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.as_deref().unwrap_or_default().iter().map(|(key, value)| (&**key, &**value))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// The same, with this value for the key, in front. Of a full list the last member goes.
    ///
    /// # Errors
    /// [`StateError::Key`] and [`StateError::Value`], for what cannot be written.
    pub fn with(&self, key: &str, value: &str) -> Result<Self, StateError> {
        if !is_key(key.as_bytes()) {
            return Err(StateError::Key { key: key.to_owned() });
        }
        if !is_value(value.as_bytes()) {
            return Err(StateError::Value { key: key.to_owned() });
        }
        let others = self.iter().filter(|(known, _)| *known != key).take(MEMBERS_MAX - 1);
        let members = std::iter::once((key, value)).chain(others);
        Ok(Self(Some(members.map(|(key, value)| (key.into(), value.into())).collect())))
    }
}

/// As it is sent, in one field.
impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (key, value)) in self.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma}{key}={value}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Without spaces and tabs around it.
pub(super) fn trim(mut field: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = field {
        field = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = field {
        field = rest;
    }
    field
}

fn is_key(key: &[u8]) -> bool {
    let begins = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let goes_on = |byte: &u8| begins(byte) || b"_-*/".contains(byte);
    let is_name = |name: &[u8], max| {
        name.first().is_some_and(begins) && name.len() <= max && name.iter().all(goes_on)
    };
    match key.iter().position(|byte| *byte == b'@') {
        None => is_name(key, BYTES_MAX),
        Some(at) => {
            let (tenant, system) = (&key[..at], &key[at + 1..]);
            is_name(tenant, TENANT_MAX)
                && is_name(system, SYSTEM_MAX)
                && system[0].is_ascii_lowercase()
        }
    }
}

fn is_value(value: &[u8]) -> bool {
    let is_char = |byte: &u8| matches!(byte, b' '..=b'~') && !b",=".contains(byte);
    // A space at the end would not be part of it.
    value.len() <= BYTES_MAX
        && value.iter().all(is_char)
        && value.last().is_some_and(|last| *last != b' ')
}
