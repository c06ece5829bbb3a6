//! What all routes share.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use jiff::SignedDuration;

use crate::{
    database::{Database, health::Pulse},
    images::catalogue::Catalogue,
    line::feed::Line,
};

/// A running station.
pub struct Station {
    /// Orders, devices, jobs, records.
    pub database: Database,
    /// The store's manifests.
    pub catalogue: Catalogue,
    /// Signs jobs and receipts.
    pub(crate) key: SigningKey,
    /// Tells everybody who watches the page that something changed.
    pub(crate) line: Line,
    /// Whether the database can be written, as last seen.
    pub(crate) pulse: Pulse,
    pub(crate) settings: Settings,
}

/// A station that several tasks share.
pub(crate) type Shared = Arc<Station>;

/// Time limits. Tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How far a device's clock may be off, either way.
    pub clock: SignedDuration,
    /// How long a device must be silent before another boot may take over its order.
    pub quiet: SignedDuration,
    /// How long a job is valid.
    pub job_life: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { clock: SignedDuration::from_mins(15), quiet: SignedDuration::from_mins(2), job_life: SignedDuration::from_hours(12) }
    }
}

impl Station {
    /// A station that signs with this key, and whose page shows this database.
    pub fn new(database: Database, catalogue: Catalogue, key: SigningKey, settings: Settings) -> Self {
        let line = Line::new(database.clone());
        Self { database, catalogue, key, line, pulse: Pulse::default(), settings }
    }
}

impl std::fmt::Debug for Station {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Station").field("store", &self.catalogue.folder()).field("settings", &self.settings).finish_non_exhaustive()
    }
}
