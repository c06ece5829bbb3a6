//! Experiment.
#![allow(missing_docs, unsafe_code, clippy::all, clippy::pedantic)]
use crate::device::{AlignedBuffer, Device};
use io_uring::{IoUring, opcode, types};
use livery_contract::{Fault, Result};
use std::os::fd::RawFd;

pub fn wanted() -> bool { std::env::var_os("LIVERY_URING").is_some() }

pub struct Ring { ring: IoUring }
impl Ring {
    pub fn new() -> Self { Self { ring: IoUring::new(64).unwrap() } }
    /// Cut into parts of `part` bytes, all in flight at once. Returns how many.
    pub fn submit(&mut self, fd: RawFd, write: bool, offset: u64, ptr: *mut u8, length: usize) -> usize {
        let part = std::env::var("LIVERY_PART").ok().and_then(|n| n.parse().ok()).unwrap_or(1usize << 20);
        let mut at = 0; let mut n = 0;
        while at < length {
            let step = part.min(length - at);
            let p = unsafe { ptr.add(at) };
            let entry = if write { opcode::Write::new(types::Fd(fd), p, step as u32).offset(offset + at as u64).build() }
            else { opcode::Read::new(types::Fd(fd), p, step as u32).offset(offset + at as u64).build() }.user_data(step as u64);
            unsafe { self.ring.submission().push(&entry).unwrap() };
            at += step; n += 1;
        }
        self.ring.submit().unwrap();
        n
    }
    pub fn wait(&mut self, n: usize) -> Result<()> {
        let mut left = n;
        while left > 0 {
            self.ring.submit_and_wait(left.min(1)).unwrap();
            for c in self.ring.completion() {
                if c.result() < 0 || c.result() as u64 != c.user_data() { return Err(Fault::device(format!("uring {}", c.result()))); }
                left -= 1;
            }
        }
        Ok(())
    }
}
pub struct Double { pub ring: Option<Ring>, pub buffers: [AlignedBuffer; 2] }
impl Double { pub fn new(size: usize) -> Self { Self { ring: wanted().then(Ring::new), buffers: [AlignedBuffer::new(size), AlignedBuffer::new(if wanted() { size } else { 4096 })] } } }
pub fn fd(device: &Device) -> RawFd { device.raw_fd() }
