//! What can be told: everything here changes something, and was let in for it.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::{Path, State as Shared},
    http::StatusCode,
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;
use serde_json::{Value, json};
use towpath::{after, rt, select};

use super::{Api, refusal::Refusal};

/// Bytes of what is sent here: a message is small, and a network file of a thousand processes has a tenth of this.
const BODY_BYTES_MAX: usize = 8 << 20;

/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);

/// How long a process has to finish what it has taken when its network changes, if nobody says.
const RELOAD_TIME: Duration = Duration::from_secs(30);

pub(super) async fn pause(
    Shared(api): Shared<Api>,
    Path(process): Path<String>,
) -> Result<Json<Value>, Refusal> {
    api.node.pause(&process)?;
    Ok(Json(json!({"process": process, "paused": true})))
}

pub(super) async fn resume(
    Shared(api): Shared<Api>,
    Path(process): Path<String>,
) -> Result<Json<Value>, Refusal> {
    api.node.resume(&process)?;
    Ok(Json(json!({"process": process, "paused": false})))
}

pub(super) async fn inject(
    Shared(api): Shared<Api>,
    Path(channel): Path<String>,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let message =
        read(body).await?.ok_or_else(|| Refusal::wrong("the body is one message, as JSON"))?;
    api.node.inject(&channel, message)?;
    Ok(Json(json!({"channel": channel, "injected": 1})))
}

pub(super) async fn facet(
    Shared(api): Shared<Api>,
    Path((process, verb)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let facet = api.node.facet(&process)?;
    let verbs = facet.verbs().iter().map(|verb| verb.name);
    if !verbs.clone().any(|name| name == verb) {
        let hint = towpath_patterns::yaml::hint(&verb, verbs);
        let told = format!("`{process}` cannot `{verb}`{hint}");
        return Err(Refusal::new(StatusCode::NOT_FOUND, told));
    }
    let args = read(body).await?.unwrap_or_else(|| json!({}));
    // In a task of its own: what was begun is finished, also when the caller goes.
    let acting = rt::spawn(async move { facet.act(&verb, args).await });
    match acting.await {
        Ok(Ok(result)) => Ok(Json(result)),
        Ok(Err(error)) => Err(Refusal::new(StatusCode::CONFLICT, error.to_string())),
        Err(_) => {
            let told = "the process gave up in the middle; its errors say why";
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, told))
        }
    }
}

/// What is asked of a reload.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Only says what would change.
    #[serde(default)]
    plan: bool,
    /// The new text, in place of what the file has on disk.
    text: Option<String>,
    /// How long each process has to finish what it has taken.
    within_ms: Option<u64>,
}

pub(super) async fn reload(
    Shared(api): Shared<Api>,
    body: Body,
) -> Result<Json<super::Changed>, Refusal> {
    let wanted = read(body).await?.map(serde_json::from_value).transpose();
    let Wanted { plan, text, within_ms } = wanted.map_err(Refusal::wrong)?.unwrap_or_default();
    let within = within_ms.map_or(RELOAD_TIME, Duration::from_millis);
    // In a task of its own: what was begun is finished, also when the caller goes.
    let node = api.node.clone();
    let reloading = rt::spawn(async move { super::reload(&node, text, plan, within).await });
    match reloading.await {
        Ok(Ok(done)) => Ok(Json(done)),
        Ok(Err(error)) => Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())),
        Err(_) => {
            let told = "the reload gave up in the middle; the node's errors say why";
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, told))
        }
    }
}

/// The body as JSON; nothing if it is empty.
async fn read(body: Body) -> Result<Option<Value>, Refusal> {
    let collected = select! { biased;
        collected = select::future(Limited::new(body, BODY_BYTES_MAX).collect()) => collected,
        _ = after(BODY_TIME) => {
            let told = format!("the body took longer than {} s", BODY_TIME.as_secs());
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, told));
        }
    };
    let bytes = match collected {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let told = format!("the body has more than {BODY_BYTES_MAX} bytes");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, told));
        }
        Err(error) => return Err(Refusal::wrong(format!("the body broke off: {error}"))),
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    let value = serde_json::from_slice(&bytes);
    value.map(Some).map_err(|error| Refusal::wrong(format!("the body is no JSON: {error}")))
}
