//! Requests for the workers of a [`Gateway`].

use std::fmt;

use bytes::Bytes;
use http::{Request, Response, StatusCode};

use super::{
    answer,
    body::Body,
    handler::{Asked, Handler},
};
use crate::gateway::{Gateway, Refused};

/// Hands requests, with their bodies, to the workers of a gateway, and gives their answers.
///
/// | the gateway says | the client gets |
/// |---|---|
/// | [`Refused::Overloaded`] | 503 with `Retry-After` |
/// | [`Refused::Late`] | 504 |
/// | [`Refused::Died`] | 500 |
/// | [`Refused::Stopped`] | 503 with `Retry-After` |
///
/// When the client leaves, the call's context ends.
#[derive(Clone)]
pub struct Workers {
    gateway: Gateway<Request<Bytes>, Response<Bytes>>,
}

impl Workers {
    /// Those of this gateway.
    pub fn new(gateway: Gateway<Request<Bytes>, Response<Bytes>>) -> Self {
        Self { gateway }
    }
}

/// After which another instance, or this one, may take calls again.
const STOPPED_RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(5);

impl Handler for Workers {
    async fn handle(&self, asked: Asked) -> Response<Body> {
        let ctx = asked.ctx();
        let (head, body) = asked.request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body,
            Err(why) => return answer::bad_body(why),
        };
        match self.gateway.call(&ctx, Request::from_parts(head, body)).await {
            Ok(response) => response.map(Body::from),
            Err(Refused::Overloaded { retry_after }) => answer::overloaded(retry_after),
            Err(Refused::Stopped) => answer::overloaded(STOPPED_RETRY_AFTER),
            Err(Refused::Late) => answer::late(),
            // It gave up as its context told it to.
            Err(Refused::Died) if ctx.is_done() => answer::late(),
            Err(Refused::Left | Refused::Died) => answer::plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "not answered: a mistake of ours; tell us what you asked\n",
            ),
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("gateway", &self.gateway).finish()
    }
}
