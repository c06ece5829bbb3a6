//! Single chunks of an image: fetched, decoded, checked, in memory.

use livery_contract::{Fault, Result, chunkmap::Content, compose::Extent, digest::Blob};
use tokio::runtime::Handle;

use super::{
    decode::Decoder,
    piece::Piece,
    range::{self, Outage, Range},
    source::Source,
    trust::Trusted,
};
use crate::{device::AlignedBuffer, work::stop::Stop};

/// Fetches one chunk into `into`, which has its length. A digest that does not hold is asked for once more: a fault on
/// the way must not condemn the store.
///
/// # Errors
/// Exit 4 naming pack, range and chunk; 5 where the source fails. Must not be called from an async task.
pub(crate) fn fetch_piece<S: Source>(
    trusted: &Trusted<S>,
    piece: &Piece,
    decoder: &mut Decoder,
    into: &mut [u8],
    handle: &Handle,
    stop: &Stop,
) -> Result<()> {
    let (source, packs) = (trusted.source(), trusted.composed().packs.as_slice());
    let mut wrong = String::new();
    for _ in 0..2 {
        let frame = piece.frame;
        let wanted = Range { pack: frame.pack, offset: frame.offset, length: frame.length.into() };
        let bytes = handle.block_on(range::range(source, packs, wanted, &Outage::default(), stop))?;
        match decoder.decode(&bytes, &frame.digest, into) {
            Ok(()) => return Ok(()),
            Err(what) => wrong = what,
        }
        tracing::warn!(pack = frame.pack, offset = frame.offset, "a chunk differs from its chunk map: {wrong}");
    }
    Err(not_trusted(trusted, piece, &wrong))
}

/// The fault of a chunk that is not what was signed.
pub(crate) fn not_trusted<S: Source>(trusted: &Trusted<S>, piece: &Piece, wrong: &str) -> Fault {
    let frame = piece.frame;
    let pack: Option<&Blob> = trusted.composed().packs.get(frame.pack as usize);
    let place = pack.map_or_else(|| format!("pack {}", frame.pack), |pack| trusted.source().place(pack));
    let chunk = trusted.composed().extents.partition_point(|extent| extent.offset < piece.places.first().copied().unwrap_or(0));
    Fault::untrusted(format!("chunk {chunk} of the image is not what was signed: {wrong}"))
        .at(format!("{place}, bytes {}..{}", frame.offset, frame.offset + u64::from(frame.length)))
        .fix("the store's copy is damaged or forged: copy that blob again from a good store, then run the same command")
}

/// The image's bytes `offset..offset + length`; what it leaves as it is comes as zeros. Chunks that are `here` already are
/// not fetched.
///
/// # Errors
/// As [`fetch_piece`].
pub(crate) fn range<S: Source>(
    trusted: &Trusted<S>,
    here: &[(Piece, AlignedBuffer)],
    offset: u64,
    length: u64,
    handle: &Handle,
    stop: &Stop,
) -> Result<Vec<u8>> {
    let size = |bytes: u64| usize::try_from(bytes).map_err(|_| Fault::internal("a range is larger than memory"));
    let mut bytes = vec![0; size(length)?];
    let mut decoder = Decoder::new()?;
    for extent in &trusted.composed().extents {
        let (from, to) = (extent.offset.max(offset), (extent.offset + extent.length).min(offset + length));
        let (Content::Data { .. }, true) = (extent.content, from < to) else { continue };
        let part = size(from - extent.offset)?..size(to - extent.offset)?;
        let into = &mut bytes[size(from - offset)?..size(to - offset)?];
        if let Some((_, chunk)) = here.iter().find(|(piece, _)| piece.places.contains(&extent.offset)) {
            into.copy_from_slice(&chunk[part]);
            continue;
        }
        let mut chunk = AlignedBuffer::new(size(extent.length)?);
        fetch_piece(trusted, &piece(extent)?, &mut decoder, &mut chunk, handle, stop)?;
        into.copy_from_slice(&chunk[part]);
    }
    Ok(bytes)
}

fn piece(extent: &Extent) -> Result<Piece> {
    let Content::Data { digest, frame } = extent.content else { return Err(Fault::internal("not a data chunk")) };
    Ok(Piece { frame, length: extent.length, digest, places: vec![extent.offset] })
}
