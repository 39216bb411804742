//! What can be looked at.

use std::{collections::BTreeMap, fs};

use axum::{
    Extension, Json,
    extract::{Path, State as Shared},
    http::{StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use towpath_observe::{metrics::CONTENT_TYPE as CONTENT, span::Trace};

use super::{Api, Rights, query, refusal::Refusal};
use crate::{
    draw::Drawing,
    facet::Query,
    state::{ErrorState, State, Status, Stuck, Why},
};

pub(super) async fn state(
    Shared(api): Shared<Api>,
    Extension(rights): Extension<Rights>,
) -> Json<State> {
    let mut state = api.node.state();
    state.read_only = !rights.change;
    Json(state)
}

pub(super) async fn graph(Shared(api): Shared<Api>) -> Json<Drawing> {
    let Api { node, .. } = &api;
    Json(Drawing::of(&node.file(), &node.graph(), node.registry()))
}

pub(super) async fn why(
    Shared(api): Shared<Api>,
    Path(process): Path<String>,
) -> Result<Json<Why>, Refusal> {
    Ok(Json(api.node.why(&process)?))
}

pub(super) async fn stuck(Shared(api): Shared<Api>) -> Json<Vec<Stuck>> {
    Json(api.node.state().stuck)
}

pub(super) async fn dump(Shared(api): Shared<Api>) -> String {
    api.node.dump()
}

pub(super) async fn errors(Shared(api): Shared<Api>, uri: Uri) -> Json<Vec<ErrorState>> {
    Json(api.node.errors(Query::new(query(&uri)).limit()))
}

pub(super) async fn traces(Shared(api): Shared<Api>, uri: Uri) -> Json<Vec<Trace>> {
    Json(api.node.traces(Query::new(query(&uri)).limit()))
}

pub(super) async fn config(Shared(api): Shared<Api>) -> Json<Value> {
    let file = api.node.file();
    let on_disk = fs::read_to_string(&file.path).ok();
    Json(json!({
        "path": file.path,
        "text": file.text,
        "on_disk_differs": on_disk.is_none_or(|text| text != file.text),
    }))
}

pub(super) async fn facets(Shared(api): Shared<Api>) -> Json<Value> {
    let facets = api.node.facets().into_iter();
    Json(
        facets
            .map(|(process, facet)| {
                json!({"process": process, "kind": facet.kind(), "verbs": facet.verbs()})
            })
            .collect(),
    )
}

pub(super) async fn facet(
    Shared(api): Shared<Api>,
    Extension(rights): Extension<Rights>,
    Path(process): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let facet = api.node.facet(&process)?;
    let mut words: BTreeMap<String, String> = query(&uri).collect();
    // Whether payloads may be seen is not the caller's to say.
    words.insert("payloads".to_owned(), rights.payloads.to_string());
    Ok(Json(facet.show(&Query::new(words))))
}

pub(super) async fn metrics(Shared(api): Shared<Api>) -> Response {
    ([(CONTENT_TYPE, CONTENT)], api.node.scrape()).into_response()
}

/// Whether the program lives.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether work may be sent here.
pub(super) async fn readyz(Shared(api): Shared<Api>) -> (StatusCode, &'static str) {
    match api.node.status() {
        Status::Running | Status::Reloading => (StatusCode::OK, "ready\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "takes nothing more\n"),
    }
}
