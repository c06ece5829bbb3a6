//! The job out of its envelope: signed by the station, for this device, this boot, now.
//!
//! In: an envelope and the station's job key. Out: a [`Job`]. Fails with exit 4; nothing was touched.

use jiff::Timestamp;
use livery_contract::{
    Fault, Result,
    envelope::{Envelope, PublicKey},
    job::Job,
};

/// Opens and checks a job.
///
/// # Errors
/// Exit 4 for another signer, serial, key or time, and for a device that has no serial to be told apart by.
pub(crate) fn open(envelope: &Envelope, job_key: &PublicKey, serial: &str, key: &PublicKey) -> Result<Job> {
    let job: Job = envelope.open(job_key)?;
    if serial.is_empty() {
        return Err(Fault::untrusted("this device has no serial number, so no job can name it")
            .fix("set the system's serial number (with the vendor's service tool), then start again"));
    }
    job.check(serial, key, Timestamp::now())?;
    if job.image.order.as_ref().is_some_and(|order| *order != job.order) {
        return Err(Fault::untrusted(format!(
            "the job is for order {}, but its image {} belongs to another order",
            job.order, job.image
        ))
        .fix("import the roster into the station again"));
    }
    Ok(job)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ed25519_dalek::SigningKey;
    use jiff::SignedDuration;
    use livery_contract::{Digest, job::SCHEMA};

    use super::*;

    #[test]
    fn only_this_device_and_its_own_image() {
        let (station, device) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let (job_key, key) = (PublicKey::of(&station), PublicKey::of(&device));
        let now = Timestamp::now();
        let job = Job {
            schema: SCHEMA,
            id: uuid::Uuid::nil(),
            serial: "WT-1".into(),
            device_key: key,
            order: "ORD-1".parse().unwrap(),
            image: "t@1/ORD-1".parse().unwrap(),
            manifest: Digest::of(b""),
            disk: Default::default(),
            issued: now,
            expires: now + SignedDuration::from_hours(1),
        };
        let sign = |job: &Job| Envelope::sign(job, &station);
        assert_eq!(open(&sign(&job), &job_key, "WT-1", &key).unwrap(), job);
        let code = |envelope: &Envelope, serial: &str| open(envelope, &job_key, serial, &key).unwrap_err().exit().code();
        assert_eq!(code(&sign(&job), "WT-2"), 4);
        assert_eq!(code(&Envelope::sign(&job, &device), "WT-1"), 4);
        assert_eq!(code(&sign(&Job { serial: String::new(), ..job.clone() }), ""), 4);
        assert_eq!(code(&sign(&Job { image: "t@1/ORD-2".parse().unwrap(), ..job.clone() }), "WT-1"), 4);
    }
}
