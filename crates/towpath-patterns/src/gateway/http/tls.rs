//! TLS by rustls with ring, and what is agreed on in its handshake.
//!
//! Why ring: a bare machine compiles it with the C compiler that a linker needs anyway. aws-lc may ask for cmake, and is slower to build.

use std::{io, sync::Arc};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// HTTP/2 in the handshake.
pub(super) const H2: &[u8] = b"h2";
/// HTTP/1.1 in the handshake.
const HTTP_11: &[u8] = b"http/1.1";

/// A server's certificate and key. Cloning copies a pointer.
#[derive(Clone)]
pub struct Tls(pub(super) TlsAcceptor);

impl Tls {
    /// From PEM: the certificates, the server's own first, and its private key. Offers TLS 1.2 and 1.3, and HTTP/2 before HTTP/1.1.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when one of them is no PEM, there is none, or the key is not the certificate's.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> io::Result<Self> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|error| invalid("certificates", &error))?;
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|error| invalid("private key", &error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| invalid("pair of certificate and key", &error))?;
        Ok(Self::with_config(config))
    }

    /// With a configuration of your own, such as one that asks clients for certificates. Its ALPN is set here.
    pub fn with_config(mut config: ServerConfig) -> Self {
        config.alpn_protocols = vec![H2.to_vec(), HTTP_11.to_vec()];
        Self(TlsAcceptor::from(Arc::new(config)))
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn invalid(what: &str, error: &dyn std::error::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the {what} cannot be used: {error}"))
}
