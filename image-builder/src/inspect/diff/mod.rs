//! `livery diff`: what differs between two images, in people's terms.
//!
//! In: two images of one store, masters or personal ones, built or imported. Out: a [`Difference`]: packages, settings, files,
//! partitions, sizes, as text or as JSON; and where the bits differ though no file does, what it is then. Chunks that both images
//! have are not read. File systems that are not read here (NTFS, ext4, compressed ones) are told by size and bytes.
//!
//! | module | what it compares |
//! |---|---|
//! | [`packages`] | the packages that the SBOMs list |
//! | [`parts`] | partitions, and what lies between them, byte by byte |
//! | [`files`] | the files of two file systems |
//! | [`boot`] | what is in a UKI: kernel, initrd, command line |
//! | [`settings`] | lines of settings |
//! | [`text`] | all of it for a terminal |

pub(crate) mod boot;
pub(crate) mod files;
pub(crate) mod packages;
pub(crate) mod parts;
pub(crate) mod settings;
pub(crate) mod text;

use livery_contract::{
    Digest, Exit, Fault, Reference, Result,
    chunkmap::Content,
    manifest::{Partition, Role},
};
use livery_store::Store;
use serde::Serialize;

use self::{files::FileChange, packages::PackageChange, parts::PartChange, settings::SettingChange};
use super::volume::{Disk, Volume, bytes::take, erofs, fat};
use crate::personal::ddi;

/// What differs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Difference {
    /// The two images.
    pub(crate) images: [Reference; 2],
    /// Whether devices would get the very same bytes.
    pub(crate) same: bool,
    /// Digests of what the disks would hold.
    pub(crate) content: [Digest; 2],
    /// What each has, in bytes.
    pub(crate) sizes: [Sizes; 2],
    /// Packages; `None` where an image has no SBOM.
    pub(crate) packages: Option<Vec<PackageChange>>,
    /// The kernel's command line and files of settings, by their lines.
    pub(crate) settings: Vec<SettingChange>,
    /// Files, settings among them.
    pub(crate) files: Vec<FileChange>,
    /// Partitions, and what lies between them.
    pub(crate) parts: Vec<PartChange>,
    /// What else is to be known.
    pub(crate) notes: Vec<String>,
}

/// An image in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sizes {
    /// Bytes of disk that it covers.
    pub(crate) disk: u64,
    /// Bytes of data, uncompressed.
    pub(crate) data: u64,
    /// Bytes of the frames that hold it, each once.
    pub(crate) compressed: u64,
    /// Bytes of the root file system; `None` where there is none that can be read.
    pub(crate) root: Option<u64>,
    /// Files in it.
    pub(crate) files: Option<usize>,
}

/// Compares two images of a store.
///
/// # Errors
/// Exit 3 where the store has one of them not, 4 where something is not what was signed, 5 where it can't be read.
pub(crate) async fn diff(store: &Store, images: [&Reference; 2]) -> Result<Difference> {
    let [a, b] = images;
    let disks = [Disk::open(store, a).await?, Disk::open(store, b).await?];
    let mut sboms = Vec::new();
    for disk in &disks {
        let sbom = disk.image.manifest.sbom;
        sboms.push(match sbom {
            Some(sbom) => Some(packages::read(&store.blob(&sbom, livery_contract::manifest::MAX_SBOM).await?)?),
            None => None,
        });
    }
    let images = images.map(Clone::clone);
    let compare = move || compare(images, disks, &sboms);
    tokio::task::spawn_blocking(compare).await.map_err(|error| Fault::internal("comparing stopped").cause(error))?
}

fn compare(images: [Reference; 2], disks: [Disk; 2], sboms: &[Option<packages::List>]) -> Result<Difference> {
    let content = disks.each_ref().map(|disk| disk.image.composed.content_digest());
    let mut difference = Difference {
        same: content[0] == content[1],
        content,
        sizes: disks.each_ref().map(sizes),
        packages: None,
        settings: Vec::new(),
        files: Vec::new(),
        parts: Vec::new(),
        notes: Vec::new(),
        images,
    };
    match sboms {
        [Some(one), Some(other)] => difference.packages = Some(packages::compare(one, other)),
        _ => {
            let without: Vec<String> = difference
                .images
                .iter()
                .zip(sboms)
                .filter(|(_, sbom)| sbom.is_none())
                .map(|(image, _)| image.to_string())
                .collect();
            difference.notes.push(format!("packages can't be compared without an SBOM: {}", without.join(", ")));
        }
    }
    for pair in parts::pairs(&disks) {
        let change = pair.compare(&disks);
        if let ([Some(one), Some(other)], true) = (&pair.partitions, change.differs > 0) {
            look_into(&disks, [one, other], &mut difference)?;
        }
        if change.differs > 0 || !change.what.is_empty() {
            difference.parts.push(change);
        }
    }
    for (index, disk) in disks.iter().enumerate() {
        // Where the root is the same in both it was not looked into.
        if let Some(root) = disk.image.manifest.partition(Role::Root)
            && difference.sizes[index].root.is_none()
        {
            let part = disk.part(root.offset, root.length);
            if let Ok(Some(superblock)) = erofs::superblock(&part) {
                difference.sizes[index].root = Some(superblock.bytes());
            }
        }
    }
    Ok(difference)
}

fn sizes(disk: &Disk) -> Sizes {
    let mut frames = std::collections::HashSet::new();
    let mut sizes = Sizes { disk: disk.image.manifest.size, ..Sizes::default() };
    for extent in &disk.image.composed.extents {
        if let Content::Data { digest, frame } = extent.content {
            sizes.data += extent.length;
            if frames.insert(digest) {
                sizes.compressed += u64::from(frame.length);
            }
        }
    }
    sizes
}

/// Compares the files of two partitions of which some bytes differ.
fn look_into(disks: &[Disk; 2], partitions: [&Partition; 2], difference: &mut Difference) -> Result<()> {
    let name = parts::name(partitions[0]);
    if partitions.iter().any(|partition| partition.role == Role::RootVerity) {
        return Ok(()); // it follows from the root
    }
    let mut volumes = Vec::new();
    for (disk, partition) in disks.iter().zip(partitions) {
        match volume(disk, partition) {
            Ok(Some(volume)) => volumes.push(volume),
            Ok(None) => {
                difference.notes.push(format!("{name}: an unsupported file system; compared by its bytes"));
                return Ok(());
            }
            // What can't be read as files is still compared by its bytes; what can't be read at all, or is not what was signed, is not.
            Err(fault) if fault.exit() == Exit::Refused => {
                difference.notes.push(format!("{name}: its files can't be compared: {fault}"));
                return Ok(());
            }
            Err(fault) => return Err(fault),
        }
    }
    let [one, other] = [&volumes[0], &volumes[1]];
    if partitions[0].role == Role::Root {
        for (index, volume) in volumes.iter().enumerate() {
            difference.sizes[index].files = Some(volume.tree.len());
        }
    }
    let mut changes = files::compare(&name, one, other)?;
    if changes.is_empty() {
        let [one, other] = [0, 1].map(|side| disks[side].part(partitions[side].offset, partitions[side].length));
        difference.notes.push(format!("{name}: {}", files::why_else(&one, &other)?));
    }
    for change in &mut changes {
        let inner = boot::look_into(change, [one, other])?;
        difference.settings.extend(inner.settings);
        difference.files.extend(inner.files);
        if let Some(setting) = settings::lines(change, [one, other])? {
            difference.settings.push(setting);
        }
    }
    difference.files.extend(changes);
    Ok(())
}

/// The files of a partition, where it is of a kind that is read here.
fn volume(disk: &Disk, partition: &Partition) -> Result<Option<Volume>> {
    let mut part = disk.part(partition.offset, partition.length);
    if partition.role == Role::Identity {
        // A disk image of its own: the layer lies in its root partition.
        let length = usize::try_from(partition.length).map_err(|_| Fault::internal("a personal layer larger than memory"))?;
        if let Some((offset, length)) = ddi::file_system(&take(&part, 0, length)?)? {
            part = disk.part(partition.offset + offset, length);
        }
    }
    if let Some(volume) = erofs::read(Box::new(part.clone()))? {
        return Ok(Some(volume));
    }
    fat::read(&part)
}

#[cfg(test)]
mod tests;
