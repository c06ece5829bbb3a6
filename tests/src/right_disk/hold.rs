//! Makes a disk one that may not be written, by the kernel and Debian's tools, and frees it again.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
    sync::mpsc,
    thread,
};

use livery_contract::{Fault, Result};
use nix::{
    libc,
    mount::{MsFlags, mount, umount},
};

use super::{
    cases::{DISK, Hold},
    replug, sysfs,
    sysfs::{node, settle},
    tools::{run, tool},
};

/// Where held partitions are mounted.
const PLACE: &str = "/held";
/// The volume group, the mapped device, the mirror.
const NAME: &str = "cases";
/// What LVM needs to be told where its own udev rules and files are not there.
const LVM: &str = "activation { udev_sync=0 udev_rules=0 } devices { use_devicesfile=0 external_device_info_source=\"none\" \
    obtain_device_list_from_udev=0 } backup { backup=0 archive=0 }";
/// The variable of systemd's boot loader interface, as efivarfs shows it.
const LOADER: &str = "/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// What is put back at both ends of a disk when it is freed.
const END: usize = 1 << 20;

/// Frees a disk again.
pub type Undo = Box<dyn FnOnce() -> Result<()> + Send>;

fn lvm(arguments: &[&str]) -> Result<String> {
    tool("lvm", &[arguments, &["--config", LVM]].concat())
}

/// Holds the disk.
///
/// # Errors
/// Where the kernel or a tool does not do it.
pub fn hold(what: Hold, disk: &str) -> Result<Undo> {
    let (whole, second) = (node(disk, None), node(disk, Some(2)));
    let undo: Undo = match what {
        Hold::None | Hold::Renamed(_) => return Ok(Box::new(|| Ok(()))),
        Hold::PartitionMounted => mounted(second)?,
        Hold::Mounted => mounted(whole)?,
        Hold::PartitionMountedElsewhere => mounted_elsewhere(second)?,
        Hold::PartitionSwap => swap(second)?,
        Hold::Swap => swap(whole)?,
        Hold::DeviceMapper => {
            let sectors = fs::read_to_string(sysfs::folder(disk).join(second.trim_start_matches("/dev/")).join("size"));
            let sectors = sectors.map_err(|error| Fault::internal("no second partition").cause(error))?;
            let table = format!("0 {} linear {second} 0", sectors.trim());
            tool("dmsetup", &["create", NAME, "--noudevsync", "--noudevrules", "--table", &table])?;
            Box::new(|| tool("dmsetup", &["remove", NAME, "--noudevsync", "--noudevrules", "--retry"]).map(drop))
        }
        Hold::Lvm | Hold::LvmIdle => {
            lvm(&["pvcreate", "--yes", &second])?;
            lvm(&["vgcreate", NAME, &second])?;
            lvm(&["lvcreate", "--yes", "--zero", "n", "--wipesignatures", "n", "--extents", "2", "--name", "data", NAME])?;
            if what == Hold::LvmIdle {
                lvm(&["vgchange", "--activate", "n", NAME])?;
                settle()?;
                return Ok(Box::new(|| Ok(())));
            }
            Box::new(|| lvm(&["vgremove", "--force", "--force", "--yes", NAME]).map(drop))
        }
        Hold::Raid => {
            // Both members are needed, whichever of them the case is about.
            let members = [node(&sysfs::find("HELD")?, None), node(&sysfs::find("MIRROR")?, None)];
            let create = ["--create", "/dev/md0", "--run", "--level=1", "--metadata=1.2", "--assume-clean", "--raid-devices=2"];
            tool("mdadm", &[create.as_slice(), &[members[0].as_str(), &members[1]]].concat())?;
            Box::new(move || {
                tool("mdadm", &["--stop", "/dev/md0"])?;
                members.iter().try_for_each(|member| tool("mdadm", &["--zero-superblock", member]).map(drop))
            })
        }
        Hold::BootMedium => {
            booted_from(disk)?;
            return Ok(Box::new(|| Ok(())));
        }
        Hold::ReadOnly => {
            run("blockdev", &["--setro", &whole])?;
            return Ok(Box::new(move || run("blockdev", &["--setrw", &whole]).map(drop)));
        }
        Hold::Late => {
            replug::remove(disk)?;
            return Ok(Box::new(|| Ok(())));
        }
    };
    settle()?;
    Ok(undo)
}

/// The beginnings and ends of all disks: their partition tables, which the holds above may destroy.
#[derive(Debug)]
pub struct Ends(String, Vec<u8>, Vec<u8>);

impl Ends {
    /// As they are now.
    ///
    /// # Errors
    /// Where the disk can't be read.
    pub fn of(disk: &str) -> Result<Self> {
        let content = sysfs::content(disk)?;
        let (first, last) = (content.get(..END), content.len().checked_sub(END).and_then(|from| content.get(from..)));
        let (Some(first), Some(last)) = (first, last) else { return Err(Fault::internal("a disk without ends")) };
        Ok(Self(disk.to_owned(), first.to_vec(), last.to_vec()))
    }

    /// Puts them back.
    ///
    /// # Errors
    /// Where the disk can't be written.
    pub fn put_back(&self) -> Result<()> {
        let Self(disk, first, last) = self;
        let path = node(disk, None);
        let fail = |error| Fault::internal("a disk can't be written").at(&path).cause(error);
        let file = File::options().write(true).open(&path).map_err(fail)?;
        file.write_all_at(first, 0).and_then(|()| file.write_all_at(last, DISK - END as u64)).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        drop(file);
        settle()?;
        run("blockdev", &["--rereadpt", &path])?;
        settle()
    }
}

fn mounted(device: String) -> Result<Undo> {
    // -I: over a partition table, too.
    run("mkfs.vfat", &["-I", &device])?;
    fs::create_dir_all(PLACE).map_err(|error| Fault::internal("no place to mount at").cause(error))?;
    let fail = |error| Fault::internal("a file system can't be mounted").at(&device).cause(error);
    mount(Some(device.as_str()), PLACE, Some("vfat"), MsFlags::empty(), None::<&str>).map_err(fail)?;
    Ok(Box::new(|| umount(PLACE).map_err(|error| Fault::internal("a file system can't be unmounted").cause(error))))
}

fn mounted_elsewhere(device: String) -> Result<Undo> {
    run("mkfs.vfat", &["-I", &device])?;
    let ((ready, is_ready), (end, ended)) = (mpsc::channel(), mpsc::channel::<()>());
    let keeper = thread::spawn(move || {
        let fail = |error| Fault::internal("no mount namespace").cause(error);
        let mounted = || {
            // SAFETY: unshare(2) takes flags only, and changes this thread alone.
            nix::errno::Errno::result(unsafe { libc::unshare(libc::CLONE_NEWNS) }).map_err(fail)?;
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, private, None::<&str>).map_err(fail)?;
            mount(Some(device.as_str()), "/mnt", Some("vfat"), MsFlags::empty(), None::<&str>).map_err(fail)
        };
        let _ = ready.send(mounted());
        // The namespace, and its mounts, end with the thread.
        let _ = ended.recv();
        let _ = umount("/mnt");
    });
    is_ready.recv().map_err(|error| Fault::internal("a thread ended").cause(error))??;
    Ok(Box::new(move || {
        drop(end);
        keeper.join().map_err(|_| Fault::internal("a thread stopped"))
    }))
}

fn swap(device: String) -> Result<Undo> {
    run("mkswap", &["--force", &device])?;
    run("swapon", &[&device])?;
    Ok(Box::new(move || run("swapoff", &[&device]).map(drop)))
}

/// Sets the firmware's variable as systemd's stub does when the firmware starts it from that partition.
fn booted_from(disk: &str) -> Result<()> {
    let first = node(disk, Some(1));
    let links = fs::read_dir("/dev/disk/by-partuuid").into_iter().flatten().flatten();
    let link = links.map(|link| link.path()).find(|link| link.canonicalize().is_ok_and(|to| to == Path::new(&first)));
    let guid = link.as_ref().and_then(|link| link.file_name()).map(|name| name.to_string_lossy().to_ascii_uppercase());
    let guid = guid.ok_or_else(|| Fault::internal("udev knows no GUID").at(&first))?;
    let fail = |error| Fault::internal("the boot medium can't be named").at(LOADER).cause(error);
    // Attributes: after booting, only a variable that is kept can be set (UEFI 2.10, section 8.2.3).
    let value: Vec<u8> =
        7_u32.to_le_bytes().into_iter().chain(format!("{guid}\0").encode_utf16().flat_map(u16::to_le_bytes)).collect();
    fs::write(LOADER, value).map_err(fail)
}
