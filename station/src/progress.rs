//! `POST /api/v1/progress` and `/failures`: how far a device is, and why it gave up.
//!
//! In: envelopes signed by the key of the job's device. Out: 204, and the page changes.

use axum::{body::Body, extract::State, http::StatusCode};
use jiff::Timestamp;
use livery_contract::{
    Exit, Fault, Result,
    envelope::{Envelope, Payload, PublicKey},
    fault::FaultReport,
    inventory::usable_serial,
    wire::{Failure, Phase, Progress},
};
use uuid::Uuid;

use crate::{
    Shared,
    answer::{Refusal, Signed},
    database::{
        Connection, damaged, devices,
        jobs::{self, JobRow},
        stored,
    },
};

/// The most characters of each part of a failure that are kept.
const MOST: usize = 2_000;
/// How many boots of a serial are tried as the signer of a failure without a job.
const MOST_KEYS: i64 = 8;

/// The job that a message names, and the message opened with the key of its device.
///
/// # Errors
/// 404 for an unknown job, 403 where its device has not signed.
pub(crate) async fn open<P: Payload>(
    connection: &mut Connection,
    envelope: &Envelope,
    id: Uuid,
) -> Result<(JobRow, PublicKey, P), Refusal> {
    let Some(job) = jobs::get(connection, &id.to_string()).await? else {
        return Err(Refusal::not_found(format!("this station has issued no job {id}")));
    };
    let key: PublicKey = job.device_key.parse().map_err(|fault: Fault| damaged("device key", fault))?;
    let payload = envelope.open(&key)?;
    Ok((job, key, payload))
}

/// Reads what a message claims, to learn which job it names.
///
/// # Errors
/// 400 where it is malformed.
pub(crate) fn claimed<P: Payload>(envelope: &Envelope) -> Result<P, Refusal> {
    envelope.peek().map_err(|fault| Refusal(StatusCode::BAD_REQUEST, fault))
}

/// The route for progress.
///
/// # Errors
/// 404 unknown job, 403 not signed by its device, 409 the job is void since another took its place.
pub async fn post(State(station): State<Shared>, body: Body) -> Result<StatusCode, Refusal> {
    let signed = Signed::read(body).await?;
    let claim: Progress = claimed(&signed.envelope)?;
    let mut connection = station.database.connection().await?;
    let (job, _, progress) = open::<Progress>(&mut connection, &signed.envelope, claim.job).await?;
    let now = Timestamp::now().as_millisecond();
    let bytes = (stored(progress.done.min(progress.total)), stored(progress.total));
    let at_work = jobs::progress(&mut connection, &job.id, progress.phase.as_str(), bytes, stored(progress.rate), now).await?;
    if !at_work && job.state == "replaced" {
        return Err(Refusal::conflict(
            Fault::refused(format!("job {} is void: another boot of this device, or another device, took its place", job.id))
                .fix("start the agent again"),
        ));
    }
    devices::seen(&mut connection, &job.device_key, now).await?;
    station.line.wake();
    Ok(StatusCode::NO_CONTENT)
}

/// The route for failures.
///
/// # Errors
/// 404 unknown job, or no device of that serial has signed; 403 not signed by the job's device.
pub async fn post_failure(State(station): State<Shared>, body: Body) -> Result<StatusCode, Refusal> {
    let signed = Signed::read(body).await?;
    let claim: Failure = claimed(&signed.envelope)?;
    let mut connection = station.database.connection().await?;
    let now = Timestamp::now().as_millisecond();
    if let Some(id) = claim.job {
        let (job, _, failure) = open::<Failure>(&mut connection, &signed.envelope, id).await?;
        tracing::warn!(order = %job.order_id, serial = %job.serial, "the device gave up: {}", failure.fault.what);
        jobs::fail(&mut connection, &job.id, failure.phase.as_str(), &kept(&failure.fault)?, now).await?;
        devices::seen(&mut connection, &job.device_key, now).await?;
    } else {
        let serial = usable_serial(&claim.serial).unwrap_or_default();
        let (key, failure) = signer(&mut connection, &signed.envelope, serial).await?;
        tracing::warn!(%serial, phase = failure.phase.as_str(), "a device without a job gave up: {}", failure.fault.what);
        devices::set_fault(&mut connection, &key, &kept(&failure.fault)?, now).await?;
    }
    station.line.wake();
    Ok(StatusCode::NO_CONTENT)
}

/// Which boot of a serial has signed a failure that names no job.
async fn signer(connection: &mut Connection, envelope: &Envelope, serial: &str) -> Result<(String, Failure), Refusal> {
    for text in devices::keys_of_serial(connection, serial, MOST_KEYS).await? {
        let key: PublicKey = text.parse().map_err(|fault: Fault| damaged("device key", fault))?;
        if let Ok(failure) = envelope.open::<Failure>(&key) {
            return Ok((text, failure));
        }
    }
    Err(Refusal::not_found(format!("no device of serial {serial:?} that enrolled here has signed this")))
}

/// A failure as it is kept and shown, cut where it is endless.
fn kept(report: &FaultReport) -> Result<String> {
    let cut = |text: &str| text.chars().filter(|c| !c.is_control() || *c == '\n').take(MOST).collect::<String>();
    let report = FaultReport {
        exit: report.exit,
        what: cut(&report.what),
        at: report.at.as_deref().map(cut),
        fix: report.fix.as_deref().map(cut),
    };
    serde_json::to_string(&report).map_err(|error| Fault::internal("a failure does not encode").cause(error))
}

/// A kept failure.
pub(crate) fn read_kept(text: &str) -> FaultReport {
    serde_json::from_str(text).unwrap_or_else(|_| FaultReport {
        exit: Exit::Internal,
        what: "the station cannot read this failure any more".into(),
        at: None,
        fix: Some("`livery-station audit` says whether the database was changed".into()),
    })
}

/// A phase by its name on the wire.
pub(crate) fn phase(text: &str) -> Option<Phase> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}
