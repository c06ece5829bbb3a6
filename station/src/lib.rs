//! The station: it stands on the line, knows which device is whose, gives it a signed job and keeps the proof.
//!
//! ```text
//! roster ──> orders ──┐                                     ┌──> line: what people see, live
//!                     ├──> jobs ──> images ──> progress ────┤
//! device ──> enrol ───┘            (the store's files)      └──> records: append-only, signed, audited
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`orders`] | in from IT's roster; given a serial; opened again |
//! | [`devices`] | what of a device is kept and shown |
//! | [`enrol`] | a device says who it is |
//! | [`jobs`] | what one device shall do, signed |
//! | [`images`] | the store's files, with ranges |
//! | [`progress`] | how far a device is, or why it gave up |
//! | [`records`] | the evidence, into the log |
//! | [`confirmations`] | what took effect on a device in use, into the same log |
//! | [`verdict`] | in use, or what did not take |
//! | [`peers`] | the laptops as the concentrator knows them |
//! | [`audit`] | does the log still hold? |
//! | [`line`] | the live page |
//! | [`catalogue`] | the store's manifests, verified |
//! | [`database`] | all SQL |
//! | [`keys`], [`tls`] | `keygen`, and reading keys back |
//! | [`server`], [`answer`] | HTTPS: routes, limits, faults as answers |
//! | [`cli`] | the command line |

pub mod answer;
pub mod audit;
pub mod catalogue;
pub mod cli;
pub mod confirmations;
pub mod database;
pub mod devices;
pub mod enrol;
pub mod images;
pub mod jobs;
pub mod keys;
pub mod line;
pub mod orders;
pub mod peers;
pub mod progress;
pub mod records;
pub mod server;
pub mod tls;
pub mod verdict;

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use jiff::SignedDuration;

/// What all routes share.
pub struct Station {
    /// Orders, devices, jobs, records.
    pub database: database::Database,
    /// The store's manifests.
    pub catalogue: catalogue::Catalogue,
    /// Signs jobs and receipts.
    pub key: SigningKey,
    /// The live picture.
    pub line: line::Line,
    /// Times.
    pub settings: Settings,
}

/// A station that several tasks hold.
pub type Shared = Arc<Station>;

/// Times that a line may want otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How far a device's clock may be off, either way.
    pub clock: SignedDuration,
    /// After how long without a word another boot may take over an order.
    pub quiet: SignedDuration,
    /// How long a job is valid.
    pub job_life: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { clock: SignedDuration::from_mins(15), quiet: SignedDuration::from_mins(2), job_life: SignedDuration::from_hours(12) }
    }
}

impl std::fmt::Debug for Station {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Station").field("store", &self.catalogue.folder()).field("settings", &self.settings).finish_non_exhaustive()
    }
}
