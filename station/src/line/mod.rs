//! The line as people see it: the live page at `/`, `GET /api/v1/line`, and its changes as server-sent events.
//!
//! One task makes the snapshot, on a change (at most twice a second) or every few seconds; all viewers share its text.

pub mod page;
pub mod snapshot;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::header,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::{Notify, watch};

use crate::{Shared, answer::Refusal};

/// The least time between two snapshots.
const GAP: Duration = Duration::from_millis(500);
/// The most time between two: devices fall silent, the day ends, and viewers must know that we are alive.
const BEAT: Duration = Duration::from_secs(4);

/// Where snapshots go from the task that makes them to those who watch.
#[derive(Debug)]
pub struct Line {
    changed: Notify,
    latest: watch::Sender<Arc<str>>,
    stopped: watch::Sender<bool>,
}

impl Default for Line {
    fn default() -> Self {
        Self { changed: Notify::new(), latest: watch::Sender::new("{}".into()), stopped: watch::Sender::new(false) }
    }
}

impl Line {
    /// Something changed that the page shows.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// Ends all event streams, which would keep a server from stopping.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// What viewers get, one after another, beginning with the latest.
    fn watch(&self) -> impl Stream<Item = Arc<str>> + Send + use<> {
        let first = self.latest.borrow().clone();
        let state = (self.latest.subscribe(), self.stopped.subscribe());
        let rest = stream::unfold(state, |(mut latest, mut stopped)| async move {
            if *stopped.borrow() {
                return None;
            }
            tokio::select! {
                changed = latest.changed() => changed.ok()?,
                _ = stopped.changed() => return None,
            }
            let text = latest.borrow_and_update().clone();
            Some((text, (latest, stopped)))
        });
        stream::once(async move { first }).chain(rest)
    }
}

/// Makes snapshots until the line is stopped.
pub async fn run(station: Shared) {
    let mut stopped = station.line.stopped.subscribe();
    loop {
        match snapshot::make(&station).await {
            Ok(text) => {
                station.line.latest.send_replace(text.into());
            }
            // Said in the log; viewers see that the picture has stopped.
            Err(fault) => tracing::error!("the line's picture cannot be made: {}", fault.render()),
        }
        let next = async {
            tokio::time::sleep(GAP).await;
            let _ = tokio::time::timeout(BEAT - GAP, station.line.changed.notified()).await;
        };
        tokio::select! {
            () = next => {}
            _ = stopped.changed() => return,
        }
    }
}

/// `GET /api/v1/line`.
///
/// # Errors
/// 503 where the database does not answer.
pub async fn get(State(station): State<Shared>) -> Result<Response, Refusal> {
    let text = snapshot::make(&station).await?;
    Ok(([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], text).into_response())
}

/// `GET /api/v1/events`: an event `line` with the whole picture, now and on each change.
pub async fn events(State(station): State<Shared>) -> impl IntoResponse {
    let events = station.line.watch().map(|text| Ok::<_, Infallible>(Event::default().event("line").data(text.as_ref())));
    ([(header::CACHE_CONTROL, "no-store")], Sse::new(events).keep_alive(KeepAlive::default()))
}
