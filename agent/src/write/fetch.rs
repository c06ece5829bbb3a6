//! Runs of frames from the source: several requests in flight, bounded memory.
//!
//! In: a [`Plan`](super::plan::Plan)'s runs. Out: the same runs with their bytes, as they come. Fails as [`range`] does.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, stream::FuturesUnordered};
use livery_contract::{Fault, Result, digest::Blob};
use tokio::{runtime::Handle, sync::mpsc};

use super::runs::Run;
use crate::{
    image::{
        range::{Outage, Range, range},
        source::Source,
    },
    work::stop::Stop,
};

/// Fetched runs that wait for a writer. With the most in flight: 30 runs of 512 KiB in memory.
const WAITING: usize = 2;
/// Requests in flight where the writers are what is waited for: more would only be more to fetch again after a kill.
const FEWEST: usize = 4;

/// Starts fetching; the runs come out of the channel as they come. Ends at the first fault, which comes out too.
pub(crate) fn start<S: Source>(
    handle: &Handle,
    source: &S,
    packs: &[Blob],
    runs: Vec<Run>,
    stop: &Stop,
) -> mpsc::Receiver<Result<(Run, Bytes)>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let most = source.in_flight();
    let (source, packs, stop): (S, Arc<[Blob]>, Stop) = (source.clone(), packs.into(), stop.clone());
    let outage = Arc::<Outage>::default();
    handle.spawn(async move {
        let (mut runs, mut requests, mut window) = (runs.into_iter(), FuturesUnordered::new(), most);
        loop {
            while requests.len() < window
                && let Some(run) = runs.next()
            {
                let (source, packs, outage, stop) = (source.clone(), packs.clone(), outage.clone(), stop.clone());
                // A task of its own, so that a body is read on while an earlier run waits for the disk: a connection that
                // nobody reads would run into its timeout.
                requests.push(tokio::spawn(async move {
                    let bytes =
                        range(&source, &packs, Range { pack: run.pack, offset: run.offset, length: run.length }, &outage, &stop)
                            .await?;
                    Ok((run, bytes))
                }));
            }
            let Some(result) = requests.next().await else { return };
            let result = result.unwrap_or_else(|error| Err(Fault::internal("the download was interrupted").cause(error)));
            let failed = result.is_err();
            // Whoever is waited for decides: an empty place in the queue says the network, a full queue the disk. Slowly, since
            // requests that began together end together.
            window = if sender.capacity() == 0 { (window - 1).max(FEWEST) } else { window + 4 }.min(most);
            if sender.send(result).await.is_err() || failed {
                return;
            }
        }
    });
    receiver
}
