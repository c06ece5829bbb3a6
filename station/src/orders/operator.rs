//! What an operator does with orders: give one a device, open one again, retire one whose device is lost.

use livery_contract::{Fault, OrderId, Result, inventory::usable_serial};

use crate::database::{self, Database, changes, orders as table, orders::Order};

/// Gives an order its device.
///
/// # Errors
/// `Refused` for an unknown order, a serial that identifies nothing or is taken, or an order with another device.
pub async fn assign(database: &Database, id: &OrderId, serial: &str) -> Result<()> {
    let Some(serial) = usable_serial(serial) else {
        return Err(
            Fault::refused(format!("{serial:?} identifies no machine")).fix("type the serial as the station's page shows it")
        );
    };
    let mut transaction = database.write().await?;
    let order = find(&mut transaction, id).await?;
    if order.serial.as_deref() == Some(serial) {
        return Ok(());
    }
    if let Some(old) = &order.serial {
        return Err(Fault::refused(format!("order {id} is already assigned to device {old}"))
            .fix("to move it, correct the roster and import it again; this works until its first job"));
    }
    if let Some(other) = table::of_serial(&mut transaction, serial).await?.filter(Order::is_open) {
        return Err(Fault::refused(format!("device {serial} already has the open order {}", other.id))
            .fix("one device has one order at a time"));
    }
    table::bind(&mut transaction, order.id.as_str(), Some(serial)).await?;
    database::commit(transaction).await
}

/// Lets a device that is done be written once more. Its record stays.
///
/// # Errors
/// `Refused` for an unknown order, or where the device has another open order meanwhile.
pub async fn reopen(database: &Database, id: &OrderId) -> Result<()> {
    let mut transaction = database.write().await?;
    let order = find(&mut transaction, id).await?;
    if order.is_open() {
        return Ok(());
    }
    if let Some(serial) = &order.serial
        && let Some(other) = table::of_serial(&mut transaction, serial).await?.filter(Order::is_open)
    {
        return Err(Fault::refused(format!("device {serial} now has the open order {}", other.id))
            .fix("finish that one first; one device has one order at a time"));
    }
    changes::reopen(&mut transaction, &order.id).await?.made()?;
    database::commit(transaction).await
}

/// Takes a lost device's order out of use: it is no peer of the tunnel's concentrator any more, and nothing that the device says is
/// believed. Its record stays.
///
/// # Errors
/// `Refused` for an unknown order, or one whose device was not written yet.
pub async fn retire(database: &Database, id: &OrderId) -> Result<()> {
    let mut transaction = database.write().await?;
    let order = find(&mut transaction, id).await?;
    if order.is_retired() {
        return Ok(());
    }
    if order.is_open() {
        return Err(Fault::refused(format!("order {id} is open: its device was not written, so there is nothing to retire"))
            .fix("to keep a device from being written, take its row out of the roster, or its serial off the order"));
    }
    changes::retire(&mut transaction, &order.id).await?.made()?;
    database::commit(transaction).await
}

async fn find(connection: &mut database::Connection, id: &OrderId) -> Result<Order> {
    table::get(connection, id.as_str()).await?.ok_or_else(|| {
        Fault::refused(format!("there is no order {id}")).fix("`livery-station orders --database URL` lists all orders")
    })
}
