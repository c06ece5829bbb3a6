//! The line over HTTPS: the page at `/`, `GET /api/v1/line`, and its changes as server-sent events.

use std::convert::Infallible;

use axum::{
    Router,
    extract::State,
    http::header,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
    routing::get,
};
use futures::StreamExt as _;
use livery_contract::Result;

use super::{feed::Line, page, snapshot};
use crate::http::refusal::Refusal;

/// All routes of the page.
pub(crate) fn routes(line: Line) -> Router {
    Router::new()
        .route("/", get(page::get))
        .route("/api/v1/line", get(picture))
        .route("/api/v1/events", get(events))
        .with_state(line)
}

/// `GET /api/v1/line`.
///
/// # Errors
/// 503 where the database does not answer.
async fn picture(State(line): State<Line>) -> Result<Response, Refusal> {
    let text = snapshot::make(&line.database).await?;
    Ok(([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], text).into_response())
}

/// `GET /api/v1/events`: an event `line` with the whole picture, now and on each change.
async fn events(State(line): State<Line>) -> impl IntoResponse {
    let events = line.watch().map(|text| Ok::<_, Infallible>(Event::default().event("line").data(text.as_ref())));
    ([(header::CACHE_CONTROL, "no-store")], Sse::new(events).keep_alive(KeepAlive::default()))
}
