//! Runs of frames from the source: several requests in flight, bounded memory, retries where the source fails.
//!
//! In: a [`Plan`](crate::write::plan::Plan)'s runs. Out: the same runs with their bytes, as they come. Fails with exit 5 after
//! the last retry; one reset connection costs one request, not the whole image (coreos/coreos-installer#1398).

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, stream::FuturesUnordered};
use livery_contract::{Exit, Fault, Result, digest::Blob};
use livery_store::{Location, Store};
use tokio::{runtime::Handle, sync::mpsc};

use crate::{work::stop::Stop, write::plan::Run};

/// Fetched runs that wait for a writer. With the most in flight: 30 runs of 512 KiB in memory.
const WAITING: usize = 2;
/// Requests in flight where the writers are what is waited for: more would only be more to fetch again after a kill.
const FEWEST: usize = 4;
/// How long to wait before each retry: half a minute in all, a switch's reboot.
const RETRIES: [Duration; 6] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];

/// Where packs are read from. The store in the field; memory that fails on purpose in tests.
pub trait Source: Clone + Send + Sync + 'static {
    /// Exactly `length` bytes of a pack, not verified.
    fn range(&self, pack: &Blob, offset: u64, length: u64) -> impl Future<Output = Result<Bytes>> + Send;
    /// Path or URL of a pack, for messages.
    fn place(&self, pack: &Blob) -> String;
    /// How long to wait before each retry.
    fn retries(&self) -> &'static [Duration];
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

    fn retries(&self) -> &'static [Duration] {
        // A folder that fails now fails in a second too.
        if matches!(self.location(), Location::Folder(_)) { &RETRIES[..1] } else { &RETRIES }
    }

    fn in_flight(&self) -> usize {
        // Each connection loses its speed after a lost packet, and stands still from the end of one answer to the start of
        // the next; many of them fill the line all the same (`scripts/bench link`).
        if matches!(self.location(), Location::Folder(_)) { 4 } else { 28 }
    }
}

/// Starts fetching; the runs come out of the channel as they come. Ends at the first fault, which comes out too.
pub fn start<S: Source>(
    handle: &Handle,
    source: &S,
    packs: &[Blob],
    runs: Vec<Run>,
    stop: &Stop,
) -> mpsc::Receiver<Result<(Run, Bytes)>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let most = source.in_flight();
    let (source, packs, stop): (S, Arc<[Blob]>, Stop) = (source.clone(), packs.into(), stop.clone());
    handle.spawn(async move {
        let (mut runs, mut requests, mut window) = (runs.into_iter(), FuturesUnordered::new(), most);
        loop {
            while requests.len() < window
                && let Some(run) = runs.next()
            {
                let (source, packs, stop) = (source.clone(), packs.clone(), stop.clone());
                // A task of its own, so that a body is read on while an earlier run waits for the disk: a connection that
                // nobody reads would run into its timeout.
                requests.push(tokio::spawn(async move {
                    let bytes = range(&source, &packs, run.pack, run.offset, run.length, &stop).await?;
                    Ok((run, bytes))
                }));
            }
            let Some(result) = requests.next().await else { return };
            let result = result.unwrap_or_else(|error| Err(Fault::internal("fetching broke off").cause(error)));
            let failed = result.is_err();
            // Whoever is waited for decides: an empty place in the queue says the line, a full queue the disk. Slowly, since
            // requests that began together end together.
            window = if sender.capacity() == 0 { (window - 1).max(FEWEST) } else { window + 4 }.min(most);
            if sender.send(result).await.is_err() || failed {
                return;
            }
        }
    });
    receiver
}

/// One range, tried again where the source fails.
///
/// # Errors
/// Exit 5 after the last retry; any other fault at once.
pub async fn range<S: Source>(source: &S, packs: &[Blob], pack: u32, offset: u64, length: u64, stop: &Stop) -> Result<Bytes> {
    let Some(blob) = packs.get(pack as usize) else {
        return Err(Fault::internal(format!("pack {pack} of {}", packs.len())));
    };
    let mut delays = source.retries().iter();
    loop {
        let result = tokio::select! {
            result = source.range(blob, offset, length) => result,
            () = stop.wait() => return Err(stop.fault()),
        };
        let fault = match result {
            // Whatever the source promises: a short answer is never taken for a whole one (tinkerbell's image2disk).
            Ok(bytes) if bytes.len() as u64 == length => return Ok(bytes),
            Ok(bytes) => Fault::source(format!("{} bytes came, {length} were asked for", bytes.len())).at(source.place(blob)),
            Err(fault) if fault.exit() != Exit::Source => return Err(fault),
            Err(fault) => fault,
        };
        let Some(delay) = delays.next() else { return Err(fault) };
        tracing::warn!(%fault, "the source failed; trying again in {} ms", delay.as_millis());
        tokio::select! {
            () = tokio::time::sleep(*delay) => {}
            () = stop.wait() => return Err(stop.fault()),
        }
    }
}
