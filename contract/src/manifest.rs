//! The manifest: all that is signed about one image. It is a TUF target, as JSON.
//!
//! A manifest names its partitions, and its content as *layers*: chunk maps, each over a range of the disk, later ones
//! over earlier ones. A master has one layer over the whole disk. A personal image has the same one and a second, over
//! the `identity` partition only: so it costs kilobytes and shares everything else.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    digest::{Blob, Digest},
    fault::{Fault, Result},
    name::{Name, OrderId, Reference, Version},
};

/// The only schema so far.
pub const SCHEMA: u32 = 1;
/// The most bytes that a manifest may have.
pub const MAX_BYTES: u64 = 256 * 1024;
/// Everything is laid out in blocks of this many bytes: chunk bounds, partitions, O_DIRECT on any disk.
pub const BLOCK: u64 = 4096;
/// The most bytes that an image may cover: 16 TiB. Bounds what arithmetic must hold.
pub const MAX_IMAGE: u64 = 16 << 40;
/// The most bytes of a section of a record, for an image of up to 512 of these.
pub const SECTION: u64 = 64 << 20;
/// A larger image has larger sections: so that its record stays well under a message's limit.
pub(crate) const MAX_SECTIONS: u64 = 512;
/// The most bytes of an image's SBOM.
pub const MAX_SBOM: u64 = 64 << 20;
/// The most bytes of a UKI: all of it is in memory at once.
pub const MAX_UKI: u64 = 512 << 20;

/// The most bytes of a line of [`Manifest::restricted`].
const MAX_RESTRICTION: usize = 1200;

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

    /// Whether it agrees with itself.
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted), saying which rule it breaks.
    pub fn check(&self) -> Result<()> {
        let wrong =
            |what: String| Err(Fault::untrusted(format!("the manifest of {} contradicts itself: {what}", self.reference())));
        if self.schema != SCHEMA {
            return Err(Fault::refused(format!("the manifest has schema {}, this program knows {SCHEMA}", self.schema))
                .fix("use the Livery release that made the image, or a newer one"));
        }
        if self.size == 0 || self.size > MAX_IMAGE || !self.size.is_multiple_of(BLOCK) {
            return wrong(format!("size {} is not a positive multiple of {BLOCK} up to {MAX_IMAGE}", self.size));
        }
        if !matches!(self.sector_size, 512 | 4096) {
            return wrong(format!("sector size {} is neither 512 nor 4096", self.sector_size));
        }
        if self.converts_to_4096 && self.sector_size != 512 {
            return wrong("it allows conversion to 4096-byte sectors, but is not made for 512-byte sectors".into());
        }
        if self.grow.is_some() && self.grow != self.partitions.last().map(|partition| partition.number) {
            return wrong("the partition that grows is not the last one on the disk".into());
        }
        if self.minimum_disk < self.size {
            return wrong(format!("minimum disk {} is less than its size {}", self.minimum_disk, self.size));
        }
        let fits = |offset: u64, length: u64| {
            length > 0
                && offset.is_multiple_of(BLOCK)
                && length.is_multiple_of(BLOCK)
                && offset.checked_add(length).is_some_and(|end| end <= self.size)
        };
        let is_line = |text: &String| text.len() <= MAX_RESTRICTION && !text.chars().any(char::is_control);
        if self.restricted.len() > 32 || !self.restricted.iter().all(is_line) {
            return wrong("its list of restricted software is too long, or not in text lines".into());
        }
        if self.partitions.len() > 128 {
            return wrong(format!("{} partitions", self.partitions.len()));
        }
        let mut end = 0;
        for partition in &self.partitions {
            // An imported table may hold partitions that end off a 4 KiB bound; those we cannot address as sections.
            if !fits(partition.offset, partition.length) || partition.offset < end {
                return wrong(format!(
                    "partition {} lies outside the disk, is not aligned to {BLOCK} bytes, or overlaps another",
                    partition.number
                ));
            }
            if partition.used.is_some_and(|used| used > partition.length || !used.is_multiple_of(BLOCK)) {
                return wrong(format!(
                    "partition {} is marked as filled beyond its end, or not to a multiple of {BLOCK} bytes",
                    partition.number
                ));
            }
            end = partition.offset + partition.length;
        }
        if let Some(file) = &self.personal_file {
            let partition = self.partitions.iter().find(|partition| partition.number == file.partition);
            let within = partition.is_some_and(|partition| {
                file.offset >= partition.offset && file.length <= partition.length && {
                    // Neither can be over: both lie below the disk's size.
                    file.offset - partition.offset <= partition.length - file.length
                }
            });
            if !within || !fits(file.offset, file.length) || file.path.len() > 1024 {
                return wrong("the personal file's bytes do not lie in its partition".into());
            }
        }
        match self.layers.first() {
            Some(base) if base.offset == 0 && base.length == self.size => {}
            _ => return wrong("the first layer does not cover the whole image".into()),
        }
        if let Some(sbom) = self.sbom.filter(|sbom| sbom.length > MAX_SBOM) {
            return wrong(format!("an SBOM of {} bytes is over the limit of {MAX_SBOM}", sbom.length));
        }
        if self.layers.len() > 16 {
            return wrong(format!("{} layers", self.layers.len()));
        }
        if let Some(layer) = self.layers.iter().find(|layer| !fits(layer.offset, layer.length)) {
            return wrong(format!("the layer at {} lies outside the image", layer.offset));
        }
        if let Some(boot) = &self.boot
            && !self.partitions.iter().any(|partition| partition.number == boot.partition)
        {
            return wrong(format!("the boot entry names partition {}, which does not exist", boot.partition));
        }
        let in_esp = |block: u64| {
            let esp = self.partition(Role::Esp);
            block.is_multiple_of(BLOCK) && esp.is_some_and(|esp| (esp.offset..esp.offset + esp.length).contains(&block))
        };
        if let Some(keys) = &self.keys
            && (!in_esp(keys.room) || self.identity.is_some_and(|identity| identity.binding == keys.room))
        {
            return wrong(format!("the block at {} for the device's keys does not lie in an ESP or is used twice", keys.room));
        }
        if let Some(identity) = &self.identity
            && (!in_esp(identity.binding) || self.partition(Role::Identity).is_none())
        {
            return wrong(format!(
                "there is no identity partition, or the block at {} for its seal does not lie in an ESP",
                identity.binding
            ));
        }
        if let Some(uki) = &self.uki {
            let esp = self.partition(Role::Esp);
            let fits = esp.is_some_and(|esp| {
                uki.offset >= esp.offset && uki.offset.checked_add(uki.length).is_some_and(|end| end <= esp.offset + esp.length)
            });
            if !fits || uki.length == 0 || uki.length > MAX_UKI {
                return wrong(format!("its UKI of {} bytes at {} is not in an ESP, or too long", uki.length, uki.offset));
            }
            let slots = [Role::Root, Role::RootVerity, Role::RootB, Role::RootVerityB].map(|role| self.partition(role));
            let [Some(root), Some(verity), Some(root_b), Some(verity_b)] = slots else {
                return wrong("it says where its UKI is, but does not have two slots".into());
            };
            if root_b.length != root.length || verity_b.length != verity.length || self.root_hash.is_none() {
                return wrong("its two slots differ in size, or its root has no root hash".into());
            }
        }
        if self.data.is_some() && self.partition(Role::Data).is_none() {
            return wrong("it describes a data partition but has none".into());
        }
        Ok(())
    }

    /// The most bytes of a section.
    pub(crate) fn section_step(&self) -> u64 {
        SECTION.max((self.size / MAX_SECTIONS).next_power_of_two())
    }

    /// The disk cut into named sections, end to end over `0..size` but for what partitions do not use: the partitions, and what
    /// lies between them, long ones in several pieces of the same name. A record gives the SHA-256 of each, so that anyone can check one with
    /// `dd | sha256sum`; SHA-256 goes over its bytes in order, and with pieces several processors can share the work.
    pub fn sections(&self) -> Vec<SectionRange> {
        let step = self.section_step();
        let mut sections = Vec::new();
        let mut at = 0;
        let mut push = |name: &str, offset: u64, end: u64| {
            let mut at = offset;
            while at < end {
                let length = (end - at).min(step);
                sections.push(SectionRange { name: name.to_owned(), offset: at, length });
                at += length;
            }
        };
        for partition in &self.partitions {
            push(if at == 0 { "gpt" } else { "gap" }, at, partition.offset);
            push(partition.role.as_str(), partition.offset, partition.offset + partition.filled());
            at = partition.offset + partition.length;
        }
        push(if self.partitions.is_empty() { "disk" } else { "gpt-backup" }, at, self.size);
        sections
    }
}

/// A named range of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionRange {
    /// The partition's role, `gpt`, `gap`, `gpt-backup` or `disk`.
    pub name: String,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample() -> Manifest {
        let partition = |number, role, offset, length| Partition {
            number,
            role,
            offset,
            length,
            type_guid: Uuid::nil(),
            guid: Uuid::nil(),
            used: None,
            label: role.as_str().into(),
        };
        Manifest {
            schema: SCHEMA,
            name: "terminal".parse().unwrap(),
            version: "1".parse().unwrap(),
            personal: None,
            created: Timestamp::UNIX_EPOCH,
            size: 1 << 22,
            sector_size: 512,
            converts_to_4096: false,
            grow: None,
            partitions: vec![partition(1, Role::Esp, 1 << 20, 1 << 20), partition(2, Role::Root, 2 << 20, 1 << 20)],
            layers: vec![Layer { offset: 0, length: 1 << 22, chunk_map: Blob { digest: Digest::of(b""), length: 0 } }],
            boot: Some(BootEntry { label: "Livery".into(), partition: 1, loader: r"\EFI\BOOT\BOOTX64.EFI".into() }),
            minimum_disk: 1 << 22,
            accepts: None,
            root_hash: None,
            identity: None,
            keys: None,
            data: None,
            sbom: None,
            personal_file: None,
            uki: None,
            restricted: Vec::new(),
        }
    }

    #[test]
    fn a_good_one_round_trips() {
        let manifest = sample();
        assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
        assert!(!String::from_utf8(manifest.to_bytes()).unwrap().contains("sbom"), "what an image lacks is not said");
        let manifest = Manifest { sbom: Some(Blob { digest: Digest::of(b"{}"), length: 2 }), ..manifest };
        assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
    }

    #[test]
    fn contradictions_are_refused() {
        type Spoil = fn(&mut Manifest);
        fn binding(binding: u64) -> Option<Identity> {
            Some(Identity { root_hash: Digest::of(b""), binding })
        }
        let cases: [(&str, Spoil); 17] = [
            ("keys", |m| m.keys = Some(Keys { room: 2 << 20, tunnel: false })),
            ("keys", |m| m.keys = Some(Keys { room: (1 << 20) + 512, tunnel: false })),
            ("no identity", |m| m.identity = binding(1 << 20)),
            ("binding", |m| {
                m.partitions[1].role = Role::Identity;
                m.identity = binding(2 << 20);
            }),
            ("data", |m| m.data = Some(Data { luks_uuid: Uuid::nil(), recovery: String::new() })),
            ("sbom", |m| m.sbom = Some(Blob { digest: Digest::of(b""), length: MAX_SBOM + 1 })),
            ("sectors", |m| (m.sector_size, m.converts_to_4096) = (4096, true)),
            ("grows", |m| m.grow = Some(1)),
            ("size", |m| m.size = 4097),
            ("minimum", |m| m.minimum_disk = 0),
            ("overlap", |m| m.partitions[1].offset = 1 << 20),
            ("outside", |m| m.partitions[1].length = u64::MAX - 4095),
            ("layer", |m| m.layers[0].length = 4096),
            ("no layer", |m| m.layers.clear()),
            ("personal file", |m| m.personal_file = Some(file(2, 1 << 20))),
            ("personal file", |m| m.personal_file = Some(file(1, (2 << 20) - 4096))),
            ("boot", |m| m.boot.as_mut().unwrap().partition = 9),
        ];
        for (what, spoil) in cases {
            let mut manifest = sample();
            spoil(&mut manifest);
            assert!(Manifest::parse(&manifest.to_bytes()).is_err(), "{what}");
        }
    }

    /// One with two slots.
    fn with_slots() -> Manifest {
        let mut manifest = sample();
        let root = manifest.partitions[1].clone();
        let partition = |number, role, offset| Partition { number, role, offset, used: Some(0), ..root.clone() };
        manifest.partitions.extend([
            Partition { used: Some(8192), ..partition(3, Role::RootVerity, 3 << 20) },
            partition(4, Role::RootB, 4 << 20),
            partition(5, Role::RootVerityB, 5 << 20),
        ]);
        (manifest.size, manifest.minimum_disk, manifest.layers[0].length) = (8 << 20, 8 << 20, 8 << 20);
        manifest.root_hash = Some(Digest::of(b""));
        manifest.uki = Some(Uki { offset: (1 << 20) + 512, length: 1000, digest: Digest::of(b"") });
        manifest
    }

    #[test]
    fn two_slots_are_alike_and_what_is_not_used_is_nobodys_section() {
        let manifest = with_slots();
        assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
        let sections: Vec<_> = manifest.sections().into_iter().map(|section| (section.name, section.offset >> 20)).collect();
        assert_eq!(manifest.sections()[3].length, 8192);
        let names = [("gpt", 0), ("esp", 1), ("root", 2), ("root-verity", 3), ("gpt-backup", 6)];
        assert_eq!(sections, names.map(|(name, at)| (name.to_owned(), at)));
        let spoil: [fn(&mut Manifest); 7] = [
            |m| m.partitions[2].used = Some(512),
            |m| m.partitions[2].used = Some(2 << 20),
            |m| m.uki.as_mut().unwrap().offset = 2 << 20,
            |m| m.uki.as_mut().unwrap().length = u64::MAX,
            |m| m.partitions[3].length = 4096,
            |m| drop(m.partitions.pop()),
            |m| m.root_hash = None,
        ];
        for spoil in spoil {
            let mut manifest = with_slots();
            spoil(&mut manifest);
            Manifest::parse(&manifest.to_bytes()).unwrap_err();
        }
    }

    fn file(partition: u32, offset: u64) -> PersonalFile {
        PersonalFile { partition, path: "/livery.json".into(), offset, length: 8192 }
    }

    #[test]
    fn a_personal_file_lies_in_its_partition() {
        let mut manifest = sample();
        for offset in [1 << 20, (2 << 20) - 8192] {
            manifest.personal_file = Some(file(1, offset));
            assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
        }
    }

    #[test]
    fn sections_cover_the_disk_end_to_end() {
        let sections = sample().sections();
        let names: Vec<_> = sections.iter().map(|section| section.name.as_str()).collect();
        assert_eq!(names, ["gpt", "esp", "root", "gpt-backup"]);
        assert_eq!(sections.iter().map(|section| section.length).sum::<u64>(), 1 << 22);
    }
}
