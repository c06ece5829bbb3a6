//! Layers of chunk maps laid over one another: what the whole disk shall hold.

use crate::{
    chunkmap::{Chunk, ChunkMap, Content, SectionDigest},
    digest::{Blob, Digest},
    fault::{Fault, Result},
    manifest::{BLOCK, Layer, Manifest, SectionRange},
    record::Section,
};

/// A run of the disk with one content. Extents of a [`Composed`] image lie end to end from byte 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First byte on the disk.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// What they are.
    pub content: Content,
}

/// What the whole disk shall hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// Packs of all layers; a [`Frame::pack`](crate::chunkmap::Frame::pack) of an extent is an index into these.
    pub packs: Vec<Blob>,
    /// Extents end to end.
    pub extents: Vec<Extent>,
    /// Digests of stretches that one layer alone has, and no skipped chunk lies in; in order, offsets on the disk.
    known: Vec<SectionDigest>,
}

impl Composed {
    /// Lays the layers' maps over one another, `maps[i]` being layer `i` of `manifest`.
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted) where a map does not cover its layer, or an upper layer cuts through a
    /// data chunk below: such a chunk could not be checked any more. Builders cut chunks at partition bounds for that.
    pub fn new(manifest: &Manifest, maps: &[ChunkMap]) -> Result<Self> {
        if maps.len() != manifest.layers.len() {
            return Err(Fault::internal(format!("{} chunk maps for {} layers", maps.len(), manifest.layers.len())));
        }
        let mut composed = Self { packs: Vec::new(), extents: Vec::new(), known: Vec::new() };
        for (layer, map) in manifest.layers.iter().zip(maps) {
            composed.lay(layer, map)?;
        }
        composed.forget_known(|extent| extent.content == Content::Skip);
        composed.check_unused(manifest)?;
        Ok(composed)
    }

    /// What partitions do not use is in no section, so nobody reads it back: an image that has content there says two things.
    fn check_unused(&self, manifest: &Manifest) -> Result<()> {
        for partition in &manifest.partitions {
            let (from, to) = (partition.offset + partition.filled(), partition.offset + partition.length);
            let first = self.extents.partition_point(|extent| extent.offset + extent.length <= from);
            let mut overlapped = self.extents[first..].iter().take_while(|extent| extent.offset < to);
            if from < to && overlapped.any(|extent| extent.content != Content::Skip) {
                return Err(Fault::untrusted(format!(
                    "partition {} has content in its unused part, from byte {from} on",
                    partition.number
                ))
                .at(manifest.reference()));
            }
        }
        Ok(())
    }

    /// One layer by itself, in its place on the disk. What a personal layer says of its own sections is known so, without all the
    /// chunks of its master.
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted) where the map does not cover the layer.
    pub fn of_layer(layer: &Layer, map: &ChunkMap) -> Result<Self> {
        let mut composed = Self { packs: Vec::new(), extents: Vec::new(), known: Vec::new() };
        composed.lay(layer, map)?;
        composed.forget_known(|extent| extent.content == Content::Skip);
        Ok(composed)
    }

    /// Lays one map over what is there.
    fn lay(&mut self, layer: &Layer, map: &ChunkMap) -> Result<()> {
        let offset = layer.offset;
        if map.length() != layer.length {
            return Err(Fault::untrusted(format!(
                "the chunk map of the layer at {offset} covers {} bytes, the manifest says {}",
                map.length(),
                layer.length
            )));
        }
        let first_pack = u32::try_from(self.packs.len()).map_err(|_| Fault::untrusted("too many packs"))?;
        self.packs.extend_from_slice(&map.packs);
        let mut at = offset;
        let new: Vec<Extent> = map
            .chunks
            .iter()
            .map(|chunk: &Chunk| {
                let mut content = chunk.content;
                if let Content::Data { frame, .. } = &mut content {
                    frame.pack += first_pack;
                }
                let extent = Extent { offset: at, length: chunk.length(), content };
                at += extent.length;
                extent
            })
            .collect();
        // What the new layer lies over, even in part, reads otherwise now.
        self.known.retain(|known| known.offset >= at || known.offset + known.length <= offset);
        self.known.extend(map.sections.iter().map(|section| SectionDigest { offset: offset + section.offset, ..*section }));
        self.known.sort_unstable_by_key(|known| known.offset);
        let below_end = self.extents.last().map_or(0, |last| last.offset + last.length);
        if self.extents.is_empty() || offset >= below_end {
            self.extents.extend(new);
            return Ok(());
        }
        let mut below = std::mem::take(&mut self.extents).into_iter().peekable();
        while let Some(extent) = below.next_if(|extent| extent.offset + extent.length <= offset) {
            self.extents.push(extent);
        }
        let mut tail = None;
        if let Some(cut) = below.peek().filter(|extent| extent.offset < offset).copied() {
            self.extents.push(part(cut, cut.offset, offset)?);
        }
        while let Some(extent) = below.next_if(|extent| extent.offset < at) {
            if extent.offset + extent.length > at {
                tail = Some(part(extent, at, extent.offset + extent.length)?);
            }
        }
        self.extents.extend(new);
        self.extents.extend(tail);
        self.extents.extend(below);
        Ok(())
    }

    /// Drops the digests of stretches that have such an extent in them.
    fn forget_known(&mut self, such: impl Fn(&Extent) -> bool) {
        let extents = &self.extents;
        self.known.retain(|known| {
            let first = extents.partition_point(|extent| extent.offset + extent.length <= known.offset);
            !extents[first..].iter().take_while(|extent| extent.offset < known.offset + known.length).any(&such)
        });
    }

    /// What lies in `offset..offset + length`, counted from there: a partition by itself. Only chunks that nothing is beyond.
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted) where a data chunk lies in the range only in part.
    pub fn part(&self, offset: u64, length: u64) -> Result<Self> {
        let end = offset.saturating_add(length);
        let first = self.extents.partition_point(|extent| extent.offset + extent.length <= offset);
        let extents = self.extents[first..]
            .iter()
            .take_while(|extent| extent.offset < end)
            .map(|extent| {
                let (from, to) = (extent.offset.max(offset), (extent.offset + extent.length).min(end));
                let whole = (from, to - from) == (extent.offset, extent.length);
                let covered = if whole { *extent } else { part(*extent, from, to)? };
                Ok(Extent { offset: covered.offset - offset, ..covered })
            })
            .collect::<Result<_>>()?;
        let known = self.known.iter().filter(|known| known.offset >= offset && known.offset + known.length <= end);
        let known = known.map(|known| SectionDigest { offset: known.offset - offset, ..*known }).collect();
        Ok(Self { packs: self.packs.clone(), extents, known })
    }

    /// The digest that just this section has by the layers' own words, if they say.
    pub fn section_digest(&self, section: &SectionRange) -> Option<Digest> {
        let index = self.known.binary_search_by_key(&section.offset, |known| known.offset).ok()?;
        self.known.get(index).filter(|known| known.length == section.length).map(|known| known.digest)
    }

    /// The manifest's sections as a record has them. Cut once more around what the image leaves as it is, which nobody reads back; and
    /// around long runs of zeros, on bounds of 1 MiB: the digest of so many zeros is known, so that what was proven to be zero need not
    /// be hashed. Of [one layer](Self::of_layer): those sections that lie in it.
    pub fn sections(&self, manifest: &Manifest) -> Vec<SectionRange> {
        const MIB: u64 = 1 << 20;
        let worth = manifest.section_step() / 8;
        let (skips, zeros) = (self.runs(Content::Skip), self.runs(Content::Zero));
        let first = self.extents.first().map_or(0, |extent| extent.offset);
        let last = self.extents.last().map_or(0, |extent| extent.offset + extent.length);
        let mut sections = Vec::new();
        for section in
            manifest.sections().into_iter().filter(|section| section.offset >= first && section.offset + section.length <= last)
        {
            let mut push = |from: u64, to: u64| {
                if to > from {
                    sections.push(SectionRange { name: section.name.clone(), offset: from, length: to - from });
                }
            };
            let end = section.offset + section.length;
            let mut at = section.offset;
            for (skip_start, skip_end) in within(&skips, section.offset, end).chain([(end, end)]) {
                for (zero_start, zero_end) in within(&zeros, at, skip_start) {
                    let (from, to) = (zero_start.next_multiple_of(MIB), zero_end / MIB * MIB);
                    if to >= from + worth {
                        push(at, from);
                        push(from, to);
                        at = to;
                    }
                }
                push(at, skip_start);
                at = skip_end;
            }
        }
        sections
    }

    /// What a record of this image must say: its [sections](Self::sections), and the digest that the layers give each.
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted) where they give none for one of them: nobody could tell a true record from a false one.
    pub fn expected(&self, manifest: &Manifest) -> Result<Vec<Section>> {
        let expected = |section: SectionRange| match self.section_digest(&section) {
            Some(sha256) => Ok(Section { name: section.name, offset: section.offset, length: section.length, sha256 }),
            None => Err(Fault::untrusted(format!(
                "the image does not say what its section of {} bytes at {} ({}) reads as",
                section.length, section.offset, section.name
            ))
            .at(manifest.reference())
            .fix("build or import the master again, and make the personal images anew")),
        };
        self.sections(manifest).into_iter().map(expected).collect()
    }

    /// Runs of extents with this content: first byte and end of each.
    fn runs(&self, content: Content) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for extent in self.extents.iter().filter(|extent| extent.content == content) {
            match runs.last_mut() {
                Some((_, end)) if *end == extent.offset => *end += extent.length,
                _ => runs.push((extent.offset, extent.offset + extent.length)),
            }
        }
        runs
    }

    /// The image's content as one digest: over offset, length, kind and digest of each extent.
    /// Where packs lie does not matter: two stores with the same content give the same digest.
    pub fn content_digest(&self) -> Digest {
        let mut hasher = crate::digest::Hasher::default();
        for extent in &self.extents {
            hasher.update(&extent.offset.to_le_bytes());
            hasher.update(&extent.length.to_le_bytes());
            match &extent.content {
                Content::Zero => hasher.update(&[0]),
                Content::Data { digest, .. } => {
                    hasher.update(&[1]);
                    hasher.update(digest.as_bytes());
                }
                Content::Skip => hasher.update(&[2]),
            }
        }
        hasher.finish()
    }
}

/// What of these runs (first byte and end, in order) lies in `from..to`.
fn within(runs: &[(u64, u64)], from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
    let first = runs.partition_point(|(_, end)| *end <= from);
    runs[first..].iter().take_while(move |(start, _)| *start < to).map(move |(start, end)| (*start.max(&from), *end.min(&to)))
}

/// The bytes `from..to` of an extent that an upper layer cuts; only zero and skipped runs can be cut.
fn part(extent: Extent, from: u64, to: u64) -> Result<Extent> {
    if matches!(extent.content, Content::Data { .. }) {
        return Err(Fault::untrusted(format!(
            "an upper layer cuts through the data chunk at {}..{}",
            extent.offset,
            extent.offset + extent.length
        ))
        .fix("build the master again with this release, which cuts chunks at partition boundaries"));
    }
    debug_assert!(from.is_multiple_of(BLOCK) && to > from);
    Ok(Extent { offset: from, length: to - from, content: extent.content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunkmap::Frame;

    fn data(blocks: u32, seed: u8) -> Chunk {
        Chunk {
            blocks,
            content: Content::Data {
                digest: Digest::of(&[seed]),
                frame: Frame { pack: 0, offset: 0, length: 1, digest: Digest::of(b"f") },
            },
        }
    }

    fn zero(blocks: u32) -> Chunk {
        Chunk { blocks, content: Content::Zero }
    }

    fn map(chunks: &[Chunk]) -> ChunkMap {
        let packs = vec![Blob { digest: Digest::of(b"p"), length: 10 }];
        ChunkMap { packs, chunks: chunks.to_vec(), sections: Vec::new() }
    }

    fn compose(base: &ChunkMap, offset: u64, upper: &ChunkMap) -> Result<Composed> {
        let mut manifest = crate::manifest::tests::sample();
        let chunk_map = Blob { digest: Digest::of(b"m"), length: 1 };
        manifest.layers =
            vec![Layer { offset: 0, length: base.length(), chunk_map }, Layer { offset, length: upper.length(), chunk_map }];
        Composed::new(&manifest, &[base.clone(), upper.clone()])
    }

    #[test]
    fn an_upper_layer_replaces_and_cuts_zeros() {
        let composed = compose(&map(&[data(2, 1), zero(6), data(2, 2)]), 3 * BLOCK, &map(&[data(1, 3), zero(1)])).unwrap();
        let got: Vec<_> = composed.extents.iter().map(|extent| (extent.offset / BLOCK, extent.length / BLOCK)).collect();
        assert_eq!(got, [(0, 2), (2, 1), (3, 1), (4, 1), (5, 3), (8, 2)]);
        let Content::Data { frame, .. } = composed.extents[2].content else { panic!("data") };
        assert_eq!(frame.pack, 1);
    }

    #[test]
    fn nothing_is_where_nothing_is_said_to_be() {
        let skip = |blocks| Chunk { blocks, content: Content::Skip };
        let with = |chunks: &[Chunk]| {
            let mut manifest = crate::manifest::tests::sample();
            manifest.partitions.truncate(1);
            (manifest.partitions[0].offset, manifest.partitions[0].length) = (2 * BLOCK, 6 * BLOCK);
            manifest.partitions[0].used = Some(2 * BLOCK);
            let map = map(chunks);
            let chunk_map = Blob { digest: Digest::of(b"m"), length: 1 };
            manifest.layers = vec![Layer { offset: 0, length: map.length(), chunk_map }];
            Composed::new(&manifest, &[map])
        };
        with(&[data(2, 1), data(2, 2), skip(4), data(2, 3)]).unwrap();
        with(&[data(2, 1), data(1, 2), skip(5), data(2, 3)]).unwrap();
        for chunks in [
            [data(2, 1), data(3, 2), skip(3), data(2, 3)],
            [data(2, 1), data(2, 2), zero(4), data(2, 3)],
            [data(2, 1), data(2, 2), skip(3), data(3, 3)],
        ] {
            assert_eq!(with(&chunks).unwrap_err().exit().code(), 4);
        }
    }

    #[test]
    fn a_part_is_counted_from_its_own_beginning() {
        let composed = compose(&map(&[data(2, 1), zero(6), data(2, 2)]), 3 * BLOCK, &map(&[data(1, 3), zero(1)])).unwrap();
        let part = composed.part(3 * BLOCK, 4 * BLOCK).unwrap();
        let got: Vec<_> = part.extents.iter().map(|extent| (extent.offset / BLOCK, extent.length / BLOCK)).collect();
        assert_eq!((got, part.packs.len()), (vec![(0, 1), (1, 1), (2, 2)], composed.packs.len()));
        assert!(composed.part(BLOCK, BLOCK).is_err(), "half a data chunk");
        assert!(composed.part(u64::MAX - 1, 5).unwrap().extents.is_empty());
    }

    #[test]
    fn a_digest_holds_only_where_its_layer_is_all_there_is() {
        let known = |offset: u64, length: u64| SectionDigest {
            offset: offset * BLOCK,
            length: length * BLOCK,
            digest: Digest::of(&offset.to_le_bytes()),
        };
        let skip = Chunk { blocks: 2, content: Content::Skip };
        let mut base = map(&[data(2, 1), zero(6), data(2, 2), skip]);
        base.sections = vec![known(0, 2), known(2, 4), known(6, 2), known(8, 4)];
        let mut upper = map(&[data(1, 3), zero(1)]);
        upper.sections = vec![known(0, 2)];
        let composed = compose(&base, 3 * BLOCK, &upper).unwrap();
        let digest = |offset: u64, length: u64| {
            composed.section_digest(&SectionRange { name: String::new(), offset: offset * BLOCK, length: length * BLOCK })
        };
        assert_eq!(digest(0, 2), Some(base.sections[0].digest));
        assert_eq!(digest(2, 4), None, "an upper layer lies in it");
        assert_eq!(digest(3, 2), Some(upper.sections[0].digest), "the upper layer's own, where it lies");
        assert_eq!((digest(6, 2), digest(6, 1)), (Some(base.sections[2].digest), None));
        assert_eq!(digest(8, 4), None, "what is skipped reads as anything");
    }

    #[test]
    fn long_zeros_are_sections_of_their_own() {
        let mib = |count: u32| count * 256;
        let map =
            map(&[data(1, 1), zero(mib(9) + 3), data(1, 2), zero(mib(7)), data(mib(1) - 5, 3), zero(mib(200)), data(mib(1), 4)]);
        let mut manifest = crate::manifest::tests::sample();
        manifest.size = map.length();
        manifest.partitions.clear();
        manifest.layers.truncate(1);
        manifest.layers[0].length = map.length();
        let composed = Composed::new(&manifest, std::slice::from_ref(&map)).unwrap();
        let sections = composed.sections(&manifest);
        let mut at = 0;
        for section in &sections {
            assert_eq!(section.offset, at);
            at += section.length;
        }
        assert_eq!(at, manifest.size);
        let lengths: Vec<u64> = sections.iter().map(|section| section.length >> 20).collect();
        assert_eq!(lengths, [1, 8, 8, 47, 64, 64, 25, 1]);
    }

    #[test]
    fn what_is_left_as_it_is_lies_in_no_section() {
        let skip = |blocks| Chunk { blocks, content: Content::Skip };
        let map = map(&[data(256, 1), data(100, 2), skip(1), data(99, 3), skip(56), zero(256), data(256, 4)]);
        let mut manifest = crate::manifest::tests::sample();
        (manifest.size, manifest.layers[0].length) = (map.length(), map.length());
        let composed = Composed::new(&manifest, std::slice::from_ref(&map)).unwrap();
        let sections = composed.sections(&manifest);
        let got: Vec<_> =
            sections.iter().map(|section| (section.name.as_str(), section.offset / BLOCK, section.length / BLOCK)).collect();
        assert_eq!(got, [("gpt", 0, 256), ("esp", 256, 100), ("esp", 357, 99), ("root", 512, 256), ("gpt-backup", 768, 256)]);
    }

    #[test]
    fn every_section_is_expected_or_the_image_is_refused() {
        let mut manifest = crate::manifest::tests::sample();
        let mut base = map(&[data(256, 1), data(256, 2), data(256, 3), zero(256)]);
        let own = Layer { offset: 2 << 20, length: 1 << 20, chunk_map: Blob { digest: Digest::of(b"m"), length: 1 } };
        let known = |offset: u64, seed: u8| SectionDigest { offset, length: 1 << 20, digest: Digest::of(&[seed]) };
        base.sections = (0..4).map(|index| known(index << 20, u8::try_from(index).unwrap())).collect();
        let digests = |manifest: &Manifest, maps: &[ChunkMap]| {
            let expected = Composed::new(manifest, maps)?.expected(manifest)?;
            Ok::<_, Fault>(expected.into_iter().map(|section| section.sha256).collect::<Vec<_>>())
        };
        assert_eq!(digests(&manifest, &[base.clone()]).unwrap(), [0_u8, 1, 2, 3].map(|seed| Digest::of(&[seed])));
        // A layer over the root: it says itself what the root reads as, or nobody does.
        manifest.layers.push(own.clone());
        let mut upper = map(&[data(256, 9)]);
        let fault = digests(&manifest, &[base.clone(), upper.clone()]).unwrap_err();
        assert!(fault.exit().code() == 4 && fault.to_string().contains("(root)"), "{fault}");
        upper.sections = vec![known(0, 9)];
        assert_eq!(digests(&manifest, &[base, upper.clone()]).unwrap(), [0_u8, 1, 9, 3].map(|seed| Digest::of(&[seed])));
        // By itself it says the same of what it covers.
        let alone = Composed::of_layer(&own, &upper).unwrap().expected(&manifest).unwrap();
        assert_eq!(
            alone.iter().map(|section| (section.name.as_str(), section.sha256)).collect::<Vec<_>>(),
            [("root", Digest::of(&[9]))]
        );
    }

    #[test]
    fn an_upper_layer_may_not_cut_data() {
        assert!(compose(&map(&[data(4, 1)]), BLOCK, &map(&[zero(1)])).is_err());
        assert!(compose(&map(&[zero(1), data(4, 1)]), 0, &map(&[zero(2)])).is_err());
        assert!(compose(&map(&[data(4, 1), zero(1)]), 4 * BLOCK, &map(&[data(1, 2)])).is_ok());
    }
}
