//! The chunk map: which bytes lie where on the disk, and which range of which pack holds them.
//!
//! Binary, since it is by far the largest part of what must be fetched before writing: 88 bytes a data chunk, 8 a zero
//! or skipped one. All numbers little-endian. See `docs/image-format.md`.
//!
//! ```text
//! magic "LVRYMAP3" | u64 length covered | u32 packs | u32 chunks | u32 sections
//! pack:    SHA-256 [32] | u64 length
//! chunk:   u32 kind (0 zero, 1 data, 2 skip) | u32 length in 4 KiB blocks
//!          and for data: SHA-256 of the uncompressed bytes [32] | u32 pack | u32 compressed length | u64 offset in the pack
//!          | SHA-256 of the compressed bytes [32]
//! section: u64 offset | u64 length | SHA-256 [32]
//! ```

use crate::{
    digest::{Blob, Digest},
    fault::{Fault, Result},
    manifest::{BLOCK, MAX_IMAGE},
};

const MAGIC: &[u8; 8] = b"LVRYMAP3";
const HEADER: usize = 28;
const PACK: usize = 40;
const CHUNK: usize = 8;
const DATA: usize = 80;
const SECTION: usize = 48;

/// The most bytes that a data chunk may hold uncompressed: what a reader must be ready to allocate.
pub const MAX_CHUNK: u32 = 1 << 20;
/// The most bytes that a data chunk's zstd frame may take: `ZSTD_compressBound` of [`MAX_CHUNK`], rounded up.
pub const MAX_FRAME: u32 = MAX_CHUNK + (MAX_CHUNK >> 7);
/// The most bytes that an encoded chunk map may have: [`MAX_CHUNKS`] of data, and the packs of any image.
pub const MAX_BYTES: u64 = 92 << 20;
/// The most chunks that a chunk map may have. A decoded one takes 96 bytes, whatever it takes encoded: so no map asks for
/// more than 96 MiB. With chunks of 80 KiB these are 80 GiB of data; zeros hardly count.
pub const MAX_CHUNKS: u32 = 1 << 20;
const _: () = assert!(size_of::<Chunk>() * MAX_CHUNKS as usize <= 96 << 20);
/// The most sections that a chunk map may have: `MAX_SECTIONS` of the manifest, some for the bounds of 128
/// partitions, and each cut by runs of zeros.
const MAX_SECTIONS: u32 = 1 << 14;
/// The most bytes that a pack may have.
const MAX_PACK: u64 = 1 << 30;
/// [`MAX_CHUNK`] in blocks.
pub(crate) const MAX_DATA_BLOCKS: u32 = MAX_CHUNK / 4096;
/// The most blocks that one zero or skipped chunk may cover: 4 GiB.
pub const MAX_RUN: u32 = 1 << 20;

/// Where a data chunk's bytes come from: an independent zstd frame in a pack. In order of where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame {
    /// Index into [`ChunkMap::packs`].
    pub pack: u32,
    /// First byte of the frame in the pack.
    pub offset: u64,
    /// Bytes of the frame.
    pub length: u32,
    /// SHA-256 over them: checked before a decompressor sees one.
    pub digest: Digest,
}

/// What the bytes of a chunk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// Must read as zero.
    Zero,
    /// These bytes.
    Data {
        /// SHA-256 over the uncompressed bytes.
        digest: Digest,
        /// Where they are.
        frame: Frame,
    },
    /// Does not matter; left as it is.
    Skip,
}

/// A run of blocks with one content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chunk {
    /// Length in blocks of 4 KiB, at least 1.
    pub blocks: u32,
    /// What the bytes are.
    pub content: Content,
}

impl Chunk {
    /// Length in bytes.
    pub const fn length(&self) -> u64 {
        self.blocks as u64 * BLOCK
    }
}

/// What a whole stretch of the layer reads as: so that reading back needs one digest over each byte and not two, the
/// chunk's and that of the record's section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionDigest {
    /// First byte, counted from the layer's; a multiple of [`BLOCK`].
    pub offset: u64,
    /// Bytes, a multiple of [`BLOCK`].
    pub length: u64,
    /// SHA-256 over all of them, zeros included.
    pub digest: Digest,
}

/// The chunks of a layer, end to end, and the packs that they lie in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkMap {
    /// Packs that chunks refer to.
    pub packs: Vec<Blob>,
    /// Chunks in order; the first begins at the layer's offset.
    pub chunks: Vec<Chunk>,
    /// Digests of sections, in order, not over one another. None need be there; they repeat what the chunks say.
    pub sections: Vec<SectionDigest>,
}

impl ChunkMap {
    /// Bytes covered.
    pub fn length(&self) -> u64 {
        self.chunks.iter().map(Chunk::length).sum()
    }

    /// The chunk map as stored.
    pub fn encode(&self) -> Vec<u8> {
        let entries = self.packs.len() * PACK + self.chunks.len() * (CHUNK + DATA) + self.sections.len() * SECTION;
        let mut out = Vec::with_capacity(HEADER + entries);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.length().to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.packs.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.chunks.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.sections.len()).unwrap_or(u32::MAX).to_le_bytes());
        for pack in &self.packs {
            out.extend_from_slice(pack.digest.as_bytes());
            out.extend_from_slice(&pack.length.to_le_bytes());
        }
        for chunk in &self.chunks {
            let kind: u32 = match chunk.content {
                Content::Zero => 0,
                Content::Data { .. } => 1,
                Content::Skip => 2,
            };
            out.extend_from_slice(&kind.to_le_bytes());
            out.extend_from_slice(&chunk.blocks.to_le_bytes());
            if let Content::Data { digest, frame } = &chunk.content {
                out.extend_from_slice(digest.as_bytes());
                out.extend_from_slice(&frame.pack.to_le_bytes());
                out.extend_from_slice(&frame.length.to_le_bytes());
                out.extend_from_slice(&frame.offset.to_le_bytes());
                out.extend_from_slice(frame.digest.as_bytes());
            }
        }
        for section in &self.sections {
            out.extend_from_slice(&section.offset.to_le_bytes());
            out.extend_from_slice(&section.length.to_le_bytes());
            out.extend_from_slice(section.digest.as_bytes());
        }
        out
    }

    /// Reads and checks a chunk map. Allocates at most 96 MiB ([`MAX_CHUNKS`]) for chunks and as much for packs.
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted), saying what and at which byte.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader { bytes, at: 0 };
        if bytes.len() as u64 > MAX_BYTES {
            return Err(reader.wrong(format!("{} bytes are over the limit of {MAX_BYTES}", bytes.len())));
        }
        if reader.take::<8>()? != *MAGIC {
            let fault = reader.wrong("it does not begin with LVRYMAP3");
            return Err(fault.fix("use the Livery release that made the image, or build the image again into a new store"));
        }
        let length = reader.u64()?;
        let packs = reader.u32()? as usize;
        let chunks = reader.u32()? as usize;
        if chunks > MAX_CHUNKS as usize {
            return Err(reader.wrong(format!("{chunks} chunks are over the limit of {MAX_CHUNKS}")));
        }
        let sections = reader.u32()? as usize;
        if sections > MAX_SECTIONS as usize {
            return Err(reader.wrong(format!("{sections} sections are over the limit of {MAX_SECTIONS}")));
        }
        // Checked against what is there before anything is allocated, so that a short file cannot ask for gigabytes.
        let least = [(packs, PACK), (chunks, CHUNK), (sections, SECTION)];
        let least = least.iter().fold(0_usize, |sum, (count, size)| sum.saturating_add(count.saturating_mul(*size)));
        if least > bytes.len() - reader.at {
            return Err(reader.wrong(format!("it is too short for {packs} packs, {chunks} chunks and {sections} sections")));
        }
        let mut map =
            Self { packs: Vec::with_capacity(packs), chunks: Vec::with_capacity(chunks), sections: Vec::with_capacity(sections) };
        for _ in 0..packs {
            let pack = Blob { digest: Digest::from_bytes(reader.take()?), length: reader.u64()? };
            if pack.length > MAX_PACK {
                return Err(reader.wrong(format!("a pack of {} bytes is over the limit of {MAX_PACK}", pack.length)));
            }
            map.packs.push(pack);
        }
        let mut covered = 0_u64;
        for _ in 0..chunks {
            let kind = reader.u32()?;
            let blocks = reader.u32()?;
            let content = match kind {
                0 => Content::Zero,
                1 => Content::Data { digest: Digest::from_bytes(reader.take()?), frame: reader.frame(&map.packs)? },
                2 => Content::Skip,
                other => return Err(reader.wrong(format!("chunk kind {other} is unknown"))),
            };
            let most = if kind == 1 { MAX_DATA_BLOCKS } else { MAX_RUN };
            if blocks == 0 || blocks > most {
                return Err(reader.wrong(format!("a chunk of {blocks} blocks is outside 1 to {most}")));
            }
            let chunk = Chunk { blocks, content };
            covered += chunk.length(); // at most 2^20 chunks of 2^32 bytes
            map.chunks.push(chunk);
        }
        let mut end = 0;
        for _ in 0..sections {
            let section =
                SectionDigest { offset: reader.u64()?, length: reader.u64()?, digest: Digest::from_bytes(reader.take()?) };
            let blocks = section.offset.is_multiple_of(BLOCK) && section.length.is_multiple_of(BLOCK) && section.length > 0;
            match section.offset.checked_add(section.length) {
                Some(next) if blocks && section.offset >= end && next <= covered => end = next,
                _ => {
                    let (offset, length) = (section.offset, section.length);
                    return Err(
                        reader.wrong(format!("a section of {length} bytes at {offset} overlaps another one or is out of order"))
                    );
                }
            }
            map.sections.push(section);
        }
        if reader.at != bytes.len() {
            return Err(reader.wrong(format!("{} bytes follow the last entry", bytes.len() - reader.at)));
        }
        if covered != length || covered > MAX_IMAGE {
            return Err(reader.wrong(format!("its chunks cover {covered} bytes, its header says {length}")));
        }
        Ok(map)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self, what: impl std::fmt::Display) -> Fault {
        Fault::untrusted(format!("not a chunk map: {what} (byte {})", self.at))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.bytes[self.at..].first_chunk::<N>() {
            Some(taken) => {
                self.at += N;
                Ok(*taken)
            }
            None => Err(self.wrong("it ends in the middle of an entry")),
        }
    }

    fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn frame(&mut self, packs: &[Blob]) -> Result<Frame> {
        let (pack, length, offset) = (self.u32()?, self.u32()?, self.u64()?);
        let frame = Frame { pack, offset, length, digest: Digest::from_bytes(self.take()?) };
        let Some(pack) = packs.get(frame.pack as usize) else {
            return Err(self.wrong(format!("a chunk lies in pack {} of {}", frame.pack, packs.len())));
        };
        let in_pack = frame.offset.checked_add(u64::from(frame.length)).is_some_and(|end| end <= pack.length);
        if frame.length == 0 || frame.length > MAX_FRAME || !in_pack {
            return Err(self.wrong(format!(
                "a frame of {} bytes at {} does not fit into a pack of {}",
                frame.length, frame.offset, pack.length
            )));
        }
        Ok(frame)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn maps() -> impl Strategy<Value = ChunkMap> {
        let data = (0_u32..3, 0_u64..1000, 1_u32..1000, any::<[u8; 32]>()).prop_map(|(pack, offset, length, digest)| {
            let digest = Digest::from_bytes(digest);
            Content::Data { digest, frame: Frame { pack, offset, length, digest: Digest::of(digest.as_bytes()) } }
        });
        let content = prop_oneof![Just(Content::Zero), Just(Content::Skip), data];
        let chunk = (1_u32..=256, content).prop_map(|(blocks, content)| Chunk { blocks, content });
        (prop::collection::vec(chunk, 0..40), prop::collection::vec(1_u64..3000, 0..10)).prop_map(|(chunks, lengths)| {
            let packs = (0_u8..3).map(|pack| Blob { digest: Digest::of(&[pack]), length: 2000 }).collect();
            let mut map = ChunkMap { packs, chunks, sections: Vec::new() };
            let mut offset = 0;
            for length in lengths.into_iter().map(|blocks| blocks * BLOCK) {
                if offset + length <= map.length() {
                    map.sections.push(SectionDigest { offset, length, digest: Digest::of(&length.to_le_bytes()) });
                }
                offset += length;
            }
            map
        })
    }

    proptest! {
        #[test]
        fn encodes_and_decodes(map in maps()) {
            prop_assert_eq!(ChunkMap::decode(&map.encode()).unwrap(), map);
        }

        #[test]
        fn damage_never_panics(map in maps(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let mut bytes = map.encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = ChunkMap::decode(&bytes);
            let _ = ChunkMap::decode(&bytes[..cut.index(bytes.len())]);
        }
    }

    #[test]
    fn sections_out_of_place_are_refused() {
        let chunks = vec![Chunk { blocks: 4, content: Content::Zero }];
        let map = |sections: &[(u64, u64)]| {
            let digest = Digest::of(b"");
            let sections = sections.iter().map(|(offset, length)| SectionDigest { offset: *offset, length: *length, digest });
            ChunkMap { packs: vec![], chunks: chunks.clone(), sections: sections.collect() }
        };
        assert!(ChunkMap::decode(&map(&[(0, BLOCK), (2 * BLOCK, 2 * BLOCK)]).encode()).is_ok());
        for bad in
            [&[(0, 5 * BLOCK)][..], &[(0, 0)], &[(1, BLOCK)], &[(0, 1)], &[(0, 2 * BLOCK), (BLOCK, BLOCK)], &[(BLOCK, !4095)]]
        {
            assert!(
                ChunkMap::decode(&map(bad).encode()).unwrap_err().to_string().contains("overlaps another one or is out of order"),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_long_file_of_short_entries_cannot_ask_for_gigabytes() {
        let chunk = Chunk { blocks: 1, content: Content::Zero };
        let map = |chunks: u32| ChunkMap { chunks: vec![chunk; chunks as usize], ..ChunkMap::default() };
        assert_eq!(ChunkMap::decode(&map(MAX_CHUNKS).encode()).unwrap().chunks.len(), MAX_CHUNKS as usize);
        assert!(ChunkMap::decode(&map(MAX_CHUNKS + 1).encode()).unwrap_err().to_string().contains("over the limit"));
    }

    #[test]
    fn a_short_file_cannot_ask_for_gigabytes() {
        let mut bytes = ChunkMap::default().encode();
        bytes[16..20].fill(0xff);
        assert!(ChunkMap::decode(&bytes).unwrap_err().to_string().contains("too short"));
    }
}
