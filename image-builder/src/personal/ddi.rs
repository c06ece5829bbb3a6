//! A personal layer as a disk image of its own inside the identity partition: file system, dm-verity tree and signed root hash, as
//! the UAPI Group's Discoverable Disk Images (UAPI.3) and Discoverable Partitions Specification (UAPI.2) say. `systemd-dissect`
//! checks and mounts it; on a desk, the same program shows what is in it.
//!
//! ```text
//! 0        protective MBR, GPT
//! 20 KiB   root               the layer's file system; the partition's GUID is the first half of the root hash
//!          root-verity        its hash tree; the GUID is the second half
//!          root-verity-sig    JSON: root hash, PKCS #7 signature over its hexadecimal digits
//! end      backup GPT
//! ```

use std::io::{Cursor, Write as _};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use livery_contract::{
    Digest, Fault, Result,
    manifest::{BLOCK, Partition, Role},
};
use uuid::Uuid;

use super::verity;
use crate::{
    gpt,
    secure_boot::{pkcs7, signer::Signer},
};

/// Room for MBR, header and 128 entries, to a whole block.
const FIRST: u64 = 20 << 10;
/// Room for entries and header at the end, to a whole block.
const LAST: u64 = 20 << 10;
/// Bytes of the signature's partition: what `systemd-repart` makes it.
const SIGNATURE: u64 = 16 << 10;

/// A personal layer, ready for its partition.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// The partition's content.
    pub(crate) bytes: Vec<u8>,
    /// The dm-verity root hash.
    pub(crate) root_hash: Digest,
}

/// Puts a file system into a partition of `length` bytes. All that differs follows from `uuid`, `file_system` and the key.
///
/// # Errors
/// Exit 3 where it does not fit, 1 where it does not sign.
pub(crate) fn make(file_system: &[u8], length: u64, uuid: Uuid, signer: &Signer) -> Result<Layer> {
    let tree = verity::tree(file_system, Uuid::new_v5(&uuid, b"verity"))?;
    let signature = signature(tree.root, signer)?;
    let (data, hashes) = (file_system.len() as u64, tree.bytes.len() as u64);
    let needed = FIRST + data + hashes + SIGNATURE + LAST;
    if needed > length || !length.is_multiple_of(BLOCK) {
        return Err(Fault::refused(format!("a personal layer needs {needed} bytes, but the identity partition has {length}"))
            .fix("raise `image.identity-size` in the profile and build the master again"));
    }
    // By this the three are found together (UAPI.2, "Verity").
    let half = |range: std::ops::Range<usize>| Uuid::from_slice(&tree.root.as_bytes()[range]).unwrap_or_default();
    let parts = [
        ("root", gpt::ROOT, half(0..16), data, file_system),
        ("root-verity", gpt::ROOT_VERITY, half(16..32), hashes, tree.bytes.as_slice()),
        ("root-verity-sig", gpt::ROOT_VERITY_SIGNATURE, Uuid::new_v5(&uuid, b"signature"), SIGNATURE, signature.as_slice()),
    ];
    let size = |bytes: u64| usize::try_from(bytes).map_err(|_| Fault::internal("a personal layer larger than memory"));
    let mut bytes = vec![0; size(length)?];
    let (mut partitions, mut at) = (Vec::with_capacity(parts.len()), FIRST);
    for (number, (label, type_guid, guid, length, content)) in (1..).zip(parts) {
        bytes[size(at)?..][..content.len()].copy_from_slice(content);
        partitions.push(Partition {
            number,
            role: Role::Other,
            offset: at,
            length,
            type_guid,
            guid,
            used: None,
            label: label.into(),
        });
        at += length;
    }
    let mut disk = Cursor::new(bytes);
    gpt::write(&mut disk, length, uuid, &partitions)?;
    Ok(Layer { bytes: disk.into_inner(), root_hash: tree.root })
}

/// Where the file system lies in a partition's content, offset and bytes; `None` where there is no such image in it.
///
/// # Errors
/// Exit 5 where no temporary file can be had.
pub(crate) fn file_system(content: &[u8]) -> Result<Option<(u64, u64)>> {
    let failed = |error| Fault::source("no temporary file can be written").cause(error);
    let mut file = tempfile::tempfile().map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    let table = gpt::read(&file, content.len() as u64);
    let root = table.and_then(|table| table.partitions.into_iter().find(|partition| partition.type_guid == gpt::ROOT));
    Ok(root.map(|root| (root.offset, root.length)))
}

/// The signature's partition, as UAPI.2 has it.
fn signature(root: Digest, signer: &Signer) -> Result<Vec<u8>> {
    let hex = root.to_string();
    let signature = pkcs7::detached_content_info(signer, hex.as_bytes())?;
    let json = serde_json::json!({
        "rootHash": hex,
        "certificateFingerprint": signer.digest(),
        "signature": BASE64_STANDARD.encode(signature),
    });
    Ok(json.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        image::erofs::{self, Node},
        personal::keys,
    };

    #[test]
    fn the_same_layer_is_the_same_image_and_another_has_another_hash() {
        let folder = tempfile::tempdir().unwrap();
        keys::generate(folder.path()).unwrap();
        let signer = keys::signer(folder.path()).unwrap();
        let layer = |name: &str| {
            let files = BTreeMap::from([("etc/hostname".to_owned(), Node::File(name.into()))]);
            make(&erofs::make(&files, Uuid::nil(), 1).unwrap(), 1 << 20, Uuid::nil(), &signer).unwrap()
        };
        let (one, again, other) = (layer("wt-1\n"), layer("wt-1\n"), layer("wt-2\n"));
        assert_eq!(one.bytes, again.bytes);
        assert_ne!(one.root_hash, other.root_hash);
        let (at, length) = file_system(&one.bytes).unwrap().unwrap();
        assert_eq!((at, length.is_multiple_of(BLOCK)), (FIRST, true));
        assert!(file_system(&[0; 1 << 20]).unwrap().is_none());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&one.bytes).unwrap();
        let table = gpt::read(&file, 1 << 20).unwrap();
        assert_eq!(table.partitions.len(), 3);
        let hex = format!("{}{}", table.partitions[0].guid.simple(), table.partitions[1].guid.simple());
        assert_eq!(hex, one.root_hash.to_string());
        let fault = make(&[0; 8192], 64 << 10, Uuid::nil(), &signer).unwrap_err();
        assert!(fault.exit().code() == 3 && fault.render().contains("identity-size"), "{fault}");
    }
}
