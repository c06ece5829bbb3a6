//! Neighbouring chunks, written with one call.

use livery_contract::{Fault, Result};

use crate::{
    device::{AlignedBuffer, Device, Queue},
    image::piece::Piece,
    work::progress::Progress,
};

/// Neighbouring chunks are written together, up to this many bytes.
pub(crate) const BATCH: usize = 4 << 20;

/// Checked chunks that lie side by side on the disk, to be written with one call, while the next are decoded.
pub(super) struct Batch<'a> {
    device: &'a Device,
    progress: &'a Progress,
    queue: Queue<'a>,
    buffer: AlignedBuffer,
    /// Where on the disk the buffer's bytes begin.
    start: u64,
    /// How many of them there are.
    length: usize,
}

impl<'a> Batch<'a> {
    pub(super) fn new(device: &'a Device, progress: &'a Progress) -> Self {
        Self { device, progress, queue: Queue::new(device), buffer: AlignedBuffer::new(BATCH), start: 0, length: 0 }
    }

    /// Where to decode the next chunk to. Not part of the batch until [`take`](Self::take) says that it was good.
    pub(super) fn space(&mut self, piece: &Piece) -> Result<&mut [u8]> {
        let length = piece_length(piece)?;
        let first = piece.places.first().copied().unwrap_or_default();
        if first != self.start + self.length as u64 || self.length + length > self.buffer.len() {
            self.write()?;
            self.start = first;
        }
        Ok(&mut self.buffer[self.length..self.length + length])
    }

    pub(super) fn take(&mut self, piece: &Piece) -> Result<()> {
        let length = piece_length(piece)?;
        let bytes = &self.buffer[self.length..self.length + length];
        for place in piece.places.iter().skip(1) {
            self.device.write(*place, bytes)?;
            self.progress.add(piece.length);
        }
        self.length += length;
        Ok(())
    }

    pub(super) fn write(&mut self) -> Result<()> {
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
    pub(super) fn wait(&mut self) -> Result<Option<AlignedBuffer>> {
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
