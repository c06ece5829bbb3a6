//! `livery list` and `livery inspect`.

use livery_contract::{Digest, Reference, Result, chunkmap::Content, manifest::Manifest};
use livery_store::Store;
use serde::Serialize;

/// One line of `livery list`.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    /// Reference.
    pub(crate) image: Reference,
    /// Digest of its manifest.
    pub(crate) manifest: Digest,
}

/// Every image in the store.
pub(crate) fn list(store: &Store) -> Vec<Listed> {
    store.references().into_iter().map(|(image, manifest)| Listed { image, manifest }).collect()
}

/// What `livery inspect` says of one image.
#[derive(Debug, Serialize)]
pub(crate) struct Inspected {
    /// Reference.
    pub(crate) image: Reference,
    /// Digest of the manifest's bytes.
    pub(crate) digest: Digest,
    /// Digest of the content, wherever it is stored.
    pub(crate) content: Digest,
    /// The manifest.
    pub(crate) manifest: Manifest,
    /// Bytes of data, uncompressed.
    pub(crate) data: u64,
    /// Bytes that must read as zero.
    pub(crate) zero: u64,
    /// Bytes that are left as they are.
    pub(crate) skip: u64,
    /// Bytes of the frames that hold the data.
    pub(crate) compressed: u64,
    /// Bytes of manifest and chunk maps.
    pub(crate) index: u64,
    /// Number of chunks.
    pub(crate) chunks: usize,
    /// Number of packs.
    pub(crate) packs: usize,
}

/// Reads an image's manifest and chunk maps, all of them checked.
///
/// # Errors
/// As [`Store::image`].
pub(crate) async fn inspect(store: &Store, reference: &Reference) -> Result<Inspected> {
    let image = store.image(reference).await?;
    let mut frames = std::collections::HashSet::new();
    let (mut data, mut zero, mut skip, mut compressed) = (0, 0, 0, 0);
    for extent in &image.composed.extents {
        match extent.content {
            Content::Zero => zero += extent.length,
            Content::Skip => skip += extent.length,
            Content::Data { digest, frame } => {
                data += extent.length;
                if frames.insert(digest) {
                    compressed += u64::from(frame.length);
                }
            }
        }
    }
    let maps: u64 = image.manifest.layers.iter().map(|layer| layer.chunk_map.length).sum();
    Ok(Inspected {
        image: reference.clone(),
        digest: image.digest,
        content: image.composed.content_digest(),
        data,
        zero,
        skip,
        compressed,
        index: maps + image.manifest.to_bytes().len() as u64,
        chunks: image.composed.extents.len(),
        packs: image.composed.packs.len(),
        manifest: image.manifest,
    })
}

impl std::fmt::Display for Inspected {
    /// For a terminal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use crate::progress::bytes;
        writeln!(f, "image      {}", self.image)?;
        writeln!(f, "manifest   {}", self.digest)?;
        writeln!(f, "content    {}", self.content)?;
        writeln!(f, "created    {}", self.manifest.created)?;
        if let Some(personal) = &self.manifest.personal {
            writeln!(
                f,
                "personal   order {}, host name {}, over master {}",
                personal.order,
                personal.hostname,
                personal.master.short()
            )?;
        }
        writeln!(
            f,
            "disk       {} of {}-byte sectors, needs a disk of {}",
            bytes(self.manifest.size),
            self.manifest.sector_size,
            bytes(self.manifest.minimum_disk)
        )?;
        writeln!(
            f,
            "content    {} data ({} compressed), {} zero, {} left as it is",
            bytes(self.data),
            bytes(self.compressed),
            bytes(self.zero),
            bytes(self.skip)
        )?;
        writeln!(f, "index      {} for {} chunks in {} packs", bytes(self.index), self.chunks, self.packs)?;
        for partition in &self.manifest.partitions {
            writeln!(
                f,
                "partition  {} {:<12} {:>12} at {:>12}  {}  {}",
                partition.number,
                partition.role.as_str(),
                bytes(partition.length),
                partition.offset,
                partition.guid,
                partition.label
            )?;
        }
        if let Some(boot) = &self.manifest.boot {
            writeln!(f, "boot       {:?}: partition {}, {}", boot.label, boot.partition, boot.loader)?;
        }
        if let Some(file) = &self.manifest.personal_file {
            writeln!(f, "personal   {} of partition {}, {} at {}", file.path, file.partition, bytes(file.length), file.offset)?;
        }
        for restricted in &self.manifest.restricted {
            writeln!(f, "restricted {restricted}")?;
        }
        Ok(())
    }
}
