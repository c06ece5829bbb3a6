//! Files of two file systems: added, removed, and what about the others has changed.

use livery_contract::Result;
use serde::Serialize;

use crate::inspect::volume::{Bytes, Entry, Kind, Volume, bytes::take, erofs, tree::CAPABILITY};

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change {
    /// Only the second image has it.
    Added,
    /// Only the first image has it.
    Removed,
    /// Both have it, and not the same.
    Changed,
}

/// A file that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FileChange {
    /// Where it lies: a partition's name, or `initrd`.
    pub(crate) within: String,
    /// Its path there.
    pub(crate) path: String,
    /// What became of it.
    pub(crate) change: Change,
    /// What it is, or was.
    pub(crate) kind: Kind,
    /// Why: `content`, `mode 0644 -> 0755`; of one that was added or removed, how it is.
    pub(crate) what: Vec<String>,
    /// Bytes before.
    pub(crate) before: Option<u64>,
    /// Bytes now.
    pub(crate) now: Option<u64>,
}

/// What differs, in order of path.
///
/// # Errors
/// As [`Bytes::read`](crate::inspect::volume::Bytes::read).
pub(crate) fn compare(within: &str, one: &Volume, other: &Volume) -> Result<Vec<FileChange>> {
    let mut changes = Vec::new();
    let mut paths: Vec<&String> = one.tree.keys().chain(other.tree.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    for path in paths {
        let size = |entry: Option<&Entry>| entry.filter(|entry| entry.kind == Kind::File).map(|entry| entry.size);
        let (before, now) = (one.tree.get(path), other.tree.get(path));
        let (change, kind, what) = match (before, now) {
            (Some(before), Some(now)) => {
                let what = aspects((one, before), (other, now))?;
                if what.is_empty() {
                    continue;
                }
                (Change::Changed, now.kind, what)
            }
            (Some(gone), None) => (Change::Removed, gone.kind, vec![described(gone)]),
            (None, Some(added)) => (Change::Added, added.kind, vec![described(added)]),
            (None, None) => continue,
        };
        changes.push(FileChange {
            within: within.into(),
            path: path.clone(),
            change,
            kind,
            what,
            before: size(before),
            now: size(now),
        });
    }
    Ok(changes)
}

fn described(entry: &Entry) -> String {
    match &entry.target {
        Some(target) => format!("{} -> {target}", entry.kind),
        None => format!("{} {:04o} {}:{}", entry.kind, entry.mode, entry.uid, entry.gid),
    }
}

/// What about two files differs.
fn aspects((one, before): (&Volume, &Entry), (other, now): (&Volume, &Entry)) -> Result<Vec<String>> {
    if before.kind != now.kind {
        return Ok(vec![format!("{} -> {}", before.kind, now.kind)]);
    }
    let mut what = Vec::new();
    if before.kind == Kind::File && !one.same(before, other, now)? {
        what.push("content".to_owned());
    }
    if before.target != now.target {
        let target = |entry: &Entry| entry.target.clone().unwrap_or_default();
        what.push(format!("target {} -> {}", target(before), target(now)));
    }
    if before.mode != now.mode {
        what.push(format!("mode {:04o} -> {:04o}", before.mode, now.mode));
    }
    if (before.uid, before.gid) != (now.uid, now.gid) {
        what.push(format!("owner {}:{} -> {}:{}", before.uid, before.gid, now.uid, now.gid));
    }
    for name in before.attributes.keys().chain(now.attributes.keys().filter(|name| !before.attributes.contains_key(*name))) {
        let values = (before.attributes.get(name), now.attributes.get(name));
        if values.0 != values.1 {
            let name = if name == CAPABILITY { "capabilities" } else { name };
            let hex = |value: Option<&Vec<u8>>| match value {
                Some(value) => value.iter().take(24).map(|byte| format!("{byte:02x}")).collect::<String>(),
                None => "none".to_owned(),
            };
            what.push(format!("{name} {} -> {}", hex(values.0), hex(values.1)));
        }
    }
    if before.time != now.time {
        let time = |entry: &Entry| {
            jiff::Timestamp::from_second(entry.time).map_or_else(|_| entry.time.to_string(), |time| time.to_string())
        };
        what.push(format!("time {} -> {}", time(before), time(now)));
    }
    Ok(what)
}

/// Why two partitions differ of which no file does.
///
/// # Errors
/// As [`Bytes::read`](crate::inspect::volume::Bytes::read).
pub(crate) fn why_else(one: &dyn Bytes, other: &dyn Bytes) -> Result<String> {
    let superblocks = (erofs::superblock(one)?, erofs::superblock(other)?);
    let mut what = Vec::new();
    if let (Some(before), Some(now)) = superblocks {
        if before.uuid != now.uuid {
            what.push(format!("the file system's UUID {} -> {}", before.uuid, now.uuid));
        }
        if before.time != now.time {
            what.push(format!("its time {} -> {}", before.time, now.time));
        }
        if before.features != now.features {
            what.push(format!("its features {:#x} -> {:#x}", before.features, now.features));
        }
        if before.blocks != now.blocks {
            what.push(format!("its blocks {} -> {}", before.blocks, now.blocks));
        }
    }
    if what.is_empty() {
        what.push("the same files are in other places, or the file system was made differently".to_owned());
    }
    let first = first_difference(one, other)?;
    let first = first.map(|at| format!("; the first byte that differs is {at}")).unwrap_or_default();
    Ok(format!("no file differs, but {}{first}", what.join(", ")))
}

/// The first byte that differs, where there is one.
fn first_difference(one: &dyn Bytes, other: &dyn Bytes) -> Result<Option<u64>> {
    let both = one.length().min(other.length());
    let mut at = 0;
    while at < both {
        let (a, b) = (one.known(at), other.known(at));
        if let (Some(a), Some(b)) = (a, b)
            && (a.chunk, a.within) == (b.chunk, b.within)
        {
            at += a.left.min(b.left);
            continue;
        }
        let step = usize::try_from((both - at).min(1 << 20)).unwrap_or(0);
        let (a, b) = (take(one, at, step)?, take(other, at, step)?);
        if let Some(differs) = a.iter().zip(&b).position(|(a, b)| a != b) {
            return Ok(Some(at + differs as u64));
        }
        at += step as u64;
    }
    Ok((one.length() != other.length()).then_some(both))
}
