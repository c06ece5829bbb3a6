//! Table `health`: one row, written and read back to tell whether the database still does its work.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use livery_contract::{Fault, Result};
use tokio::sync::Mutex;

use super::{Connection, Database, commit, failed};

/// How long an answer is good: anybody may ask, and each look is a write that the disk must have.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// The last look at the database, and what it found.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Mutex<Option<(Instant, Option<String>)>>);

impl Pulse {
    /// Whether the database takes a write and gives it back.
    ///
    /// # Errors
    /// `Source`.
    pub(crate) async fn check(&self, database: &Database) -> Result<()> {
        let mut last = self.0.lock().await;
        if let Some((_, what)) = last.as_ref().filter(|(at, _)| at.elapsed() < GOOD_FOR) {
            return what.as_ref().map_or(Ok(()), |what| Err(Fault::source(what.clone())));
        }
        let found = beat(database).await;
        *last = Some((Instant::now(), found.as_ref().err().map(ToString::to_string)));
        found
    }
}

async fn beat(database: &Database) -> Result<()> {
    let now = Timestamp::now().as_millisecond();
    let mut transaction = database.write().await?;
    put(&mut transaction, now).await?;
    commit(transaction).await?;
    if get(&mut *database.connection().await?).await? >= now {
        Ok(())
    } else {
        Err(Fault::source("the database does not return what was written").fix("check its disk: is it full, read-only or damaged?"))
    }
}

/// Writes the time, in milliseconds since 1970.
async fn put(connection: &mut Connection, now: i64) -> Result<()> {
    sqlx::query("INSERT INTO health (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = excluded.at")
        .bind(now)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

/// The time that was written last.
async fn get(connection: &mut Connection) -> Result<i64> {
    sqlx::query_scalar("SELECT at FROM health WHERE id = 1").fetch_one(connection).await.map_err(failed)
}
