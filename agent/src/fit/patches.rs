//! Which ranges of the disk must change.

use livery_contract::{
    Fault, Result,
    manifest::{Manifest, Role},
};

use super::{fat, patch::Patch, table};
use crate::target::claim::Target;

/// What must change so that the image fits this disk, from the image's own bytes; `None` where nothing must.
///
/// # Errors
/// Exit 3 where it cannot be made to fit; what `image` fails with.
pub(crate) fn patches(
    target: &Target,
    manifest: &Manifest,
    image: &dyn Fn(u64, u64) -> Result<Vec<u8>>,
) -> Result<Option<Vec<Patch>>> {
    let disk = table::Disk { size: target.device().size(), sector: target.disk().logical_sector, grow: manifest.grow };
    let head = image(0, table::HEAD.min(manifest.size))?;
    let Some(mut patches) = table::plan(&head, manifest.sector_size, disk)? else {
        if !manifest.partitions.is_empty() && !table::is_gpt(&head, manifest.sector_size) {
            return Err(Fault::untrusted("the image names partitions, but has no valid partition table")
                .at(manifest.reference())
                .fix("build or import the image again"));
        }
        return Ok(None);
    };
    if let (Some(esp), true) = (manifest.partition(Role::Esp), disk.sector != manifest.sector_size) {
        let bytes = fat::for_4096(&image(esp.offset, esp.length.min(fat::RESERVED as u64))?)?;
        patches.push(Patch {
            reason: "FAT of the EFI system partition, converted to sectors of 4096 bytes",
            offset: esp.offset,
            bytes,
        });
    }
    Ok(Some(patches))
}
