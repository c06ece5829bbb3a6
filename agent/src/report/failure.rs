//! Why a device failed, told to the station.

use backon::Retryable as _;
use livery_contract::{
    Exit, Fault,
    wire::{Failure, Phase},
};
use uuid::Uuid;

use crate::{station::client::Station, work::retry};

/// Tells of a failure, a few times; whether that worked is only logged.
pub(crate) async fn failure(station: &Station, job: Option<Uuid>, serial: &str, phase: Phase, fault: &Fault) {
    let message = Failure { job, serial: serial.into(), phase, fault: fault.report() };
    let told = (|| station.send("api/v1/failures", &message))
        .retry(retry::COURTESY)
        .sleep(tokio::time::sleep)
        .when(|error: &Fault| error.exit() == Exit::Source);
    if let Err(error) = told.await {
        tracing::warn!(%error, "the failure could not be reported to the station");
    }
}
