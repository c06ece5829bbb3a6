//! The image onto the disk, all but what makes it a disk that boots.
//!
//! In: a [`Trusted`] image, a [`Target`] and what was [`Found`] on it. Out: a [`Written`], which still holds the chunks of
//! the partition table in memory; [`verify`](crate::verify::verified) writes them when all else was read back. Fails with exit 4, 5
//! or 6, and then the disk has no partition table: it does not boot, and nothing can take it for a good one.
//!
//! The path of the data: plan → fetch (range requests) → decode → check the digest → write past the cache. What the disk
//! has in other places is copied first; what it has in place is left.

use jiff::Timestamp;
use livery_contract::{Fault, Result, record::Traffic, wire::Phase};

use super::{batch::BATCH, carry::carry, ends::cleared, fetch, found::Found, moves::Copy, plan::Plan, stream::write_all};
use crate::{
    device::{AlignedBuffer, Device},
    fit::patches::patches,
    image::{chunk, decode::Decoder, piece::Piece, source::Source, trust::Trusted},
    target::claim::Target,
    work::Work,
};

/// A disk that holds all of the image but its partition table.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) target: Target,
    /// The chunks to write last, with their bytes, in order.
    pub(crate) deferred: Vec<(Piece, AlignedBuffer)>,
    pub(crate) traffic: Traffic,
    pub(crate) started: Timestamp,
    pub(crate) written: Timestamp,
}

/// Writes all of the image but the deferred chunks, and flushes. Blocking; not for an async task.
///
/// # Errors
/// Exit 4 for a chunk that is not what was signed, 5 where the source fails, 6 where the disk does.
pub(crate) fn write<S: Source>(trusted: &Trusted<S>, target: Target, found: &Found, work: &Work) -> Result<Written> {
    let mut plan = Plan::new(trusted.manifest(), trusted.composed(), found, target.device().size())?;
    work.progress.enter(Phase::Write, plan.written - plan.deferred.iter().map(|piece| piece.length).sum::<u64>());
    let started = Timestamp::now();
    let mut traffic = Traffic { written: plan.written, kept: plan.kept, skipped: plan.skipped, ..Traffic::default() };
    traffic.moved = plan.copies.iter().map(|copy| copy.length).sum();
    traffic.fetched = plan.runs.iter().map(|run| run.length).sum::<u64>()
        + plan.deferred.iter().map(|piece| u64::from(piece.frame.length)).sum::<u64>();
    // First of all, so that the network is busy while the rest gets ready: it only reads, and only so much as it may hold.
    let runs = std::mem::take(&mut plan.runs);
    let fetched = fetch::start(&work.handle, trusted.source(), &trusted.composed().packs, runs, &work.stop);
    let deferred = fetch_deferred(trusted, &plan, work)?;

    // What cannot be made to fit the disk is refused while nothing is written yet.
    patches(&target, trusted.manifest(), &|offset, length| {
        chunk::range(trusted, &deferred, offset, length, &work.handle, &work.stop)
    })?;
    work.stop.check()?;
    work.stop.disk_touched();
    let device = target.device();
    invalidate(device)?;
    copy_all(device, &plan.copies, work)?;
    write_all(trusted, device, fetched, &plan.zeros, work)?;
    // A step of its own: else the progress bar would stand at 100% (raspberrypi/rpi-imager#1216).
    work.progress.enter(Phase::Flush, 0);
    device.flush()?;
    Ok(Written { target, deferred, traffic, started, written: Timestamp::now() })
}

/// The chunks that are written last, fetched and checked first: then the end needs no network any more.
fn fetch_deferred<S: Source>(trusted: &Trusted<S>, plan: &Plan, work: &Work) -> Result<Vec<(Piece, AlignedBuffer)>> {
    let mut decoder = Decoder::new()?;
    plan.deferred
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
    for (start, end) in cleared(device.size()) {
        device.zero(start, end - start)?;
    }
    device.flush()?;
    device.reread_partitions();
    Ok(())
}

/// One after the other, since their order matters: each is read before anything is written over it.
fn copy_all(device: &Device, copies: &[Copy], work: &Work) -> Result<()> {
    let mut buffer = AlignedBuffer::new(if copies.is_empty() { 0 } else { BATCH });
    for copy in copies {
        if !carry(copy, device, device, &mut buffer, work)? {
            return Err(device
                .fault("two reads of the same range returned different data", copy.from, copy.length)
                .fix("the disk is faulty: replace it, then start again"));
        }
    }
    Ok(())
}
