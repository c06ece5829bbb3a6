//! All SQL that changes the state of an order or a job. Each statement names its event, and takes from the table in
//! [`states`](crate::states) the state that follows and those that may come before: so two requests that race can't both win.
//!
//! Fails with `Source` where the database does.

use std::fmt::Display;

use livery_contract::{Fault, Result};

use super::{Connection, failed, jobs::JobRow};
use crate::states::{JobEvent, JobState, OrderEvent, OrderState, Refused, State, sources};

/// What became of a change.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) enum Change<S: State> {
    /// It was made.
    Made,
    /// Nothing was changed: the event may not happen in this state.
    Refused(Refused<S>),
}

impl<S: State> Change<S> {
    /// For callers that have looked at the state in the same transaction.
    ///
    /// # Errors
    /// `Refused`, saying which state it is.
    pub(crate) fn made(self) -> Result<()> {
        match self {
            Self::Made => Ok(()),
            Self::Refused(refused) => Err(refused.into()),
        }
    }
}

/// `UPDATE` of one row, for an event. `set` is what changes with the state; `$1` is the row's id.
fn update<S: State>(table: &str, event: S::Event, set: &str) -> sqlx::AssertSqlSafe<String> {
    let (target, sources) = (S::target(event).as_str(), sources::<S>(event));
    sqlx::AssertSqlSafe(format!("UPDATE {table} SET state = '{target}'{set} WHERE id = $1 AND state IN ({sources})"))
}

/// Made, or refused by the state that the row has.
async fn outcome<S>(connection: &mut Connection, table: &str, id: &str, event: S::Event, changed: u64) -> Result<Change<S>>
where
    S: State + Send + Unpin + sqlx::Type<sqlx::Sqlite> + for<'r> sqlx::Decode<'r, sqlx::Sqlite>,
{
    if changed > 0 {
        return Ok(Change::Made);
    }
    let sql = sqlx::AssertSqlSafe(format!("SELECT state FROM {table} WHERE id = $1"));
    let state: Option<S> = sqlx::query_scalar(sql).bind(id).fetch_optional(connection).await.map_err(failed)?;
    let gone = |why: &dyn Display| Fault::source(format!("the {} {id} {why}", S::OF)).fix("try again");
    match state.ok_or_else(|| gone(&"is gone"))?.after(event) {
        Err(refused) => Ok(Change::Refused(refused)),
        Ok(_) => Err(gone(&"has just changed")),
    }
}

/// Adds a job, or issues the same one anew.
pub(crate) async fn issue(connection: &mut Connection, job: &JobRow) -> Result<Change<JobState>> {
    let sql = format!(
        "INSERT INTO jobs (id, order_id, device_key, serial, image, manifest, size, sections, envelope, state, phase, \
         done_bytes, all_bytes, rate, fault, record, issued_at, expires_at, last_seen, expects) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '{}', $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) \
         ON CONFLICT (id) DO UPDATE SET image = excluded.image, manifest = excluded.manifest, size = excluded.size, \
         sections = excluded.sections, envelope = excluded.envelope, state = '{}', phase = excluded.phase, \
         done_bytes = excluded.done_bytes, all_bytes = excluded.all_bytes, rate = excluded.rate, fault = excluded.fault, \
         issued_at = excluded.issued_at, expires_at = excluded.expires_at, last_seen = excluded.last_seen, \
         expects = excluded.expects WHERE jobs.state IN ({})",
        JobState::FIRST.as_str(),
        JobState::target(JobEvent::Issued).as_str(),
        sources::<JobState>(JobEvent::Issued),
    );
    let done = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(&job.id)
        .bind(&job.order_id)
        .bind(&job.device_key)
        .bind(&job.serial)
        .bind(&job.image)
        .bind(&job.manifest)
        .bind(job.size)
        .bind(&job.sections)
        .bind(&job.envelope)
        .bind(&job.phase)
        .bind(job.done_bytes)
        .bind(job.all_bytes)
        .bind(job.rate)
        .bind(&job.fault)
        .bind(job.record)
        .bind(job.issued_at)
        .bind(job.expires_at)
        .bind(job.last_seen)
        .bind(&job.expects)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    outcome(connection, "jobs", &job.id, JobEvent::Issued, done.rows_affected()).await
}

/// The order's other jobs without a record are void: its device began again, or another took its place.
pub(crate) async fn supersede_others(connection: &mut Connection, order: &str, id: &str) -> Result<()> {
    let event = JobEvent::Superseded;
    let (target, sources) = (JobState::target(event).as_str(), sources::<JobState>(event));
    let sql = format!("UPDATE jobs SET state = '{target}' WHERE order_id = $1 AND id <> $2 AND state IN ({sources})");
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(order).bind(id).execute(connection).await.map_err(failed)?;
    Ok(())
}

/// A device has reported progress: `bytes` done and in all, `rate` in bytes a second.
pub(crate) async fn progress(
    connection: &mut Connection,
    id: &str,
    phase: &str,
    bytes: (i64, i64),
    rate: i64,
    now: i64,
) -> Result<Change<JobState>> {
    let set = ", phase = $2, done_bytes = $3, all_bytes = $4, rate = $5, last_seen = $6, fault = NULL";
    let done = sqlx::query(update::<JobState>("jobs", JobEvent::Progressed, set))
        .bind(id)
        .bind(phase)
        .bind(bytes.0)
        .bind(bytes.1)
        .bind(rate)
        .bind(now)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    outcome(connection, "jobs", id, JobEvent::Progressed, done.rows_affected()).await
}

/// A device gave up, with this failure (JSON).
pub(crate) async fn fail(connection: &mut Connection, id: &str, phase: &str, fault: &str, now: i64) -> Result<Change<JobState>> {
    let set = ", phase = $2, fault = $3, rate = 0, last_seen = $4";
    let done = sqlx::query(update::<JobState>("jobs", JobEvent::GaveUp, set))
        .bind(id)
        .bind(phase)
        .bind(fault)
        .bind(now)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    outcome(connection, "jobs", id, JobEvent::GaveUp, done.rows_affected()).await
}

/// The job's record is in the log, at this place.
pub(crate) async fn record_job(connection: &mut Connection, id: &str, record: i64, now: i64) -> Result<Change<JobState>> {
    let set = ", phase = 'done', fault = NULL, rate = 0, record = $2, last_seen = $3";
    let done = sqlx::query(update::<JobState>("jobs", JobEvent::Recorded, set))
        .bind(id)
        .bind(record)
        .bind(now)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    outcome(connection, "jobs", id, JobEvent::Recorded, done.rows_affected()).await
}

/// The order has a record: what its device reported in an earlier life does not count any more.
pub(crate) async fn record_order(connection: &mut Connection, id: &str, record: i64) -> Result<Change<OrderState>> {
    let set = ", record = $2, confirmation = NULL, amiss = NULL, heard_at = NULL, runs = NULL";
    let done = sqlx::query(update::<OrderState>("orders", OrderEvent::Recorded, set))
        .bind(id)
        .bind(record)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    outcome(connection, "orders", id, OrderEvent::Recorded, done.rows_affected()).await
}

/// An operator says that the order's device is lost. Its record stays where it is.
pub(crate) async fn retire(connection: &mut Connection, id: &str) -> Result<Change<OrderState>> {
    let done = sqlx::query(update::<OrderState>("orders", OrderEvent::Retired, ""))
        .bind(id)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    outcome(connection, "orders", id, OrderEvent::Retired, done.rows_affected()).await
}

/// An operator wants the order's device written once more. The earlier record stays where it is.
pub(crate) async fn reopen(connection: &mut Connection, id: &str) -> Result<Change<OrderState>> {
    let done = sqlx::query(update::<OrderState>("orders", OrderEvent::Reopened, ""))
        .bind(id)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    outcome(connection, "orders", id, OrderEvent::Reopened, done.rows_affected()).await
}
