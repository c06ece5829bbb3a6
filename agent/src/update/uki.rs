//! The newer image's UKI: out of what the one in use has, and the store.

use std::collections::HashMap;

use livery_contract::{
    Digest, Fault, Result,
    chunkmap::Content,
    compose::{Composed, Extent},
    manifest::Uki,
    record::Traffic,
};

use super::esp::Esp;
use crate::{
    device::AlignedBuffer,
    image::{chunk, piece::Piece, trust::Trusted},
    work::Work,
};

/// The UKI's bytes, as they were signed. Most of them are a kernel and an initrd that the one in use (of the image `old`) has too.
///
/// # Errors
/// Exit 4 where they are not what the manifest names, 5 where the store fails, 6 where the EFI system partition can't be read.
pub(crate) fn fetch(trusted: &Trusted, old: Option<&Trusted>, esp: &Esp, work: &Work, traffic: &mut Traffic) -> Result<Vec<u8>> {
    let uki = trusted.manifest().uki.ok_or_else(|| Fault::internal("an image without a UKI passed its check"))?;
    let of_it = |extent: &&Extent| extent.offset < uki.offset + uki.length && uki.offset < extent.offset + extent.length;
    let here = match old.and_then(|old| Some((old.composed(), old.manifest().uki?))) {
        Some((composed, in_use)) => here(trusted.composed().extents.iter().filter(of_it), composed, in_use, &esp.current(&in_use)?),
        None => Vec::new(),
    };
    for extent in trusted.composed().extents.iter().filter(of_it) {
        let Content::Data { frame, .. } = extent.content else { continue };
        match here.iter().any(|(piece, _)| piece.places.contains(&extent.offset)) {
            true => traffic.moved += extent.length,
            false => traffic.fetched += u64::from(frame.length),
        }
    }
    let bytes = chunk::range(trusted, &here, uki.offset, uki.length, &work.handle, &work.stop)?;
    traffic.written += uki.length;
    traffic.verified += uki.length;
    if Digest::of(&bytes) != uki.digest {
        return Err(Fault::untrusted("the image contradicts itself: its UKI differs from the one in its manifest")
            .at(trusted.manifest().reference())
            .fix("build the image again: the one in the store is inconsistent"));
    }
    Ok(bytes)
}

/// The chunks of a newer UKI that the one in use has, whose bytes these are: by what its own image says of them, and by their digests.
fn here<'a>(
    wanted: impl Iterator<Item = &'a Extent>,
    composed: &Composed,
    in_use: Uki,
    bytes: &[u8],
) -> Vec<(Piece, AlignedBuffer)> {
    let in_file = |offset: u64| usize::try_from(offset.checked_sub(in_use.offset)?).ok();
    let known: HashMap<Digest, &[u8]> = composed
        .extents
        .iter()
        .filter_map(|extent| {
            let Content::Data { digest, .. } = extent.content else { return None };
            let bytes = bytes.get(in_file(extent.offset)?..in_file(extent.offset + extent.length)?)?;
            Some((digest, bytes))
        })
        .collect();
    wanted
        .filter_map(|extent| {
            let Content::Data { digest, frame } = extent.content else { return None };
            let bytes = known.get(&digest).filter(|bytes| Digest::of(bytes) == digest)?;
            let mut buffer = AlignedBuffer::new(bytes.len());
            buffer[..bytes.len()].copy_from_slice(bytes);
            Some((Piece { frame, length: extent.length, digest, places: vec![extent.offset] }, buffer))
        })
        .collect()
}
