//! A ready-made image's place for the personal layer: one file on a partition that we did not make, Windows's own perhaps.
//!
//! At import the partition's file system is given a file of a fixed size, by its own tools and without mounting it. Where the file's
//! bytes lie on the disk is then looked for, and goes into the manifest. To make an image somebody's is from then on to lay other
//! bytes over that range of the disk: no file system is touched again, neither here nor on a device.
//!
//! ```text
//! raw image --copy--> disk                          the image that is published
//!               `---> partition --tools--> changed partition --differences--> disk, with the file's place
//! ```
//!
//! What the range must be: on blocks of 4096 bytes, in one piece, and the very bytes of the file (so neither compressed nor
//! encrypted nor kept within the file system's tables). Where it is not, the import is refused: nothing is guessed.

mod place;
mod tools;

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
    process::Command,
};

use jiff::Timestamp;
use livery_contract::{
    Fault, Result,
    manifest::{Partition, PersonalFile},
    roster::Employee,
};
use livery_profile::PersonalPlace;
use tools::Tools;
use uuid::Uuid;

use super::{erofs::Node, identity};
use crate::{replace::folder_of, sandbox};

/// Bytes that are compared at once: a multiple of every block's size.
const STEP: usize = 1 << 20;

/// An image with a place for the personal layer.
#[derive(Debug)]
pub(crate) struct Reserved {
    /// The changed copy of the disk image.
    pub(crate) disk: File,
    /// Where the place is.
    pub(crate) place: PersonalFile,
    /// The copy lies in here.
    _scratch: tempfile::TempDir,
}

/// Makes the place in a copy of `raw`, which lies at `path` and is not touched. The file bears the time `created`.
///
/// # Errors
/// Exit 3 where the partition is not there or has no file system that we know, the file is there already or has no room, its bytes
/// are not where they can be replaced, or a tool is missing.
pub(crate) fn reserve(
    raw: &File,
    path: &Path,
    partitions: &[Partition],
    wish: &PersonalPlace,
    created: Timestamp,
) -> Result<Reserved> {
    let partition = find(partitions, &wish.partition).map_err(|fault| fault.at(path.display()))?;
    let folder = folder_of(path);
    let scratch = tempfile::Builder::new().prefix(".livery-import-").tempdir_in(folder).map_err(|error| {
        Fault::refused("a copy of the image can't be made in its folder")
            .at(folder.display())
            .cause(error)
            .fix("put the image into a folder that you may write to, with room for a second copy")
    })?;
    let failed = |error: io::Error| {
        Fault::refused("the copy of the image can't be used")
            .at(folder.display())
            .cause(error)
            .fix("free space in the image's folder")
    };
    let (disk, inner, filler) = (scratch.path().join("disk"), scratch.path().join("partition"), scratch.path().join("personal"));
    // Shares blocks where the file system can.
    let mut copy = Command::new("cp");
    copy.args(["--reflink=auto", "--sparse=always"]).arg(path).arg(&disk);
    sandbox::run(copy, "copying the image", Fault::refused)?;
    let disk = File::options().read(true).write(true).open(&disk).map_err(failed)?;
    extract(raw, partition, &inner).map_err(failed)?;

    let size = usize::try_from(wish.size).map_err(|_| Fault::internal("a file is larger than memory"))?;
    let wanted = place::filler(size);
    File::create(&filler)
        .and_then(|mut file| {
            file.write_all(&wanted)?;
            file.set_modified(created.into())
        })
        .map_err(failed)?;
    let named = || format!("partition {} ({:?}), {}", partition.number, partition.label, wish.file);
    let tools = Tools::new(&inner, created).map_err(|fault| fault.at(named()))?;
    tools.put(&wish.file, &filler, &wanted).map_err(|fault| fault.at(named()))?;

    let changed = File::open(&inner).map_err(failed)?;
    let mut search = place::Search::new(&wanted);
    take_over(raw, &changed, partition, &disk, &mut search).map_err(failed)?;
    let offset = search.found().map_err(|why| {
        Fault::refused(why).at(named()).fix(
            "free space in the partition, defragment it, or choose another one; its file system needs blocks of 4096 bytes or more",
        )
    })?;
    let place = PersonalFile { partition: partition.number, path: wish.file.clone(), offset, length: wish.size };
    // A master that is nobody's yet is empty there, not noise.
    disk.write_all_at(&padded(b"{}\n", size), offset).map_err(failed)?;
    Ok(Reserved { disk, place, _scratch: scratch })
}

/// What one employee's file holds: what `/etc/livery/identity.json` is on our own systems (JSON, RFC 8259), and white space up to
/// `place`'s length.
///
/// # Errors
/// Exit 3 where it does not fit.
pub(crate) fn content(employee: &Employee, place: &PersonalFile) -> Result<Vec<u8>> {
    let length = usize::try_from(place.length).map_err(|_| Fault::internal("a file is larger than memory"))?;
    match identity::files(employee).remove("etc/livery/identity.json") {
        Some(Node::File(json)) if json.len() <= length => Ok(padded(&json, length)),
        Some(Node::File(json)) => Err(Fault::refused(format!(
            "the personal file of order {} has {} bytes, but {} has room for {length}",
            employee.order,
            json.len(),
            place.path
        ))
        .fix("raise `personal.size` in the import's profile and import the image again")),
        _ => Err(Fault::internal("a personal layer has no identity.json")),
    }
}

fn padded(text: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = text.to_vec();
    bytes.resize(length, b' ');
    if let Some(last) = bytes.last_mut() {
        *last = b'\n';
    }
    bytes
}

/// The partition that is meant: by its number, its GUID, or its name in the table.
fn find<'a>(partitions: &'a [Partition], wish: &str) -> Result<&'a Partition> {
    let guid = wish.parse::<Uuid>().ok();
    let number = wish.parse::<u32>().ok();
    let meant =
        |partition: &&Partition| Some(partition.number) == number || Some(partition.guid) == guid || partition.label == wish;
    let mut found = partitions.iter().filter(meant);
    let there = || {
        let one = |partition: &Partition| format!("{} {:?} {}", partition.number, partition.label, partition.guid);
        partitions.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) if partitions.is_empty() => Err(Fault::refused("the image has no usable partition table")
            .fix("import an image with a GPT, or remove `personal` from its profile")),
        (None, _) => Err(Fault::refused(format!("the image has no partition {wish:?}"))
            .fix(format!("set `personal.partition` to the number, GUID or name of one that it has: {}", there()))),
        (Some(_), Some(_)) => Err(Fault::refused(format!("several partitions of the image match {wish:?}"))
            .fix(format!("set `personal.partition` to the number of the right one: {}", there()))),
    }
}

/// Copies a partition's bytes into a file of its own; zeros become holes.
fn extract(raw: &File, partition: &Partition, to: &Path) -> io::Result<()> {
    let file = File::create(to)?;
    file.set_len(partition.length)?;
    let mut buffer = vec![0; STEP];
    let mut at = 0;
    while at < partition.length {
        let piece = &mut buffer[..step(partition.length - at)];
        raw.read_exact_at(piece, partition.offset + at)?;
        if piece.iter().any(|byte| *byte != 0) {
            file.write_all_at(piece, at)?;
        }
        at += piece.len() as u64;
    }
    Ok(())
}

/// Brings what the tools have changed onto the disk; `search` sees all of it.
fn take_over(raw: &File, changed: &File, partition: &Partition, disk: &File, search: &mut place::Search<'_>) -> io::Result<()> {
    let (mut before, mut now) = (vec![0; STEP], vec![0; STEP]);
    let mut at = 0;
    while at < partition.length {
        let length = step(partition.length - at);
        let (before, now) = (&mut before[..length], &mut now[..length]);
        raw.read_exact_at(before, partition.offset + at)?;
        changed.read_exact_at(now, at)?;
        if before != now {
            disk.write_all_at(now, partition.offset + at)?;
            search.look(now, partition.offset + at);
        }
        at += length as u64;
    }
    Ok(())
}

fn step(left: u64) -> usize {
    usize::try_from(left).unwrap_or(STEP).min(STEP)
}

#[cfg(test)]
mod tests {
    use livery_contract::manifest::BLOCK;

    use super::*;
    use crate::gpt;

    fn partition(number: u32, label: &str) -> Partition {
        let (offset, length) = (u64::from(number) << 20, BLOCK);
        let guid = Uuid::from_u128(number.into());
        Partition {
            number,
            role: livery_contract::manifest::Role::Other,
            offset,
            length,
            type_guid: gpt::LINUX,
            guid,
            used: None,
            label: label.into(),
        }
    }

    #[test]
    fn a_partition_is_meant_by_number_guid_or_name() {
        let all = [partition(1, "EFI"), partition(3, "Windows"), partition(4, "Data"), partition(5, "Data")];
        let number = |wish: &str| find(&all, wish).map(|found| found.number).map_err(|fault| fault.render());
        assert_eq!(number("3"), Ok(3));
        assert_eq!(number("Windows"), Ok(3));
        assert_eq!(number("00000000-0000-0000-0000-000000000004"), Ok(4));
        assert!(number("2").unwrap_err().contains("3 \"Windows\""), "what there is is named");
        assert!(number("Data").unwrap_err().contains("several partitions"));
        assert!(find(&[], "1").unwrap_err().render().contains("no usable partition table"));
    }

    #[test]
    fn an_employees_file_fills_its_place() {
        let roster = "order,user,name,hostname,locale,keyboard\nORD-1,zoe,Zoé L,wt-1,fr_FR.UTF-8,fr\n";
        let employee = livery_contract::roster::parse(roster, livery_contract::roster::Format::Csv).unwrap().remove(0);
        let mut place = PersonalFile { partition: 1, path: "/livery.json".into(), offset: BLOCK, length: BLOCK };
        let bytes = content(&employee, &place).unwrap();
        assert_eq!((bytes.len(), bytes.last()), (4096, Some(&b'\n')));
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()["hostname"], "wt-1");
        place.length = 16;
        assert!(content(&employee, &place).unwrap_err().render().contains("personal.size"));
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&padded(b"{}\n", 64)).unwrap(), serde_json::json!({}));
    }
}
