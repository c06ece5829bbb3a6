//! Table `devices`: a device as it enrolled at one boot. The key is made anew at each boot, so a machine has several rows.

use livery_contract::Result;

use super::{Connection, failed};

/// The most rows of devices that never had a job: anyone on the line's network can enrol.
pub(crate) const MOST_WAITING: i64 = 2_000;

/// A row of `devices`, without the inventory.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Device {
    /// The key made at this boot.
    pub(crate) device_key: String,
    /// The usable serial, or nothing.
    pub(crate) serial: String,
    pub(crate) manufacturer: String,
    pub(crate) product: String,
    /// MAC addresses, a JSON list.
    pub(crate) macs: String,
    /// Version of the agent.
    pub(crate) agent: String,
    /// Why it waits.
    pub(crate) waiting: Option<String>,
    /// Why it gave up, where it had no job; JSON.
    pub(crate) fault: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) first_seen: i64,
    /// Milliseconds since 1970.
    pub(crate) last_seen: i64,
}

const COLUMNS: &str = "device_key, serial, manufacturer, product, macs, agent, waiting, fault, first_seen, last_seen";

/// Keeps a device as it enrolled, and forgets earlier boots of it and devices that went away, where they never had a job.
pub(crate) async fn put(connection: &mut Connection, device: &Device, inventory: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO devices (device_key, serial, manufacturer, product, macs, inventory, agent, waiting, fault, first_seen, last_seen) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, $9, $9) \
         ON CONFLICT (device_key) DO UPDATE SET serial = excluded.serial, manufacturer = excluded.manufacturer, \
         product = excluded.product, macs = excluded.macs, inventory = excluded.inventory, agent = excluded.agent, \
         fault = NULL, last_seen = excluded.last_seen",
    )
    .bind(&device.device_key)
    .bind(&device.serial)
    .bind(&device.manufacturer)
    .bind(&device.product)
    .bind(&device.macs)
    .bind(inventory)
    .bind(&device.agent)
    .bind(&device.waiting)
    .bind(device.last_seen)
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    sqlx::query(
        "DELETE FROM devices WHERE serial = $1 AND serial <> '' AND device_key <> $2 \
         AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.device_key = devices.device_key)",
    )
    .bind(&device.serial)
    .bind(&device.device_key)
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    sqlx::query(
        "DELETE FROM devices WHERE device_key IN (SELECT device_key FROM devices d \
         WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.device_key = d.device_key) ORDER BY last_seen DESC LIMIT $1 OFFSET $2)",
    )
    .bind(MOST_WAITING)
    .bind(MOST_WAITING)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

/// Says why a device waits, or that it does not any more.
pub(crate) async fn set_waiting(connection: &mut Connection, key: &str, reason: Option<&str>) -> Result<()> {
    sqlx::query("UPDATE devices SET waiting = $1 WHERE device_key = $2")
        .bind(reason)
        .bind(key)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

/// A device without a job gave up.
pub(crate) async fn set_fault(connection: &mut Connection, key: &str, fault: &str, now: i64) -> Result<()> {
    sqlx::query("UPDATE devices SET fault = $1, last_seen = $2 WHERE device_key = $3")
        .bind(fault)
        .bind(now)
        .bind(key)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

/// The device was heard of.
pub(crate) async fn seen(connection: &mut Connection, key: &str, now: i64) -> Result<()> {
    sqlx::query("UPDATE devices SET last_seen = $1 WHERE device_key = $2")
        .bind(now)
        .bind(key)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

/// The latest keys that a serial enrolled with (an empty serial: of all devices that have none).
pub(crate) async fn keys_of_serial(connection: &mut Connection, serial: &str, most: i64) -> Result<Vec<String>> {
    sqlx::query_scalar("SELECT device_key FROM devices WHERE serial = $1 ORDER BY last_seen DESC LIMIT $2")
        .bind(serial)
        .bind(most)
        .fetch_all(connection)
        .await
        .map_err(failed)
}

/// Devices that wait or gave up without a job, heard of since `since`, the latest first.
pub(crate) async fn idle(connection: &mut Connection, since: i64, most: i64) -> Result<Vec<Device>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM devices WHERE (waiting IS NOT NULL OR fault IS NOT NULL) AND last_seen >= $1 \
         ORDER BY last_seen DESC LIMIT $2"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(since).bind(most).fetch_all(connection).await.map_err(failed)
}
