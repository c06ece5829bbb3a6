//! The record: the evidence that a device holds what its order says. Signed by the agent, kept by the station.
//!
//! Anyone can check it: each section gives offset, length and SHA-256 of what was *read back from the medium*, so
//! `dd if=DISK bs=4096 skip=$((offset/4096)) count=$((length/4096)) | sha256sum` gives the same digest, except where
//! `changed_after` names a range that was changed (and read back) afterwards.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    digest::Digest,
    envelope::{Payload, PublicKey},
    inventory::{Disk, System},
    name::{OrderId, Reference},
    tunnel::TunnelKey,
};

/// The only schema so far.
pub const SCHEMA: u32 = 1;

/// A verified write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The job that it answers; `None` for a write by hand.
    pub job: Option<Uuid>,
    /// The order; `None` for a master written by hand.
    pub order: Option<OrderId>,
    /// The machine.
    pub system: System,
    /// The disk.
    pub disk: Disk,
    /// The image.
    pub image: Reference,
    /// Digest of its manifest as signed in the store.
    pub manifest: Digest,
    /// Bytes of the image.
    pub size: u64,
    /// What was read back from the medium: all of the image, in order, but for what it leaves as it is.
    pub sections: Vec<Section>,
    /// What was changed after that read-back, each range read back again.
    pub changed_after: Vec<Change>,
    /// The firmware's boot entry that was put in, such as `Boot0003`.
    pub boot_entry: Option<String>,
    /// What ties the disk's content to this machine; `None` where nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
    /// Public halves of the keys that were made on the device; `None` where the image wants none, or the disk may be another's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<DeviceKeys>,
    /// How much was moved.
    pub traffic: Traffic,
    /// When.
    pub times: Times,
    /// Version of the agent.
    pub agent: String,
}

impl Payload for Record {
    const TYPE: &'static str = "application/vnd.livery.record+json";
}

/// Keys of the device's own. The private halves are on its disk alone, sealed to its TPM where it has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceKeys {
    /// What the device signs with, once it is in use (Ed25519).
    pub device: PublicKey,
    /// Its WireGuard key; `None` without a tunnel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<TunnelKey>,
    /// Whether the private halves are sealed to a TPM.
    pub sealed: bool,
}

/// What ties the disk's content to this machine's TPM. Without that TPM the personal layer is not applied, and the data
/// partition asks for its recovery key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// dm-verity root hash of the personal layer, sealed to the TPM.
    pub identity: Option<Digest>,
    /// Recovery key of the data partition, encrypted to the organisation: RSAES-OAEP with SHA-256 (RFC 8017, section 7.1), Base64.
    /// Neither agent nor station can read it.
    pub recovery: Option<String>,
}

/// What was read back from a range of the medium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// The partition's role, `gpt`, `gap`, `gpt-backup` or `disk`.
    pub name: String,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// SHA-256 of the bytes read back.
    pub sha256: Digest,
}

/// A range that was changed after the read-back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Why.
    pub reason: String,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// SHA-256 of the range as read back after the change.
    pub sha256: Digest,
}

/// Bytes moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// Compressed bytes fetched from the source.
    pub fetched: u64,
    /// Bytes written to the disk, those of `moved` among them.
    pub written: u64,
    /// Bytes that the disk held already, in their places.
    #[serde(default)]
    pub kept: u64,
    /// Bytes that the disk held already, in other places.
    #[serde(default)]
    pub moved: u64,
    /// Bytes read back and compared.
    pub verified: u64,
    /// Bytes that the image leaves as they are.
    pub skipped: u64,
}

/// When each step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// Trust established, about to write.
    pub started: Timestamp,
    /// All written and flushed.
    pub written: Timestamp,
    /// All read back.
    pub verified: Timestamp,
    /// Boot entry and backup GPT in place.
    pub finished: Timestamp,
}
