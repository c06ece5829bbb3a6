//! The image onto the disk, all but what makes it a disk that boots.
//!
//! In: a [`Trusted`] image, a [`Target`] and what was [`Found`] on it. Out: a [`Written`], which still holds the chunks of
//! the partition table in memory; [`verify`](crate::verify::verified) writes them when all else was read back. Fails with exit 4, 5
//! or 6, and then the disk has no partition table: it does not boot, and nothing can take it for a good one.
//!
//! The path of the data: plan → fetch (range requests) → decode → check the digest → write past the cache. What the disk
//! has in other places is copied first; what it has in place is left.

use std::sync::Mutex;

use bytes::Bytes;
use jiff::Timestamp;
use livery_contract::{Digest, Fault, Result, record::Traffic, wire::Phase};
use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    device::{AlignedBuffer, Device, Queue, ZERO_STEP},
    finish::finished,
    image::{
        chunk,
        decode::Decoder,
        source::{self, Source},
        trust::Trusted,
    },
    target::choose::Target,
    work::{progress::Progress, stop::Stop, threads},
    write::{
        moves::Copy,
        plan::{self, Piece, Plan, Run},
        survey::Found,
    },
};

/// Neighbouring chunks are written together, up to this many bytes.
const BATCH: usize = 4 << 20;

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
pub fn write<S: Source>(trusted: &Trusted<S>, target: Target, found: &Found, work: &Work) -> Result<Written> {
    let mut plan = Plan::new(trusted.manifest(), trusted.composed(), found, target.device().size())?;
    work.progress.enter(Phase::Write, plan.written - plan.held.iter().map(|piece| piece.length).sum::<u64>());
    let started = Timestamp::now();
    let mut traffic = Traffic { written: plan.written, kept: plan.kept, skipped: plan.skipped, ..Traffic::default() };
    traffic.moved = plan.copies.iter().map(|copy| copy.length).sum();
    traffic.fetched = plan.runs.iter().map(|run| run.length).sum::<u64>()
        + plan.held.iter().map(|piece| u64::from(piece.frame.length)).sum::<u64>();
    // First of all, so that the line fills while the rest gets ready: it only reads, and only so much as it may hold.
    let runs = std::mem::take(&mut plan.runs);
    let fetched = source::start(&work.handle, trusted.source(), &trusted.composed().packs, runs, &work.stop);
    let held = fetch_held(trusted, &plan, work)?;

    // What cannot be made to fit the disk is refused while nothing is written yet.
    finished::patches(&target, trusted.manifest(), &|offset, length| {
        chunk::range(trusted, &held, offset, length, &work.handle, &work.stop)
    })?;
    work.stop.check()?;
    work.stop.disk_touched();
    let device = target.device();
    invalidate(device)?;
    copy_all(device, &plan.copies, work)?;
    write_all(trusted, device, fetched, &plan.zeros, work)?;
    // A step of its own: else the line would stand at 100% (raspberrypi/rpi-imager#1216).
    work.progress.enter(Phase::Flush, 0);
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
            chunk::fetch_piece(trusted, piece, &mut decoder, &mut bytes[..length], &work.handle, &work.stop)?;
            Ok((piece.clone(), bytes))
        })
        .collect()
}

/// Takes the old partition table away, at both ends of the disk, so that a broken run leaves no disk that boots.
fn invalidate(device: &Device) -> Result<()> {
    for (start, end) in plan::cleared(device.size()) {
        device.zero(start, end - start)?;
    }
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

/// One after the other, since their order matters: each is read before anything is written over it.
fn copy_all(device: &Device, copies: &[Copy], work: &Work) -> Result<()> {
    let mut buffer = AlignedBuffer::new(if copies.is_empty() { 0 } else { BATCH });
    for copy in copies {
        work.stop.check()?;
        let length = usize::try_from(copy.length).map_err(|_| Fault::internal("a copy is larger than memory"))?;
        let bytes = &mut buffer[..length];
        device.read(copy.from, bytes)?;
        let mut rest = &*bytes;
        for (length, digest) in &copy.chunks {
            let (chunk, after) = rest.split_at(usize::try_from(*length).unwrap_or(rest.len()).min(rest.len()));
            if Digest::of(chunk) != *digest {
                return Err(device
                    .fault("the disk does not read twice the same", copy.from, copy.length)
                    .fix("the disk is faulty: replace it, then start again"));
            }
            rest = after;
        }
        device.write(copy.to, bytes)?;
        work.progress.add(copy.length);
    }
    Ok(())
}

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
    let mut batch = Batch {
        device,
        progress: &work.progress,
        queue: Queue::new(device),
        buffer: AlignedBuffer::new(BATCH),
        start: 0,
        length: 0,
    };
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
                chunk::fetch_piece(trusted, piece, &mut decoder, into, &work.handle, &work.stop)?;
            }
            batch.take(piece)?;
        }
    }
    batch.write()?;
    batch.wait().map(|_| ())
}

/// Checked chunks that lie side by side on the disk, to be written with one call, while the next are decoded.
struct Batch<'a> {
    device: &'a Device,
    progress: &'a Progress,
    queue: Queue<'a>,
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
            let free = self.wait()?.unwrap_or_else(|| AlignedBuffer::new(BATCH));
            let full = std::mem::replace(&mut self.buffer, free);
            self.queue.write(full, self.start, self.length)?;
            self.start += self.length as u64;
            self.length = 0;
        }
        Ok(())
    }

    /// Waits for the write that is under way; its buffer is free then.
    fn wait(&mut self) -> Result<Option<AlignedBuffer>> {
        Ok(self.queue.end()?.map(|(buffer, length)| {
            self.progress.add(length as u64);
            buffer
        }))
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
