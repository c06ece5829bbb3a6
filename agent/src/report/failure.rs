//! Why a device failed, told to the station.

use std::time::Duration;

use livery_contract::{
    Exit, Fault,
    wire::{Failure, Phase},
};
use uuid::Uuid;

use crate::station::client::Station;

/// Attempts at telling of a failure: the operator reads it on the screen anyway.
const FAILURE_ATTEMPTS: u32 = 5;

/// Tells of a failure, a few times; whether that worked is only logged.
pub async fn failure(station: &Station, job: Option<Uuid>, serial: &str, phase: Phase, fault: &Fault) {
    let message = Failure { job, serial: serial.into(), phase, fault: fault.report() };
    for attempt in 1..=FAILURE_ATTEMPTS {
        match station.send("api/v1/failures", &message).await {
            Ok(_) => return,
            Err(error) if error.exit() == Exit::Source && attempt < FAILURE_ATTEMPTS => {
                tokio::time::sleep(Duration::from_secs(u64::from(attempt))).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the station does not know of the failure");
                return;
            }
        }
    }
}
