//! Memory that O_DIRECT accepts: aligned to [`BLOCK`], which every disk's logical sector size divides.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

use livery_contract::manifest::BLOCK;

const ALIGN: usize = 4096;
const _: () = assert!(ALIGN as u64 == BLOCK);

/// A zeroed byte buffer whose address is a multiple of [`BLOCK`]. Freed when dropped.
#[derive(Debug)]
pub(crate) struct AlignedBuffer {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the buffer owns its memory alone, and has no interior mutability.
unsafe impl Send for AlignedBuffer {}
// SAFETY: shared references give read access only.
unsafe impl Sync for AlignedBuffer {}

impl AlignedBuffer {
    /// A buffer of `length` bytes, rounded up to a multiple of [`BLOCK`], all zero.
    pub(crate) fn new(length: usize) -> Self {
        let size = length.max(1).next_multiple_of(ALIGN);
        let layout = Layout::from_size_align(size, ALIGN).unwrap_or_else(|_| unreachable!("4096 is a power of two"));
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Self { start, layout }
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` points to `size` initialised bytes that live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.layout.size()) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size()) }
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, freed only here.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_zeroed_and_rounded_up() {
        let mut buffer = AlignedBuffer::new(5000);
        assert_eq!(buffer.as_ptr() as usize % 4096, 0);
        assert_eq!(buffer.len(), 8192);
        assert!(buffer.iter().all(|byte| *byte == 0));
        buffer[8191] = 7;
        assert_eq!(buffer[8191], 7);
    }
}
