//! Partitions, and what lies between them: where, how large, and how many of their bytes differ, by chunks alone.

use std::collections::HashSet;

use livery_contract::{
    Digest,
    chunkmap::Content,
    manifest::{Manifest, Partition, Role},
};
use serde::Serialize;

use crate::inspect::volume::{Bytes as _, Disk, bytes::Known};

/// A partition, or a stretch between two, that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PartChange {
    /// Its role, with its number where several have one role; `gpt`, `gpt-backup`, `gap` or `disk`.
    pub(crate) name: String,
    /// Its bytes before; `None` where it was added.
    pub(crate) before: Option<u64>,
    /// Its bytes now; `None` where it was removed.
    pub(crate) now: Option<u64>,
    /// Bytes of chunks that differ at the same place: at least a chunk where a single bit does.
    pub(crate) differs: u64,
    /// Bytes of chunks now that are nowhere in the image before: what a device must fetch.
    pub(crate) new: u64,
    /// What else differs: type, identifier, label, place.
    pub(crate) what: Vec<String>,
}

/// A part of both images, or of one.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    name: String,
    ranges: [Option<(u64, u64)>; 2],
    /// The partitions, where it is one.
    pub(crate) partitions: [Option<Partition>; 2],
}

/// A partition's name for people: its role; its number too where the role says nothing.
pub(crate) fn name(partition: &Partition) -> String {
    match partition.role {
        Role::Other => format!("partition {}", partition.number),
        role => role.as_str().to_owned(),
    }
}

/// The parts of two images, those of the same name together.
pub(crate) fn pairs(disks: &[Disk; 2]) -> Vec<Pair> {
    pairs_of(disks.each_ref().map(|disk| &disk.image.manifest))
}

fn pairs_of(manifests: [&Manifest; 2]) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    for (side, manifest) in manifests.into_iter().enumerate() {
        let mut seen: HashSet<String> = HashSet::new();
        for (mut name, offset, length, partition) in stretches(manifest) {
            // The second of one name.
            let stem = name.clone();
            let mut number = 1;
            while !seen.insert(name.clone()) {
                number += 1;
                name = format!("{stem} {number}");
            }
            let index = pairs.iter().position(|pair| pair.name == name).unwrap_or_else(|| {
                pairs.push(Pair { name: name.clone(), ranges: [None, None], partitions: [None, None] });
                pairs.len() - 1
            });
            pairs[index].ranges[side] = Some((offset, length));
            pairs[index].partitions[side] = partition;
        }
    }
    pairs
}

/// The disk end to end: partitions, and what lies between them.
fn stretches(manifest: &Manifest) -> Vec<(String, u64, u64, Option<Partition>)> {
    let (mut all, mut at) = (Vec::new(), 0);
    for partition in &manifest.partitions {
        if partition.offset > at {
            all.push((if at == 0 { "gpt" } else { "gap" }.to_owned(), at, partition.offset - at, None));
        }
        all.push((name(partition), partition.offset, partition.length, Some(partition.clone())));
        at = partition.offset + partition.length;
    }
    if manifest.size > at {
        let name = if manifest.partitions.is_empty() { "disk" } else { "gpt-backup" };
        all.push((name.to_owned(), at, manifest.size - at, None));
    }
    all
}

impl Pair {
    /// What differs; nothing is read for it.
    pub(crate) fn compare(&self, disks: &[Disk; 2]) -> PartChange {
        let length = |side: usize| self.ranges[side].map(|(_, length)| length);
        let mut change =
            PartChange { name: self.name.clone(), before: length(0), now: length(1), differs: 0, new: 0, what: Vec::new() };
        let [Some((offset, length)), Some((offset_now, length_now))] = self.ranges else {
            change.differs = length(0).or(length(1)).unwrap_or(0);
            change.new = self.ranges[1].map_or(0, |range| fresh(disks, range));
            return change;
        };
        let [one, other] = [disks[0].part(offset, length), disks[1].part(offset_now, length_now)];
        change.differs = differing(length, length_now, |at| one.known(at), |at| other.known(at));
        if change.differs > 0 {
            change.new = fresh(disks, (offset_now, length_now));
        }
        if let [Some(before), Some(now)] = &self.partitions {
            let mut told = |what: &str, before: String, now: String| {
                if before != now {
                    change.what.push(format!("{what} {before} -> {now}"));
                }
            };
            told("offset", before.offset.to_string(), now.offset.to_string());
            told("number", before.number.to_string(), now.number.to_string());
            told("type", before.type_guid.to_string(), now.type_guid.to_string());
            told("GUID", before.guid.to_string(), now.guid.to_string());
            told("label", format!("{:?}", before.label), format!("{:?}", now.label));
        }
        change
    }
}

/// How many bytes lie in chunks that are not the same at the same place; what only one side has counts.
fn differing(length: u64, length_now: u64, one: impl Fn(u64) -> Option<Known>, other: impl Fn(u64) -> Option<Known>) -> u64 {
    let both = length.min(length_now);
    let (mut at, mut differs) = (0, length.abs_diff(length_now));
    while at < both {
        let pair = (one(at), other(at));
        let left = |known: &Option<Known>| known.as_ref().map_or(u64::MAX, |known| known.left);
        // What is skipped has no chunk: a stretch of that is the same only as another such one.
        let step = left(&pair.0).min(left(&pair.1)).min(both - at);
        let step = if step == u64::MAX || (pair.0.is_none() || pair.1.is_none()) { step.min(4096) } else { step };
        let same = match &pair {
            (Some(one), Some(other)) => (one.chunk, one.within) == (other.chunk, other.within),
            (None, None) => true,
            _ => false,
        };
        if !same {
            differs += step;
        }
        at += step;
    }
    differs
}

/// Bytes of chunks in a stretch of the second image that the first has nowhere.
fn fresh(disks: &[Disk; 2], (offset, length): (u64, u64)) -> u64 {
    let data = |content: &Content| if let Content::Data { digest, .. } = content { Some(*digest) } else { None };
    let known: HashSet<Digest> = disks[0].image.composed.extents.iter().filter_map(|extent| data(&extent.content)).collect();
    let mut seen = HashSet::new();
    let new = disks[1]
        .extents(offset, length)
        .iter()
        .filter(|extent| data(&extent.content).is_some_and(|digest| !known.contains(&digest) && seen.insert(digest)));
    new.map(|extent| extent.length).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_compared_by_chunk_and_place() {
        // 'a' is a chunk of four bytes, '.' zeros, '?' skipped.
        let known = |chunks: &'static str| {
            move |at: u64| {
                let letter = chunks.as_bytes()[usize::try_from(at / 4).unwrap()];
                let chunk = Known { chunk: Some(Digest::of(&[letter])), within: at % 4, left: 4 - at % 4 };
                match letter {
                    b'?' => None,
                    b'.' => Some(Known { chunk: None, within: 0, ..chunk }),
                    _ => Some(chunk),
                }
            }
        };
        let count = |one: &'static str, other: &'static str| {
            differing(one.len() as u64 * 4, other.len() as u64 * 4, known(one), known(other))
        };
        assert_eq!(count("ab.c", "ab.c"), 0);
        assert_eq!(count("ab.c", "ax.c"), 4);
        assert_eq!(count("ab.c", "ab.cd"), 4);
        assert_eq!(count("ab..", "abcc"), 8);
        assert!(count("ab?c", "abdc") > 0);
    }
}
