//! Partitions to a disk image: laid end to end on 1 MiB bounds between the two GUID partition tables.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::PathBuf,
};

use livery_contract::{
    Fault, Result,
    cut::is_zero,
    manifest::{BLOCK, Partition, Role},
};
use uuid::Uuid;

use crate::gpt;

/// Partitions begin and end on this bound: right for every sector, erase block and RAID stripe.
const ALIGN: u64 = 1 << 20;

/// Derives all UUIDs of an image (RFC 9562, version 5) from its seed and what each is for.
pub(crate) fn derive(seed: Uuid, purpose: &str) -> Uuid {
    Uuid::new_v5(&seed, purpose.as_bytes())
}

/// systemd's unit for a partition (systemd.unit(5), "String escaping for inclusion in unit names").
pub(crate) fn device_unit(partition: Uuid) -> String {
    format!(r"dev-disk-by\x2dpartuuid-{}.device", partition.to_string().replace('-', r"\x2d"))
}

/// A partition to be.
#[derive(Debug)]
pub(crate) struct Piece {
    /// What it is for; also its label.
    pub(crate) role: Role,
    /// Type GUID.
    pub(crate) type_guid: Uuid,
    /// Unique GUID.
    pub(crate) guid: Uuid,
    /// What it holds.
    pub(crate) content: Content,
}

/// What a partition holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// A file's bytes; the partition is as long, rounded up.
    File(PathBuf),
    /// A file's bytes, in a partition of at least this length, with room behind them for a later image's.
    Slot(PathBuf, u64),
    /// A partition for a later image's, of this length.
    Spare(u64),
    /// These bytes, in a partition of this length.
    Bytes(Vec<u8>, u64),
    /// Nothing: so many bytes are left as the device's disk has them.
    Left(u64),
}

impl Content {
    fn length(&self) -> Result<u64> {
        match self {
            Self::File(path) => length_of(path),
            Self::Slot(path, length) => {
                let used = length_of(path)?;
                if used <= *length {
                    return Ok(*length);
                }
                Err(Fault::refused(format!("the root file system has {used} bytes, but its slot only {length}")).fix(
                    "raise `image.slot-size`; devices that already have this image must then be written again at the line; or remove packages",
                ))
            }
            Self::Bytes(_, length) | Self::Left(length) | Self::Spare(length) => Ok(*length),
        }
    }

    /// Bytes that the image fills, where that is not all.
    fn used(&self) -> Result<Option<u64>> {
        match self {
            Self::Slot(path, _) => length_of(path).map(|used| Some(used.next_multiple_of(BLOCK))),
            Self::Spare(_) => Ok(Some(0)),
            Self::File(_) | Self::Bytes(..) | Self::Left(_) => Ok(None),
        }
    }
}

fn length_of(path: &std::path::Path) -> Result<u64> {
    path.metadata()
        .map(|metadata| metadata.len())
        .map_err(|error| failed("a partition's content can't be read", error).at(path.display()))
}

/// A disk image in a temporary file.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) file: File,
    pub(crate) size: u64,
    /// Its partitions.
    pub(crate) partitions: Vec<Partition>,
    /// Ranges (offset, bytes) that are left as the device's disk has them.
    pub(crate) left: Vec<(u64, u64)>,
}

/// Puts the disk image together in an unnamed temporary file in `folder`.
///
/// # Errors
/// Exit 1 where something can't be read or written.
pub(crate) fn assemble(folder: &std::path::Path, disk_guid: Uuid, pieces: &[Piece]) -> Result<Disk> {
    let mut file = tempfile::tempfile_in(folder).map_err(|error| failed("no temporary file can be made", error))?;
    let mut at = ALIGN;
    let (mut partitions, mut left) = (Vec::with_capacity(pieces.len()), Vec::new());
    for (number, piece) in (1..).zip(pieces) {
        let length = piece.content.length()?.next_multiple_of(ALIGN);
        match &piece.content {
            Content::File(path) | Content::Slot(path, _) => copy_sparse(path, &mut file, at)?,
            Content::Bytes(bytes, _) => {
                file.seek(SeekFrom::Start(at))
                    .and_then(|_| file.write_all(bytes))
                    .map_err(|error| failed("the disk image can't be written", error))?;
            }
            Content::Left(_) | Content::Spare(_) => {}
        }
        let used = piece.content.used()?;
        let filled = if matches!(piece.content, Content::Left(_)) { 0 } else { used.unwrap_or(length) };
        if filled < length {
            left.push((at + filled, length - filled));
        }
        partitions.push(Partition {
            number,
            role: piece.role,
            offset: at,
            length,
            used,
            type_guid: piece.type_guid,
            guid: piece.guid,
            label: piece.role.as_str().into(),
        });
        at += length;
    }
    let size = at + ALIGN; // room for the backup table
    file.set_len(size).map_err(|error| failed("the disk image can't be written", error))?;
    gpt::write(&mut file, size, disk_guid, &partitions)?;
    Ok(Disk { file, size, partitions, left })
}

/// Copies a file, zeros as holes.
fn copy_sparse(path: &std::path::Path, to: &mut File, mut at: u64) -> Result<()> {
    let unreadable = |error| failed("a partition's content can't be read", error).at(path.display());
    let mut from = File::open(path).map_err(unreadable)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = from.read(&mut buffer).map_err(unreadable)?;
        if read == 0 {
            return Ok(());
        }
        if !is_zero(&buffer[..read]) {
            to.seek(SeekFrom::Start(at))
                .and_then(|_| to.write_all(&buffer[..read]))
                .map_err(|error| failed("the disk image can't be written", error))?;
        }
        at += read as u64;
    }
}

fn failed(what: &str, error: std::io::Error) -> Fault {
    Fault::internal(what).cause(error)
}
