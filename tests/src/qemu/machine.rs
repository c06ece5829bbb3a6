//! What a virtual device is, and QEMU's command line for it. Paths are made absolute; nothing is started here.

use std::{
    fs,
    net::{SocketAddr, SocketAddrV4},
    path::{Path, PathBuf},
};

use livery_contract::{Fault, Result, inventory::System};
use uuid::Uuid;

use super::{
    accel::Accel,
    credential::Credential,
    firmware,
    firmware::Firmware,
    monitor::NETWORK,
    netboot::{self, Pxe},
    probe,
};

/// How a disk is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// virtio-blk.
    Virtio,
    /// NVM Express.
    Nvme,
    /// SATA, on the board's AHCI controller.
    Sata,
    /// A removable stick on xHCI.
    UsbStorage,
    /// A card in a slot of its own (SDHCI), as eMMC is attached too; without a serial number of its choice. Its size must be
    /// a power of two.
    SdCard,
}

/// One disk.
#[derive(Clone, Debug)]
pub struct Disk {
    path: PathBuf,
    bus: Bus,
    serial: Option<String>,
    qcow2: bool,
    unchanged: bool,
    locked: bool,
    sector: u32,
    place: Option<u32>,
}

impl Disk {
    /// A raw image, unless its name ends in `.qcow2`.
    pub fn new(path: impl Into<PathBuf>, bus: Bus) -> Self {
        let path = path.into();
        let qcow2 = path.extension().is_some_and(|extension| extension == "qcow2");
        Self { path, bus, serial: None, qcow2, unchanged: false, locked: false, sector: 512, place: None }
    }

    /// With this serial number (at most 20 characters).
    #[must_use]
    pub fn serial(mut self, serial: &str) -> Self {
        self.serial = Some(serial.to_owned());
        self
    }

    /// What the guest writes is thrown away at its end.
    #[must_use]
    pub fn unchanged(mut self) -> Self {
        self.unchanged = true;
        self
    }

    /// Write-protected.
    #[must_use]
    pub fn locked(mut self) -> Self {
        self.locked = true;
        self
    }

    /// The firmware tries it in this place (from 1), whatever it would try first by itself.
    #[must_use]
    pub fn tried(mut self, place: u32) -> Self {
        self.place = Some(place);
        self
    }

    /// With this logical and physical sector size in bytes.
    #[must_use]
    pub fn sector(mut self, bytes: u32) -> Self {
        self.sector = bytes;
        self
    }
}

/// A service that the guest finds at an address of its own network, and that in truth listens on this host.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Where the guest finds it: an address in 10.0.2.0/24, not one of QEMU's own (.2, .3, .15).
    pub at: SocketAddrV4,
    /// Where it listens.
    pub on: SocketAddr,
}

/// A kernel that the firmware starts by itself, without a disk to boot from.
#[derive(Clone, Debug)]
pub struct Direct {
    /// The kernel, with its EFI stub.
    pub kernel: PathBuf,
    /// Its initrd.
    pub initrd: PathBuf,
    /// Its command line.
    pub command_line: String,
}

/// What a device is.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Names this run: its serial log is `NAME.serial.log` in the folder.
    pub name: String,
    /// Where logs and the firmware's variables lie. The variables (`vars.fd`) outlive a run, as in a real device.
    pub folder: PathBuf,
    /// SMBIOS type 1.
    pub system: System,
    /// SMBIOS type 11.
    pub credentials: Vec<Credential>,
    /// Whether there is a TPM (2.0); its state is in the folder and outlives a run.
    pub tpm: bool,
    /// In the order of their slots.
    pub disks: Vec<Disk>,
    /// What is started instead of what the disks hold.
    pub direct: Option<Direct>,
    /// Memory in MiB.
    pub memory: u32,
    /// Ports of the host's loopback interface that lead into the guest: (host, guest). The guest reaches the host's
    /// loopback interface at 10.0.2.2.
    pub forwards: Vec<(u16, u16)>,
    /// Services on the guest's network.
    pub services: Vec<Service>,
    /// Whether there is a network card at all.
    pub network: bool,
    /// The interface of this host that its cable is plugged into, in place of the network that QEMU makes up.
    pub cable: Option<String>,
    /// What QEMU's network hands out by TFTP, and names to firmware that asks it.
    pub pxe: Option<Pxe>,
    /// Further network cards, the second and so on: each on a network of its own, which hands out this.
    pub further: Vec<Pxe>,
    /// The network that QEMU makes up, such as `192.168.76.0/24`; none: 10.0.2.0/24, which for a laptop is the organisation's.
    pub home: Option<&'static str>,
    /// Whether it has USB ports, also where nothing is in one; they are `usb.0`.
    pub usb: bool,
    /// Where what its loudspeakers play goes, as a WAV file; without one it has no sound card.
    pub loudspeakers: Option<PathBuf>,
    /// The screen in pixels.
    pub screen: (u32, u32),
    /// Whether it can be asked from outside; see [`probe`](super::probe).
    pub probe: bool,
    /// What its clock says at power-on, UTC, such as `2001-01-01T00:00:00`; none: this host's time.
    pub clock: Option<&'static str>,
    firmware: Firmware,
}

impl Machine {
    /// 2 GiB, no disks, a network card, a screen of 1280 by 800, a random UUID.
    ///
    /// # Errors
    /// Where the folder can't be made, or there is no firmware.
    pub fn new(name: &str, folder: &Path) -> Result<Self> {
        let broken = |error| Fault::refused("the device's folder can't be made").cause(error).at(folder.display());
        fs::create_dir_all(folder).map_err(broken)?;
        Ok(Self {
            name: name.to_owned(),
            folder: folder.canonicalize().map_err(broken)?,
            system: System {
                manufacturer: "Livery".into(),
                product: "Virtual device".into(),
                serial: "VIRTUAL-0001".into(),
                uuid: Uuid::new_v4().to_string(),
            },
            credentials: Vec::new(),
            tpm: false,
            disks: Vec::new(),
            direct: None,
            memory: 2048,
            forwards: Vec::new(),
            services: Vec::new(),
            network: true,
            cable: None,
            pxe: None,
            further: Vec::new(),
            usb: false,
            loudspeakers: None,
            screen: (1280, 800),
            probe: false,
            clock: None,
            home: None,
            firmware: firmware::find()?,
        })
    }

    /// The same with firmware that can enforce Secure Boot. Its variables hold no keys yet: it is in setup mode.
    ///
    /// # Errors
    /// Where there is no such firmware.
    pub fn with_secure_boot(mut self) -> Result<Self> {
        self.firmware = firmware::find_secure()?;
        Ok(self)
    }

    /// The same, and it can be asked from outside; see [`probe`](super::probe).
    #[must_use]
    pub fn with_probe(mut self) -> Self {
        self.probe = true;
        self.credentials.extend(probe::credentials());
        self
    }

    /// The log of the serial console.
    pub fn serial_log(&self) -> PathBuf {
        self.folder.join(format!("{}.serial.log", self.name))
    }

    /// The firmware's variables.
    pub fn variables(&self) -> PathBuf {
        self.folder.join("vars.fd")
    }

    /// Writes what QEMU reads: a copy of the factory variables at the first start, and the credentials.
    pub(super) fn prepare(&self) -> Result<()> {
        let broken = |path: &Path, error| Fault::refused("the device's folder can't be written").cause(error).at(path.display());
        let vars = self.variables();
        if !vars.exists() {
            fs::copy(&self.firmware.vars, &vars).map_err(|error| broken(&vars, error))?;
        }
        for (index, credential) in self.credentials.iter().enumerate() {
            let path = self.credential_path(index);
            fs::write(&path, credential.smbios()).map_err(|error| broken(&path, error))?;
        }
        Ok(())
    }

    fn credential_path(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{}.credential-{index}", self.name))
    }

    /// QEMU's arguments, the program itself left out. `carrier` connects its standard input and output with an address.
    pub(super) fn arguments(&self, accel: Accel, monitor: &Path, carrier: &Path) -> Vec<String> {
        let mut list: Vec<String> = Vec::new();
        let mut add = |flag: &str, value: String| list.extend([flag.to_owned(), value]);
        if self.firmware.secure {
            // Only system management mode may write the variables, so that no kernel can change the keys.
            add("-M", "q35,smm=on".into());
            add("-global", "driver=cfi.pflash01,property=secure,value=on".into());
        } else {
            add("-M", "q35".into());
        }
        if self.tpm {
            add("-chardev", format!("socket,id=tpm,path={}", escape(&tpm_socket(monitor))));
            add("-tpmdev", "emulator,id=tpm0,chardev=tpm".into());
            add("-device", "tpm-crb,tpmdev=tpm0".into());
        }
        for pair in accel.flags().chunks(2) {
            add(pair[0], pair[1].into());
        }
        add("-m", self.memory.to_string());
        add("-drive", format!("if=pflash,unit=0,format=raw,readonly=on,file={}", escape(&self.firmware.code)));
        add("-drive", format!("if=pflash,unit=1,format=raw,file={}", escape(&self.variables())));
        let System { manufacturer, product, serial, uuid } = &self.system;
        let mut smbios = String::from("type=1");
        for (key, value) in [("manufacturer", manufacturer), ("product", product), ("serial", serial), ("uuid", uuid)] {
            if !value.is_empty() {
                smbios.push_str(&format!(",{key}={}", value.replace(',', ",,")));
            }
        }
        add("-smbios", smbios);
        for index in 0..self.credentials.len() {
            add("-smbios", format!("type=11,path={}", escape(&self.credential_path(index))));
        }
        if self.usb || self.disks.iter().any(|disk| disk.bus == Bus::UsbStorage) {
            add("-device", "qemu-xhci,id=usb".into());
        }
        for (index, disk) in self.disks.iter().enumerate() {
            let snapshot = if disk.unchanged { ",snapshot=on" } else { "" };
            let locked = if disk.locked { ",readonly=on" } else { "" };
            let format = if disk.qcow2 { "qcow2" } else { "raw" };
            let file = escape(&disk.path);
            add("-drive", format!("if=none,id=disk{index},format={format},discard=unmap{snapshot}{locked},file={file}"));
            let mut device = match disk.bus {
                Bus::Virtio => format!("virtio-blk-pci,drive=disk{index}"),
                Bus::Nvme => format!("nvme,drive=disk{index}"),
                Bus::Sata => format!("ide-hd,bus=ide.{},drive=disk{index}", index % 6),
                Bus::UsbStorage => format!("usb-storage,bus=usb.0,removable=on,drive=disk{index}"),
                Bus::SdCard => {
                    add("-device", format!("sdhci-pci,id=slot{index}"));
                    add("-device", format!("sd-card,drive=disk{index}"));
                    continue;
                }
            };
            // QEMU's NVMe controller insists on a serial number.
            let serial = disk.serial.clone().unwrap_or_else(|| format!("LIVERY{index:04}"));
            device.push_str(&format!(",serial={}", serial.replace(',', ",,")));
            if disk.sector != 512 {
                device.push_str(&format!(",logical_block_size={0},physical_block_size={0}", disk.sector));
            }
            if let Some(place) = disk.place {
                device.push_str(&format!(",bootindex={place}"));
            }
            add("-device", device);
        }
        if self.network {
            let mut netdev = format!("user,id={NETWORK}");
            if let Some(home) = self.home {
                netdev.push_str(&format!(",net={home}"));
            }
            for (host, guest) in &self.forwards {
                netdev.push_str(&format!(",hostfwd=tcp:127.0.0.1:{host}-:{guest}"));
            }
            // A command for each connection: the form with a fixed peer carries one connection only.
            for Service { at, on } in &self.services {
                netdev.push_str(&format!(",guestfwd=tcp:{at}-cmd:{} {on}", escape(carrier)));
            }
            if let Some(pxe) = &self.pxe {
                netdev.push_str(&tftp(pxe));
            }
            if let Some(cable) = &self.cable {
                netdev = format!("tap,id={NETWORK},ifname={cable},script=no,downscript=no");
            }
            add("-netdev", netdev);
            add("-device", card(0, NETWORK));
        }
        for (number, pxe) in (1..).zip(&self.further) {
            let id = format!("further{number}");
            // Their networks are apart: what the device is to reach is on the first.
            add("-netdev", format!("user,id={id},net=192.168.{}.0/24{}", 100 + number, tftp(pxe)));
            add("-device", card(number, &id));
        }
        if let Some(Direct { kernel, initrd, command_line }) = &self.direct {
            // No list of options: a comma stands for itself.
            add("-kernel", kernel.display().to_string());
            add("-initrd", initrd.display().to_string());
            add("-append", command_line.clone());
        }
        if let Some(clock) = self.clock {
            add("-rtc", format!("base={clock}"));
        }
        if let Some(file) = &self.loudspeakers {
            add("-audiodev", format!("wav,id=loudspeakers,path={}", escape(file)));
            add("-device", "intel-hda".into());
            add("-device", "hda-output,audiodev=loudspeakers".into());
        }
        // Not virtio's: as the device switches itself off, Linux 6.12 still draws there what it logs, and logs each time that it can't.
        add("-device", format!("VGA,xres={},yres={}", self.screen.0, self.screen.1));
        add("-device", "virtio-tablet-pci".into());
        add("-device", "virtio-rng-pci".into());
        add("-serial", format!("file:{}", escape(&self.serial_log())));
        if self.probe {
            add("-chardev", format!("socket,id=probe,server=on,wait=off,path={}", escape(&probe_socket(monitor))));
            add("-serial", "chardev:probe".into());
        }
        add("-qmp", format!("unix:{},server=on,wait=off", escape(monitor)));
        add("-display", "none".into());
        for flag in ["-nodefaults", "-no-reboot"] {
            list.push(flag.into());
        }
        list
    }
}

/// A network card that leads to this network; without an option ROM, since the firmware has a driver of its own.
fn card(number: u8, network: &str) -> String {
    let mac: Vec<String> = netboot::mac(number).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("virtio-net-pci,netdev={network},romfile=,mac={},addr={:#x}", mac.join(":"), netboot::slot(number))
}

/// What a network that QEMU makes up hands out.
fn tftp(Pxe { folder, file }: &Pxe) -> String {
    format!(",tftp={},bootfile={}", escape(folder), file.replace(',', ",,"))
}

/// Where the TPM listens: beside the monitor.
pub(super) fn tpm_socket(monitor: &Path) -> PathBuf {
    monitor.with_file_name("tpm")
}

/// Where the probe is asked.
pub(super) fn probe_socket(monitor: &Path) -> PathBuf {
    monitor.with_file_name("probe")
}

/// A path in one of QEMU's comma-separated options.
fn escape(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_command_line_says_what_the_device_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut machine = Machine::new("unit", folder.path()).unwrap();
        machine.system.product = "Thin, small".into();
        machine.credentials.push(Credential::new("network.hosts", "10.0.2.2 gateway.example\n"));
        machine.disks.push(Disk::new("usb.img", Bus::UsbStorage).unchanged());
        machine.disks.push(Disk::new("a,b.qcow2", Bus::Nvme).serial("NVME1").sector(4096));
        machine.disks.push(Disk::new("card.img", Bus::SdCard).locked());
        machine.forwards.push((2222, 22));
        machine.services.push(Service { at: "10.0.2.101:443".parse().unwrap(), on: "127.0.0.1:18443".parse().unwrap() });
        machine.prepare().unwrap();
        let line = machine.arguments(Accel::Tcg, Path::new("/run/m"), Path::new("/run/carry")).join(" ");
        for part in [
            "-accel tcg,thread=single -cpu max,-erms,-fsrm,-la57",
            "product=Thin,, small",
            "snapshot=on,file=/",
            "format=qcow2,discard=unmap,file=/",
            "a,,b.qcow2",
            "nvme,drive=disk1,serial=NVME1,logical_block_size=4096,physical_block_size=4096",
            "hostfwd=tcp:127.0.0.1:2222-:22",
            "guestfwd=tcp:10.0.2.101:443-cmd:/run/carry 127.0.0.1:18443",
            "removable=on",
            "-device sd-card,drive=disk2",
            "virtio-net-pci,netdev=net0,romfile=,mac=52:54:00:12:34:56,addr=0x10",
            "readonly=on,file=/",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(["smm=on", "tpm", "bootindex", "tftp"].iter().all(|part| !line.contains(part)), "{line}");
        let mut machine = machine.with_secure_boot().unwrap();
        machine.tpm = true;
        machine.pxe = Some(Pxe::new(Path::new("/srv/boot/agent.efi")));
        machine.further.push(Pxe::new(Path::new("/srv/other/wrong.efi")));
        machine.disks = vec![Disk::new("usb.img", Bus::UsbStorage).tried(3)];
        let line = machine.arguments(Accel::Tcg, Path::new("/run/m"), Path::new("/run/carry")).join(" ");
        for part in [
            "-M q35,smm=on",
            "secboot",
            "path=/run/tpm",
            "tpm-crb",
            "bootindex=3",
            ",tftp=/srv/boot,bootfile=agent.efi",
            "user,id=further1,net=192.168.101.0/24,tftp=/srv/other,bootfile=wrong.efi",
            "netdev=further1,romfile=,mac=52:54:00:12:34:57,addr=0x11",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
        let credential = fs::read_to_string(machine.credential_path(0)).unwrap();
        assert_eq!(credential, "io.systemd.credential.binary:network.hosts=MTAuMC4yLjIgZ2F0ZXdheS5leGFtcGxlCg==");
        assert!(machine.variables().exists());
    }
}
