//! A job, as the station answers.

use livery_contract::{
    envelope::PublicKey,
    job::{Job, SCHEMA},
};

use crate::signed;

/// Checks one input; whether it is a job.
///
/// # Panics
/// Where it breaks a rule of [`signed::message`], or its own time.
pub fn check(input: &[u8]) -> bool {
    let Some(job) = signed::message::<Job>(input) else { return false };
    let at = |now| job.check(&job.serial, &job.device_key, now).is_ok();
    let valid = job.schema == SCHEMA && job.issued <= job.expires;
    assert_eq!(at(job.issued), valid, "valid when it is signed, or never");
    assert_eq!(at(job.expires), valid, "valid until it expires");
    // A device's clock may say anything; nothing is asked of the answer but that there is one.
    for now in [jiff::Timestamp::MIN, jiff::Timestamp::MAX] {
        at(now);
    }
    let stranger = PublicKey::of(&signed::key());
    assert!(job.device_key == stranger || job.check(&job.serial, &stranger, job.issued).is_err(), "it is for another key");
    assert!(job.check(&format!("{}x", job.serial), &job.device_key, job.issued).is_err(), "it is for another serial");
    true
}
