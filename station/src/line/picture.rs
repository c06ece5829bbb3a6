//! One picture of the line in the forms that people and programs get: JSON and HTML.

use std::time::Instant;

use axum::body::Bytes;
use livery_contract::{Fault, Result};

use super::{page, snapshot, view::View};
use crate::database::Database;

/// Drawn once, given to everybody. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    /// The [`Snapshot`](snapshot::Snapshot).
    pub(super) json: Bytes,
    /// The page without style and script, from which the script takes what changed.
    pub(super) html: Bytes,
    /// When it was drawn, for people.
    pub(super) clock: String,
    /// The same, for finding out whether it is old.
    pub(super) drawn: Instant,
}

impl Picture {
    /// Draws the line as it is now.
    ///
    /// # Errors
    /// `Source` where the database does not answer.
    pub(super) async fn draw(database: &Database) -> Result<Self> {
        let drawn = Instant::now();
        let snapshot = snapshot::take(database).await?;
        let view = View::of(&snapshot);
        let json =
            serde_json::to_vec(&snapshot).map_err(|error| Fault::internal("the line's picture does not encode").cause(error))?;
        Ok(Self { json: json.into(), html: page::update(&view)?.into(), clock: view.clock, drawn })
    }
}
