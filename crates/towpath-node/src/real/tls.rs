//! TLS by rustls: the certificate that a door shows, which can be read again while the door is open, and whom a client believes.
//!
//! What always holds:
//! - A door has one certificate and the key that belongs to it, at any time: files that do not fit together change nothing.
//! - A client believes the roots that it was given, or the system's if it was given none, and nobody else. Nothing turns that off.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ClientConfig, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
};

use crate::home::{Again, Renews};

/// A certificate and its key, in files.
pub(crate) struct Pair {
    cert: PathBuf,
    key: PathBuf,
    current: Mutex<Arc<CertifiedKey>>,
}

impl Pair {
    /// Reads it.
    ///
    /// # Errors
    /// In words: a file cannot be read, or has nothing of the kind in it, or they do not belong together.
    pub(crate) fn read(cert: &Path, key: &Path) -> Result<Arc<Self>, String> {
        let current = Mutex::new(load(cert, key)?);
        Ok(Arc::new(Self { cert: cert.to_owned(), key: key.to_owned(), current }))
    }

    fn now(&self) -> Arc<CertifiedKey> {
        // Nothing panics under it.
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a server does with it: TLS 1.2 and 1.3. Which HTTP it speaks is for the caller to say.
    ///
    /// # Errors
    /// Never with what is built in here.
    pub(crate) fn config(self: &Arc<Self>) -> Result<ServerConfig, String> {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        Ok(config.with_no_client_auth().with_cert_resolver(self.clone()))
    }
}

impl Renews for Pair {
    fn read_again(self: Arc<Self>) -> Result<Option<Again>, String> {
        let (fresh, old) = (load(&self.cert, &self.key)?, self.now());
        if fresh.cert == old.cert {
            return Ok(None);
        }
        let told = format!("certificate {} was read again", self.cert.display());
        let change = Box::new(move || {
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        });
        Ok(Some(Again { told, change }))
    }
}

impl ResolvesServerCert for Pair {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("cert", &self.cert).finish_non_exhaustive()
    }
}

fn load(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, String> {
    let chain = certificates(cert)?;
    let pem = read(key, "the key")?;
    let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
        format!(
            "{} has no private key that can be used ({error}): it is a PEM file with BEGIN PRIVATE KEY in it, not encrypted",
            key.display()
        )
    })?;
    let pair = CertifiedKey::from_der(chain, private, &ring::default_provider());
    pair.map(Arc::new).map_err(|error| {
        format!(
            "{} and {} cannot be used together: {error}; the first certificate in the file has to be the one of that key",
            cert.display(),
            key.display()
        )
    })
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>, String> {
    fs::read(path)
        .map_err(|error| format!("{what} cannot be read from {}: {error}", path.display()))
}

/// Those in a PEM file; one at least.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(path, "the certificate")?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = read.map_err(|error| format!("{} is no PEM file: {error}", path.display()))?;
    if all.is_empty() {
        let path = path.display();
        return Err(format!(
            "{path} has no certificate in it: it is a PEM file with BEGIN CERTIFICATE"
        ));
    }
    Ok(all)
}

/// What a client uses that believes the roots in this file, or those of the system.
///
/// # Errors
/// In words: the file is none of roots, or the system has none.
pub(crate) fn connector(roots: Option<&Path>) -> Result<TlsConnector, String> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(path) => {
            for root in certificates(path)? {
                store.add(root).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                let why = found.errors.first().map(|error| format!(" ({error})"));
                return Err(format!(
                    "this system has no root certificates{}: install them (ca-certificates), or name a file with your own",
                    why.unwrap_or_default()
                ));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(store).with_no_client_auth())))
}

/// The name in `host:port` that a certificate has to be for.
///
/// # Errors
/// It is no name and no address.
pub(crate) fn name_of(authority: &str) -> Result<ServerName<'static>, String> {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned())
        .map_err(|_| format!("`{host}` is no name of a host that a certificate can be for"))
}

/// Why there is no connection; `way` is how to name roots of one's own.
pub(crate) fn told(error: &io::Error, way: &str) -> String {
    let inner = error.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>());
    let hint = match inner {
        // The second is what one gets of another authority of the same name.
        Some(rustls::Error::InvalidCertificate(
            rustls::CertificateError::UnknownIssuer | rustls::CertificateError::BadSignature,
        )) => {
            format!(": if it is of an authority of your own, say so with {way}")
        }
        Some(rustls::Error::InvalidMessage(_)) => ": does it speak TLS?".to_owned(),
        _ => String::new(),
    };
    format!("{error}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Made {
        folder: tempfile::TempDir,
    }

    impl Made {
        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn pair(&self, name: &str) -> (PathBuf, PathBuf) {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let paths = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
            fs::write(&paths.0, made.cert.pem()).unwrap();
            fs::write(&paths.1, made.signing_key.serialize_pem()).unwrap();
            paths
        }
    }

    #[test]
    fn files_that_cannot_be_used_are_told() {
        let made = Made { folder: tempfile::tempdir().unwrap() };
        let ((cert, key), (other, _)) = (made.pair("a"), made.pair("b"));
        let (none, junk) = (made.path("none"), made.path("junk"));
        fs::write(&junk, "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n").unwrap();
        for (cert, key, expected) in [
            (&none, &key, "the certificate cannot be read from"),
            (&cert, &none, "the key cannot be read from"),
            (&key, &key, "has no certificate in it"),
            (&cert, &cert, "has no private key that can be used"),
            (&other, &key, "cannot be used together"),
            (&junk, &key, "is no PEM file"),
        ] {
            let why = Pair::read(cert, key).unwrap_err();
            assert!(why.contains(expected), "{expected}: {why}");
        }
        assert!(connector(Some(&key)).err().unwrap().contains("has no certificate in it"));
        assert!(connector(Some(&cert)).is_ok());
    }

    #[test]
    fn what_is_read_again_changes_when_it_is_right_and_not_before() {
        let made = Made { folder: tempfile::tempdir().unwrap() };
        let ((cert, key), (other, other_key)) = (made.pair("a"), made.pair("b"));
        let pair = Pair::read(&cert, &key).unwrap();
        let first = pair.now();
        assert!(pair.clone().read_again().unwrap().is_none(), "nothing is new");
        fs::copy(&other, &cert).unwrap();
        assert!(pair.clone().read_again().is_err(), "the key is still that of the old one");
        fs::copy(&other_key, &key).unwrap();
        let again = pair.clone().read_again().unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &pair.now()), "not yet");
        (again.change)();
        assert_ne!(first.cert, pair.now().cert);
    }

    #[test]
    fn names_are_those_of_hosts() {
        for (authority, expected) in
            [("a.example:443", true), ("127.0.0.1:1", true), ("[::1]:1", true), ("a b:1", false)]
        {
            assert_eq!(name_of(authority).is_ok(), expected, "{authority}");
        }
    }
}
