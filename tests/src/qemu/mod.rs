//! A virtual device: real UEFI firmware, disks, a serial console, a screen, and a power button, by QEMU.
//!
//! ```no_run
//! # async fn example() -> livery_contract::Result<()> {
//! use std::{path::Path, time::Duration};
//! use livery_tests::qemu::{Bus, Disk, Machine};
//!
//! let folder = Path::new("out/device");
//! let mut machine = Machine::new("agent", folder)?;
//! machine.system.serial = "WT-0001".into();
//! machine.disks.push(Disk::new("out/agent-usb.img", Bus::UsbStorage).unchanged());
//! machine.disks.push(Disk::new("out/disk.raw", Bus::Nvme).serial("NVME0001"));
//! let mut guest = machine.start().await?;
//! guest.wait_for("a prompt", "login:", Duration::from_secs(300)).await?;
//! guest.screenshot(&folder.join("screen.png")).await?;
//! guest.switch_off(Duration::from_secs(180)).await?;
//! # Ok(()) }
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`accel`] | KVM if it really runs a guest here, else emulation |
//! | [`credential`] | what firmware hands over to systemd |
//! | [`firmware`] | finds OVMF |
//! | [`machine`] | what the device is; gives QEMU's command line |
//! | [`guest`] | the running device; killed when dropped |
//! | [`probe`] | asks the running system |
//! | [`tpm`] | its TPM |
//! | [`netboot`] | its start over the network |
//! | [`variables`] | what its firmware starts, set from outside |
//! | [`monitor`] | QMP: screen, keys, power |
//! | [`keyboard`] | a text as keys of a layout |

pub mod accel;
pub mod credential;
pub mod firmware;
pub mod guest;
pub mod keyboard;
pub mod machine;
pub mod monitor;
pub mod netboot;
pub mod probe;
pub mod tpm;
pub mod variables;

pub use accel::Accel;
pub use credential::Credential;
pub use guest::Guest;
pub use machine::{Bus, Direct, Disk, Machine, Service};
pub use netboot::Pxe;
pub use probe::RESTART;

/// The program, found on `PATH`.
pub const PROGRAM: &str = "qemu-system-x86_64";
