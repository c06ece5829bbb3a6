//! Messages about a job: believed only where the job's own device has signed them.

use livery_contract::{
    Fault, Result,
    envelope::{Envelope, Payload, PublicKey},
};
use uuid::Uuid;

use crate::{
    database::{
        Connection, damaged,
        jobs::{self, JobRow},
    },
    http::refusal::Refusal,
};

/// The job that a message names, and the message opened with the key of its device.
///
/// # Errors
/// 404 for an unknown job, 403 where its device has not signed.
pub(crate) async fn open<P: Payload>(connection: &mut Connection, envelope: &Envelope, id: Uuid) -> Result<(JobRow, P), Refusal> {
    let Some(job) = jobs::get(connection, &id.to_string()).await? else {
        return Err(Refusal::not_found(format!("this station never issued job {id}")));
    };
    let key: PublicKey = job.device_key.parse().map_err(|fault: Fault| damaged("device key", fault))?;
    let payload = envelope.open(&key)?;
    Ok((job, payload))
}
