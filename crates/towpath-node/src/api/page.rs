//! The dashboard: files that the program carries. They have nothing secret in them; what they show they ask the API for.

use axum::{
    Extension,
    extract::State as Shared,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};

use super::{Api, Door};

/// A file of the page, or the answer that there is none.
pub(super) async fn page(
    Shared(api): Shared<Api>,
    Extension(door): Extension<Door>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if let Err(refusal) = api.keys.check_host(door, &headers) {
        return refusal.into_response();
    }
    super::nothing(uri).await.into_response()
}
