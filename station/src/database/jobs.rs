//! Table `jobs`: what was given to which device, and how far it is.

use livery_contract::Result;

use super::{Connection, failed};
use crate::states::{JobEvent, JobState, sources};

/// A row of `jobs`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct JobRow {
    pub(crate) id: String,
    pub(crate) order_id: String,
    /// The key of the device's boot.
    pub(crate) device_key: String,
    pub(crate) serial: String,
    pub(crate) image: String,
    /// Digest of its manifest.
    pub(crate) manifest: String,
    /// Bytes of the image.
    pub(crate) size: i64,
    /// The sections that its record must have, JSON.
    pub(crate) sections: String,
    /// What a device that did it must say of itself later, JSON; `None` for jobs of before.
    pub(crate) expects: Option<String>,
    /// The signed job, JSON.
    pub(crate) envelope: String,
    pub(crate) state: JobState,
    pub(crate) phase: String,
    /// Bytes done in this phase.
    pub(crate) done_bytes: i64,
    /// Bytes of this phase.
    pub(crate) all_bytes: i64,
    /// Bytes a second.
    pub(crate) rate: i64,
    /// Why it failed, JSON.
    pub(crate) fault: Option<String>,
    /// Its record's place in the log.
    pub(crate) record: Option<i64>,
    /// Milliseconds since 1970.
    pub(crate) issued_at: i64,
    /// Milliseconds since 1970.
    pub(crate) expires_at: i64,
    /// Milliseconds since 1970.
    pub(crate) last_seen: i64,
}

/// One job.
pub(crate) async fn get(connection: &mut Connection, id: &str) -> Result<Option<JobRow>> {
    sqlx::query_as("SELECT * FROM jobs WHERE id = $1").bind(id).fetch_optional(connection).await.map_err(failed)
}

/// The job that an order is at work with.
pub(crate) async fn at_work(connection: &mut Connection, order: &str) -> Result<Option<JobRow>> {
    let at_work = sources::<JobState>(JobEvent::Progressed);
    sqlx::query_as(sqlx::AssertSqlSafe(format!("SELECT * FROM jobs WHERE order_id = $1 AND state IN ({at_work})")))
        .bind(order)
        .fetch_optional(connection)
        .await
        .map_err(failed)
}

/// The job of this order and this boot that has no record yet.
pub(crate) async fn of_device(connection: &mut Connection, order: &str, key: &str) -> Result<Option<JobRow>> {
    let issuable = sources::<JobState>(JobEvent::Issued);
    let sql = format!(
        "SELECT * FROM jobs WHERE order_id = $1 AND device_key = $2 AND state IN ({issuable}) ORDER BY issued_at DESC LIMIT 1"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(order).bind(key).fetch_optional(connection).await.map_err(failed)
}

/// A job with what the page shows of its order and device.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Shown {
    #[sqlx(flatten)]
    pub(crate) job: JobRow,
    pub(crate) sign_in: String,
    pub(crate) person: String,
    pub(crate) hostname: String,
    /// The latest confirmation's place in the log, since the order's latest record.
    pub(crate) confirmation: Option<i64>,
    /// What did not take effect, JSON.
    pub(crate) amiss: Option<String>,
    /// When the device in use was last heard of.
    pub(crate) heard_at: Option<i64>,
    /// The newer image that it runs by now.
    pub(crate) runs: Option<String>,
    pub(crate) manufacturer: String,
    pub(crate) product: String,
    /// Its MAC addresses, a JSON list.
    pub(crate) macs: String,
}

/// The latest job of each order: at work or failed ones heard of since `since`; done ones since `done_since`, or that were heard of in
/// use since `since`.
pub(crate) async fn shown(connection: &mut Connection, since: i64, done_since: i64, most: i64) -> Result<Vec<Shown>> {
    sqlx::query_as(
        "SELECT j.*, o.sign_in, o.person, o.hostname, o.confirmation, o.amiss, o.heard_at, o.runs, d.manufacturer, d.product, d.macs FROM jobs j \
         JOIN orders o ON o.id = j.order_id JOIN devices d ON d.device_key = j.device_key \
         WHERE ((j.state NOT IN ($4, $5) AND j.last_seen >= $1) OR (j.state = $4 AND (j.last_seen >= $2 OR o.heard_at >= $1))) \
         AND NOT EXISTS (SELECT 1 FROM jobs k WHERE k.order_id = j.order_id AND k.state <> $5 \
             AND (k.issued_at > j.issued_at OR (k.issued_at = j.issued_at AND k.id > j.id))) \
         ORDER BY CASE WHEN j.state = $6 OR o.amiss <> '[]' THEN 0 WHEN j.state = $4 THEN 2 ELSE 1 END, j.last_seen DESC LIMIT $3",
    )
    .bind(since)
    .bind(done_since)
    .bind(most)
    .bind(JobState::Done)
    .bind(JobState::Replaced)
    .bind(JobState::Failed)
    .fetch_all(connection)
    .await
    .map_err(failed)
}

/// How many jobs were done since.
pub(crate) async fn done_count(connection: &mut Connection, since: i64) -> Result<i64> {
    sqlx::query_scalar("SELECT COUNT(*) FROM jobs WHERE state = $2 AND last_seen >= $1")
        .bind(since)
        .bind(JobState::Done)
        .fetch_one(connection)
        .await
        .map_err(failed)
}
