//! One chunk of an image, out of its store.

use livery_contract::{Digest, Fault, Result, chunkmap::Frame, compose::Extent, digest::Blob};
use livery_store::Store;
use tokio::task::spawn_blocking;

/// A chunk's bytes, checked.
///
/// # Errors
/// Exit 4 where they are not what was signed, 5 where they can't be read.
pub(crate) async fn chunk(store: &Store, packs: &[Blob], extent: Extent, digest: Digest, frame: Frame) -> Result<Vec<u8>> {
    let pack = packs[frame.pack as usize];
    let bytes = store.range(&pack, frame.offset, u64::from(frame.length)).await?;
    let length = usize::try_from(extent.length).map_err(|_| Fault::internal("a chunk is larger than memory"))?;
    let place = store.place(&pack.digest);
    let check = move || {
        let bad = |what: &str| {
            Fault::untrusted(format!("the chunk for disk offset {} {what}", extent.offset))
                .at(format!("{place}, bytes {}..{}", frame.offset, frame.offset + u64::from(frame.length)))
                .fix("the store's copy is damaged or forged: copy that blob again from a good store")
        };
        if Digest::of(&bytes) != frame.digest {
            return Err(bad("is not the one that was signed"));
        }
        let plain = zstd::bulk::decompress(&bytes, length).map_err(|error| bad("does not decompress").cause(error))?;
        if plain.len() != length || Digest::of(&plain) != digest { Err(bad("does not match its digest")) } else { Ok(plain) }
    };
    spawn_blocking(check).await.map_err(|error| Fault::internal("checking stopped").cause(error))?
}
