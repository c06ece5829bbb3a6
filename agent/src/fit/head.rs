//! The image's first bytes, recognised on a disk that was finished: there the table is another one than the image's.

use livery_contract::{Fault, Result, chunkmap::Content};

use super::{patches::patches, table};
use crate::{
    device::Device,
    image::{source::Source, trust::Trusted},
    readback::differ::differs,
    target::claim::Target,
};

/// The image's first bytes, as far as a partition table goes, where the disk holds them: as they are, or with the backup
/// GPT's place undone. Proven by the chunks' digests; `None` where they do not hold, or reach farther.
///
/// # Errors
/// Exit 6 for an I/O error.
pub(crate) fn original_head<S: Source>(device: &Device, trusted: &Trusted<S>) -> Result<Option<Vec<u8>>> {
    let manifest = trusted.manifest();
    let length = usize::try_from(table::HEAD.min(manifest.size)).map_err(|_| Fault::internal("a small number"))?;
    let head = device.bytes(0, length)?;
    let holds = |head: &[u8]| {
        let within = trusted.composed().extents.iter().take_while(|extent| extent.offset < head.len() as u64);
        within.filter(|extent| matches!(extent.content, Content::Data { .. })).all(|extent| {
            let from = usize::try_from(extent.offset).unwrap_or(usize::MAX);
            let end = usize::try_from(extent.offset + extent.length).unwrap_or(usize::MAX);
            head.get(from..end).is_some_and(|bytes| differs(bytes, &extent.content).is_none())
        })
    };
    if holds(&head) {
        return Ok(Some(head));
    }
    Ok(table::undo(&head, manifest).filter(|head| holds(head)))
}

/// Whether what finishing puts on a disk with this original `head` is there in whole, or not at all. It lies beyond the
/// image in part, where no chunk's digest speaks of it.
///
/// # Errors
/// Exit 3 where the image cannot be made to fit, 6 for an I/O error.
pub(crate) fn finished_or_not<S: Source>(target: &Target, trusted: &Trusted<S>, head: Option<&[u8]>) -> Result<bool> {
    let (device, Some(head)) = (target.device(), head) else { return Ok(true) };
    let image = |offset: u64, length: u64| {
        let length = usize::try_from(length).map_err(|_| Fault::internal("a small number"))?;
        if offset == 0 && length <= head.len() {
            return Ok(head[..length].to_vec());
        }
        device.bytes(offset, length)
    };
    let patches = patches(target, trusted.manifest(), &image)?.unwrap_or_default();
    if !patches.is_empty() && patches.iter().try_fold(true, |all, patch| Ok(all && patch.is_on(device)?))? {
        return Ok(true);
    }
    // Else it must be as in the image: a head that only undoing makes the image's own is a damaged one.
    Ok(device.bytes(0, head.len())? == head)
}
