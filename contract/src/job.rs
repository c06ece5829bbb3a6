//! The job: what one device shall do, signed by the station.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    digest::Digest,
    envelope::{Payload, PublicKey},
    fault::{Fault, Result},
    inventory::Transport,
    name::{OrderId, Reference},
};

/// The only schema so far.
pub const SCHEMA: u32 = 1;

/// What one device shall do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Names this job; a record answers it.
    pub id: Uuid,
    /// The system serial that the job is for.
    pub serial: String,
    /// The key that the device enrolled with: a job cannot be replayed to another boot or another device.
    pub device_key: PublicKey,
    /// The order.
    pub order: OrderId,
    /// The image to write.
    pub image: Reference,
    /// Digest of its manifest, as signed in the store: the station names which, the store proves what.
    pub manifest: Digest,
    /// Which disk.
    pub disk: DiskHints,
    /// When the station signed it.
    pub issued: Timestamp,
    /// After this, ask again.
    pub expires: Timestamp,
}

impl Payload for Job {
    const TYPE: &'static str = "application/vnd.livery.job+json";
}

impl Job {
    /// Whether this device may do this job now.
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted) for another serial, another key, or outside its time.
    pub fn check(&self, serial: &str, key: &PublicKey, now: Timestamp) -> Result<()> {
        if self.schema != SCHEMA {
            return Err(Fault::refused(format!("the job has schema {}, this agent knows {SCHEMA}", self.schema))
                .fix("use an agent medium and a station of the same release"));
        }
        if self.serial != serial {
            return Err(Fault::untrusted(format!("the job is for serial {}, this device is {serial}", self.serial))
                .fix("nothing was written; check at the station which order this device has"));
        }
        if self.device_key != *key {
            return Err(Fault::untrusted("the job was made for another boot of this device").fix("start the agent again"));
        }
        // A device's clock may be some minutes off before it has seen a time server.
        let slack = jiff::SignedDuration::from_mins(10);
        // As a difference: a clock near the end of time must not overflow.
        if self.issued > self.expires || now > self.expires || self.issued.duration_since(now) > slack {
            return Err(Fault::untrusted(format!(
                "the job is valid from {} to {}, but this device's clock shows {now}",
                self.issued, self.expires
            ))
            .fix("set the device's clock, or start the agent again to get a new job"));
        }
        Ok(())
    }
}

/// Which disk may be written. Every hint that is given must fit; without any, the one disk that qualifies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskHints {
    /// The disk's serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Its World Wide Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wwn: Option<String>,
    /// How it is attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// At least this many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_size: Option<u64>,
    /// At most this many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;

    #[test]
    fn a_job_is_for_one_device_one_boot_and_a_time() {
        let key = PublicKey::of(&SigningKey::from_bytes(&[1; 32]));
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let hour = jiff::SignedDuration::from_hours(1);
        let job = Job {
            schema: SCHEMA,
            id: Uuid::nil(),
            serial: "WT-1".into(),
            device_key: key,
            order: "ORD-1".parse().unwrap(),
            image: "terminal@1/ORD-1".parse().unwrap(),
            manifest: Digest::of(b""),
            disk: DiskHints::default(),
            issued: now,
            expires: now + hour,
        };
        job.check("WT-1", &key, now).unwrap();
        assert!(job.check("WT-2", &key, now).is_err());
        assert!(job.check("WT-1", &PublicKey::of(&SigningKey::from_bytes(&[2; 32])), now).is_err());
        assert!(job.check("WT-1", &key, now + hour + hour).is_err());
        assert!(job.check("WT-1", &key, now - hour).is_err());
        let minute = jiff::SignedDuration::from_mins(1);
        job.check("WT-1", &key, now - minute).unwrap();
        let backwards = Job { expires: now - minute, ..job.clone() };
        assert!(backwards.check("WT-1", &key, now - minute).is_err(), "it expires before it is issued");
        assert!(job.check("WT-1", &key, Timestamp::MAX).is_err());
        assert!(job.check("WT-1", &key, Timestamp::MIN).is_err());
    }
}
