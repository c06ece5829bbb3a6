//! A section, cut into reads.

use livery_contract::{chunkmap::Content, compose::Extent, manifest::SectionRange};

/// Bytes of one read.
pub(crate) const READ: usize = 4 << 20;

/// Part of a read with one content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub length: usize,
    /// How many of these bytes belong to the section; a chunk that reaches over its end is read in whole, to be compared.
    pub in_section: usize,
    pub content: Content,
}

/// Neighbouring extents that are read with one call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub offset: u64,
    pub length: usize,
    pub parts: Vec<Part>,
}

/// Cuts a section into reads of at most [`READ`] bytes. A data chunk that begins in it is read in whole; of one that began
/// before it, only the rest, which is not compared here but where it began.
pub(crate) fn plan(extents: &[Extent], section: &SectionRange, without: &dyn Fn(&Extent) -> bool) -> Vec<Read> {
    let section_end = section.offset + section.length;
    let mut reads: Vec<Read> = Vec::new();
    let first = extents.partition_point(|extent| extent.offset + extent.length <= section.offset);
    for extent in extents[first..].iter().take_while(|extent| extent.offset < section_end) {
        if without(extent) {
            continue;
        }
        let extent_end = extent.offset + extent.length;
        let (mut at, end, content) = match extent.content {
            Content::Data { .. } if extent.offset < section.offset => (section.offset, extent_end.min(section_end), Content::Skip),
            Content::Data { .. } => (extent.offset, extent_end, extent.content),
            Content::Zero | Content::Skip => (extent.offset.max(section.offset), extent_end.min(section_end), extent.content),
        };
        while at < end {
            let rest = usize::try_from(end - at).unwrap_or(usize::MAX);
            let whole = matches!(content, Content::Data { .. });
            let room = reads
                .last()
                .filter(|last| last.offset + last.length as u64 == at)
                .map_or(0, |last| READ.saturating_sub(last.length));
            let length = if room > 0 && (rest <= room || !whole) {
                rest.min(room)
            } else {
                reads.push(Read { offset: at, length: 0, parts: Vec::new() });
                rest.min(READ)
            };
            let in_section = usize::try_from(section_end.saturating_sub(at)).unwrap_or(usize::MAX).min(length);
            if let Some(last) = reads.last_mut() {
                last.length += length;
                last.parts.push(Part { length, in_section, content });
            }
            at += length as u64;
        }
    }
    reads
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use livery_contract::{Digest, chunkmap::Frame};
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn data(seed: u32) -> Content {
        Content::Data {
            digest: Digest::of(&seed.to_le_bytes()),
            frame: Frame { pack: 0, offset: 0, length: 1, digest: Digest::of(b"") },
        }
    }

    fn extents(parts: &[(u64, Content)]) -> Vec<Extent> {
        let mut offset = 0;
        parts
            .iter()
            .map(|(length, content)| {
                offset += length;
                Extent { offset: offset - length, length: *length, content: *content }
            })
            .collect()
    }

    fn section(offset: u64, length: u64) -> SectionRange {
        SectionRange { name: "s".into(), offset, length }
    }

    #[test]
    fn long_zeros_are_cut_and_chunks_are_not() {
        let extents =
            extents(&[(9 * MIB, Content::Zero), (MIB, data(1)), (MIB, data(2)), (MIB + 4096, Content::Skip), (MIB, data(3))]);
        let reads = plan(&extents, &section(0, 13 * MIB + 4096), &|_| false);
        let got: Vec<_> = reads.iter().map(|read| (read.offset / MIB, read.length >> 20, read.parts.len())).collect();
        assert_eq!(got, [(0, 4, 1), (4, 4, 1), (8, 4, 4), (12, 1, 2)]);
    }

    proptest! {
        /// However a disk is cut into sections, each chunk is compared exactly once and in whole, and each section is
        /// read end to end.
        #[test]
        fn each_chunk_is_compared_once_and_each_section_read_in_whole(
            parts in prop::collection::vec((1_u64..257, 0_u32..3), 1..60),
            step in 1_u64..300,
        ) {
            let parts: Vec<_> = parts.into_iter().map(|(blocks, kind)| {
                (blocks * 4096, match kind { 0 => Content::Zero, 1 => Content::Skip, _ => data(kind) })
            }).collect();
            let extents = extents(&parts);
            let end = parts.iter().map(|(length, _)| length).sum::<u64>();
            let (mut at, mut compared) = (0, Vec::new());
            while at < end {
                let section = section(at, (step * 4096).min(end - at));
                let mut end = at;
                for read in plan(&extents, &section, &|_| false) {
                    prop_assert_eq!(read.offset, end, "no gap");
                    prop_assert!(read.length <= READ);
                    prop_assert_eq!(read.parts.iter().map(|part| part.length).sum::<usize>(), read.length);
                    let mut place = read.offset;
                    for part in &read.parts {
                        if matches!(part.content, Content::Data { .. }) {
                            compared.push((place, part.length as u64));
                        }
                        place += part.length as u64;
                    }
                    end += read.parts.iter().map(|part| part.in_section as u64).sum::<u64>();
                }
                at += section.length;
                prop_assert_eq!(end, at);
            }
            let wanted: Vec<_> = extents.iter().filter(|extent| matches!(extent.content, Content::Data { .. }))
                .map(|extent| (extent.offset, extent.length)).collect();
            prop_assert_eq!(compared, wanted);
        }
    }
}
