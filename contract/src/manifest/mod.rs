//! The manifest: all that is signed about one image. It is a TUF target, as JSON.
//!
//! A manifest names its partitions, and its content as *layers*: chunk maps, each over a range of the disk, later ones
//! over earlier ones. A master has one layer over the whole disk. A personal image has the same one and a second, over
//! the `identity` partition only: so it costs kilobytes and shares everything else.

mod check;
mod parts;
mod personal;
mod sections;
#[cfg(test)]
pub(crate) mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    parts::{Accepts, BootEntry, Data, Identity, Keys, Layer, Partition, Personal, PersonalFile, Role, Uki},
    sections::{SECTION, SectionRange},
};
use crate::{
    digest::{Blob, Digest},
    fault::{Fault, Result},
    name::{Name, Reference, Version},
};

/// The only schema so far.
pub const SCHEMA: u32 = 1;
/// The most bytes that a manifest may have.
pub const MAX_BYTES: u64 = 256 * 1024;
/// Everything is laid out in blocks of this many bytes: chunk bounds, partitions, O_DIRECT on any disk.
pub const BLOCK: u64 = 4096;
/// The most bytes that an image may cover: 16 TiB. Bounds what arithmetic must hold.
pub const MAX_IMAGE: u64 = 16 << 40;
/// The most bytes of an image's SBOM.
pub const MAX_SBOM: u64 = 64 << 20;
/// The most bytes of a UKI: all of it is in memory at once.
pub const MAX_UKI: u64 = 512 << 20;

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The master's name.
    pub name: Name,
    /// The master's version.
    pub version: Version,
    /// Set for a personal image: whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal: Option<Personal>,
    /// The image's time (`SOURCE_DATE_EPOCH`), not the moment of building.
    pub created: Timestamp,
    /// Bytes of disk that the image covers, a multiple of [`BLOCK`]. The disk may be larger.
    pub size: u64,
    /// The sector size that its GPT and file systems are made for: 512 or 4096.
    pub sector_size: u32,
    /// Whether it may be written to disks of 4096-byte sectors too, GPT and FAT converted by the agent. Only for 512.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub converts_to_4096: bool,
    /// Number of the partition that grows to the disk's end: the last one on the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grow: Option<u32>,
    /// The partitions, in order of offset. Empty for an imported image whose table we cannot read.
    pub partitions: Vec<Partition>,
    /// The content, later layers over earlier ones; the first covers the whole image.
    pub layers: Vec<Layer>,
    /// The entry to put into the firmware's boot menu.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<BootEntry>,
    /// The smallest disk that will do, in bytes; at least `size`.
    pub minimum_disk: u64,
    /// Which personal settings the image can take; `None` for one that has no personal layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepts: Option<Accepts>,
    /// dm-verity root hash of the root file system, as in the signed command line: what a device in use says of itself is compared
    /// with it. `None` for an image that was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_hash: Option<Digest>,
    /// How a device knows that the personal layer is its own; `None` where the image does not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The keys that the agent makes on the device; `None` where the image wants none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Keys>,
    /// What the agent makes of the `data` partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// The UKI as a file of the EFI system partition: what a device in use takes of a newer image, besides root and hash tree. `None`
    /// for an image that has no second slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uki: Option<Uki>,
    /// What is in it, as an SBOM (SPDX 2.3, JSON); `None` for an image that was imported, and whose content nobody listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sbom: Option<Blob>,
    /// Where the personal layer of an imported image goes: a file of a file system that we did not make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal_file: Option<PersonalFile>,
    /// What is in it that may not be passed on to everybody, for people: package, version, licence. Only a store that is marked
    /// for such software takes an image that has any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restricted: Vec<String>,
}

impl Manifest {
    /// Parses and checks.
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted) where it is too long, not a manifest, or contradicts itself.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Fault::untrusted(format!("a manifest of {} bytes is over the limit of {MAX_BYTES}", bytes.len())));
        }
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| Fault::untrusted("the manifest does not parse").cause(error))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The bytes that are signed: pretty JSON, since people read it, with a final newline.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_else(|error| unreachable!("plain data: {error}"));
        bytes.push(b'\n');
        bytes
    }

    /// What people call this image.
    pub fn reference(&self) -> Reference {
        Reference {
            name: self.name.clone(),
            version: self.version.clone(),
            order: self.personal.as_ref().map(|personal| personal.order.clone()),
        }
    }

    /// The partition of this role, if there is exactly one or more: the first.
    pub fn partition(&self, role: Role) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.role == role)
    }
}
