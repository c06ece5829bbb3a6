//! `POST /api/v1/records`: the evidence that a device holds what its order says, into the append-only log.
//!
//! In: an envelope signed by the job's device. Accepted only where it answers the job: same order, image, manifest and
//! serial, and sections that cover the whole image end to end, as the manifest has them. Out: a receipt signed by the
//! station. The same bytes again get the same receipt; another record for the same job is refused.

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::StatusCode,
};
use jiff::Timestamp;
use livery_contract::{
    Digest, Fault, OrderId, Result,
    digest::Hasher,
    envelope::Envelope,
    inventory::usable_serial,
    record::{Record, SCHEMA, Section},
    wire::Receipt,
};
use serde_json::{Value, json};

use crate::{
    Shared,
    answer::{Refusal, Signed},
    confirmations,
    database::{
        self, Connection, damaged,
        jobs::{self, JobRow},
        log::{self, Entry, Kind},
        meant, orders,
    },
    jobs::Expected,
    progress::{claimed, open},
};

/// The most ranges that may have been changed after the read-back.
const MOST_CHANGES: usize = 64;

/// The chain before the first row.
pub fn chain_start() -> Digest {
    Digest::from_bytes([0; 32])
}

/// The chain up to and with a row of this digest.
pub fn chain(previous: &Digest, digest: &Digest) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(previous.as_bytes());
    hasher.update(digest.as_bytes());
    hasher.finish()
}

/// The route.
///
/// # Errors
/// 400 malformed, 403 not signed by the job's device, 404 unknown job, 409 it does not answer its job.
pub async fn post(State(station): State<Shared>, body: Body) -> Result<(StatusCode, Json<Envelope>), Refusal> {
    let signed = Signed::read(body).await?;
    let claim: Record = claimed(&signed.envelope)?;
    let Some(id) = claim.job else {
        return Err(Refusal::conflict(
            Fault::refused("the record names no job: it is of a write by hand")
                .fix("keep it yourself; the station takes records of its own jobs"),
        ));
    };
    let digest = Digest::of(&signed.bytes);
    let mut transaction = station.database.write().await?;
    let (job, _, record) = open::<Record>(&mut transaction, &signed.envelope, id).await?;
    if let Some(kept) = log::of_digest(&mut transaction, &digest.to_string()).await? {
        // Sent again, since our answer was lost on its way.
        return Ok((StatusCode::CREATED, Json(receipt_of(&kept)?)));
    }
    match job.state.as_str() {
        "done" => {
            return Err(Refusal::conflict(Fault::refused(format!(
                "job {id} has another record already (#{})",
                job.record.unwrap_or_default()
            ))));
        }
        "replaced" => {
            return Err(Refusal::conflict(
                Fault::refused(format!("job {id} is void: another took its place")).fix("start the agent again"),
            ));
        }
        _ => {}
    }
    answers(&record, &job).map_err(Refusal::conflict)?;
    let receipt = append(&mut transaction, &station.key, &job, &record, &signed.bytes, digest).await?;
    database::commit(transaction).await?;
    tracing::info!(order = %job.order_id, serial = %job.serial, job = %job.id, "record accepted");
    station.line.wake();
    Ok((StatusCode::CREATED, Json(receipt)))
}

async fn append(
    connection: &mut Connection,
    key: &ed25519_dalek::SigningKey,
    job: &JobRow,
    record: &Record,
    bytes: &[u8],
    digest: Digest,
) -> Result<Envelope> {
    let (sequence, previous) = next(connection).await?;
    let now = Timestamp::now();
    let (Some(id), Some(order)) = (record.job, record.order.clone()) else {
        return Err(Fault::internal("a checked record has no job or order"));
    };
    let receipt = Envelope::sign(&Receipt { job: id, order, sequence: meant(sequence), record: digest, at: now }, key);
    let entry = Entry {
        sequence,
        kind: Kind::Record.as_str().into(),
        job: job.id.clone(),
        order_id: job.order_id.clone(),
        serial: job.serial.clone(),
        envelope: bytes.to_vec(),
        digest: digest.to_string(),
        previous: previous.to_string(),
        job_envelope: job.envelope.clone(),
        receipt: serde_json::to_string(&receipt).map_err(|error| Fault::internal("a receipt does not encode").cause(error))?,
        accepted_at: now.as_millisecond(),
    };
    log::append(connection, &entry).await?;
    jobs::finish(connection, &job.id, sequence, now.as_millisecond()).await?;
    orders::finish(connection, &job.order_id, sequence).await?;
    Ok(receipt)
}

/// The next row's place, and the chain up to the one before.
///
/// # Errors
/// `Source` where the database fails or holds a bad digest.
pub(crate) async fn next(connection: &mut Connection) -> Result<(i64, Digest)> {
    Ok(match log::last(connection).await? {
        Some(last) => (last.sequence + 1, chain(&parse_digest(&last.previous)?, &parse_digest(&last.digest)?)),
        None => (1, chain_start()),
    })
}

pub(crate) fn receipt_of(entry: &Entry) -> Result<Envelope> {
    serde_json::from_str(&entry.receipt).map_err(|error| damaged("receipt", error))
}

pub(crate) fn parse_digest(text: &str) -> Result<Digest> {
    text.parse().map_err(|fault: Fault| damaged("digest", fault))
}

/// Whether a record answers its job.
///
/// # Errors
/// `Refused`, naming the first thing that does not fit.
fn answers(record: &Record, job: &JobRow) -> Result<()> {
    let no = |what: String| Err(Fault::refused(format!("the record does not answer job {}: {what}", job.id)));
    let order = record.order.as_ref().map_or("none", OrderId::as_str);
    let serial = usable_serial(&record.system.serial).unwrap_or_default();
    for (what, says, wants) in [
        ("schema", record.schema.to_string(), SCHEMA.to_string()),
        ("order", order.to_owned(), job.order_id.clone()),
        ("image", record.image.to_string(), job.image.clone()),
        ("manifest", record.manifest.to_string(), job.manifest.clone()),
        ("serial", serial.to_owned(), job.serial.clone()),
        ("size", record.size.to_string(), meant(job.size).to_string()),
    ] {
        if says != wants {
            return no(format!("its {what} is {says}, the job's is {wants}"));
        }
    }
    let expected: Vec<Expected> = serde_json::from_str(&job.sections).map_err(|error| damaged("list of sections", error))?;
    covers(&record.sections, &expected, record.size).or_else(no)?;
    if record.disk.size < record.size {
        return no(format!("a disk of {} bytes does not hold {}", record.disk.size, record.size));
    }
    if record.changed_after.len() > MOST_CHANGES {
        return no(format!("{} ranges were changed afterwards", record.changed_after.len()));
    }
    // Up to the disk's end, not the image's: the backup partition table moves there.
    for change in &record.changed_after {
        if change.length == 0 || change.offset.checked_add(change.length).is_none_or(|end| end > record.disk.size) {
            return no(format!("the range at {} changed afterwards lies outside the disk", change.offset));
        }
    }
    let times = &record.times;
    if !(times.started <= times.written && times.written <= times.verified && times.verified <= times.finished) {
        return no("its times are out of order".into());
    }
    Ok(())
}

/// Whether the sections read back are those of the image: each byte of them once, in order, to the end of the image.
fn covers(sections: &[Section], expected: &[Expected], size: u64) -> Result<(), String> {
    let (mut at, mut bytes) = (0u64, 0u64);
    for section in sections {
        if section.offset < at || section.length == 0 {
            return Err(format!("section {:.40} begins at {}, the one before ended at {at}", section.name, section.offset));
        }
        at = section.offset.checked_add(section.length).ok_or_else(|| "a section is endless".to_owned())?;
        bytes += section.length;
    }
    if at != size || size == 0 {
        return Err(format!("{bytes} bytes were read back, up to {at} of {size}"));
    }
    // An agent may cut a section once more; neighbours of one name count as one.
    let found = joined(sections.iter().map(|section| (section.name.as_str(), section.offset, section.length)));
    let wanted = joined(expected.iter().map(|section| (section.name.as_str(), section.offset, section.length)));
    if found == wanted { Ok(()) } else { Err("its sections are not those of the image".into()) }
}

/// Name, first byte and end of each.
fn joined<'a>(sections: impl Iterator<Item = (&'a str, u64, u64)>) -> Vec<(&'a str, u64, u64)> {
    let mut all: Vec<(&str, u64, u64)> = Vec::new();
    for (name, offset, length) in sections {
        let end = offset.saturating_add(length);
        match all.last_mut() {
            Some((last, _, last_end)) if *last == name && *last_end == offset => *last_end = end,
            _ => all.push((name, offset, end)),
        }
    }
    all
}

/// What a row of the log says.
///
/// # Errors
/// `Source` where the row is damaged.
pub fn read(entry: &Entry) -> Result<Record> {
    let envelope: Envelope = serde_json::from_slice(&entry.envelope).map_err(|error| damaged("record", error))?;
    envelope.peek().map_err(|fault| damaged("record", fault))
}

/// A row of the log for people and programs: what it says, and the envelope that proves it.
///
/// # Errors
/// `Source` where the row is damaged.
pub fn view(entry: &Entry) -> Result<Value> {
    let envelope: Envelope = serde_json::from_slice(&entry.envelope).map_err(|error| damaged("record", error))?;
    let record = read(entry)?;
    Ok(json!({
        "sequence": entry.sequence,
        "order": entry.order_id,
        "serial": entry.serial,
        "job": entry.job,
        "accepted": Timestamp::from_millisecond(entry.accepted_at).map_err(|error| damaged("time", error))?,
        "digest": entry.digest,
        "record": record,
        "envelope": envelope,
        "receipt": receipt_of(entry)?,
    }))
}

/// `GET /api/v1/records/{order}`: all records of an order, and what its device in use has said, the latest first.
///
/// # Errors
/// 404 where there is none.
pub async fn get(State(station): State<Shared>, Path(order): Path<String>) -> Result<Json<Value>, Refusal> {
    let order: OrderId = order.parse().map_err(|fault| Refusal(StatusCode::BAD_REQUEST, fault))?;
    let mut connection = station.database.connection().await?;
    let entries = log::of_order(&mut connection, order.as_str(), Kind::Record).await?;
    let told = log::of_order(&mut connection, order.as_str(), Kind::Confirmation).await?;
    let usage = orders::get(&mut connection, order.as_str()).await?.and_then(|order| order.usage());
    if entries.is_empty() {
        return Err(Refusal::not_found(format!("there is no record for order {order}")));
    }
    let records = entries.iter().map(view).collect::<Result<Vec<_>>>()?;
    let confirmations = told.iter().map(confirmations::view).collect::<Result<Vec<_>>>()?;
    Ok(Json(json!({ "order": order, "records": records, "use": usage, "confirmations": confirmations })))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn section(name: &str, offset: u64, length: u64) -> Section {
        Section { name: name.into(), offset, length, sha256: Digest::of(b"") }
    }

    #[test]
    fn sections_lie_end_to_end_over_the_whole_image() {
        let expected: Vec<Expected> = [("gpt", 0, 4096), ("root", 4096, 8192)]
            .map(|(name, offset, length)| Expected { name: name.into(), offset, length })
            .into();
        covers(&[section("gpt", 0, 4096), section("root", 4096, 8192)], &expected, 12288).unwrap();
        covers(&[section("gpt", 0, 4096), section("root", 4096, 4096), section("root", 8192, 4096)], &expected, 12288).unwrap();
        for (what, bad) in [
            ("none", vec![]),
            ("short", vec![section("gpt", 0, 4096)]),
            ("gap", vec![section("gpt", 0, 4095), section("root", 4096, 8192)]),
            ("empty", vec![section("gpt", 0, 0), section("gpt", 0, 4096), section("root", 4096, 8192)]),
            ("endless", vec![section("gpt", 0, u64::MAX), section("root", u64::MAX, 8192)]),
            ("other name", vec![section("gpt", 0, 4096), section("esp", 4096, 8192)]),
            ("one for all", vec![section("disk", 0, 12288)]),
        ] {
            assert!(covers(&bad, &expected, 12288).is_err(), "{what}");
        }
        // What partitions do not use is in no section; nothing else may be left out.
        let room: Vec<Expected> = [("gpt", 0, 4096), ("root", 8192, 4096)]
            .map(|(name, offset, length)| Expected { name: name.into(), offset, length })
            .into();
        covers(&[section("gpt", 0, 4096), section("root", 8192, 4096)], &room, 12288).unwrap();
        assert!(covers(&[section("gpt", 0, 4096), section("root", 8192, 4096)], &expected, 12288).is_err(), "left out");
        assert!(covers(&[section("gpt", 0, 8192), section("root", 8192, 4096)], &room, 12288).is_err(), "more than that");
    }
}
