//! Digests of whole sections: so that a device reads back with one SHA-256 over each byte, and a station can tell a true record from a
//! false one without reading the image.
//!
//! In: a layer's bytes, what is known of its image, and the chunks that it was cut into. Out: the digest of each section of a record that
//! lies in the layer. On all cores; the bytes were read a moment ago.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
};

use livery_contract::{
    Digest, Result,
    chunkmap::{ChunkMap, Content, SectionDigest},
    compose::Composed,
    digest::Hasher,
    manifest::{Layer, Manifest, SectionRange},
};
use rayon::prelude::*;

use super::packer::read_padded;

/// Bytes of one read.
const READ: usize = 4 << 20;

/// The digests of a layer's sections; `raw` begins where the layer does.
///
/// # Errors
/// Exit 3 where `raw` can't be read.
pub(crate) fn digests(raw: &File, manifest: &Manifest, layer: &Layer, map: &ChunkMap) -> Result<Vec<SectionDigest>> {
    let composed = Composed::of_layer(layer, map)?;
    let sections = composed.sections(manifest);
    let is_zero = |section: &SectionRange| {
        let end = section.offset + section.length;
        let first = composed.extents.partition_point(|extent| extent.offset + extent.length <= section.offset);
        composed.extents[first..].iter().take_while(|extent| extent.offset < end).all(|extent| extent.content == Content::Zero)
    };
    let (empty, full): (Vec<_>, Vec<_>) = sections.into_iter().partition(is_zero);
    let zeros = zeros(empty.iter().map(|section| section.length).collect());
    let mut all = full
        .into_par_iter()
        .map(|section| {
            let offset = section.offset - layer.offset;
            Ok(SectionDigest { offset, length: section.length, digest: digest(raw, offset, section.length)? })
        })
        .collect::<Result<Vec<_>>>()?;
    all.extend(empty.iter().filter_map(|section| {
        let digest = *zeros.get(&section.length)?;
        Some(SectionDigest { offset: section.offset - layer.offset, length: section.length, digest })
    }));
    all.sort_unstable_by_key(|section| section.offset);
    Ok(all)
}

fn digest(raw: &File, offset: u64, length: u64) -> Result<Digest> {
    let (mut buffer, mut hasher, mut at) = (vec![0; READ], Hasher::default(), 0);
    while at < length {
        let step = usize::try_from(length - at).unwrap_or(READ).min(READ);
        read_padded(raw, &mut buffer[..step], offset + at)?;
        hasher.update(&buffer[..step]);
        at += step as u64;
    }
    Ok(hasher.finish())
}

/// The digests of so many zeros, each byte of the longest hashed once: an image may have thousands of such sections, of a few lengths.
fn zeros(lengths: BTreeSet<u64>) -> HashMap<u64, Digest> {
    let (buffer, mut hasher, mut at, mut known) = (vec![0; READ], Hasher::default(), 0, HashMap::new());
    for length in lengths {
        while at < length {
            let step = usize::try_from(length - at).unwrap_or(READ).min(READ);
            hasher.update(&buffer[..step]);
            at += step as u64;
        }
        known.insert(length, hasher.clone().finish());
    }
    known
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn zeros_of_any_length() {
        let lengths = [4096, 12288, (4 << 20) + 4096, 9 << 20];
        let known = zeros(lengths.into());
        for length in lengths {
            assert_eq!(known[&length], Digest::of(&vec![0; usize::try_from(length).unwrap()]), "{length}");
        }
    }
}
