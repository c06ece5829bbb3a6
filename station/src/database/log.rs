//! Table `log`: the append-only log of records, and of what devices in use say. Triggers refuse every change; the chain shows one made around them.

use livery_contract::Result;

use super::{Connection, failed};

/// A row of `log`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Entry {
    /// Place in the log, from 1.
    pub(crate) sequence: i64,
    /// What it is: a [`Kind`].
    pub(crate) kind: String,
    /// The job that it answers; of a confirmation, with its number behind it: `JOB/1`.
    pub(crate) job: String,
    /// The order.
    pub(crate) order_id: String,
    /// The device's serial.
    pub(crate) serial: String,
    /// The very bytes received.
    pub(crate) envelope: Vec<u8>,
    /// Their SHA-256.
    pub(crate) digest: String,
    /// The chain up to the row before.
    pub(crate) previous: String,
    /// The signed job, JSON.
    pub(crate) job_envelope: String,
    /// The signed receipt, JSON.
    pub(crate) receipt: String,
    /// Milliseconds since 1970.
    pub(crate) accepted_at: i64,
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A device was written and read back.
    Record,
    /// What took effect on a device in use.
    Confirmation,
}

impl Kind {
    /// As in the table.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Confirmation => "confirmation",
        }
    }

    /// Of a row; `None` for one of a newer release.
    pub(crate) fn of(entry: &Entry) -> Option<Self> {
        [Self::Record, Self::Confirmation].into_iter().find(|kind| kind.as_str() == entry.kind)
    }
}

/// Triggers without which the table is an ordinary one.
pub(crate) const TRIGGERS: [&str; 4] = ["log_next_only", "log_no_delete", "log_no_replace", "log_no_update"];

/// Adds a row.
///
/// # Errors
/// `Source`, also where the sequence is not the next one.
pub(crate) async fn append(connection: &mut Connection, entry: &Entry) -> Result<()> {
    sqlx::query(
        "INSERT INTO log (sequence, kind, job, order_id, serial, envelope, digest, previous, job_envelope, receipt, accepted_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(entry.sequence)
    .bind(&entry.kind)
    .bind(&entry.job)
    .bind(&entry.order_id)
    .bind(&entry.serial)
    .bind(&entry.envelope)
    .bind(&entry.digest)
    .bind(&entry.previous)
    .bind(&entry.job_envelope)
    .bind(&entry.receipt)
    .bind(entry.accepted_at)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

/// The last row.
pub(crate) async fn last(connection: &mut Connection) -> Result<Option<Entry>> {
    sqlx::query_as("SELECT * FROM log ORDER BY sequence DESC LIMIT 1").fetch_optional(connection).await.map_err(failed)
}

/// The row whose bytes have this digest.
pub(crate) async fn of_digest(connection: &mut Connection, digest: &str) -> Result<Option<Entry>> {
    sqlx::query_as("SELECT * FROM log WHERE digest = $1").bind(digest).fetch_optional(connection).await.map_err(failed)
}

/// Rows after `sequence`, in order, at most `most`.
pub(crate) async fn after(connection: &mut Connection, sequence: i64, most: i64) -> Result<Vec<Entry>> {
    sqlx::query_as("SELECT * FROM log WHERE sequence > $1 ORDER BY sequence LIMIT $2")
        .bind(sequence)
        .bind(most)
        .fetch_all(connection)
        .await
        .map_err(failed)
}

/// The rows of one kind of an order, the latest first, at most a hundred.
///
/// # Errors
/// `Source`.
pub async fn of_order(connection: &mut Connection, order: &str, kind: Kind) -> Result<Vec<Entry>> {
    sqlx::query_as("SELECT * FROM log WHERE order_id = $1 AND kind = $2 ORDER BY sequence DESC LIMIT 100")
        .bind(order)
        .bind(kind.as_str())
        .fetch_all(connection)
        .await
        .map_err(failed)
}

/// The latest record of a serial.
pub(crate) async fn record_of_serial(connection: &mut Connection, serial: &str) -> Result<Option<Entry>> {
    sqlx::query_as("SELECT * FROM log WHERE serial = $1 AND kind = $2 ORDER BY sequence DESC LIMIT 1")
        .bind(serial)
        .bind(Kind::Record.as_str())
        .fetch_optional(connection)
        .await
        .map_err(failed)
}

/// The latest confirmation since the latest record of a serial, which is given.
pub(crate) async fn latest_confirmation(connection: &mut Connection, of: &Entry) -> Result<Option<Entry>> {
    sqlx::query_as("SELECT * FROM log WHERE serial = $1 AND sequence > $2 AND kind = $3 ORDER BY sequence DESC LIMIT 1")
        .bind(&of.serial)
        .bind(of.sequence)
        .bind(Kind::Confirmation.as_str())
        .fetch_optional(connection)
        .await
        .map_err(failed)
}

/// How many there are since that record, accepted since `since`.
pub(crate) async fn confirmations_since(connection: &mut Connection, of: &Entry, since: i64) -> Result<i64> {
    sqlx::query_scalar("SELECT COUNT(*) FROM log WHERE serial = $1 AND sequence > $2 AND kind = $3 AND accepted_at >= $4")
        .bind(&of.serial)
        .bind(of.sequence)
        .bind(Kind::Confirmation.as_str())
        .bind(since)
        .fetch_one(connection)
        .await
        .map_err(failed)
}

/// Jobs that count as done with a record that the log does not have for them: rows were cut off.
pub(crate) async fn missing(connection: &mut Connection) -> Result<Vec<(String, i64)>> {
    sqlx::query_as(
        "SELECT j.order_id, j.record FROM jobs j WHERE j.record IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM log l WHERE l.sequence = j.record AND l.job = j.id) ORDER BY j.record",
    )
    .fetch_all(connection)
    .await
    .map_err(failed)
}

/// Which of [`TRIGGERS`] are there. (SQLite's catalogue: the one query here that another back end needs anew.)
pub(crate) async fn triggers(connection: &mut Connection) -> Result<Vec<String>> {
    sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'log'")
        .fetch_all(connection)
        .await
        .map_err(failed)
}
