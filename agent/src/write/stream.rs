//! Zeros and fetched chunks onto the disk, by several threads.

use std::sync::Mutex;

use bytes::Bytes;
use livery_contract::{Fault, Result};
use tokio::sync::mpsc;

use super::{batch::Batch, runs::Run};
use crate::{
    device::{Device, ZERO_STEP},
    image::{chunk, decode::Decoder, source::Source, trust::Trusted},
    work::{Work, threads},
};

/// Zeroes in one thread; fetches in the background, decodes and writes in others.
pub(crate) fn write_all<S: Source>(
    trusted: &Trusted<S>,
    device: &Device,
    fetched: Fetched,
    zeros: &[(u64, u64)],
    work: &Work,
) -> Result<()> {
    let fetched = Mutex::new(fetched);
    let first_fault = Mutex::new(None);
    // Ends the others too: they find the channel closed.
    let failed = |fault| {
        lock(&fetched).close();
        lock(&first_fault).get_or_insert(fault);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| zero_all(device, zeros, work).unwrap_or_else(failed));
        for _ in 0..threads::count() {
            scope.spawn(|| write_runs(trusted, device, &fetched, work).unwrap_or_else(failed));
        }
    });
    let fault = lock(&first_fault).take();
    fault.map_or(Ok(()), Err)
}

pub(crate) type Fetched = mpsc::Receiver<Result<(Run, Bytes)>>;

fn write_runs<S: Source>(trusted: &Trusted<S>, device: &Device, fetched: &Mutex<Fetched>, work: &Work) -> Result<()> {
    let mut decoder = Decoder::new()?;
    let mut batch = Batch::new(device, &work.progress);
    loop {
        // A statement of its own: the lock is free again before the run is worked on.
        let next = lock(fetched).blocking_recv();
        let Some(next) = next else { break };
        let (run, bytes) = next?;
        for piece in &run.pieces {
            work.stop.check()?;
            let frame = usize::try_from(piece.frame.offset - run.offset)
                .ok()
                .and_then(|start| bytes.get(start..start.checked_add(piece.frame.length as usize)?))
                .ok_or_else(|| Fault::internal("a frame lies outside its run"))?;
            let into = batch.space(piece)?;
            if let Err(wrong) = decoder.decode(frame, &piece.frame.digest, into) {
                tracing::warn!(offset = piece.frame.offset, "a chunk differs from its chunk map, fetching it again: {wrong}");
                chunk::fetch_piece(trusted, piece, &mut decoder, into, &work.handle, &work.stop)?;
            }
            batch.take(piece)?;
        }
    }
    batch.write()?;
    batch.wait().map(|_| ())
}

fn zero_all(device: &Device, zeros: &[(u64, u64)], work: &Work) -> Result<()> {
    for (offset, length) in zeros {
        let (mut at, end) = (*offset, offset + length);
        while at < end {
            work.stop.check()?;
            let step = (end - at).min(ZERO_STEP);
            device.zero(at, step)?;
            work.progress.add(step);
            at += step;
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
