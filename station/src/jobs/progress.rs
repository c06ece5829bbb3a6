//! `POST /api/v1/progress` and `/failures`: how far a device is, and why it gave up.
//!
//! In: envelopes signed by the key of the job's device. Out: 204, and the page changes.

use axum::{body::Body, extract::State, http::StatusCode};
use jiff::Timestamp;
use livery_contract::{
    Fault, Result,
    envelope::{Envelope, PublicKey},
    inventory::usable_serial,
    wire::{Failure, Progress},
};

use super::message;
use crate::{
    database::{
        Connection,
        changes::{self, Change},
        damaged, devices, encoding, stored,
    },
    http::{refusal::Refusal, signed::Signed},
    states::{JobState, Refused},
    station::Shared,
    text::one_line,
};

/// The most characters of a failure that the log has.
const MOST_SAID: usize = 500;
/// How many boots of a serial are tried as the signer of a failure without a job.
const MOST_KEYS: i64 = 8;

/// The route for progress.
///
/// # Errors
/// 404 unknown job, 403 not signed by its device, 409 the job is void since another took its place.
pub(crate) async fn post(State(station): State<Shared>, body: Body) -> Result<StatusCode, Refusal> {
    let signed = Signed::read(body).await?;
    let claim: Progress = signed.claim()?;
    let mut connection = station.database.connection().await?;
    let (job, progress) = message::open::<Progress>(&mut connection, &signed.envelope, claim.job).await?;
    let now = Timestamp::now().as_millisecond();
    let bytes = (stored(progress.done.min(progress.total)), stored(progress.total));
    let change = changes::progress(&mut connection, &job.id, progress.phase.as_str(), bytes, stored(progress.rate), now).await?;
    if let Change::Refused(Refused { state: JobState::Replaced, .. }) = change {
        return Err(Refusal::conflict(
            Fault::refused(format!("job {} is void: another boot of this device, or another device, took its place", job.id))
                .fix("start the agent again"),
        ));
    }
    // Refused by a job that is done or failed, it was late: no harm, and no news.
    devices::seen(&mut connection, &job.device_key, now).await?;
    station.line.wake();
    Ok(StatusCode::NO_CONTENT)
}

/// The route for failures.
///
/// # Errors
/// 404 unknown job, or no device of that serial has signed; 403 not signed by the job's device.
pub(crate) async fn post_failure(State(station): State<Shared>, body: Body) -> Result<StatusCode, Refusal> {
    let signed = Signed::read(body).await?;
    let claim: Failure = signed.claim()?;
    let mut connection = station.database.connection().await?;
    let now = Timestamp::now().as_millisecond();
    if let Some(id) = claim.job {
        let (job, failure) = message::open::<Failure>(&mut connection, &signed.envelope, id).await?;
        tracing::warn!(order = %job.order_id, serial = %job.serial, "the device gave up: {}", one_line(&failure.fault.what, MOST_SAID));
        let fault = encoding::fault(&failure.fault)?;
        // A job that is done or replaced refuses it: what counts was decided without this device.
        let _ = changes::fail(&mut connection, &job.id, failure.phase.as_str(), &fault, now).await?;
        devices::seen(&mut connection, &job.device_key, now).await?;
    } else {
        let serial = usable_serial(&claim.serial).unwrap_or_default();
        let (key, failure) = signer(&mut connection, &signed.envelope, serial).await?;
        tracing::warn!(%serial, phase = failure.phase.as_str(), "a device without a job gave up: {}", one_line(&failure.fault.what, MOST_SAID));
        devices::set_fault(&mut connection, &key, &encoding::fault(&failure.fault)?, now).await?;
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
    Err(Refusal::not_found(format!("no device with serial {serial:?} that enrolled here has signed this message")))
}
