//! The image onto the disk, all but what makes it a disk that boots.
//!
//! In: a [`Trusted`] image and a [`Target`]. Out: a [`Written`], which still holds the chunks of the partition table in
//! memory; [`verify`](crate::verify) writes them when all else was read back. Fails with exit 4, 5 or 6, and then the disk
//! has no partition table: it does not boot, and nothing can take it for a good one.
//!
//! The path of the data: plan → fetch (range requests) → decode → check the digest → write past the cache.

use std::sync::Mutex;

use bytes::Bytes;
use jiff::Timestamp;
use livery_contract::{Fault, Result, record::Traffic, wire::Phase};
use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    content,
    decode::Decoder,
    device::{AlignedBuffer, Device, ZERO_STEP, whole_blocks},
    fetch::{self, Source},
    plan::{HEAD, Piece, Plan, Run},
    progress::Progress,
    stop::Stop,
    target::Target,
    trust::Trusted,
};

/// Neighbouring chunks are written together, up to this many bytes.
const BATCH: usize = 4 << 20;
/// How much at the disk's end is cleared: the old backup GPT, and RAID or ZFS labels by which a stale disk comes alive.
const END: u64 = 1 << 20;

/// What every long step needs.
#[derive(Clone, Debug)]
pub struct Work {
    /// For the requests that blocking threads make.
    pub handle: Handle,
    /// How far it is.
    pub progress: Progress,
    /// Whether to stop.
    pub stop: Stop,
}

/// A disk that holds all of the image but its partition table.
#[derive(Debug)]
pub struct Written {
    pub(crate) target: Target,
    /// The chunks to write last, with their bytes, in order.
    pub(crate) held: Vec<(Piece, AlignedBuffer)>,
    pub(crate) traffic: Traffic,
    pub(crate) started: Timestamp,
    pub(crate) written: Timestamp,
}

/// Writes all of the image but the held chunks, and flushes. Blocking; not for an async task.
///
/// # Errors
/// Exit 4 for a chunk that is not what was signed, 5 where the source fails, 6 where the disk does.
pub fn write<S: Source>(trusted: &Trusted<S>, target: Target, work: &Work) -> Result<Written> {
    let plan = Plan::new(trusted.manifest(), trusted.composed())?;
    work.progress.enter(Phase::Write, plan.written - plan.held.iter().map(|piece| piece.length).sum::<u64>());
    let started = Timestamp::now();
    let held = fetch_held(trusted, &plan, work)?;
    let mut traffic = Traffic { written: plan.written, skipped: plan.skipped, ..Traffic::default() };
    traffic.fetched = plan.runs.iter().map(|run| run.length).sum::<u64>()
        + plan.held.iter().map(|piece| u64::from(piece.frame.length)).sum::<u64>();

    work.stop.check()?;
    work.stop.disk_touched();
    let device = target.device();
    invalidate(device)?;
    zero_all(device, &plan.zeros, work)?;
    write_all(trusted, device, plan.runs, work)?;
    device.flush()?;
    Ok(Written { target, held, traffic, started, written: Timestamp::now() })
}

/// The chunks that are written last, fetched and checked first: then the end needs no network any more.
fn fetch_held<S: Source>(trusted: &Trusted<S>, plan: &Plan, work: &Work) -> Result<Vec<(Piece, AlignedBuffer)>> {
    let mut decoder = Decoder::new()?;
    plan.held
        .iter()
        .map(|piece| {
            let length = usize::try_from(piece.length).map_err(|_| Fault::internal("a chunk is larger than memory"))?;
            let mut bytes = AlignedBuffer::new(length);
            content::fetch_piece(trusted, piece, &mut decoder, &mut bytes[..length], &work.handle, &work.stop)?;
            Ok((piece.clone(), bytes))
        })
        .collect()
}

/// Takes the old partition table away, at both ends of the disk, so that a broken run leaves no disk that boots.
fn invalidate(device: &Device) -> Result<()> {
    device.zero(0, HEAD.min(device.size()))?;
    let (start, end) = whole_blocks(device.size().saturating_sub(END), device.size(), device.size());
    device.zero(start, end - start)?;
    device.flush()?;
    device.reread_partitions();
    Ok(())
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

/// Fetches in the background, decodes and writes in as many threads as there are processors, up to four.
fn write_all<S: Source>(trusted: &Trusted<S>, device: &Device, runs: Vec<Run>, work: &Work) -> Result<()> {
    let fetched = Mutex::new(fetch::start(&work.handle, trusted.source(), &trusted.composed().packs, runs, &work.stop));
    let first_fault = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 4));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                if let Err(fault) = write_runs(trusted, device, &fetched, work) {
                    // Ends the others too: they find the channel closed.
                    lock(&fetched).close();
                    lock(&first_fault).get_or_insert(fault);
                }
            });
        }
    });
    let fault = lock(&first_fault).take();
    fault.map_or(Ok(()), Err)
}

type Fetched = mpsc::Receiver<Result<(Run, Bytes)>>;

fn write_runs<S: Source>(trusted: &Trusted<S>, device: &Device, fetched: &Mutex<Fetched>, work: &Work) -> Result<()> {
    let mut decoder = Decoder::new()?;
    let mut batch = Batch { device, progress: &work.progress, buffer: AlignedBuffer::new(BATCH), start: 0, length: 0 };
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
            if let Err(wrong) = decoder.decode(frame, &piece.digest, into) {
                tracing::warn!(offset = piece.frame.offset, "a chunk is not what its map says, fetching it again: {wrong}");
                content::fetch_piece(trusted, piece, &mut decoder, into, &work.handle, &work.stop)?;
            }
            batch.take(piece)?;
        }
    }
    batch.write()
}

/// Checked chunks that lie side by side on the disk, to be written with one call.
struct Batch<'a> {
    device: &'a Device,
    progress: &'a Progress,
    buffer: AlignedBuffer,
    /// Where on the disk the buffer's bytes begin.
    start: u64,
    /// How many of them there are.
    length: usize,
}

impl Batch<'_> {
    /// Where to decode the next chunk to. Not part of the batch until [`take`](Self::take) says that it was good.
    fn space(&mut self, piece: &Piece) -> Result<&mut [u8]> {
        let length = piece_length(piece)?;
        let first = piece.places.first().copied().unwrap_or_default();
        if first != self.start + self.length as u64 || self.length + length > self.buffer.len() {
            self.write()?;
            self.start = first;
        }
        Ok(&mut self.buffer[self.length..self.length + length])
    }

    fn take(&mut self, piece: &Piece) -> Result<()> {
        let length = piece_length(piece)?;
        let bytes = &self.buffer[self.length..self.length + length];
        for place in piece.places.iter().skip(1) {
            self.device.write(*place, bytes)?;
            self.progress.add(piece.length);
        }
        self.length += length;
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        if self.length > 0 {
            self.device.write(self.start, &self.buffer[..self.length])?;
            self.progress.add(self.length as u64);
            self.start += self.length as u64;
            self.length = 0;
        }
        Ok(())
    }
}

fn piece_length(piece: &Piece) -> Result<usize> {
    match usize::try_from(piece.length) {
        Ok(length) if length <= BATCH => Ok(length),
        _ => Err(Fault::internal(format!("a chunk of {} bytes", piece.length))),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
