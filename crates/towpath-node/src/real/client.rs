//! Asks a node over HTTP: by its socket file, or by TCP.

use std::{io, path::PathBuf};

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::{
    Method, Request, Response,
    body::Incoming,
    client::conn::http1,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use towpath::BoxError;

use super::tls;

/// Where a node is.
#[derive(Clone)]
pub(crate) enum Target {
    /// At its socket file.
    Socket(PathBuf),
    /// At an address, with a token.
    Tcp {
        /// Host and port.
        authority: String,
        /// What its API wants to see.
        token: Option<String>,
        /// It speaks TLS.
        tls: Option<Trust>,
    },
}

/// Whom to believe.
#[derive(Clone)]
pub(crate) struct Trust {
    /// The roots, in PEM; without them the system's.
    pub(crate) roots: Option<PathBuf>,
}

/// An answer, whose body comes as it comes.
pub(crate) struct Answer {
    pub(crate) status: u16,
    body: Incoming,
}

/// Asks; the answer's body is still to come.
///
/// # Errors
/// The system's, when nobody is there; and what is wrong with the connection.
pub(crate) async fn ask(
    target: &Target,
    method: Method,
    path: &str,
    body: Option<String>,
) -> Result<Answer, BoxError> {
    let mut request = Request::builder().method(method).uri(path);
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let body = body.map_or_else(Body::empty, Body::from);
    let response = match target {
        Target::Socket(path) => {
            let request = request.header(HOST, "localhost").body(body)?;
            exchange(UnixStream::connect(path).await?, request).await?
        }
        Target::Tcp { authority, token, tls } => {
            let mut request = request.header(HOST, authority);
            if let Some(token) = token {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            let request = request.body(body)?;
            let port = if tls.is_some() { ":443" } else { ":80" };
            let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
            let at = if has_port { authority.clone() } else { format!("{authority}{port}") };
            let stream = TcpStream::connect(&at).await?;
            match tls {
                None => exchange(stream, request).await?,
                Some(Trust { roots }) => {
                    let connector = tls::connector(roots.as_deref())?;
                    let name = tls::name_of(&at)?;
                    let shaken = connector.connect(name, stream).await;
                    exchange(shaken.map_err(|error| tls::told(&error, "--roots FILE"))?, request)
                        .await?
                }
            }
        }
    };
    let (head, body) = response.into_parts();
    Ok(Answer { status: head.status.as_u16(), body })
}

async fn exchange<S>(stream: S, request: Request<Body>) -> Result<Response<Incoming>, BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the connection; what goes wrong with that, the request or its body is told.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

impl Answer {
    /// The whole body.
    ///
    /// # Errors
    /// The connection breaks off.
    pub(crate) async fn text(self) -> Result<String, BoxError> {
        let bytes = self.body.collect().await?.to_bytes();
        Ok(String::from_utf8(bytes.into())?)
    }

    /// What comes next of the body, in parts of any size.
    ///
    /// # Errors
    /// The connection breaks off.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, BoxError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data.into()));
                    }
                }
            }
        }
    }
}

/// Nobody is there, as opposed to somebody who says no.
pub(crate) fn is_nobody_there(error: &BoxError) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| matches!(error.kind(), ConnectionRefused | NotFound))
}
