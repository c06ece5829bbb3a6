//! Chunks to digests, frames and packs: the part of publishing that costs time, on all cores.
//!
//! In: a raw disk image (or a part of one) and the offsets at which a chunk must end (partition bounds). Out: a chunk map,
//! and packs in the store. What an earlier image of the store holds already is referred to, not stored again.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::{fd::AsFd, unix::fs::FileExt as _},
};

use livery_contract::{
    Digest, Fault, Result,
    chunkmap::{Chunk, ChunkMap, Content, Frame, MAX_CHUNKS, MAX_RUN},
    cut::{self, BLOCK_BYTES},
    digest::Blob,
    manifest::BLOCK,
};
use nix::unistd::{Whence, lseek};
use rayon::prelude::*;

use super::blobs::{Blobs, GrowingBlob};

/// Bytes that are read, hashed and compressed together.
const BATCH: u64 = 32 << 20;
/// A pack is closed when it has so many bytes: large enough for long range requests, small enough to copy again.
const PACK: u64 = 64 << 20;

/// Chunks that the store has already.
#[derive(Debug, Default)]
pub(crate) struct Known(HashMap<Digest, (Blob, Frame)>);

impl Known {
    /// Takes in the data chunks of an earlier image.
    pub(crate) fn add(&mut self, map: &ChunkMap) {
        for chunk in &map.chunks {
            if let Content::Data { digest, frame } = chunk.content {
                self.0.entry(digest).or_insert((map.packs[frame.pack as usize], frame));
            }
        }
    }
}

/// What publishing a disk image has cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Packed {
    /// Bytes of data chunks, uncompressed.
    pub(crate) data: u64,
    /// Bytes of data chunks that the store did not have, uncompressed.
    pub(crate) fresh: u64,
    /// Bytes added to packs.
    pub(crate) stored: u64,
}

/// Cuts `length` bytes of `raw` from `offset` into chunks and puts them into the store.
///
/// `cuts` are offsets in `raw` where a chunk must end; of the ranges `left` (offset, length; whole blocks) the content does not
/// matter; `level` is zstd's; `progress` is told how many bytes are done.
///
/// # Errors
/// Exit 3 where `raw` can't be read, 5 where the store can't be written.
pub(crate) fn pack(
    blobs: &Blobs,
    raw: &File,
    (offset, length): (u64, u64),
    (cuts, left): (&[u64], &[(u64, u64)]),
    known: &Known,
    level: i32,
    progress: &mut dyn FnMut(u64),
) -> Result<(ChunkMap, Packed)> {
    let mut packer = Packer {
        blobs,
        known,
        map: ChunkMap::default(),
        indices: HashMap::new(),
        open: None,
        local: HashMap::new(),
        packed: Packed::default(),
    };
    let end = offset + length;
    let edges = left.iter().flat_map(|(from, length)| [*from, from + length]);
    let mut bounds: Vec<u64> =
        cuts.iter().copied().chain(edges).filter(|cut| (offset + 1..end).contains(cut)).chain([end]).collect();
    bounds.sort_unstable();
    bounds.dedup();
    let mut at = offset;
    for bound in bounds {
        if left.iter().any(|(from, length)| (*from..from + length).contains(&at)) {
            packer.run(Content::Skip, (bound - at) / BLOCK);
            at = bound;
        }
        while at < bound {
            let data = next_data(raw, at, bound)?;
            if data > at {
                packer.run(Content::Zero, (data - at) / BLOCK);
                at = data;
                progress(at - offset);
                continue;
            }
            let take = BATCH.min(bound - at);
            let mut bytes = vec![0; usize::try_from(take).map_err(|_| Fault::internal("a batch is larger than memory"))?];
            read_padded(raw, &mut bytes, at)?;
            let used = packer.batch(&bytes, at + take == bound, level)?;
            at += used;
            progress(at - offset);
        }
    }
    packer.finish()
}

struct Packer<'a> {
    blobs: &'a Blobs,
    known: &'a Known,
    map: ChunkMap,
    /// Index in the map of each finished pack.
    indices: HashMap<Digest, u32>,
    /// The pack being written, and its index in the map.
    open: Option<(GrowingBlob, u32)>,
    /// Frames that this run has written.
    local: HashMap<Digest, Frame>,
    packed: Packed,
}

impl Packer<'_> {
    /// Packs a batch; gives how many bytes it used. Unless `last`, the run at the end is left for the next batch, where
    /// it may go on: chunks do not depend on where batches end.
    fn batch(&mut self, bytes: &[u8], last: bool, level: i32) -> Result<u64> {
        let mut runs = cut::cut(bytes);
        if !last && runs.len() > 1 && runs.last().is_some_and(|run| !run.zero) {
            runs.pop();
        }
        let mut at = 0;
        let pieces: Vec<(bool, &[u8])> = runs
            .iter()
            .map(|run| {
                let from = at;
                at += run.blocks as usize * BLOCK_BYTES;
                (run.zero, &bytes[from..at])
            })
            .collect();
        let (known, local) = (self.known, &self.local);
        let prepared: Vec<Prepared> = pieces
            .par_iter()
            .map_init(
                || compressor(level),
                |compressor, (zero, piece)| {
                    let blocks = (piece.len() / BLOCK_BYTES) as u64;
                    if *zero {
                        return Ok(Prepared { blocks, digest: None, frame: None });
                    }
                    let digest = Digest::of(piece);
                    let have = known.0.contains_key(&digest) || local.contains_key(&digest);
                    let frame = match compressor {
                        _ if have => None,
                        Ok(compressor) => Some(compressor.compress(piece)?),
                        Err(error) => return Err(io::Error::new(error.kind(), error.to_string())),
                    };
                    Ok(Prepared { blocks, digest: Some(digest), frame })
                },
            )
            .collect::<io::Result<_>>()
            .map_err(|error| Fault::internal("zstd does not compress").cause(error))?;
        for piece in prepared {
            match piece.digest {
                None => self.run(Content::Zero, piece.blocks),
                Some(digest) => {
                    let frame = self.frame(digest, piece.frame.as_deref(), piece.blocks * BLOCK)?;
                    let blocks = u32::try_from(piece.blocks).map_err(|_| Fault::internal("a chunk is too long"))?;
                    self.map.chunks.push(Chunk { blocks, content: Content::Data { digest, frame } });
                }
            }
        }
        Ok(at as u64)
    }

    /// A run without data.
    fn run(&mut self, kind: Content, mut blocks: u64) {
        while blocks > 0 {
            let room = match self.map.chunks.last() {
                Some(Chunk { blocks, content }) if *content == kind => MAX_RUN - blocks,
                _ => 0,
            };
            if room == 0 {
                self.map.chunks.push(Chunk { blocks: 0, content: kind });
                continue;
            }
            let take = u32::try_from(blocks).unwrap_or(u32::MAX).min(room);
            if let Some(last) = self.map.chunks.last_mut() {
                last.blocks += take;
            }
            blocks -= u64::from(take);
        }
    }

    /// Where the chunk lies: in an earlier pack, in one of this run, or newly appended.
    fn frame(&mut self, digest: Digest, fresh: Option<&[u8]>, length: u64) -> Result<Frame> {
        self.packed.data += length;
        if let Some(frame) = self.local.get(&digest) {
            return Ok(*frame);
        }
        let frame = match (self.known.0.get(&digest), fresh) {
            (Some((pack, frame)), _) => Frame { pack: self.index(*pack)?, ..*frame },
            (None, Some(bytes)) => {
                self.packed.fresh += length;
                self.append(bytes)?
            }
            (None, None) => return Err(Fault::internal("a chunk was taken for known and is not")),
        };
        self.local.insert(digest, frame);
        Ok(frame)
    }

    fn index(&mut self, pack: Blob) -> Result<u32> {
        if let Some(index) = self.indices.get(&pack.digest) {
            return Ok(*index);
        }
        let index = next_index(&self.map)?;
        self.map.packs.push(pack);
        self.indices.insert(pack.digest, index);
        Ok(index)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<Frame> {
        if self.open.as_ref().is_some_and(|(pack, _)| pack.length() + bytes.len() as u64 > PACK) {
            self.close()?;
        }
        let (mut pack, index) = match self.open.take() {
            Some(open) => open,
            None => {
                let index = next_index(&self.map)?;
                // Its digest is known when it is closed; the place is kept until then.
                self.map.packs.push(Blob { digest: Digest::from_bytes([0; 32]), length: 0 });
                (self.blobs.begin()?, index)
            }
        };
        let offset = pack.append(bytes)?;
        self.packed.stored += bytes.len() as u64;
        self.open = Some((pack, index));
        let length = u32::try_from(bytes.len()).map_err(|_| Fault::internal("a frame is too long"))?;
        Ok(Frame { pack: index, offset, length, digest: Digest::of(bytes) })
    }

    fn close(&mut self) -> Result<()> {
        if let Some((pack, index)) = self.open.take() {
            self.map.packs[index as usize] = self.blobs.finish(pack)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(ChunkMap, Packed)> {
        self.close()?;
        if self.map.chunks.len() > MAX_CHUNKS as usize {
            return Err(Fault::refused(format!("the image has {} chunks, the limit is {MAX_CHUNKS}", self.map.chunks.len()))
                .fix("an image may hold about 80 GiB of data: remove data that devices can fetch later"));
        }
        Ok((self.map, self.packed))
    }
}

/// Puts zstd's checksum into each frame: whether a frame that is the signed one also came out of the decompressor right.
fn compressor(level: i32) -> io::Result<zstd::bulk::Compressor<'static>> {
    let mut compressor = zstd::bulk::Compressor::new(level)?;
    compressor.include_checksum(true)?;
    Ok(compressor)
}

struct Prepared {
    blocks: u64,
    /// `None` for zeros.
    digest: Option<Digest>,
    /// `None` where the store has it.
    frame: Option<Vec<u8>>,
}

fn next_index(map: &ChunkMap) -> Result<u32> {
    u32::try_from(map.packs.len()).map_err(|_| Fault::internal("too many packs"))
}

/// The first byte from `at` on that may hold data, at most `bound`, rounded down to a block: what lies before is a hole.
fn next_data(raw: &File, at: u64, bound: u64) -> Result<u64> {
    let position = i64::try_from(at).map_err(|error| read_failed(at, io::Error::other(error)))?;
    match lseek(raw.as_fd(), position, Whence::SeekData) {
        Ok(data) => Ok((data.unsigned_abs() / BLOCK * BLOCK).clamp(at, bound)),
        // No data up to the end of the file.
        Err(nix::errno::Errno::ENXIO) => Ok(bound),
        // A file system (or device) that knows no holes: all of it is data.
        Err(nix::errno::Errno::EINVAL) => Ok(at),
        Err(error) => Err(read_failed(at, error.into())),
    }
}

/// Fills `bytes` from `at`; what lies behind the end of the file reads as zero: an image covers whole 4 KiB blocks.
pub(super) fn read_padded(raw: &File, bytes: &mut [u8], at: u64) -> Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        match raw.read_at(&mut bytes[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(read_failed(at + filled as u64, error)),
        }
    }
    bytes[filled..].fill(0);
    Ok(())
}

fn read_failed(at: u64, error: io::Error) -> Fault {
    Fault::refused("reading the disk image failed").at(format!("byte {at}")).cause(error)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(store: &std::path::Path, bytes: &[u8], cuts: &[u64], known: &Known) -> (ChunkMap, Packed) {
        let mut raw = tempfile::tempfile().unwrap();
        raw.write_all(bytes).unwrap();
        pack(&Blobs::open(store).unwrap(), &raw, (0, bytes.len() as u64), (cuts, &[]), known, 3, &mut |_| {}).unwrap()
    }

    #[test]
    fn packs_hold_what_was_cut_and_bounds_are_kept() {
        let store = tempfile::tempdir().unwrap();
        let mut bytes: Vec<u8> = (0..100 * BLOCK_BYTES).map(|at| u8::try_from(at / 7 % 251).unwrap()).collect();
        bytes[40 * BLOCK_BYTES..70 * BLOCK_BYTES].fill(0);
        let bound = 5 * BLOCK;
        let (map, packed_1) = packed(store.path(), &bytes, &[bound], &Known::default());
        assert_eq!(map.length(), bytes.len() as u64);
        assert_eq!(ChunkMap::decode(&map.encode()).unwrap(), map);
        let mut at = 0;
        let mut bounds = Vec::new();
        for chunk in &map.chunks {
            let end = at + usize::try_from(chunk.length()).unwrap();
            let piece = &bytes[at..end];
            match chunk.content {
                Content::Zero => assert!(cut::is_zero(piece)),
                Content::Data { digest, frame } => {
                    assert_eq!(Digest::of(piece), digest);
                    let blob = map.packs[frame.pack as usize];
                    let pack = std::fs::read(store.path().join(livery_store::location::blob_path(&blob.digest))).unwrap();
                    assert_eq!(Digest::of(&pack), blob.digest);
                    let signed = frame.digest;
                    let frame = &pack[usize::try_from(frame.offset).unwrap()..][..usize::try_from(frame.length).unwrap()];
                    assert_eq!(Digest::of(frame), signed);
                    assert_eq!(zstd::bulk::decompress(frame, piece.len()).unwrap(), piece);
                    assert_eq!(frame[4] & 4, 4, "a checksum follows (RFC 8878, section 3.1.1.1.1.5)");
                }
                Content::Skip => panic!("nothing is skipped"),
            }
            at = end;
            bounds.push(at as u64);
        }
        assert!(bounds.contains(&bound));
        assert!(packed_1.stored > 0);

        let mut known = Known::default();
        known.add(&map);
        let (again, packed_2) = packed(store.path(), &bytes, &[bound], &known);
        assert_eq!((packed_2.fresh, packed_2.stored), (0, 0), "the store has all of it");
        assert_eq!(again.length(), map.length());
    }

    #[test]
    fn what_is_left_is_neither_read_nor_stored() {
        let store = tempfile::tempdir().unwrap();
        let mut raw = tempfile::tempfile().unwrap();
        raw.write_all(&[1; 8 * BLOCK_BYTES]).unwrap();
        let left = [(2 * BLOCK, BLOCK), (5 * BLOCK, 2 * BLOCK)];
        let blobs = Blobs::open(store.path()).unwrap();
        let (map, packed) = pack(&blobs, &raw, (0, 8 * BLOCK), (&[], &left), &Known::default(), 3, &mut |_| {}).unwrap();
        let got: Vec<(u32, bool)> = map.chunks.iter().map(|chunk| (chunk.blocks, chunk.content == Content::Skip)).collect();
        assert_eq!(got, [(2, false), (1, true), (2, false), (2, true), (1, false)]);
        assert_eq!(packed.data, 5 * BLOCK);
    }

    #[test]
    fn holes_are_zeros_without_reading() {
        let store = tempfile::tempdir().unwrap();
        let raw = tempfile::tempfile().unwrap();
        raw.set_len(64 << 30).unwrap();
        raw.write_all_at(&[1; BLOCK_BYTES], 33 << 30).unwrap();
        let (map, _) =
            pack(&Blobs::open(store.path()).unwrap(), &raw, (0, 64 << 30), (&[], &[]), &Known::default(), 3, &mut |_| {}).unwrap();
        assert_eq!(map.length(), 64 << 30);
        assert!(map.chunks.len() < 40, "{}", map.chunks.len());
    }
}
