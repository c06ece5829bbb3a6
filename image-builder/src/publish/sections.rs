//! Digests of whole sections, so that a device reads back with one SHA-256 over each byte.
//!
//! In: a raw disk image, its manifest and the chunks that it was cut into. Out: the digest of each section of its records
//! that has data in it; what is all zero is compared with zero anyway. On all cores; the image was read a moment ago.

use std::fs::File;

use livery_contract::{
    Result,
    chunkmap::{ChunkMap, Content, SectionDigest},
    compose::Composed,
    digest::Hasher,
    manifest::Manifest,
};
use rayon::prelude::*;

use super::packer::read_padded;

/// Bytes of one read.
const READ: usize = 4 << 20;

/// The digests of a master's sections.
///
/// # Errors
/// Exit 3 where `raw` can't be read.
pub(crate) fn digests(raw: &File, manifest: &Manifest, map: &ChunkMap) -> Result<Vec<SectionDigest>> {
    let composed = Composed::new(manifest, std::slice::from_ref(map))?;
    let with_data = composed.sections(manifest).into_iter().filter(|section| {
        let end = section.offset + section.length;
        let first = composed.extents.partition_point(|extent| extent.offset + extent.length <= section.offset);
        let mut within = composed.extents[first..].iter().take_while(|extent| extent.offset < end);
        within.any(|extent| extent.content != Content::Zero)
    });
    with_data.collect::<Vec<_>>().into_par_iter().map(|section| digest(raw, section.offset, section.length)).collect()
}

fn digest(raw: &File, offset: u64, length: u64) -> Result<SectionDigest> {
    let (mut buffer, mut hasher, mut at) = (vec![0; READ], Hasher::default(), 0);
    while at < length {
        let step = usize::try_from(length - at).unwrap_or(READ).min(READ);
        read_padded(raw, &mut buffer[..step], offset + at)?;
        hasher.update(&buffer[..step]);
        at += step as u64;
    }
    Ok(SectionDigest { offset, length, digest: hasher.finish() })
}
