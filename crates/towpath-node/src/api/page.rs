//! The dashboard: files that the program carries. They have nothing secret in them; what they show they ask the API for.

use axum::{
    Extension,
    extract::State as Shared,
    http::{
        HeaderMap, Method, StatusCode, Uri,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    },
    response::{IntoResponse, Response},
};

use super::{Api, Door, nothing, wrong_method};
use crate::ui::{self, CACHE, POLICY};

/// A file of the page, or the answer that there is none.
pub(super) async fn page(
    Shared(api): Shared<Api>,
    Extension(door): Extension<Door>,
    method: Method,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if let Err(refusal) = api.keys.check_host(door, &headers) {
        return refusal.into_response();
    }
    let Some(asset) = ui::asset(uri.path()) else { return nothing(uri).await.into_response() };
    if method != Method::GET && method != Method::HEAD {
        return wrong_method().await.into_response();
    }
    let said = [
        (CACHE_CONTROL, CACHE),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CONTENT_TYPE, asset.content_type),
        (ETAG, &*asset.etag),
    ];
    if headers.get(IF_NONE_MATCH).is_some_and(|it| it.as_bytes() == asset.etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, said).into_response();
    }
    (said, asset.body).into_response()
}
