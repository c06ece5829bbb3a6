//! Jobs: what one device shall do, signed. One order is at work on one device at a time.
//!
//! A job belongs to an order and a device's key, which is made anew at each boot. So a device that was switched off in the
//! middle gets another job by itself, once its first has not been heard of for [`Settings::quiet`](crate::station::Settings); two
//! devices with the same serial never work on the same order at once.

use jiff::Timestamp;
use livery_contract::{
    Digest, Exit, Fault, Reference, Result,
    envelope::{Envelope, PublicKey},
    job::{DiskHints, Job, SCHEMA},
    manifest::Manifest,
    record::Section,
};
use uuid::Uuid;

use crate::{
    database::{
        self, changes, damaged,
        jobs::{self as table, JobRow},
        orders::{self, Order},
        stored,
    },
    jobs::expected::Expected,
    states::{JobState, State as _},
    station::Station,
};

/// The answer to a device that enrols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Issue {
    /// Its signed job.
    Job(Envelope),
    /// Why it must wait, in words for its screen and the page.
    Wait(String),
}

/// The signed job for this device, or why it must wait.
///
/// # Errors
/// `Source` where the database fails. A store that fails makes the device wait, with the reason.
pub(crate) async fn issue(station: &Station, order: &Order, serial: &str, key: &PublicKey, now: Timestamp) -> Result<Issue> {
    let image: Reference = order.image.parse().map_err(|fault: Fault| damaged("image reference", fault))?;
    let (manifest, digest, sections) = match station.catalogue.expected(&image).await {
        Ok(found) => found,
        Err(fault) => {
            tracing::error!(order = %order.id, "{}", fault.render());
            let what = if fault.exit() == Exit::Refused { "the store has no" } else { "the store cannot vouch for" };
            return Ok(Issue::Wait(format!("{what} image {image}: call IT")));
        }
    };

    let mut transaction = station.database.write().await?;
    // The order may have changed while the store was looked at.
    match orders::get(&mut transaction, &order.id).await? {
        Some(current) if current == *order => {}
        _ => return Ok(Issue::Wait(format!("order {} has just changed: asking again", order.id))),
    }
    let key_text = key.to_string();
    if let Some(other) = table::at_work(&mut transaction, &order.id).await?.filter(|job| job.device_key != key_text) {
        let quiet = now.as_millisecond().saturating_sub(other.last_seen);
        if quiet < station.settings.quiet.as_millis().try_into().unwrap_or(i64::MAX) {
            return Ok(Issue::Wait(format!(
                "another device with this serial is at work on order {} (last heard {} s ago)",
                order.id,
                quiet.max(0) / 1000
            )));
        }
    }
    let old = table::of_device(&mut transaction, &order.id, &key_text).await?;
    if let Some(old) = &old
        && old.state.is_at_work()
        && old.manifest == digest.to_string()
        && old.expires_at > now.as_millisecond() + 3_600_000
    {
        // Asked again, for instance since the answer was lost: the same job.
        let envelope = serde_json::from_str(&old.envelope).map_err(|error| damaged("job", error))?;
        return Ok(Issue::Job(envelope));
    }
    let id = match &old {
        Some(old) => old.id.parse::<Uuid>().map_err(|error| damaged("job number", error))?,
        None => Uuid::new_v4(),
    };
    let job = Job {
        schema: SCHEMA,
        id,
        serial: serial.to_owned(),
        device_key: *key,
        order: order.id.parse().map_err(|fault: Fault| damaged("order number", fault))?,
        image,
        manifest: digest,
        disk: DiskHints::default(),
        issued: now,
        expires: now + station.settings.job_life,
    };
    let envelope = Envelope::sign(&job, &station.key);
    // First the others, since the index `jobs_at_work` allows one at a time.
    changes::supersede_others(&mut transaction, &order.id, &id.to_string()).await?;
    changes::issue(&mut transaction, &row(&job, &envelope, (&manifest, digest), &sections)?).await?.made()?;
    database::commit(transaction).await?;
    tracing::info!(order = %job.order, job = %job.id, %serial, image = %job.image, "job issued");
    Ok(Issue::Job(envelope))
}

fn row(job: &Job, envelope: &Envelope, (manifest, digest): (&Manifest, Digest), sections: &[Section]) -> Result<JobRow> {
    let text = |fault: serde_json::Error| Fault::internal("a job does not encode").cause(fault);
    Ok(JobRow {
        id: job.id.to_string(),
        order_id: job.order.to_string(),
        device_key: job.device_key.to_string(),
        serial: job.serial.clone(),
        image: job.image.to_string(),
        manifest: digest.to_string(),
        size: stored(manifest.size),
        sections: serde_json::to_string(sections).map_err(text)?,
        expects: Some(serde_json::to_string(&Expected::of(manifest)).map_err(text)?),
        envelope: serde_json::to_string(envelope).map_err(text)?,
        state: JobState::FIRST,
        phase: "enrol".into(),
        done_bytes: 0,
        all_bytes: 0,
        rate: 0,
        fault: None,
        record: None,
        issued_at: job.issued.as_millisecond(),
        expires_at: job.expires.as_millisecond(),
        last_seen: job.issued.as_millisecond(),
    })
}
