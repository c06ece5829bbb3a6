//! Table `orders`: one employee, one image, one device.

use livery_contract::Result;
use serde::Serialize;

use super::{Connection, failed};
use crate::states::OrderState;

/// A row of `orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Order {
    /// The order's number.
    #[serde(rename = "order")]
    pub(crate) id: String,
    /// The personal image, `NAME@VERSION/ORDER`.
    pub(crate) image: String,
    /// The device's system serial, where known.
    pub(crate) serial: Option<String>,
    /// Sign-in name.
    #[serde(rename = "user")]
    pub(crate) sign_in: String,
    /// The person's name.
    #[serde(rename = "name")]
    pub(crate) person: String,
    pub(crate) hostname: String,
    pub(crate) locale: String,
    pub(crate) keyboard: String,
    pub(crate) timezone: Option<String>,
    /// The laptop's own address in the tunnel.
    #[serde(rename = "tunnel-address")]
    pub(crate) tunnel_address: Option<String>,
    pub(crate) state: OrderState,
    /// The latest record's place in the log.
    pub(crate) record: Option<i64>,
    /// The latest confirmation's place in the log, since the latest record.
    #[serde(skip)]
    pub(crate) confirmation: Option<i64>,
    /// What did not take effect, JSON.
    #[serde(skip)]
    pub(crate) amiss: Option<String>,
    /// When the device in use was last heard of, in milliseconds since 1970.
    #[serde(skip)]
    pub(crate) heard_at: Option<i64>,
    /// The newer image that the device in use runs by now, `NAME@VERSION`.
    #[serde(skip)]
    pub(crate) runs: Option<String>,
    /// Milliseconds since 1970.
    #[serde(skip)]
    pub(crate) imported_at: i64,
}

impl Order {
    /// Whether a record is there, and its device is neither to be written once more nor lost.
    pub(crate) fn is_done(&self) -> bool {
        self.state == OrderState::Done
    }

    /// Whether its device is to be written.
    pub(crate) fn is_open(&self) -> bool {
        self.state == OrderState::Open
    }

    /// Whether its device is lost.
    pub(crate) fn is_retired(&self) -> bool {
        self.state == OrderState::Retired
    }
}

/// All orders, by number.
pub(crate) async fn all(connection: &mut Connection) -> Result<Vec<Order>> {
    sqlx::query_as("SELECT * FROM orders ORDER BY id").fetch_all(connection).await.map_err(failed)
}

/// One order.
///
/// # Errors
/// `Source`.
pub async fn get(connection: &mut Connection, id: &str) -> Result<Option<Order>> {
    sqlx::query_as("SELECT * FROM orders WHERE id = $1").bind(id).fetch_optional(connection).await.map_err(failed)
}

/// The order of a device: the open one, else the one done last.
pub(crate) async fn of_serial(connection: &mut Connection, serial: &str) -> Result<Option<Order>> {
    sqlx::query_as("SELECT * FROM orders WHERE serial = $1 ORDER BY CASE state WHEN $2 THEN 0 ELSE 1 END, record DESC LIMIT 1")
        .bind(serial)
        .bind(OrderState::Open)
        .fetch_optional(connection)
        .await
        .map_err(failed)
}

/// How many are open.
pub(crate) async fn open_count(connection: &mut Connection) -> Result<i64> {
    sqlx::query_scalar("SELECT COUNT(*) FROM orders WHERE state = $1")
        .bind(OrderState::Open)
        .fetch_one(connection)
        .await
        .map_err(failed)
}

/// The numbers of orders for which a job was ever issued.
pub(crate) async fn begun(connection: &mut Connection) -> Result<Vec<String>> {
    sqlx::query_scalar("SELECT DISTINCT order_id FROM jobs").fetch_all(connection).await.map_err(failed)
}

/// Puts in an order, or overwrites all that a roster says of it.
pub(crate) async fn put(connection: &mut Connection, order: &Order) -> Result<()> {
    sqlx::query(
        "INSERT INTO orders (id, image, serial, sign_in, person, hostname, locale, keyboard, timezone, state, record, imported_at, \
         tunnel_address) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
         ON CONFLICT (id) DO UPDATE SET image = excluded.image, serial = excluded.serial, sign_in = excluded.sign_in, \
         person = excluded.person, hostname = excluded.hostname, locale = excluded.locale, keyboard = excluded.keyboard, \
         timezone = excluded.timezone, tunnel_address = excluded.tunnel_address, imported_at = excluded.imported_at",
    )
    .bind(&order.id)
    .bind(&order.image)
    .bind(&order.serial)
    .bind(&order.sign_in)
    .bind(&order.person)
    .bind(&order.hostname)
    .bind(&order.locale)
    .bind(&order.keyboard)
    .bind(&order.timezone)
    .bind(order.state)
    .bind(order.record)
    .bind(order.imported_at)
    .bind(&order.tunnel_address)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

/// Binds an order to a serial, or frees it.
pub(crate) async fn bind(connection: &mut Connection, id: &str, serial: Option<&str>) -> Result<()> {
    sqlx::query("UPDATE orders SET serial = $1 WHERE id = $2").bind(serial).bind(id).execute(connection).await.map_err(failed)?;
    Ok(())
}

/// A device in use said what took effect, and which newer image it runs.
pub(crate) async fn confirm(
    connection: &mut Connection,
    id: &str,
    confirmation: i64,
    (amiss, runs): (&str, Option<&str>),
    now: i64,
) -> Result<()> {
    sqlx::query("UPDATE orders SET confirmation = $1, amiss = $2, heard_at = $3, runs = $4 WHERE id = $5")
        .bind(confirmation)
        .bind(amiss)
        .bind(now)
        .bind(runs)
        .bind(id)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

/// A device in use was heard of, with no news.
pub(crate) async fn heard(connection: &mut Connection, id: &str, now: i64) -> Result<()> {
    sqlx::query("UPDATE orders SET heard_at = $1 WHERE id = $2").bind(now).bind(id).execute(connection).await.map_err(failed)?;
    Ok(())
}
