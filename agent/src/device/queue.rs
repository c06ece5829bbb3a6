//! One request to the disk that runs while its thread does something else: hashes what came before, decodes what comes next.
//!
//! In: a buffer, which the request owns until it is done. Out: the buffer again. Fails with exit 6 as
//! [`Device::read`] and [`Device::write`] do.
//!
//! By io_uring where the kernel has it and lets us: a seventh less time for the same image than plain calls with as many
//! threads (docs/benchmarks.md). Else by plain calls, which have ended when they return.

use std::{io, os::fd::AsRawFd as _};

use io_uring::{IoUring, opcode, types};
use livery_contract::{Fault, Result};

use super::{buffer::AlignedBuffer, disk::Device};

/// What to do with a range of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Read,
    Write,
}

/// A request with the memory that it is about.
#[derive(Debug)]
struct Request {
    direction: Direction,
    buffer: AlignedBuffer,
    offset: u64,
    length: usize,
}

impl Request {
    /// Does what is left of it after `done` bytes, by plain calls.
    fn finish(&mut self, device: &Device, done: usize) -> Result<()> {
        let (offset, rest) = (self.offset + done as u64, done..self.length);
        match self.direction {
            Direction::Read => device.read(offset, &mut self.buffer[rest]),
            Direction::Write => device.write(offset, &self.buffer[rest]),
        }
    }

    fn failed(&self, device: &Device, error: io::Error) -> Fault {
        match self.direction {
            Direction::Read => device.read_failed(self.offset, self.length as u64, error),
            Direction::Write => device.write_failed(self.offset, self.length as u64, error),
        }
    }
}

/// How requests reach the kernel. At most one is under way.
trait Engine: Send {
    fn begin(&mut self, device: &Device, request: Request) -> Result<()>;
    /// Waits for the one that is under way, if any.
    fn end(&mut self, device: &Device) -> Result<Option<Request>>;
}

/// A thread's way to a device, with at most one request under way.
pub(crate) struct Queue<'a> {
    device: &'a Device,
    engine: Box<dyn Engine>,
}

impl<'a> Queue<'a> {
    /// With io_uring where that can be had.
    pub(crate) fn new(device: &'a Device) -> Self {
        let engine: Box<dyn Engine> = match Uring::new() {
            Ok(uring) => Box::new(uring),
            // ENOSYS: not built in. EPERM: switched off (`kernel.io_uring_disabled`), or a container's seccomp filter.
            Err(error) => {
                tracing::debug!(%error, "io_uring is not available: using plain reads and writes");
                Box::new(Plain(None))
            }
        };
        Self { device, engine }
    }

    /// Plain calls, whatever the kernel has.
    #[cfg(test)]
    fn plain(device: &'a Device) -> Self {
        Self { device, engine: Box::new(Plain(None)) }
    }

    /// Begins to read `length` bytes from `offset` into `buffer`. What was under way is waited for first.
    ///
    /// # Errors
    /// Those of what was under way; some engines tell those of this one here, others by [`end`](Self::end).
    pub(crate) fn read(&mut self, buffer: AlignedBuffer, offset: u64, length: usize) -> Result<()> {
        self.begin(Request { direction: Direction::Read, buffer, offset, length })
    }

    /// Begins to write the first `length` bytes of `buffer` to `offset`. What was under way is waited for first.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn write(&mut self, buffer: AlignedBuffer, offset: u64, length: usize) -> Result<()> {
        self.begin(Request { direction: Direction::Write, buffer, offset, length })
    }

    /// Waits for what is under way: its buffer, and how many bytes were asked for. `None` where nothing is.
    ///
    /// # Errors
    /// Exit 6 with the offset.
    pub(crate) fn end(&mut self) -> Result<Option<(AlignedBuffer, usize)>> {
        Ok(self.engine.end(self.device)?.map(|request| (request.buffer, request.length)))
    }

    fn begin(&mut self, request: Request) -> Result<()> {
        self.device.check_bounds(request.offset, request.length as u64)?;
        if request.length > request.buffer.len() {
            return Err(Fault::internal(format!("{} bytes of a buffer of {}", request.length, request.buffer.len())));
        }
        self.engine.end(self.device)?;
        self.engine.begin(self.device, request)
    }
}

impl std::fmt::Debug for Queue<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("device", self.device).finish_non_exhaustive()
    }
}

/// pread(2) and pwrite(2).
struct Plain(Option<Request>);

impl Engine for Plain {
    fn begin(&mut self, device: &Device, mut request: Request) -> Result<()> {
        request.finish(device, 0)?;
        self.0 = Some(request);
        Ok(())
    }

    fn end(&mut self, _: &Device) -> Result<Option<Request>> {
        Ok(self.0.take())
    }
}

/// io_uring(7), with one entry at a time.
struct Uring {
    ring: IoUring,
    /// The kernel's until a completion says otherwise.
    under_way: Option<Request>,
    /// One that the ring did not take, done by a plain call.
    done: Option<Request>,
}

impl Uring {
    fn new() -> io::Result<Self> {
        Ok(Self { ring: IoUring::new(1)?, under_way: None, done: None })
    }

    /// Hands the request that is under way to the kernel.
    fn submit(&mut self, device: &Device) -> io::Result<()> {
        let Some(request) = &mut self.under_way else { return Ok(()) };
        let file = types::Fd(device.file.as_raw_fd());
        let length = u32::try_from(request.length).map_err(io::Error::other)?;
        let entry = match request.direction {
            Direction::Read => opcode::Read::new(file, request.buffer.as_mut_ptr(), length).offset(request.offset).build(),
            Direction::Write => opcode::Write::new(file, request.buffer.as_ptr(), length).offset(request.offset).build(),
        };
        // SAFETY: the buffer is heap memory of at least `length` bytes that `under_way` owns. It leaves there only when the
        // kernel has said that it is done with it, or never got the entry; `drop` waits for that, or gives the memory up.
        unsafe { self.ring.submission().push(&entry) }.map_err(io::Error::other)?;
        match self.ring.submit()? {
            1 => Ok(()),
            count => Err(io::Error::other(format!("the kernel took {count} entries"))),
        }
    }

    /// Waits for the kernel's word: bytes done, or the negative of an error.
    fn completion(&mut self) -> io::Result<i32> {
        loop {
            if let Some(entry) = self.ring.completion().next() {
                return Ok(entry.result());
            }
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }
}

impl Engine for Uring {
    fn begin(&mut self, device: &Device, request: Request) -> Result<()> {
        self.under_way = Some(request);
        let Err(error) = self.submit(device) else { return Ok(()) };
        tracing::debug!(%error, "io_uring does not take a request: a plain call instead");
        // An entry that was not taken would go with the next one; with its ring it is gone. io_uring_enter(2) fails only
        // where it took none.
        let broken = |error| Fault::internal("io_uring is gone").cause(error);
        self.ring = IoUring::new(1).map_err(broken)?;
        if let Some(mut request) = self.under_way.take() {
            request.finish(device, 0)?;
            self.done = Some(request);
        }
        Ok(())
    }

    fn end(&mut self, device: &Device) -> Result<Option<Request>> {
        if self.under_way.is_none() {
            return Ok(self.done.take());
        }
        let result = self.completion().map_err(|error| Fault::internal("io_uring does not answer").cause(error))?;
        let Some(mut request) = self.under_way.take() else { return Ok(None) };
        match usize::try_from(result) {
            // A short one is gone on with, as by a plain call.
            Ok(done) => request.finish(device, done.min(request.length))?,
            Err(_) => match io::Error::from_raw_os_error(-result) {
                error if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                    request.finish(device, 0)?;
                }
                error => return Err(request.failed(device, error)),
            },
        }
        Ok(Some(request))
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        if self.under_way.is_some() && self.completion().is_err() {
            // The kernel may still write to this memory: better never freed than somebody else's.
            std::mem::forget(self.under_way.take());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::device::disk::Mode;

    const LENGTH: usize = 3 << 20;

    fn file() -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(16 << 20).unwrap();
        file
    }

    fn filled(byte: u8) -> AlignedBuffer {
        let mut buffer = AlignedBuffer::new(4 << 20);
        buffer.fill(byte);
        buffer
    }

    #[test]
    fn either_way_the_bytes_come_back() {
        let file = file();
        let device = Device::open(file.path(), Mode::Write).unwrap();
        for (mut queue, seed) in [(Queue::new(&device), 1), (Queue::plain(&device), 101)] {
            assert!(queue.end().unwrap().is_none());
            for (at, byte) in [(0, seed), (LENGTH as u64, seed + 1), (4096, seed + 2)] {
                queue.write(filled(byte), at, LENGTH).unwrap();
            }
            let (buffer, length) = queue.end().unwrap().unwrap();
            assert_eq!((buffer[0], length), (seed + 2, LENGTH));
            assert!(queue.end().unwrap().is_none());
            queue.read(buffer, 0, 2 * 4096).unwrap();
            let (buffer, length) = queue.end().unwrap().unwrap();
            assert_eq!((buffer[0], buffer[4095], buffer[4096], length), (seed, seed, seed + 2, 8192));
            // Given up in the middle: what is under way is waited for.
            queue.write(buffer, 8 << 20, LENGTH).unwrap();
        }
    }

    #[test]
    fn faults_say_where() {
        let file = file();
        let device = Device::open(file.path(), Mode::Write).unwrap();
        for mut queue in [Queue::new(&device), Queue::plain(&device)] {
            assert_eq!(queue.read(filled(0), 16 << 20, 4096).unwrap_err().exit().code(), 1, "outside");
            assert!(queue.write(filled(0), 0, 8 << 20).is_err(), "longer than its buffer");
            // The file lost its end since: as a disk that answers no more.
            file.as_file().set_len(8 << 20).unwrap();
            let fault = queue.read(filled(0), 7 << 20, 2 << 20).and_then(|()| queue.end().map(|_| ())).unwrap_err();
            assert_eq!(fault.exit().code(), 6, "{fault}");
            assert!(fault.render().contains("bytes "), "{}", fault.render());
            file.as_file().set_len(16 << 20).unwrap();
        }
        // One that may only be read.
        drop(device);
        let device = Device::open(file.path(), Mode::Read).unwrap();
        for mut queue in [Queue::new(&device), Queue::plain(&device)] {
            let fault = queue.write(filled(0), 4096, 4096).and_then(|()| queue.end().map(|_| ())).unwrap_err();
            assert!(fault.exit().code() == 6 && fault.render().contains("bytes 4096..8192"), "{}", fault.render());
        }
    }
}
