//! `/api/v1/records`: the evidence that a device holds what its order says, into the append-only log and out of it.
//!
//! In: an envelope signed by the job's device. Accepted only where it answers the job (see [`record_check`]). Out: a receipt
//! signed by the station. The same bytes again get the same receipt; another record for the same job is refused.

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::StatusCode,
};
use ed25519_dalek::SigningKey;
use livery_contract::{Digest, Fault, OrderId, Result, envelope::Envelope, record::Record};
use serde_json::{Value, json};

use super::{chain, record_check, rows};
use crate::{
    database::{
        self, Connection, changes,
        jobs::JobRow,
        log::{self, Kind},
        orders,
    },
    http::{refusal::Refusal, signed::Signed},
    jobs::message,
    orders::usage::Usage,
    states::JobState,
    station::Shared,
};

/// The route.
///
/// # Errors
/// 400 malformed, 403 not signed by the job's device, 404 unknown job, 409 it does not answer its job.
pub(crate) async fn post(State(station): State<Shared>, body: Body) -> Result<(StatusCode, Json<Envelope>), Refusal> {
    let signed = Signed::read(body).await?;
    let claim: Record = signed.claim()?;
    let Some(id) = claim.job else {
        return Err(Refusal::conflict(
            Fault::refused("the record names no job: the device was written by hand")
                .fix("keep the record yourself; the station only accepts records of its own jobs"),
        ));
    };
    let digest = Digest::of(&signed.bytes);
    let mut transaction = station.database.write().await?;
    let (job, record) = message::open::<Record>(&mut transaction, &signed.envelope, id).await?;
    if let Some(known) = log::of_digest(&mut transaction, &digest.to_string()).await? {
        // Sent again, since our answer was lost on its way.
        return Ok((StatusCode::CREATED, Json(rows::receipt(&known)?)));
    }
    match job.state {
        JobState::Done => {
            return Err(Refusal::conflict(Fault::refused(format!(
                "job {id} has another record already (#{})",
                job.record.unwrap_or_default()
            ))));
        }
        JobState::Replaced => {
            return Err(Refusal::conflict(
                Fault::refused(format!("job {id} is void: another job took its place")).fix("start the agent again"),
            ));
        }
        JobState::Issued | JobState::Working | JobState::Failed => {}
    }
    record_check::answers(&record, &job).map_err(Refusal::conflict)?;
    let receipt = append(&mut transaction, &station.key, &job, &record, &signed.bytes).await?;
    database::commit(transaction).await?;
    tracing::info!(order = %job.order_id, serial = %job.serial, job = %job.id, "record accepted");
    station.line.wake();
    Ok((StatusCode::CREATED, Json(receipt)))
}

async fn append(connection: &mut Connection, key: &SigningKey, job: &JobRow, record: &Record, bytes: &[u8]) -> Result<Envelope> {
    let (Some(id), Some(order)) = (record.job, record.order.clone()) else {
        return Err(Fault::internal("a checked record has no job or order"));
    };
    let message = chain::Message {
        kind: Kind::Record,
        name: job.id.clone(),
        job: id,
        order,
        serial: &job.serial,
        bytes,
        job_envelope: &job.envelope,
    };
    let added = chain::append(connection, key, message).await?;
    changes::record_job(connection, &job.id, added.sequence, added.at).await?.made()?;
    changes::record_order(connection, &job.order_id, added.sequence).await?.made()?;
    Ok(added.receipt)
}

/// `GET /api/v1/records/{order}`: all records of an order, and what its device in use has said, the latest first.
///
/// # Errors
/// 404 where there is none.
pub(crate) async fn get(State(station): State<Shared>, Path(order): Path<String>) -> Result<Json<Value>, Refusal> {
    let order: OrderId = order.parse().map_err(Refusal::malformed)?;
    let mut connection = station.database.connection().await?;
    let entries = log::of_order(&mut connection, order.as_str(), Kind::Record).await?;
    let confirmations = log::of_order(&mut connection, order.as_str(), Kind::Confirmation).await?;
    let usage = orders::get(&mut connection, order.as_str()).await?.and_then(|order| Usage::of(&order));
    if entries.is_empty() {
        return Err(Refusal::not_found(format!("there is no record for order {order}")));
    }
    let records = entries.iter().map(rows::show_record).collect::<Result<Vec<_>>>()?;
    let confirmations = confirmations.iter().map(rows::show_confirmation).collect::<Result<Vec<_>>>()?;
    Ok(Json(json!({ "order": order, "records": records, "use": usage, "confirmations": confirmations })))
}
