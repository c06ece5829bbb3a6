//! A disk image and what is known of its partitions, into the store as a master. `import` and `build` share this.

use std::{fs::File, path::Path};

use jiff::Timestamp;
use livery_contract::{
    Digest, Fault, Name, Reference, Result, Version,
    digest::Blob,
    manifest::{Accepts, BLOCK, BootEntry, Data, Identity, Keys, Layer, Manifest, Partition, PersonalFile, SCHEMA, Uki},
};

use crate::{
    progress::Progress,
    publish::{
        packer::{self, Known, Packed},
        repository::{self, Publisher},
        restricted, sections,
    },
};

/// What shall become a master.
#[derive(Clone, Debug)]
pub(crate) struct Master {
    /// Name.
    pub(crate) name: Name,
    /// Version.
    pub(crate) version: Version,
    /// The image's time.
    pub(crate) created: Timestamp,
    /// Bytes of the disk image; rounded up to whole blocks.
    pub(crate) size: u64,
    /// Bytes of a sector.
    pub(crate) sector_size: u32,
    /// Whether the agent may convert it to sectors of 4096 bytes.
    pub(crate) converts_to_4096: bool,
    /// Number of the partition that grows to the disk's end.
    pub(crate) grow: Option<u32>,
    /// Partitions in order of offset.
    pub(crate) partitions: Vec<Partition>,
    /// Boot entry.
    pub(crate) boot: Option<BootEntry>,
    /// The smallest disk that will do, in bytes; at least the size.
    pub(crate) minimum_disk: u64,
    /// Personal settings that it takes.
    pub(crate) accepts: Option<Accepts>,
    /// dm-verity root hash of its root file system.
    pub(crate) root_hash: Option<Digest>,
    /// How a device knows its personal layer.
    pub(crate) identity: Option<Identity>,
    /// Room for the keys that the agent makes on the device.
    pub(crate) keys: Option<Keys>,
    /// What becomes of the data partition.
    pub(crate) data: Option<Data>,
    /// Where its UKI lies, of an image with two slots for roots.
    pub(crate) uki: Option<Uki>,
    /// Ranges (offset, bytes) whose content does not matter.
    pub(crate) left: Vec<(u64, u64)>,
    /// Its SBOM, whole.
    pub(crate) sbom: Option<Vec<u8>>,
    /// Where an imported image takes the personal layer.
    pub(crate) personal_file: Option<PersonalFile>,
    /// What is in it that may not be passed on to everybody.
    pub(crate) restricted: Vec<String>,
}

/// A master in the store.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    /// Its reference.
    pub(crate) reference: Reference,
    /// Its manifest.
    pub(crate) manifest: Manifest,
    /// What it cost.
    pub(crate) packed: Packed,
    /// Whether the store did not have it before.
    pub(crate) fresh: bool,
}

/// Packs the image and signs its manifest. Chunks that earlier masters of the same name have are not stored again.
///
/// # Errors
/// Exit 3 where the store has another image by this name, 4 where the store is signed by other keys, 5 where it can't be
/// written.
pub(crate) async fn publish(
    raw: &File,
    master: Master,
    store: &Path,
    keys: &Path,
    level: i32,
    progress: &Progress,
) -> Result<Published> {
    restricted::check(store, &master.restricted)?;
    let mut publisher = Publisher::open(store, keys).await?;
    let mut known = Known::default();
    if let Some(current) = publisher.current() {
        for reference in repository::masters_named(current, &master.name) {
            for map in &current.image(&reference).await?.maps {
                known.add(map);
            }
        }
    }
    let size = master.size.next_multiple_of(BLOCK);
    // Every partition begins and ends a chunk: layers can then replace whole partitions. So does a personal file.
    let partitions = master.partitions.iter().map(|partition| (partition.offset, partition.length));
    let file = master.personal_file.iter().map(|file| (file.offset, file.length));
    let cuts: Vec<u64> = partitions.chain(file).flat_map(|(offset, length)| [offset, offset + length]).collect();
    let mut bar = progress.bytes("pack", size);
    let before = modified(raw)?;
    let (mut map, packed) =
        packer::pack(publisher.blobs(), raw, (0, size), (&cuts, &master.left), &known, level, &mut |done| bar.at(done))?;
    bar.done();
    // Which sections there are depends on the chunks, and they go into the chunk map.
    let no_map_yet = Blob { digest: Digest::of(b""), length: 0 };
    let mut manifest = Manifest {
        schema: SCHEMA,
        name: master.name,
        version: master.version,
        personal: None,
        created: master.created,
        size,
        sector_size: master.sector_size,
        converts_to_4096: master.converts_to_4096,
        grow: master.grow,
        partitions: master.partitions,
        layers: vec![Layer { offset: 0, length: size, chunk_map: no_map_yet }],
        boot: master.boot,
        minimum_disk: master.minimum_disk.max(size),
        accepts: master.accepts,
        root_hash: master.root_hash,
        identity: master.identity,
        keys: master.keys,
        data: master.data,
        uki: master.uki,
        sbom: master.sbom.map(|sbom| publisher.blobs().put(&sbom)).transpose()?,
        personal_file: master.personal_file,
        restricted: master.restricted,
    };
    map.sections = sections::digests(raw, &manifest, &manifest.layers[0], &map)?;
    // Two readings of an image that somebody writes to would be two images.
    if modified(raw)? != before {
        return Err(Fault::refused("the disk image changed while it was read")
            .fix("stop the program that writes to it, such as a virtual machine, then run the same command again"));
    }
    manifest.layers[0].chunk_map = publisher.blobs().put(&map.encode())?;
    let fresh = publisher.add(&manifest)?.fresh;
    publisher.commit().await?;
    Ok(Published { reference: manifest.reference(), manifest, packed, fresh })
}

fn modified(raw: &File) -> Result<(std::time::SystemTime, u64)> {
    let read = |error| Fault::refused("the disk image can't be read").cause(error);
    let metadata = raw.metadata().map_err(read)?;
    Ok((metadata.modified().map_err(read)?, metadata.len()))
}
