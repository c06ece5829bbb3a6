//! The messages between agent and station. HTTPS, JSON.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /api/v1/enrol` | [`Envelope`] of [`Enrol`] | [`EnrolAnswer`] |
//! | `POST /api/v1/progress` | [`Envelope`] of [`Progress`] | 204 |
//! | `POST /api/v1/records` | [`Envelope`] of [`Record`](crate::record::Record) | 201 [`Envelope`] of [`Receipt`] |
//! | `POST /api/v1/failures` | [`Envelope`] of [`Failure`] | 204 |
//! | `POST /api/v1/confirmations` | [`Envelope`] of [`Confirmation`](crate::confirmation::Confirmation) | 201, or 200 where it is no news: [`Envelope`] of [`Receipt`] |
//! | `GET /store/…` | - | the store's files, with ranges |
//!
//! An answer of 4xx or 5xx has a [`FaultReport`] as its body. All envelopes of an agent are signed by the key that it
//! made at boot and named in [`Enrol`]; a confirmation by the device's own key, which the record names.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    digest::Digest,
    envelope::{Envelope, Payload, PublicKey},
    fault::FaultReport,
    inventory::Inventory,
    name::OrderId,
};

/// The most bytes that a message's body may have.
pub const MAX_BODY: usize = 2 << 20;

/// The most bytes of an enrolment's body: anybody on the line's network may send one.
pub const MAX_ENROL: usize = 64 << 10;

/// A device says who it is, and asks for its job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// The key made at this boot; it signs this message too.
    pub key: PublicKey,
    /// What the device is.
    pub inventory: Inventory,
    /// Version of the agent.
    pub agent: String,
    /// When it was sent, so that an old enrolment cannot be replayed later.
    pub at: Timestamp,
}

impl Payload for Enrol {
    const TYPE: &'static str = "application/vnd.livery.enrol+json";
}

/// What the station answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum EnrolAnswer {
    /// Here is the job, a signed [`Job`](crate::job::Job).
    Job {
        /// Signed by the station.
        job: Envelope,
    },
    /// No order for this serial yet: ask again.
    Waiting {
        /// Why, for the device's screen.
        reason: String,
        /// Seconds until asking again.
        retry_after: u32,
    },
}

/// Where in the flow a device is. In order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Reading what the device is.
    Inventory,
    /// Talking to the station.
    Enrol,
    /// Waiting for an order.
    Waiting,
    /// Checking the image's signatures.
    Trust,
    /// Choosing the disk.
    Target,
    /// Reading what the disk holds of the image already.
    Survey,
    /// Writing.
    Write,
    /// Waiting for the disk to have written what is in its own cache: without a length, for no disk says how far it is.
    Flush,
    /// Reading all of it back.
    Verify,
    /// Backup GPT and boot entry.
    Finish,
    /// Sending the record.
    Report,
    /// The station has the record.
    Done,
    /// Something went wrong, and was said.
    Failed,
}

impl Phase {
    /// As on the wire and on the screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Enrol => "enrol",
            Self::Waiting => "waiting",
            Self::Trust => "trust",
            Self::Target => "target",
            Self::Survey => "survey",
            Self::Write => "write",
            Self::Flush => "flush",
            Self::Verify => "verify",
            Self::Finish => "finish",
            Self::Report => "report",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// How far a device is. Sent at most once a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The job.
    pub job: Uuid,
    /// Which step.
    pub phase: Phase,
    /// Bytes done in this step.
    pub done: u64,
    /// Bytes of this step; 0 where it has none.
    pub total: u64,
    /// Bytes a second, over the last seconds.
    pub rate: u64,
}

impl Payload for Progress {
    const TYPE: &'static str = "application/vnd.livery.progress+json";
}

/// A device gave up, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The job, where there was one.
    pub job: Option<Uuid>,
    /// The system serial, as read.
    pub serial: String,
    /// In which step.
    pub phase: Phase,
    /// What happened, where, what to do.
    pub fault: FaultReport,
}

impl Payload for Failure {
    const TYPE: &'static str = "application/vnd.livery.failure+json";
}

/// The station has the record: the device may show DONE, the label may be printed. Or it has the confirmation: it need not be told
/// again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The job.
    pub job: Uuid,
    /// The order.
    pub order: OrderId,
    /// Its place in the station's append-only log, from 1.
    pub sequence: u64,
    /// Digest of the envelope as kept, of a record or a confirmation.
    pub record: Digest,
    /// When it was accepted.
    pub at: Timestamp,
}

impl Payload for Receipt {
    const TYPE: &'static str = "application/vnd.livery.receipt+json";
}
