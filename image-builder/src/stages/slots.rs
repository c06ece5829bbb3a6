//! Where roots lie on a device: one place for root and hash tree; or two, of one size and with room for later ones, where the device gets
//! newer images while it is in use (`updates.store`).

use std::{fs, path::PathBuf};

use livery_contract::{Fault, Result, manifest::Role};
use livery_profile::Profile;
use uuid::Uuid;

use super::disk::{Content, Piece, derive};
use crate::gpt;

const MIB: u64 = 1 << 20;
/// Sizes that a profile does not say are rounded up to this.
const STEP: u64 = 64 * MIB;

/// The partitions for this root and its hash tree.
///
/// # Errors
/// Exit 1 where the root can't be read.
pub(crate) fn pieces(profile: &Profile, seed: Uuid, root: PathBuf, verity: PathBuf) -> Result<Vec<Piece>> {
    let piece = |role: Role, content: Content| {
        let type_guid = if matches!(role, Role::Root | Role::RootB) { gpt::ROOT } else { gpt::ROOT_VERITY };
        Piece { role, type_guid, guid: derive(seed, role.as_str()), content }
    };
    if profile.desk().is_none_or(|desk| desk.updates.is_none()) {
        return Ok(vec![piece(Role::Root, Content::File(root)), piece(Role::RootVerity, Content::File(verity))]);
    }
    let now = fs::metadata(&root).map_err(|error| Fault::internal("the root can't be read").at(root.display()).cause(error))?.len();
    let length = profile.image.slot_size.unwrap_or_else(|| (now / 4 * 5).next_multiple_of(STEP));
    let tree = tree_of(length);
    Ok(vec![
        piece(Role::Root, Content::Slot(root, length)),
        piece(Role::RootVerity, Content::Slot(verity, tree)),
        piece(Role::RootB, Content::Spare(length)),
        piece(Role::RootVerityB, Content::Spare(tree)),
    ])
}

/// Room for the hash tree of a root of this many bytes: SHA-256 of each block of 4096 bytes, of each block of those, and so on, which is
/// one byte in 127, and a superblock (dm-verity format 1).
fn tree_of(root: u64) -> u64 {
    (root / 100).next_multiple_of(MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_has_room() {
        for root in [256 * MIB, 1000 * MIB, 64 << 30] {
            let (mut blocks, mut needs) = (root / 4096, 1);
            while blocks > 1 {
                blocks = blocks.div_ceil(128);
                needs += blocks;
            }
            assert!(tree_of(root) >= needs * 4096, "{root}");
        }
    }
}
