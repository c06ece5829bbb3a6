//! The block layer's ioctls (`linux/fs.h`), each behind a safe function over an open file.

use std::{fs::File, os::fd::AsRawFd as _};

use nix::{Result, libc};

mod raw {
    use nix::libc;

    nix::ioctl_none!(blkrrpart, 0x12, 95);
    nix::ioctl_none!(blkflsbuf, 0x12, 97);
    nix::ioctl_read_bad!(blkroget, nix::request_code_none!(0x12, 94), libc::c_int);
    nix::ioctl_read_bad!(blksszget, nix::request_code_none!(0x12, 104), libc::c_int);
    nix::ioctl_read!(blkgetsize64, 0x12, 114, libc::size_t);
    nix::ioctl_write_ptr_bad!(blkzeroout, nix::request_code_none!(0x12, 127), [u64; 2]);
    nix::ioctl_read!(blkgetdiskseq, 0x12, 128, u64);
}

/// BLKGETSIZE64: the device's size in bytes.
pub(super) fn size(file: &File) -> Result<u64> {
    let mut size: libc::size_t = 0;
    // SAFETY: the kernel writes one `size_t`.
    unsafe { raw::blkgetsize64(file.as_raw_fd(), &raw mut size) }?;
    Ok(size as u64)
}

/// BLKSSZGET: the logical sector size in bytes.
pub(super) fn sector(file: &File) -> Result<u32> {
    let mut sector: libc::c_int = 0;
    // SAFETY: the kernel writes one `int`.
    unsafe { raw::blksszget(file.as_raw_fd(), &raw mut sector) }?;
    u32::try_from(sector).map_err(|_| nix::errno::Errno::EINVAL)
}

/// BLKROGET: whether the device is write-protected.
pub(super) fn read_only(file: &File) -> Result<bool> {
    let mut flag: libc::c_int = 0;
    // SAFETY: the kernel writes one `int`.
    unsafe { raw::blkroget(file.as_raw_fd(), &raw mut flag) }?;
    Ok(flag != 0)
}

/// BLKGETDISKSEQ (Linux 5.15): the number that no other disk of this boot has.
pub(super) fn diskseq(file: &File) -> Result<u64> {
    let mut sequence = 0_u64;
    // SAFETY: the kernel writes one `u64`.
    unsafe { raw::blkgetdiskseq(file.as_raw_fd(), &raw mut sequence) }?;
    Ok(sequence)
}

/// BLKZEROOUT: makes a range read as zero, by the device's own write-zeroes command or by writing zeros.
pub(super) fn zero_out(file: &File, offset: u64, length: u64) -> Result<()> {
    let range = [offset, length];
    // SAFETY: the kernel reads two `u64`.
    unsafe { raw::blkzeroout(file.as_raw_fd(), &raw const range) }?;
    Ok(())
}

/// BLKFLSBUF: writes out and forgets what the page cache holds of the device.
pub(super) fn forget_cache(file: &File) -> Result<()> {
    // SAFETY: takes no argument.
    unsafe { raw::blkflsbuf(file.as_raw_fd()) }?;
    Ok(())
}

/// BLKRRPART: reads the partition table anew.
pub(super) fn reread_partitions(file: &File) -> Result<()> {
    // SAFETY: takes no argument.
    unsafe { raw::blkrrpart(file.as_raw_fd()) }?;
    Ok(())
}
