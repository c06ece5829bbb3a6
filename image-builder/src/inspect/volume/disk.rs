//! An image's bytes out of a store: chunk by chunk, each checked, the last ones kept.
//!
//! For threads that may wait: a reading blocks until the store has answered.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt as _, TryStreamExt as _};
use livery_contract::{Digest, Reference, Result, chunkmap::Content, compose::Extent};
use livery_store::{Image, Store};
use tokio::runtime::Handle;

use super::{
    bytes::{Bytes, Known, cut_short},
    chunk::chunk,
};

/// Bytes of chunks that are kept.
const RECENT: usize = 128 << 20;
/// How many chunks are fetched and checked at once.
const AT_ONCE: usize = 8;

/// Chunks by digest, the oldest forgotten first.
#[derive(Debug, Default)]
struct Recent {
    chunks: HashMap<Digest, Arc<Vec<u8>>>,
    order: VecDeque<Digest>,
    bytes: usize,
}

impl Recent {
    fn put(&mut self, digest: Digest, chunk: Arc<Vec<u8>>) {
        if self.chunks.contains_key(&digest) {
            return; // another thread fetched it too
        }
        self.bytes += chunk.len();
        self.chunks.insert(digest, chunk);
        self.order.push_back(digest);
        while self.bytes > RECENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.bytes -= self.chunks.remove(&oldest).map_or(0, |chunk| chunk.len());
        }
    }
}

/// One image of a store. Clones share what they keep.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    store: Store,
    /// Manifest and chunks.
    pub(crate) image: Arc<Image>,
    recent: Arc<Mutex<Recent>>,
    runtime: Handle,
}

impl Disk {
    /// Opens an image.
    ///
    /// # Errors
    /// As [`Store::image`].
    pub(crate) async fn open(store: &Store, reference: &Reference) -> Result<Self> {
        let image = Arc::new(store.image(reference).await?);
        Ok(Self { store: store.clone(), image, recent: Arc::default(), runtime: Handle::current() })
    }

    /// A part of it as bytes.
    pub(crate) fn part(&self, offset: u64, length: u64) -> Part {
        Part { disk: self.clone(), offset, length }
    }

    /// The extents that touch these bytes.
    pub(crate) fn extents(&self, offset: u64, length: u64) -> &[Extent] {
        let all = &self.image.composed.extents;
        let first = all.partition_point(|extent| extent.offset + extent.length <= offset);
        let count = all[first..].partition_point(|extent| extent.offset < offset.saturating_add(length));
        &all[first..first + count]
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chunks of these extents that are data, in their order; those that are not kept are fetched.
    fn chunks(&self, extents: &[Extent]) -> Result<Vec<Option<Arc<Vec<u8>>>>> {
        let packs = &self.image.composed.packs;
        let fetch = futures::stream::iter(extents.iter().copied()).map(async |extent| {
            let Content::Data { digest, frame } = extent.content else { return Ok(None) };
            let cached = self.recent().chunks.get(&digest).cloned();
            if let Some(cached) = cached {
                return Ok(Some(cached));
            }
            let bytes = Arc::new(chunk(&self.store, packs, extent, digest, frame).await?);
            self.recent().put(digest, Arc::clone(&bytes));
            Ok(Some(bytes))
        });
        self.runtime.block_on(fetch.buffered(AT_ONCE).try_collect())
    }
}

/// A partition of an image, or any other stretch of it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    disk: Disk,
    offset: u64,
    length: u64,
}

impl Bytes for Part {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let length = buffer.len() as u64;
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(cut_short(offset, length));
        }
        let from = self.offset + offset;
        let extents = self.disk.extents(from, length);
        let chunks = self.disk.chunks(extents)?;
        buffer.fill(0); // zeros, and what is left as it is
        let narrow = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        for (extent, chunk) in extents.iter().zip(chunks) {
            let Some(chunk) = chunk else { continue };
            let (start, end) = (extent.offset.max(from), (extent.offset + extent.length).min(from + length));
            let piece = &chunk[narrow(start - extent.offset)..narrow(end - extent.offset)];
            buffer[narrow(start - from)..narrow(end - from)].copy_from_slice(piece);
        }
        Ok(())
    }

    fn known(&self, offset: u64) -> Option<Known> {
        let at = self.offset + offset;
        let extent = self.disk.extents(at, 1).first()?;
        let (chunk, within) = match extent.content {
            Content::Data { digest, .. } => (Some(digest), at - extent.offset),
            Content::Zero => (None, 0),
            Content::Skip => return None,
        };
        Some(Known { chunk, within, left: extent.offset + extent.length - at })
    }
}
