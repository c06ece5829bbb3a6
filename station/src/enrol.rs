//! `POST /api/v1/enrol`: a device says who it is; the answer is its job, or why it waits.
//!
//! In: an envelope signed by the key that it names, sent within [`Settings::clock`](crate::Settings) of now.
//! Out: a job for a device whose serial has an open order; else a reason, for the device's screen and the page.
//! A device is answered "wait" rather than turned away wherever a person can mend the cause while it stands there.

use axum::{Json, body::Body, extract::State, http::StatusCode};
use jiff::{SignedDuration, Timestamp};
use livery_contract::{
    Fault, Result,
    wire::{Enrol, EnrolAnswer},
};

use crate::{
    Shared,
    answer::{Refusal, Signed},
    database::{self, devices as table, orders},
    devices, jobs,
};

/// Seconds after which a waiting device asks again.
const ASK_AGAIN: u32 = 5;

/// The route.
///
/// # Errors
/// 400 malformed, 403 not signed by its own key or sent at another time, 413 too long, 503 the database does not answer.
pub async fn post(State(station): State<Shared>, body: Body) -> Result<Json<EnrolAnswer>, Refusal> {
    let signed = Signed::read(body).await?;
    let claimed: Enrol = signed.envelope.peek().map_err(|fault| Refusal(StatusCode::BAD_REQUEST, fault))?;
    let enrol: Enrol = signed.envelope.open(&claimed.key)?;
    let now = Timestamp::now();
    check_time(enrol.at, now, station.settings.clock)?;
    let answer = answer(&station, &enrol, now).await?;
    station.line.wake();
    Ok(Json(answer))
}

/// An old message shall not be played again; the likely cause is a device without a battery for its clock.
pub(crate) fn check_time(at: Timestamp, now: Timestamp, slack: SignedDuration) -> Result<()> {
    let off = at.duration_since(now);
    if off.abs() <= slack {
        return Ok(());
    }
    let minutes = off.abs().as_mins();
    let how = if off.is_negative() { "behind" } else { "ahead of" };
    Err(Fault::untrusted(format!("the device's clock is {minutes} minutes {how} the station's: it says {at:.0}, it is {now:.0}"))
        .fix("set the clock in the device's firmware, or let it reach a time server, and start it again"))
}

async fn answer(station: &Shared, enrol: &Enrol, now: Timestamp) -> Result<EnrolAnswer> {
    let device = devices::describe(enrol, now.as_millisecond());
    let inventory =
        serde_json::to_string(&enrol.inventory).map_err(|error| Fault::internal("an inventory does not encode").cause(error))?;
    let mut transaction = station.database.write().await?;
    table::put(&mut transaction, &device, &inventory).await?;
    database::commit(transaction).await?;

    let outcome = match devices::serial(&enrol.inventory) {
        None => Err(format!(
            "the firmware gives no serial that identifies this machine ({:?}): set it in the firmware's setup",
            devices::plain(&enrol.inventory.system.serial)
        )),
        Some(serial) => {
            let order = orders::of_serial(&mut *station.database.connection().await?, serial).await?;
            match order {
                None => Err(format!("no order for serial {serial} yet: import a roster or assign one")),
                Some(order) if order.is_done() => Err(format!(
                    "order {} is done already (record #{}): an operator may reopen it",
                    order.id,
                    order.record.unwrap_or_default()
                )),
                Some(order) => jobs::issue(station, &order, serial, &enrol.key, now).await?,
            }
        }
    };
    let (reason, answer) = match outcome {
        Ok(job) => (None, EnrolAnswer::Job { job }),
        Err(reason) => (Some(reason.clone()), EnrolAnswer::Waiting { reason, retry_after: ASK_AGAIN }),
    };
    table::set_waiting(&mut *station.database.connection().await?, &device.device_key, reason.as_deref()).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_clock_may_be_some_minutes_off() {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let slack = SignedDuration::from_mins(15);
        check_time(now - SignedDuration::from_mins(14), now, slack).unwrap();
        check_time(now + SignedDuration::from_mins(14), now, slack).unwrap();
        let fault = check_time("1970-01-01T00:00:00Z".parse().unwrap(), now, slack).unwrap_err();
        assert_eq!(fault.exit().code(), 4);
        assert!(fault.render().contains("behind"), "{}", fault.render());
    }
}
