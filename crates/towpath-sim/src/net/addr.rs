//! Where somebody can be reached.

use std::{fmt, io, ops::Deref, sync::Arc};

/// A host and a port: `store:80`. It is its text, so it goes wherever an address is asked for.
///
/// ```
/// use towpath_sim::net::Addr;
///
/// let addr = Addr::parse("store:80").unwrap();
/// assert_eq!((addr.host(), addr.port(), &*addr), ("store", 80, "store:80"));
/// assert!(Addr::parse("store").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr {
    pub(super) host: Arc<str>,
    port: u16,
    text: Arc<str>,
}

impl Addr {
    pub(super) fn new(host: Arc<str>, port: u16) -> Self {
        let text = format!("{host}:{port}").into();
        Self { host, port, text }
    }

    /// Reads `host:port`.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub fn parse(text: &str) -> io::Result<Self> {
        let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let parsed =
            parts.and_then(|(host, port)| Some(Self::new(host.into(), port.parse().ok()?)));
        parsed.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("not `host:port`: `{text}`"))
        })
    }

    /// The host's name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Deref for Addr {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}
