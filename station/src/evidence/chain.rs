//! Adding to the log: each row is chained to the one before, and gets a receipt signed by the station.

use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use livery_contract::{Digest, Fault, OrderId, Result, digest::Hasher, envelope::Envelope, wire::Receipt};
use uuid::Uuid;

use crate::database::{
    Connection, damaged,
    log::{self, Entry, Kind},
    meant,
};

/// The chain before the first row.
pub(crate) fn start() -> Digest {
    Digest::from_bytes([0; 32])
}

/// The chain up to and including a row with this digest.
pub(crate) fn link(previous: &Digest, digest: &Digest) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(previous.as_bytes());
    hasher.update(digest.as_bytes());
    hasher.finish()
}

/// A message to be added.
pub(crate) struct Message<'a> {
    pub(crate) kind: Kind,
    /// The row's unique name: the job, for a confirmation followed by its number.
    pub(crate) name: String,
    pub(crate) job: Uuid,
    pub(crate) order: OrderId,
    pub(crate) serial: &'a str,
    /// The bytes as received.
    pub(crate) bytes: &'a [u8],
    /// The signed job, JSON.
    pub(crate) job_envelope: &'a str,
}

/// Where a message was added.
pub(crate) struct Added {
    pub(crate) sequence: i64,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) receipt: Envelope,
}

/// Adds a row, in the caller's transaction.
///
/// # Errors
/// `Source` where the database fails or holds a bad digest.
pub(crate) async fn append(connection: &mut Connection, key: &SigningKey, message: Message<'_>) -> Result<Added> {
    let (sequence, previous) = match log::last(connection).await? {
        Some(last) => (last.sequence + 1, link(&parse(&last.previous)?, &parse(&last.digest)?)),
        None => (1, start()),
    };
    let (digest, at) = (Digest::of(message.bytes), Timestamp::now());
    let entry_order = message.order.to_string();
    let receipt = Receipt { job: message.job, order: message.order, sequence: meant(sequence), record: digest, at };
    let receipt = Envelope::sign(&receipt, key);
    let entry = Entry {
        sequence,
        kind: message.kind.as_str().into(),
        job: message.name,
        order_id: entry_order,
        serial: message.serial.to_owned(),
        envelope: message.bytes.to_vec(),
        digest: digest.to_string(),
        previous: previous.to_string(),
        job_envelope: message.job_envelope.to_owned(),
        receipt: serde_json::to_string(&receipt).map_err(|error| Fault::internal("a receipt does not encode").cause(error))?,
        accepted_at: at.as_millisecond(),
    };
    log::append(connection, &entry).await?;
    Ok(Added { sequence, at: entry.accepted_at, receipt })
}

fn parse(text: &str) -> Result<Digest> {
    text.parse().map_err(|fault: Fault| damaged("digest", fault))
}
