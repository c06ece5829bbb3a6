//! What a manifest is made of.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[cfg(doc)]
use super::{BLOCK, MAX_UKI};
use crate::{
    digest::{Blob, Digest},
    name::OrderId,
};

/// The personal layer as the device checks it before it is applied: a disk image of its own (UAPI.3, Discoverable Disk Images)
/// in the identity partition, signed, under dm-verity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Its dm-verity root hash.
    pub root_hash: Digest,
    /// First byte on the disk of the one block, in a file of the EFI system partition, that takes the credential by which the
    /// agent binds this hash to the device's TPM. The image leaves the block as it is.
    pub binding: u64,
}

/// Keys that come into being on the device: their private halves never leave it, their public ones leave in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// First byte on the disk of the one block, in a file of the EFI system partition, that takes the credential with the private
    /// keys. The image leaves the block as it is.
    pub room: u64,
    /// Whether there is a WireGuard key among them; the key that the device signs with always is.
    pub tunnel: bool,
}

/// A file in one piece within the disk image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uki {
    /// Its first byte on the disk.
    pub offset: u64,
    /// Its bytes, at most [`MAX_UKI`].
    pub length: u64,
    /// SHA-256 of them.
    pub digest: Digest,
}

/// The encrypted partition that comes into being on the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// UUID of its LUKS2 header: the device looks for that.
    pub luks_uuid: Uuid,
    /// Whom its recovery key is encrypted to: an RSA public key (SubjectPublicKeyInfo, PEM) of the organisation.
    pub recovery: String,
}

/// Which personal settings an image can take: a roster is checked against these before anything is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepts {
    /// Locales that are generated in it, such as `fr_FR.UTF-8`.
    pub locales: Vec<String>,
    /// Whether employees sign in at the device itself: then each needs an account's name and a first password.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accounts: bool,
}

/// A file on a partition of an imported image, whose bytes are one employee's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonalFile {
    /// Number of the partition.
    pub partition: u32,
    /// The file's path from the partition's top, with `/` between its parts.
    pub path: String,
    /// Its first byte on the disk, a multiple of [`BLOCK`].
    pub offset: u64,
    /// Its bytes, a multiple of [`BLOCK`]: all of them, in one piece.
    pub length: u64,
}

/// What makes an image one employee's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Personal {
    /// The order that it was made for.
    pub order: OrderId,
    /// The host name that the device will have.
    pub hostname: String,
    /// Digest of the master's manifest.
    pub master: Digest,
}

/// What a partition is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// EFI System Partition, with the UKI.
    Esp,
    /// The personal layer.
    Identity,
    /// The root file system.
    Root,
    /// The root's dm-verity hash tree.
    RootVerity,
    /// The second slot for a root: a newer one goes there while the first is in use, and the other way round. The image leaves it as
    /// it is.
    RootB,
    /// The second slot for a hash tree.
    RootVerityB,
    /// Created on the device.
    Data,
    /// Of an imported image; unknown to us.
    Other,
}

impl Role {
    /// As in the manifest and in a record's sections.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Esp => "esp",
            Self::Identity => "identity",
            Self::Root => "root",
            Self::RootVerity => "root-verity",
            Self::RootB => "root-b",
            Self::RootVerityB => "root-verity-b",
            Self::Data => "data",
            Self::Other => "other",
        }
    }
}

/// One GPT partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Its number in the table, from 1.
    pub number: u32,
    /// What it is for.
    pub role: Role,
    /// First byte on the disk, a multiple of [`BLOCK`].
    pub offset: u64,
    /// Bytes, a multiple of [`BLOCK`].
    pub length: u64,
    /// Bytes from its beginning that the image fills, a multiple of [`BLOCK`]; `None` for all of them. What is beyond is room for a
    /// later image: it is left as it is, and nobody reads it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// Type GUID (Discoverable Partitions Specification).
    pub type_guid: Uuid,
    /// Unique partition GUID.
    pub guid: Uuid,
    /// Partition name in the table.
    pub label: String,
}

impl Partition {
    /// Bytes from its beginning that the image fills: `used`, or all.
    pub fn filled(&self) -> u64 {
        self.used.unwrap_or(self.length)
    }
}

/// Content for a range of the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// First byte on the disk, a multiple of [`BLOCK`].
    pub offset: u64,
    /// Bytes, a multiple of [`BLOCK`]; what the chunk map covers.
    pub length: u64,
    /// The chunk map.
    pub chunk_map: Blob,
}

/// A `Boot####` entry (UEFI 2.10, section 3.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootEntry {
    /// Description in the firmware's menu.
    pub label: String,
    /// Number of the partition that holds the loader.
    pub partition: u32,
    /// Path of the loader in it, with backslashes.
    pub loader: String,
}
