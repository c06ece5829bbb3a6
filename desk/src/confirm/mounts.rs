//! What is mounted, and from which block device (proc_pid_mountinfo(5)); what device mapper calls that device (sysfs).

use std::{fs, path::Path};

use livery_contract::{Fault, Result};

/// All mounts of this process, the latest last.
#[derive(Clone, Debug)]
pub(crate) struct Mounts(Vec<Mount>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    /// `MAJOR:MINOR`.
    device: String,
    point: String,
}

/// What device mapper says of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapped {
    pub name: String,
    /// What made it, and which: `CRYPT-VERITY-…`, `CRYPT-LUKS2-…`.
    pub uuid: String,
}

impl Mounts {
    /// As they are now.
    ///
    /// # Errors
    /// Exit 6 where the kernel does not say.
    pub(crate) fn read() -> Result<Self> {
        const PLACE: &str = "/proc/self/mountinfo";
        let text = fs::read_to_string(PLACE).map_err(|error| Fault::device("mounts can't be read").at(PLACE).cause(error))?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mount = |line: &str| {
            let mut fields = line.split(' ').skip(2);
            let (device, _, point) = (fields.next()?, fields.next()?, fields.next()?);
            Some(Mount { device: device.to_owned(), point: point.to_owned() })
        };
        Self(text.lines().filter_map(mount).collect())
    }

    /// What is mapped to the device that is mounted here; `None` where nothing is, or it is no such device.
    pub(crate) fn mapped(&self, point: &str) -> Option<Mapped> {
        let mount = self.0.iter().rev().find(|mount| mount.point == point)?;
        Mapped::read(&Path::new("/sys/dev/block").join(&mount.device))
    }
}

impl Mapped {
    fn read(device: &Path) -> Option<Self> {
        let read = |name: &str| fs::read_to_string(device.join("dm").join(name)).map(|text| text.trim().to_owned()).ok();
        Some(Self { name: read("name")?, uuid: read("uuid")? })
    }

    /// The device of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = fs::read_dir("/sys/class/block").ok()?;
        all.flatten().filter_map(|entry| Self::read(&entry.path())).find(|mapped| mapped.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_mount_of_a_place_counts() {
        let mounts = Mounts::parse(
            "21 1 0:18 / / rw - overlay overlay rw\n\
             30 21 254:2 / /srv rw,nosuid shared:1 - ext4 /dev/mapper/data rw\n\
             31 21 0:40 / /srv rw - tmpfs tmpfs rw\n\
             short\n",
        );
        let devices: Vec<&str> = mounts.0.iter().map(|mount| mount.device.as_str()).collect();
        assert_eq!(devices, ["0:18", "254:2", "0:40"]);
        assert_eq!(mounts.mapped("/srv"), None);
        assert_eq!(mounts.mapped("/nowhere"), None);
    }
}
