//! `POST /api/v1/enrol`: a device says who it is; the answer is its job, or why it waits.
//!
//! In: an envelope signed by the key that it names, sent within [`Settings::clock`](crate::station::Settings) of now.
//! Out: a job for a device whose serial has an open order; else a reason, for the device's screen and the page.
//! A device is answered "wait" rather than turned away wherever a person can mend the cause while it stands there.

use axum::{Json, body::Body, extract::State};
use jiff::Timestamp;
use livery_contract::{
    Fault, Result,
    wire::{Enrol, EnrolAnswer, MAX_ENROL},
};

use super::devices;
use crate::{
    database::{self, devices as table, orders},
    http::{
        refusal::Refusal,
        signed::{Signed, check_time},
    },
    jobs::issue::{Issue, issue},
    station::Shared,
};

/// Seconds after which a waiting device asks again.
const ASK_AGAIN: u32 = 5;

/// The route.
///
/// # Errors
/// 400 malformed, 403 not signed by its own key or sent at another time, 413 too long, 503 the database does not answer.
pub(crate) async fn post(State(station): State<Shared>, body: Body) -> Result<Json<EnrolAnswer>, Refusal> {
    let signed = Signed::read_at_most(MAX_ENROL, body).await?;
    let claim: Enrol = signed.claim()?;
    let enrol: Enrol = signed.envelope.open(&claim.key)?;
    let now = Timestamp::now();
    check_time(enrol.at, now, station.settings.clock)?;
    let answer = answer(&station, &enrol, now).await?;
    station.line.wake();
    Ok(Json(answer))
}

async fn answer(station: &Shared, enrol: &Enrol, now: Timestamp) -> Result<EnrolAnswer> {
    let device = devices::describe(enrol, now.as_millisecond());
    let inventory =
        serde_json::to_string(&enrol.inventory).map_err(|error| Fault::internal("an inventory does not encode").cause(error))?;
    let mut transaction = station.database.write().await?;
    table::put(&mut transaction, &device, &inventory).await?;
    database::commit(transaction).await?;

    let outcome = match devices::serial(&enrol.inventory) {
        None => Issue::Wait(format!(
            "the firmware gives no serial that identifies this machine ({:?}): set it in the firmware's setup",
            devices::plain(&enrol.inventory.system.serial)
        )),
        Some(serial) => {
            let order = orders::of_serial(&mut *station.database.connection().await?, serial).await?;
            match order {
                None => Issue::Wait(format!(
                    "no order for serial {serial} yet: import a roster that names it, or run `livery-station assign`"
                )),
                Some(order) if order.is_retired() => Issue::Wait(format!(
                    "order {} is retired, since its device was reported lost: keep this device and call IT",
                    order.id
                )),
                Some(order) if order.is_done() => Issue::Wait(format!(
                    "order {} is done already (record #{}): to write it once more, run `livery-station reopen`",
                    order.id,
                    order.record.unwrap_or_default()
                )),
                Some(order) => issue(station, &order, serial, &enrol.key, now).await?,
            }
        }
    };
    let (reason, answer) = match outcome {
        Issue::Job(job) => (None, EnrolAnswer::Job { job }),
        Issue::Wait(reason) => (Some(reason.clone()), EnrolAnswer::Waiting { reason, retry_after: ASK_AGAIN }),
    };
    table::set_waiting(&mut *station.database.connection().await?, &device.device_key, reason.as_deref()).await?;
    Ok(answer)
}
