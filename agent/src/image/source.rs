//! Where packs are read from: the store in the field, memory that fails on purpose in tests.

use std::future::Future;

use backon::ExponentialBuilder;
use bytes::Bytes;
use livery_contract::{Result, digest::Blob};
use livery_store::{Location, Store};

use crate::work::retry;

/// Where packs are read from. The store in the field; memory that fails on purpose in tests.
pub(crate) trait Source: Clone + Send + Sync + 'static {
    /// Exactly `length` bytes of a pack, not verified.
    fn range(&self, pack: &Blob, offset: u64, length: u64) -> impl Future<Output = Result<Bytes>> + Send;
    /// Path or URL of a pack, for messages.
    fn place(&self, pack: &Blob) -> String;
    /// When a range that failed is asked for again.
    fn retries(&self) -> ExponentialBuilder;
    /// How many requests are worth having in flight.
    fn in_flight(&self) -> usize;
}

impl Source for Store {
    async fn range(&self, pack: &Blob, offset: u64, length: u64) -> Result<Bytes> {
        Self::range(self, pack, offset, length).await
    }

    fn place(&self, pack: &Blob) -> String {
        Self::place(self, &pack.digest)
    }

    fn retries(&self) -> ExponentialBuilder {
        if matches!(self.location(), Location::Folder(_)) { retry::RANGE_OF_A_FILE } else { retry::RANGE }
    }

    fn in_flight(&self) -> usize {
        // Each connection loses its speed after a lost packet, and stands still from the end of one answer to the start of
        // the next; many of them fill the link all the same (`scripts/bench link`).
        if matches!(self.location(), Location::Folder(_)) { 4 } else { 28 }
    }
}
