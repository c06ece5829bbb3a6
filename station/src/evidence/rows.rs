//! Rows of the log, decoded: for the station itself, and for people and programs.
//!
//! Fails with `Source` where a row is damaged.

use jiff::Timestamp;
use livery_contract::{
    Result,
    confirmation::Confirmation,
    envelope::{Envelope, Payload},
    record::Record,
};
use serde_json::{Value, json};

use crate::database::{damaged, log::Entry};

/// The record in a row.
pub(crate) fn record(entry: &Entry) -> Result<Record> {
    payload("record", &envelope("record", entry)?)
}

/// The confirmation in a row.
pub(crate) fn confirmation(entry: &Entry) -> Result<Confirmation> {
    payload("confirmation", &envelope("confirmation", entry)?)
}

/// The receipt that the row's sender got.
pub(crate) fn receipt(entry: &Entry) -> Result<Envelope> {
    serde_json::from_str(&entry.receipt).map_err(|error| damaged("receipt", error))
}

/// A record, and the envelope that proves it.
pub(crate) fn show_record(entry: &Entry) -> Result<Value> {
    let envelope = envelope("record", entry)?;
    Ok(json!({
        "sequence": entry.sequence,
        "order": entry.order_id,
        "serial": entry.serial,
        "job": entry.job,
        "accepted": accepted(entry)?,
        "digest": entry.digest,
        "record": payload::<Record>("record", &envelope)?,
        "envelope": envelope,
        "receipt": receipt(entry)?,
    }))
}

/// A confirmation, and the envelope that proves it.
pub(crate) fn show_confirmation(entry: &Entry) -> Result<Value> {
    let envelope = envelope("confirmation", entry)?;
    Ok(json!({
        "sequence": entry.sequence,
        "accepted": accepted(entry)?,
        "digest": entry.digest,
        "confirmation": payload::<Confirmation>("confirmation", &envelope)?,
        "envelope": envelope,
        "receipt": receipt(entry)?,
    }))
}

fn envelope(what: &str, entry: &Entry) -> Result<Envelope> {
    serde_json::from_slice(&entry.envelope).map_err(|error| damaged(what, error))
}

fn payload<P: Payload>(what: &str, envelope: &Envelope) -> Result<P> {
    envelope.peek().map_err(|fault| damaged(what, fault))
}

/// When the station took it in.
pub(crate) fn accepted(entry: &Entry) -> Result<Timestamp> {
    Timestamp::from_millisecond(entry.accepted_at).map_err(|error| damaged("time", error))
}
