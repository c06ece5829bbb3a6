//! The disks of the device, and the table.

use livery_contract::{Digest, Reference, inventory::Transport, record::Record};
use serde::{Deserialize, Serialize};

use crate::qemu::Bus;

/// Bytes of the image: small, for an emulated SD card moves hardly 2 MB/s.
pub const IMAGE: u64 = 6 << 20;
/// Bytes of a disk; an SD card's must be a power of two.
pub const DISK: u64 = 16 << 20;
/// What stands before each outcome on the console.
pub const TELLS: &str = "RIGHT-DISK ";
/// What stands after it: then all of the line is there.
pub const TOLD: &str = " RIGHT-DISK-END";
/// Where host and guest put what they share in the device's first file system.
pub const FOLDER: &str = "/cases";

/// One disk of the device.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Its serial number; two disks of a kind may have the same.
    pub serial: &'static str,
    /// How it is attached.
    pub bus: Bus,
    /// Bytes.
    pub size: u64,
    /// Bytes of a sector.
    pub sector: u32,
    /// Write-protected by the device.
    pub locked: bool,
    /// Holds the image already.
    pub stale: bool,
}

const fn slot(serial: &'static str, bus: Bus) -> Slot {
    Slot { serial, bus, size: DISK, sector: 512, locked: false, stale: false }
}

/// The serial number of QEMU's SD card.
pub const CARD: &str = "0xdeadbeef";

/// All of them. A SATA disk's place in the list is its port, modulo 6; the virtio disks get their names in this order.
pub const SLOTS: [Slot; 17] = [
    slot("NVME", Bus::Nvme),
    slot("SATA", Bus::Sata),
    slot("BOOT", Bus::Sata),
    slot(CARD, Bus::SdCard),
    slot("VIRTIO", Bus::Virtio),
    slot("HELD", Bus::Virtio),
    slot("MIRROR", Bus::Virtio),
    slot("STICK", Bus::UsbStorage),
    Slot { locked: true, ..slot("LOCKED", Bus::Virtio) },
    Slot { size: 4 << 20, ..slot("SMALL", Bus::Virtio) },
    Slot { sector: 4096, ..slot("LARGESECTORS", Bus::Virtio) },
    slot("TWIN", Bus::Virtio),
    slot("TWIN", Bus::Virtio),
    slot("FIRST", Bus::Virtio),
    slot("SECOND", Bus::Virtio),
    slot("LATE", Bus::Virtio),
    Slot { stale: true, ..slot("STALE", Bus::Virtio) },
];

/// What is done to a disk before the agent is started, and undone after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nothing.
    None,
    /// Its second partition is mounted.
    PartitionMounted,
    /// The same, but in another mount namespace: no list of mounts that the agent can read has it.
    PartitionMountedElsewhere,
    /// All of it is mounted.
    Mounted,
    /// Its second partition is swap space in use.
    PartitionSwap,
    /// All of it is.
    Swap,
    /// A device-mapper device lies over its second partition.
    DeviceMapper,
    /// Its second partition is a physical volume, and the group's volume is active.
    Lvm,
    /// As [`Lvm`](Self::Lvm), but nothing of the group is active.
    LvmIdle,
    /// A member of a mirror (md).
    Raid,
    /// The firmware's variable says that the machine was booted from its first partition.
    BootMedium,
    /// The kernel was told to take no writes.
    ReadOnly,
    /// Not there at first; it comes when the agent looks for it.
    Late,
    /// When the agent has looked at it, and not opened it yet, it goes, and this other disk gets its name.
    Renamed(&'static str),
}

impl Hold {
    /// Whether it is made by writing to the disk, and a later row wants the disk as it was.
    pub const fn overwrites(self) -> bool {
        match self {
            Self::PartitionMounted | Self::PartitionMountedElsewhere | Self::Mounted | Self::PartitionSwap | Self::Swap => true,
            Self::DeviceMapper | Self::Lvm | Self::Raid => true,
            Self::None | Self::LvmIdle | Self::BootMedium | Self::ReadOnly | Self::Late | Self::Renamed(_) => false,
        }
    }
}

/// How the agent is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `write --disk` and the disk's node.
    Hand,
    /// The same with `--removable`.
    HandRemovable,
    /// `write --disk` and the node of its first partition.
    HandPartition,
    /// A job that names the disk's serial number.
    Job,
    /// A job that names only how it is attached.
    JobByTransport(Transport),
}

/// What must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Exit 3, these words, no disk touched.
    Refused(&'static [&'static str]),
    /// This node's disk, and no other.
    Written(&'static str),
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What it is about.
    pub name: &'static str,
    /// Serial number of the disk that it is about.
    pub disk: &'static str,
    /// What is done to it.
    pub hold: Hold,
    /// How the agent is started, one after the other.
    pub asks: &'static [Ask],
    /// What must come of each.
    pub wanted: Wanted,
    /// Serial number of the disk that is taken out of the machine afterwards: it would be everybody's twin.
    pub out: Option<&'static str>,
}

const fn refused(name: &'static str, disk: &'static str, hold: Hold, words: &'static [&'static str]) -> Case {
    Case { name, disk, hold, asks: &[Ask::Hand, Ask::Job], wanted: Wanted::Refused(words), out: None }
}

const fn asked(asks: &'static [Ask], case: Case) -> Case {
    Case { asks, ..case }
}

const fn written(name: &'static str, disk: &'static str, node: &'static str) -> Case {
    Case { name, disk, hold: Hold::None, asks: &[Ask::Hand], wanted: Wanted::Written(node), out: None }
}

/// This one runs beside all others from the beginning: a disk may appear late, so the agent looks for half a minute.
pub const ABSENT: Case =
    asked(&[Ask::Job], refused("a serial that no disk has", "ABSENT", Hold::None, &["its serial is HELD, not ABSENT"]));

/// The table. Jobs come before the image is on disks that stay: they would be twins.
pub const TABLE: [Case; 28] = [
    refused("a partition mounted", "HELD", Hold::PartitionMounted, &["mounted on /held"]),
    refused("a partition in use as swap", "HELD", Hold::PartitionSwap, &["swap"]),
    refused("device-mapper over a partition", "HELD", Hold::DeviceMapper, &["part of dm-"]),
    refused("LVM, active", "HELD", Hold::Lvm, &["part of dm-"]),
    refused("a member of a mirror", "HELD", Hold::Raid, &["part of md"]),
    refused("the other member of a mirror", "MIRROR", Hold::Raid, &["part of md"]),
    asked(&[Ask::Hand], refused("all of it mounted", "HELD", Hold::Mounted, &["mounted on /held"])),
    asked(&[Ask::Hand], refused("all of it in use as swap", "HELD", Hold::Swap, &["swap"])),
    refused("the medium that was booted", "BOOT", Hold::BootMedium, &["the medium that this machine was booted from"]),
    refused("on USB", "STICK", Hold::None, &["on USB"]),
    refused("write-protected by itself", "LOCKED", Hold::None, &["write-protected"]),
    refused("write-protected by the kernel", "SATA", Hold::ReadOnly, &["write-protected"]),
    refused("too small", "SMALL", Hold::None, &["too small: 4194304 bytes, but the image needs 6291456"]),
    refused("other sectors", "LARGESECTORS", Hold::None, &["has sectors of 4096 bytes, but the image is made for 512"]),
    asked(&[Ask::HandPartition], refused("a partition", "VIRTIO", Hold::None, &["that is a partition, not a disk"])),
    asked(&[Ask::Job], refused("two disks of one serial", "TWIN", Hold::None, &["2 disks qualify"])),
    asked(
        &[Ask::JobByTransport(Transport::Virtio)],
        refused("many that fit", "VIRTIO", Hold::None, &["disks qualify, and the order does not say which to write"]),
    ),
    Case {
        out: Some("STALE"),
        ..asked(
            &[Ask::Job],
            refused(
                "the image's partitions on another disk, too",
                "NVME",
                Hold::None,
                &["partitions of the same image", "serial STALE"],
            ),
        )
    },
    // By a job it is chosen, for nothing is seen to hold it, and then cannot be had: after STALE, which would be its twin.
    refused("a partition mounted in another namespace", "HELD", Hold::PartitionMountedElsewhere, &["it is in use"]),
    asked(
        &[Ask::Job],
        refused(
            "another disk under its name when it is opened",
            "FIRST",
            Hold::Renamed("SECOND"),
            &["another disk has taken this name"],
        ),
    ),
    Case { hold: Hold::Late, out: Some("LATE"), asks: &[Ask::Job], ..written("one that comes late", "LATE", "/dev/vd") },
    Case { asks: &[Ask::JobByTransport(Transport::Nvme)], ..written("the only one that is attached so", "NVME", "/dev/nvme0n1") },
    written("SATA", "SATA", "/dev/sd"),
    written("SD card or eMMC", CARD, "/dev/mmcblk0"),
    written("virtio", "VIRTIO", "/dev/vd"),
    Case { asks: &[Ask::HandRemovable], ..written("a stick that is really meant", "STICK", "/dev/sd") },
    Case { hold: Hold::LvmIdle, ..written("an LVM group that nobody uses", "HELD", "/dev/vd") },
    asked(
        &[Ask::Job],
        refused("a free disk beside others that hold the image", "FIRST", Hold::None, &["partitions of the same image"]),
    ),
];

/// What the guest is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The image.
    pub image: Reference,
    /// Its manifest.
    pub manifest: Digest,
}

/// What came of one start of the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The case.
    pub case: String,
    /// How the agent was started.
    pub ask: String,
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// What it said on standard error.
    pub words: String,
    /// How long it took, in milliseconds.
    pub took: u64,
    /// The disk's node.
    pub node: String,
    /// Whether the disk holds, byte for byte, what it held before.
    pub same: bool,
    /// Disks to which the kernel sent any write.
    pub touched: Vec<String>,
    /// In which step it failed, as it told the station.
    pub failed_in: Option<String>,
    /// Its record.
    pub record: Option<Record>,
    /// The kernel's names of the disk's partitions, with first byte and length.
    pub partitions: Vec<(String, u64, u64)>,
}

/// A line of the guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Told {
    /// One start of the agent.
    Outcome(Box<Outcome>),
    /// A case could not be made.
    Broken(String),
    /// All are over.
    End,
}
