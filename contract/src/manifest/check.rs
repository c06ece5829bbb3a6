//! Whether a manifest agrees with itself: rules by what they are about, each of which relies on those before it. A rule that is broken is
//! said in words.

use super::{BLOCK, MAX_IMAGE, MAX_SBOM, MAX_UKI, Manifest, Role, SCHEMA, Uki};
use crate::fault::{Fault, Result};

/// The most bytes of a line of [`Manifest::restricted`].
const MAX_RESTRICTION: usize = 1200;

/// Whether a rule holds, or what is wrong.
type Rule = std::result::Result<(), String>;

impl Manifest {
    /// Whether it agrees with itself.
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted), saying which rule it breaks.
    pub fn check(&self) -> Result<()> {
        if self.schema != SCHEMA {
            return Err(Fault::refused(format!("the manifest has schema {}, this program knows {SCHEMA}", self.schema))
                .fix("use the Livery release that made the image, or a newer one"));
        }
        self.disk()
            .and_then(|()| self.table())
            .and_then(|()| self.content())
            .and_then(|()| self.made_on_the_device())
            .and_then(|()| self.uki.as_ref().map_or(Ok(()), |uki| self.slots(uki)))
            .map_err(|what| Fault::untrusted(format!("the manifest of {} contradicts itself: {what}", self.reference())))
    }

    /// Sizes.
    fn disk(&self) -> Rule {
        if self.size == 0 || self.size > MAX_IMAGE || !self.size.is_multiple_of(BLOCK) {
            return Err(format!("size {} is not a positive multiple of {BLOCK} up to {MAX_IMAGE}", self.size));
        }
        if !matches!(self.sector_size, 512 | 4096) {
            return Err(format!("sector size {} is neither 512 nor 4096", self.sector_size));
        }
        if self.converts_to_4096 && self.sector_size != 512 {
            return Err("it allows conversion to 4096-byte sectors, but is not made for 512-byte sectors".into());
        }
        if self.minimum_disk < self.size {
            return Err(format!("minimum disk {} is less than its size {}", self.minimum_disk, self.size));
        }
        Ok(())
    }

    /// Whether this is a range of whole blocks within the image.
    fn fits(&self, offset: u64, length: u64) -> bool {
        length > 0
            && offset.is_multiple_of(BLOCK)
            && length.is_multiple_of(BLOCK)
            && offset.checked_add(length).is_some_and(|end| end <= self.size)
    }

    /// Partitions, one behind the other, and the one that holds the loader.
    fn table(&self) -> Rule {
        if self.partitions.len() > 128 {
            return Err(format!("{} partitions", self.partitions.len()));
        }
        let mut end = 0;
        for partition in &self.partitions {
            // An imported table may hold partitions that end off a 4 KiB bound; those we cannot address as sections.
            if !self.fits(partition.offset, partition.length) || partition.offset < end {
                return Err(format!(
                    "partition {} lies outside the disk, is not aligned to {BLOCK} bytes, or overlaps another",
                    partition.number
                ));
            }
            if partition.used.is_some_and(|used| used > partition.length || !used.is_multiple_of(BLOCK)) {
                return Err(format!(
                    "partition {} is marked as filled beyond its end, or not to a multiple of {BLOCK} bytes",
                    partition.number
                ));
            }
            end = partition.offset + partition.length;
        }
        if self.grow.is_some() && self.grow != self.partitions.last().map(|partition| partition.number) {
            return Err("the partition that grows is not the last one on the disk".into());
        }
        if let Some(boot) = &self.boot
            && !self.partitions.iter().any(|partition| partition.number == boot.partition)
        {
            return Err(format!("the boot entry names partition {}, which does not exist", boot.partition));
        }
        Ok(())
    }

    /// Layers, and what is said of what is in them.
    fn content(&self) -> Rule {
        match self.layers.first() {
            Some(base) if base.offset == 0 && base.length == self.size => {}
            _ => return Err("the first layer does not cover the whole image".into()),
        }
        if self.layers.len() > 16 {
            return Err(format!("{} layers", self.layers.len()));
        }
        if let Some(layer) = self.layers.iter().find(|layer| !self.fits(layer.offset, layer.length)) {
            return Err(format!("the layer at {} lies outside the image", layer.offset));
        }
        if let Some(file) = &self.personal_file {
            let partition = self.partitions.iter().find(|partition| partition.number == file.partition);
            let within = partition.is_some_and(|partition| {
                file.offset >= partition.offset && file.length <= partition.length && {
                    // Neither can be over: both lie below the disk's size.
                    file.offset - partition.offset <= partition.length - file.length
                }
            });
            if !within || !self.fits(file.offset, file.length) || file.path.len() > 1024 {
                return Err("the personal file's bytes do not lie in its partition".into());
            }
        }
        if let Some(sbom) = self.sbom.filter(|sbom| sbom.length > MAX_SBOM) {
            return Err(format!("an SBOM of {} bytes is over the limit of {MAX_SBOM}", sbom.length));
        }
        let is_line = |text: &String| text.len() <= MAX_RESTRICTION && !text.chars().any(char::is_control);
        if self.restricted.len() > 32 || !self.restricted.iter().all(is_line) {
            return Err("its list of restricted software is too long, or not in text lines".into());
        }
        Ok(())
    }

    /// Room for what comes into being on the device: keys, the personal layer's seal, data.
    fn made_on_the_device(&self) -> Rule {
        let in_esp = |block: u64| {
            let esp = self.partition(Role::Esp);
            block.is_multiple_of(BLOCK) && esp.is_some_and(|esp| (esp.offset..esp.offset + esp.length).contains(&block))
        };
        if let Some(keys) = &self.keys
            && (!in_esp(keys.room) || self.identity.is_some_and(|identity| identity.binding == keys.room))
        {
            return Err(format!("the block at {} for the device's keys does not lie in an ESP or is used twice", keys.room));
        }
        if let Some(identity) = &self.identity
            && (!in_esp(identity.binding) || self.partition(Role::Identity).is_none())
        {
            return Err(format!(
                "there is no identity partition, or the block at {} for its seal does not lie in an ESP",
                identity.binding
            ));
        }
        if self.data.is_some() && self.partition(Role::Data).is_none() {
            return Err("it describes a data partition but has none".into());
        }
        Ok(())
    }

    /// Two slots of the same size, and the UKI that a newer image's slot takes.
    fn slots(&self, uki: &Uki) -> Rule {
        let fits = self.partition(Role::Esp).is_some_and(|esp| {
            uki.offset >= esp.offset && uki.offset.checked_add(uki.length).is_some_and(|end| end <= esp.offset + esp.length)
        });
        if !fits || uki.length == 0 || uki.length > MAX_UKI {
            return Err(format!("its UKI of {} bytes at {} is not in an ESP, or too long", uki.length, uki.offset));
        }
        let slots = [Role::Root, Role::RootVerity, Role::RootB, Role::RootVerityB].map(|role| self.partition(role));
        let [Some(root), Some(verity), Some(root_b), Some(verity_b)] = slots else {
            return Err("it says where its UKI is, but does not have two slots".into());
        };
        if root_b.length != root.length || verity_b.length != verity.length || self.root_hash.is_none() {
            return Err("its two slots differ in size, or its root has no root hash".into());
        }
        Ok(())
    }
}
