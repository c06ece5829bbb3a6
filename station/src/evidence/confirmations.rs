//! `POST /api/v1/confirmations`: what took effect on a device in use, into the append-only log.
//!
//! In: an envelope signed by the key that the latest record of its serial names, not long ago. Out: a receipt signed by the station.
//! What says the same as the latest one is no news: it gets that one's receipt and costs no row. What is older than the latest, or comes
//! too often, is refused. A device that runs something else than was ordered is *not* refused: that is what people must see.

use axum::{Json, body::Body, extract::State, http::StatusCode};
use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use livery_contract::{
    Digest, Fault, OrderId, Reference, Result,
    confirmation::{Confirmation, MAX_BYTES, What},
    envelope::Envelope,
    record::Record,
};
use uuid::Uuid;

use super::{chain, rows, verdict};
use crate::{
    database::{
        self, damaged,
        jobs::{self, JobRow},
        log::{self, Entry, Kind},
        orders::{self, Order},
    },
    http::{
        refusal::Refusal,
        signed::{Signed, check_time},
    },
    orders::usage,
    station::Shared,
};

/// The most news of one device in [`A_DAY`]: what changes more often is no setting.
const MOST_A_DAY: i64 = 12;
/// In milliseconds.
const A_DAY: i64 = 24 * 3_600_000;

/// The route.
///
/// # Errors
/// 400 malformed, 403 not signed by the device that the record names, or at another time; 404 no record of this serial; 409 older than
/// what is known, or the device has no key of its own; 413 too long; 429 too often.
pub(crate) async fn post(State(station): State<Shared>, body: Body) -> Result<(StatusCode, Json<Envelope>), Refusal> {
    let signed = Signed::read(body).await?;
    if signed.bytes.len() > MAX_BYTES {
        let fault = Fault::refused(format!("a confirmation of {} bytes is over the limit of {MAX_BYTES}", signed.bytes.len()));
        return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, fault));
    }
    let claim: Confirmation = signed.claim()?;
    claim.check().map_err(Refusal::malformed)?;
    let now = Timestamp::now();
    // Reading only: nobody whose signature is not good makes others wait.
    let entry = log::record_of_serial(&mut *station.database.connection().await?, &claim.serial).await?;
    let Some(entry) = entry else {
        return Err(Refusal::not_found(format!("this station has no record of a device with serial {}", claim.serial)));
    };
    let record = rows::record(&entry)?;
    let Some(keys) = &record.keys else {
        return Err(Refusal::conflict(
            Fault::refused(format!(
                "record #{} names no key for device {}, so the station cannot check what it signs",
                entry.sequence, claim.serial
            ))
            .fix("write the device again with an image built by this release"),
        ));
    };
    let confirmation: Confirmation = signed.envelope.open(&keys.device).map_err(|fault| {
        fault
            .at(format!("device {}, record #{}", claim.serial, entry.sequence))
            .fix("a rewritten device signs with its new key; if this one was not rewritten, somebody is impersonating it: tell IT")
    })?;
    check_time(confirmation.at, now, station.settings.clock)?;

    let runs = newer(&station, &record, &confirmation).await;

    let mut transaction = station.database.write().await?;
    let order = orders::get(&mut transaction, &entry.order_id).await?.ok_or_else(|| damaged("log", "a record of no order"))?;
    if order.is_retired() {
        return Err(Fault::untrusted(format!("order {} is retired: what its device says is not believed any more", order.id))
            .fix("if the device was found again, run `livery-station reopen`, and write it once more")
            .into());
    }
    if order.record != Some(entry.sequence) {
        return Err(Refusal::conflict(
            Fault::refused(format!(
                "another device has since fulfilled order {} (record #{})",
                order.id,
                order.record.unwrap_or(0)
            ))
            .fix(format!("device {} no longer has an order: erase it, or assign it to another order", claim.serial)),
        ));
    }
    let latest = log::latest_confirmation(&mut transaction, &entry).await?;
    if let Some(latest) = &latest {
        let known = rows::confirmation(latest)?;
        if confirmation.says_as(&known) {
            // Sent again: its answer was lost, or the device has no memory of it and was switched on again.
            orders::heard(&mut transaction, &entry.order_id, now.as_millisecond()).await?;
            database::commit(transaction).await?;
            station.line.wake();
            return Ok((StatusCode::OK, Json(rows::receipt(latest)?)));
        }
        // A clock that ran ahead shall not silence the device once it is right again.
        let known_at = known.at.min(rows::accepted(latest)?);
        if confirmation.at <= known_at {
            return Err(Refusal::conflict(Fault::refused(format!(
                "this confirmation was made at {:.0}, but the device already reported something else at {:.0}",
                confirmation.at, known_at
            ))));
        }
        let since = now.as_millisecond().saturating_sub(A_DAY);
        if log::confirmations_since(&mut transaction, &entry, since).await? >= MOST_A_DAY {
            let fault = Fault::refused(format!("device {} has sent {MOST_A_DAY} different reports today", claim.serial))
                .fix("check the device: its settings keep changing, or somebody else has its key");
            return Err(Refusal(StatusCode::TOO_MANY_REQUESTS, fault));
        }
    }
    let number = latest.as_ref().map_or(1, |latest| number(latest) + 1);
    let receipt =
        append(&mut transaction, &station.key, (&entry, &order), (&confirmation, runs.as_ref()), &signed.bytes, number).await?;
    database::commit(transaction).await?;
    station.line.wake();
    Ok((StatusCode::CREATED, Json(receipt)))
}

/// The newer image that a device runs since it took one by itself. What can't be found out is none: then people see another image.
async fn newer(station: &Shared, record: &Record, confirmation: &Confirmation) -> Option<Reference> {
    let image = confirmation.findings.iter().find(|finding| finding.what == What::Image)?;
    let root_hash: Digest = image.found.parse().ok()?;
    match station.catalogue.newer_with(&record.image, &root_hash).await {
        Ok(found) => found,
        Err(fault) => {
            tracing::warn!(%fault, "cannot tell whether the device runs a newer image");
            None
        }
    }
}

/// Puts it into the log, and its verdict into the order.
async fn append(
    connection: &mut database::Connection,
    key: &SigningKey,
    (of, order): (&Entry, &Order),
    (confirmation, runs): (&Confirmation, Option<&Reference>),
    bytes: &[u8],
    number: u64,
) -> Result<Envelope> {
    let job: JobRow = jobs::get(connection, &of.job).await?.ok_or_else(|| damaged("log", "a record of no job"))?;
    let mut wanted = verdict::wanted(&job, order, &rows::record(of)?)?;
    if runs.is_some() {
        // The store vouches for it, as it did for the one that was written.
        wanted.remove(&What::Image);
    }
    let amiss = verdict::amiss(confirmation, &wanted);
    let runs = runs.map(Reference::to_string);
    let id: Uuid = of.job.parse().map_err(|error| damaged("job number", error))?;
    let name: OrderId = of.order_id.parse().map_err(|fault: Fault| damaged("order number", fault))?;
    let message = chain::Message {
        kind: Kind::Confirmation,
        name: format!("{}/{number}", of.job),
        job: id,
        order: name,
        serial: &of.serial,
        bytes,
        job_envelope: &of.job_envelope,
    };
    let added = chain::append(connection, key, message).await?;
    orders::confirm(connection, &of.order_id, added.sequence, (&usage::encode(&amiss)?, runs.as_deref()), added.at).await?;
    if amiss.is_empty() {
        tracing::info!(order = %of.order_id, serial = %of.serial, "the device is in use");
    } else {
        let words: Vec<String> = amiss.iter().map(ToString::to_string).collect();
        tracing::warn!(order = %of.order_id, serial = %of.serial, "the device is not as ordered: {}", words.join("; "));
    }
    Ok(added.receipt)
}

/// Which of the confirmations of its job a row is: 1, 2 …
fn number(entry: &Entry) -> u64 {
    entry.job.rsplit_once('/').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}

/// Whether what is signed of a row holds: by the key that the record of its job names.
///
/// # Errors
/// What does not.
pub(crate) fn fits(entry: &Entry, record: &Record) -> Result<(), String> {
    let envelope: Envelope = serde_json::from_slice(&entry.envelope).map_err(|error| format!("its envelope: {error}"))?;
    let key = record.keys.as_ref().map(|keys| keys.device).ok_or("the record that it confirms names no key")?;
    let confirmation: Confirmation = envelope.open(&key).map_err(|fault| format!("its envelope: {fault}"))?;
    let same = confirmation.serial == entry.serial && record.order.as_ref().map(OrderId::as_str) == Some(&entry.order_id);
    if same { Ok(()) } else { Err("confirmation, record and columns contradict each other".into()) }
}
