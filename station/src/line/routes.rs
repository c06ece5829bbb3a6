//! The line over HTTPS: the page, the same as JSON, and the changes of both as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
    routing::get,
};
use futures::StreamExt as _;
use livery_contract::Result;

use super::{feed::Line, page, picture::Picture, task::BEAT, view::View};
use crate::http::refusal::Refusal;

/// How old a picture may be that a viewer gets: one that was missed. After two, something is wrong.
const FRESH: Duration = Duration::from_secs(2 * BEAT.as_secs());

/// All routes of the page.
pub(crate) fn routes(line: Line) -> Router {
    Router::new()
        .route("/", get(whole))
        .route("/line/picture", get(update))
        .route("/line/changes", get(changes))
        .route("/api/v1/line", get(picture))
        .route("/api/v1/events", get(events))
        .with_state(line)
}

/// `GET /`: the page, with the picture of now. Where the database does not answer, a page that says so and tries again.
///
/// # Errors
/// 500 where the page does not render.
async fn whole(State(line): State<Line>) -> Result<Response, Refusal> {
    let (status, view) = match super::snapshot::take(&line.database).await {
        Ok(snapshot) => (StatusCode::OK, View::of(&snapshot)),
        Err(fault) => {
            tracing::error!("the page has no picture: {}", fault.render());
            (StatusCode::SERVICE_UNAVAILABLE, View::absent("The station cannot read its database. Trying again.".into()))
        }
    };
    Ok((status, page::headers(), page::whole(&view)?).into_response())
}

/// `GET /line/picture`: what the page's script takes over. The latest picture, as long as the station keeps drawing.
///
/// # Errors
/// 503 where the database does not answer.
async fn update(State(line): State<Line>) -> Result<Response, Refusal> {
    let latest = line.latest().filter(|picture| picture.drawn.elapsed() < FRESH);
    let picture = match latest {
        Some(picture) => picture,
        None => Picture::draw(&line.database).await?,
    };
    Ok((page::headers(), picture.html).into_response())
}

/// `GET /line/changes`: an event `picture`, with its time, whenever there is another one.
async fn changes(State(line): State<Line>) -> impl IntoResponse {
    stream(&line, |picture| Event::default().event("picture").data(&picture.clock))
}

/// `GET /api/v1/line`.
///
/// # Errors
/// 503 where the database does not answer.
async fn picture(State(line): State<Line>) -> Result<Response, Refusal> {
    let picture = Picture::draw(&line.database).await?;
    Ok(([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], picture.json).into_response())
}

/// `GET /api/v1/events`: an event `line` with the whole picture, now and on each change.
async fn events(State(line): State<Line>) -> impl IntoResponse {
    stream(&line, |picture| Event::default().event("line").data(String::from_utf8_lossy(&picture.json)))
}

fn stream(line: &Line, event: fn(&Picture) -> Event) -> impl IntoResponse + use<> {
    let events = line.watch().map(move |picture| Ok::<_, Infallible>(event(&picture)));
    ([(header::CACHE_CONTROL, "no-store")], Sse::new(events).keep_alive(KeepAlive::default()))
}
