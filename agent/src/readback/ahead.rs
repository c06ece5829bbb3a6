//! Reads one after the other, each under way while the one before is worked on.

use livery_contract::{Fault, Result};

use super::reads::{READ, Read};
use crate::{
    device::{AlignedBuffer, Device, Queue},
    work::stop::Stop,
};

/// One thread's; it holds two buffers of [`READ`] bytes.
pub(crate) struct ReadAhead<'a> {
    queue: Queue<'a>,
    spare: Vec<AlignedBuffer>,
}

impl<'a> ReadAhead<'a> {
    pub(crate) fn new(device: &'a Device) -> Self {
        Self { queue: Queue::new(device), spare: Vec::new() }
    }

    /// Hands the bytes of each read to `step`, in order, with the `patches` (offset and bytes) put over them.
    ///
    /// # Errors
    /// Exit 6 for an I/O error; what `step` fails with.
    pub(crate) fn each(
        &mut self,
        reads: &[Read],
        patches: &[(u64, Vec<u8>)],
        stop: &Stop,
        mut step: impl FnMut(&Read, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut to_begin = reads.iter();
        self.begin(to_begin.next())?;
        for read in reads {
            stop.check()?;
            let Some((mut buffer, _)) = self.queue.end()? else { return Err(Fault::internal("no read is under way")) };
            self.begin(to_begin.next())?;
            let bytes = &mut buffer[..read.length];
            for (offset, patch) in patches {
                put_over(read.offset, bytes, *offset, patch);
            }
            step(read, bytes)?;
            self.spare.push(buffer);
        }
        Ok(())
    }

    fn begin(&mut self, read: Option<&Read>) -> Result<()> {
        let Some(read) = read else { return Ok(()) };
        let buffer = self.spare.pop().unwrap_or_else(|| AlignedBuffer::new(READ));
        self.queue.read(buffer, read.offset, read.length)
    }
}

/// Puts `bytes`, which belong at `at` on the disk, over a buffer that was read at `offset`.
fn put_over(offset: u64, buffer: &mut [u8], at: u64, bytes: &[u8]) {
    let (from, to) = (at.max(offset), (at + bytes.len() as u64).min(offset + buffer.len() as u64));
    if from < to {
        let index = |place: u64, base: u64| usize::try_from(place - base).unwrap_or(usize::MAX);
        buffer[index(from, offset)..index(to, offset)].copy_from_slice(&bytes[index(from, at)..index(to, at)]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_patch_changes_just_its_range(offset in 0_u64..100, at in 0_u64..100, bytes in prop::collection::vec(1_u8.., 0..50)) {
            let mut buffer = vec![0; 40];
            put_over(offset, &mut buffer, at, &bytes);
            for (index, byte) in buffer.iter().enumerate() {
                let place = offset + index as u64;
                let index = place.checked_sub(at).and_then(|index| usize::try_from(index).ok());
                let expected = index.and_then(|index| bytes.get(index)).copied().unwrap_or(0);
                prop_assert_eq!(*byte, expected);
            }
        }
    }
}
