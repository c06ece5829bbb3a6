//! `orders`, `records` and `record`: what is in the database.

use livery_contract::{Fault, OrderId, Result};
use serde_json::{Value, json};

use super::output::{columns, say};
use crate::{
    database::{Database, Open, log, orders},
    evidence::rows,
    orders::usage::Usage,
    states::State as _,
};

/// `orders`: all orders.
pub(super) async fn orders(json: bool, url: &str) -> Result<()> {
    let database = Database::open(url, Open::Existing).await?;
    let all = orders::all(&mut *database.connection().await?).await?;
    if json {
        let shown: Vec<Value> = all
            .iter()
            .map(|order| {
                let mut shown = json!(order);
                shown["use"] = json!(Usage::of(order));
                shown
            })
            .collect();
        return say(&json!({ "orders": shown }).to_string());
    }
    let table: Vec<Vec<String>> = all
        .iter()
        .map(|order| {
            vec![
                order.id.clone(),
                order.serial.clone().unwrap_or_else(|| "-".into()),
                order.sign_in.clone(),
                order.hostname.clone(),
                order.image.clone(),
                order.state.as_str().to_owned(),
                order.record.map_or_else(|| "-".into(), |record| format!("#{record}")),
                Usage::of(order).map_or_else(|| "-".into(), |usage| usage.text()),
            ]
        })
        .collect();
    say(&columns(&["ORDER", "SERIAL", "USER", "HOST", "IMAGE", "STATE", "RECORD", "AT THE DESK"], &table))
}

/// `records`: all records of the log.
pub(super) async fn records(json: bool, url: &str) -> Result<()> {
    let database = Database::open(url, Open::Existing).await?;
    let mut connection = database.connection().await?;
    let (mut last, mut table, mut values) = (0, Vec::new(), Vec::new());
    loop {
        let page = log::after(&mut connection, last, 200).await?;
        let Some(end) = page.last().map(|entry| entry.sequence) else { break };
        for entry in page.into_iter().filter(|entry| log::Kind::of(entry) == Some(log::Kind::Record)) {
            let view = rows::show_record(&entry)?;
            table.push(vec![
                format!("#{}", entry.sequence),
                entry.order_id,
                entry.serial,
                view["record"]["image"].as_str().unwrap_or_default().to_owned(),
                view["accepted"].as_str().unwrap_or_default().to_owned(),
                entry.digest,
            ]);
            if json {
                values.push(view);
            }
        }
        last = end;
    }
    if json {
        return say(&json!({ "records": values }).to_string());
    }
    say(&columns(&["RECORD", "ORDER", "SERIAL", "IMAGE", "ACCEPTED", "DIGEST"], &table))
}

/// `record`: the latest record of an order.
pub(super) async fn record(order: &OrderId, payload: bool, json: bool, url: &str) -> Result<()> {
    let database = Database::open(url, Open::Existing).await?;
    let entries = log::of_order(&mut *database.connection().await?, order.as_str(), log::Kind::Record).await?;
    let Some(entry) = entries.first() else {
        return Err(
            Fault::refused(format!("there is no record for order {order}")).fix("`livery-station records` lists all records")
        );
    };
    if payload {
        let record = &rows::show_record(entry)?["record"];
        let text = if json { record.to_string() } else { format!("{record:#}") };
        return say(&text);
    }
    let text = std::str::from_utf8(&entry.envelope)
        .map_err(|error| Fault::source("the stored record is not text").fix("run `livery-station audit`").cause(error))?;
    say(text)
}
