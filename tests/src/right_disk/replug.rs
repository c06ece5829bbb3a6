//! Disks that come and go: a virtio disk is taken from its driver and given back, or its PCI device removed and found again.
//! To the block layer that is a disk unplugged and plugged in; its name goes to whichever comes next.

use std::{
    fs::File,
    io::Read as _,
    os::fd::{AsRawFd as _, FromRawFd as _},
    path::PathBuf,
    thread::sleep,
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result};
use nix::{errno::Errno, libc};

use super::sysfs::{find, folder, settle, tell};

const DRIVER: &str = "/sys/bus/pci/drivers/virtio-pci";
/// How long the agent may take to come to its disks.
const OPENS: Duration = Duration::from_secs(60);

/// The PCI device of a virtio disk.
fn device(disk: &str) -> Result<PathBuf> {
    let fail = || Fault::internal("no virtio disk").at(folder(disk).display());
    let virtio = folder(disk).join("device").canonicalize().map_err(|error| fail().cause(error))?;
    virtio.parent().map(PathBuf::from).ok_or_else(fail)
}

fn address(disk: &str) -> Result<String> {
    let device = device(disk)?;
    Ok(device.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
}

/// Takes a disk away; gives what brings it back.
///
/// # Errors
/// Where the kernel does not.
pub fn unplug(disk: &str) -> Result<String> {
    let address = address(disk)?;
    tell(format!("{DRIVER}/unbind"), &address)?;
    for _ in 0..100 {
        if !folder(disk).exists() {
            return Ok(address);
        }
        sleep(Duration::from_millis(20));
    }
    Err(Fault::internal("a disk that was unplugged is still there").at(folder(disk).display()))
}

/// Brings it back.
///
/// # Errors
/// Where the kernel does not.
pub fn plug(address: &str) -> Result<()> {
    tell(format!("{DRIVER}/bind"), address)
}

/// Takes its PCI device away until [`rescan`].
///
/// # Errors
/// Where the kernel does not.
pub fn remove(disk: &str) -> Result<()> {
    tell(device(disk)?.join("remove"), "1")?;
    settle()
}

/// Finds all devices that were removed.
///
/// # Errors
/// Where the kernel does not.
pub fn rescan() -> Result<()> {
    tell("/sys/bus/pci/rescan", "1")
}

/// Keeps the agent waiting while it looks at the disks: fanotify's permission events (fanotify(7)) on what udev knows of one
/// of them. The kernel has none for the disks' own nodes.
#[derive(Debug)]
pub struct Gate {
    group: File,
    path: String,
}

impl Gate {
    /// Before what udev knows of this disk.
    ///
    /// # Errors
    /// Where the kernel has no such events.
    pub fn before(disk: &str) -> Result<Self> {
        let number = std::fs::read_to_string(folder(disk).join("dev")).unwrap_or_default();
        let path = format!("/run/udev/data/b{}", number.trim());
        let fail = |error: Errno| Fault::internal("no fanotify").at(&path).cause(error);
        let flags = libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        let events = u32::try_from(libc::O_RDONLY | libc::O_CLOEXEC).unwrap_or(0);
        // SAFETY: fanotify_init(2) takes flags only; the descriptor that it returns is ours alone.
        let group = unsafe {
            let descriptor = Errno::result(libc::fanotify_init(flags, events)).map_err(fail)?;
            File::from_raw_fd(descriptor)
        };
        let name = std::ffi::CString::new(path.clone()).map_err(|error| Fault::internal("a name with NUL").cause(error))?;
        // SAFETY: an open descriptor, flags, and a string that ends in NUL and outlives the call.
        let marked = unsafe {
            libc::fanotify_mark(group.as_raw_fd(), libc::FAN_MARK_ADD, libc::FAN_OPEN_PERM, libc::AT_FDCWD, name.as_ptr())
        };
        Errno::result(marked).map_err(fail)?;
        Ok(Self { group, path })
    }

    /// Waits until this process opens it once `now` is so (others may always); does `meanwhile`, and lets it go on.
    ///
    /// # Errors
    /// Where it does not come, and what `meanwhile` fails with.
    pub fn hold(mut self, process: u32, now: impl Fn() -> bool, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
        const LENGTH: usize = size_of::<libc::fanotify_event_metadata>();
        let fail = |error: std::io::Error| Fault::internal("fanotify failed").cause(error);
        let begun = Instant::now();
        let mut events = [0; 32 * LENGTH];
        while begun.elapsed() < OPENS {
            let length = match self.group.read(&mut events) {
                Ok(length) => length,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    sleep(Duration::from_millis(5));
                    continue;
                }
                Err(error) => return Err(fail(error)),
            };
            let mut waiting = Vec::new();
            for bytes in events[..length].as_chunks::<LENGTH>().0 {
                // SAFETY: the kernel has written one such structure here; it has no invalid values.
                let event: libc::fanotify_event_metadata = unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) };
                // SAFETY: the kernel has opened it for us.
                let file = unsafe { File::from_raw_fd(event.fd) };
                match u32::try_from(event.pid) == Ok(process) && now() {
                    true => waiting.push(file),
                    false => self.allow(&file).map_err(fail)?,
                }
            }
            if !waiting.is_empty() {
                let done = meanwhile();
                waiting.iter().try_for_each(|file| self.allow(file)).map_err(fail)?;
                return done;
            }
        }
        Err(Fault::internal("the agent did not look at the disks").at(&self.path))
    }

    fn allow(&self, file: &File) -> std::io::Result<()> {
        let answer = [file.as_raw_fd().to_ne_bytes(), libc::FAN_ALLOW.to_ne_bytes()].concat();
        std::io::Write::write_all(&mut &self.group, &answer)
    }
}

/// Gives the name of one disk to another; what brings all back.
///
/// # Errors
/// Where the other does not get the name.
pub fn swap(one: &str, other_serial: &str) -> Result<[String; 2]> {
    let other = find(other_serial)?;
    let addresses = [unplug(one)?, unplug(&other)?];
    plug(&addresses[1])?;
    settle()?;
    let serial = std::fs::read_to_string(folder(one).join("serial")).unwrap_or_default();
    if serial.trim() == other_serial {
        return Ok(addresses);
    }
    Err(Fault::internal(format!("the name did not go to the other disk, but to {serial:?}")).at(folder(one).display()))
}
