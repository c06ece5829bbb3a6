//! A TUN interface (Documentation/networking/tuntap.rst): a file that gives the IP packets sent to an interface, one a read,
//! and takes those that it shall receive, one a write, each behind an [offload header](super::packet). The interface goes
//! when the file is closed.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::AsRawFd as _,
    sync::Arc,
};

use livery_contract::{Fault, Result};

/// `_IOW('T', 202, int)` in linux/if_tun.h.
const TUNSETIFF: u64 = 0x4004_54ca;
nix::ioctl_write_ptr_bad!(
    /// Makes or finds the interface that the request names, and ties the file to it.
    set_interface,
    TUNSETIFF,
    libc::ifreq
);
/// `_IOW('T', 208, unsigned int)` in linux/if_tun.h.
const TUNSETOFFLOAD: u64 = 0x4004_54d0;
/// What the reader of the file takes off the kernel's hands: checksums, and segmentation of TCP over IPv4.
const OFFLOADS: libc::c_int = 0x01 | 0x02;
nix::ioctl_write_int_bad!(
    /// Says what the file's reader can do; the argument is the set of `TUN_F_` itself.
    set_offload,
    TUNSETOFFLOAD
);

/// See the module. Clones share the file.
#[derive(Clone, Debug)]
pub struct Tun {
    file: Arc<File>,
    name: String,
}

impl Tun {
    /// A new one by this name (at most 15 characters), in this process's own namespace; it may be moved.
    ///
    /// # Errors
    /// Where the kernel has no TUN, or this is not root's.
    pub fn make(name: &str) -> Result<Self> {
        let broken = |error: io::Error| Fault::refused("a TUN interface can't be made").cause(error).at("/dev/net/tun");
        let options = &mut File::options();
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NONBLOCK);
        let file = options.read(true).write(true).open("/dev/net/tun").map_err(broken)?;
        // SAFETY: `ifreq` is a C struct of integers and bytes; all zeros is one of its values.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // The last byte stays zero.
        let room = request.ifr_name.len() - 1;
        for (to, from) in request.ifr_name[..room].iter_mut().zip(name.bytes()) {
            *to = from.cast_signed();
        }
        // Packets with the offload header and without TUN's own.
        let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        request.ifr_ifru.ifru_flags = i16::try_from(flags).unwrap_or_default();
        // SAFETY: the descriptor is open, and the kernel reads and writes only the request, which outlives the call.
        unsafe { set_interface(file.as_raw_fd(), &raw const request) }.map_err(|error| broken(error.into()))?;
        // SAFETY: the descriptor is open, and the argument is a number.
        unsafe { set_offload(file.as_raw_fd(), OFFLOADS) }.map_err(|error| broken(error.into()))?;
        Ok(Self { file: Arc::new(file), name: name.to_owned() })
    }

    /// The name that it was made with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next packet's bytes in `buffer`; none where there is none now.
    ///
    /// # Errors
    /// Where the interface is gone.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match (&*self.file).read(buffer) {
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets the interface receive a packet.
    ///
    /// # Errors
    /// Where it is down or gone.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        (&*self.file).write_all(packet)
    }
}
