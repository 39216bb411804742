//! TLS: what is agreed on, and clients that do not speak it.

use std::{sync::Arc, time::Duration};

use http::{Request, Response, Version};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use towpath_patterns::gateway::http::{Asked, Body, Server, Tls};

use super::{
    support::{Client, limits, patient, run, start, until},
    two::{Full, driven},
};

struct Pair {
    certificate: String,
    key: String,
}

fn pair() -> Pair {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Pair { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

async fn says(asked: Asked) -> Response<Body> {
    Response::new(Body::from(format!("{:?}", asked.request.version())))
}

#[test]
fn the_handshake_says_which_http_it_is() {
    run(|s| async move {
        let pair = pair();
        let tls = Tls::from_pem(pair.certificate.as_bytes(), pair.key.as_bytes())?;
        let address = start(&s, &Server::new(says).with_tls(tls));
        for (alpn, expected) in [
            (&b"h2"[..], Version::HTTP_2),
            (b"http/1.1", Version::HTTP_11),
            (b"", Version::HTTP_11),
        ] {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(pair.certificate.as_bytes())?)?;
            let mut config =
                ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                    .with_safe_default_protocol_versions()?
                    .with_root_certificates(roots)
                    .with_no_client_auth();
            config.alpn_protocols = if alpn.is_empty() { Vec::new() } else { vec![alpn.to_vec()] };
            let socket = TcpStream::connect(address).await?;
            let name = ServerName::try_from("localhost")?;
            let io =
                TokioIo::new(TlsConnector::from(Arc::new(config)).connect(name, socket).await?);
            let body = if expected == Version::HTTP_2 {
                driven(&s, io, Request::get("https://localhost/").body(Full::default())?).await?.1
            } else {
                let (mut send, conn) = hyper::client::conn::http1::handshake(io).await?;
                s.spawn("client", move |_| async move { drop(conn.await) });
                let request = Request::get("/").header("host", "localhost").body(Full::default())?;
                super::two::collect(send.send_request(request).await?.into_body()).await?
            };
            assert_eq!(body, Bytes::from(format!("{expected:?}")));
        }
        Ok(())
    });
}

#[test]
fn who_shakes_no_hands_is_closed() {
    run(|s| async move {
        let pair = pair();
        let tls = Tls::from_pem(pair.certificate.as_bytes(), pair.key.as_bytes())?;
        let limits = limits(|it| it.header_time = Duration::from_millis(200));
        let server = Server::new(says).with_tls(tls).with_limits(limits);
        let address = start(&s, &server);
        let mut plain = Client::new(address).await;
        plain.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(!plain.rest().await.contains("HTTP"));
        patient(Client::new(address).await.rest()).await;
        until(&server, |it| it.handshakes_failed == 2 && it.connections == 0).await;
        Ok(())
    });
}

#[test]
fn what_is_no_certificate_is_refused_with_its_name() {
    let pair = pair();
    let cases = [
        (pair.certificate.as_str(), "no key", "private key"),
        ("", pair.key.as_str(), "pair"),
        (
            "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
            pair.key.as_str(),
            "certificates",
        ),
    ];
    for (certificate, key, part) in cases {
        let error = Tls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}
