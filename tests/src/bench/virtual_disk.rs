//! An NVMe disk in QEMU: a small Debian is booted in a guest that has the image on one disk and an NVMe disk to write, and
//! runs this very program there. The guest's processor is emulated where KVM does not really run: figures are then those of
//! an emulated processor, and only their ratios say something.
//!
//! In: an image, what to tell the program. Out: the line that it printed as its result.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use livery_contract::{Fault, Result};

use super::{
    images::Image,
    interrupt,
    measured::{run, shell, tool},
    place,
};
use crate::{
    programs::Program,
    qemu::{Bus, Direct, Disk, Guest, Machine},
};

/// What stands before the result on the guest's console.
const RESULT: &str = "LIVERY-BENCH-RESULT ";
/// What stands there where there is none.
const FAILED: &str = "LIVERY-BENCH-FAILED";
/// Raised when the guest's system is put together otherwise.
const VERSION: u32 = 1;
/// The guest's release.
const SUITE: &str = "trixie";
const PACKAGES: &str =
    "linux-image-cloud-amd64,initramfs-tools,udev,bash,coreutils,findutils,util-linux,mount,grep,fio,bmap-tools,casync,zstd";
/// Packages over the network, and an initrd.
const LONG: Duration = Duration::from_secs(1800);

/// The first process of the guest.
const INIT: &str = r#"#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mountpoint -q /proc || mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sys /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
mountpoint -q /run || mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
exec >/dev/ttyS0 2>&1 </dev/null
/usr/lib/systemd/systemd-udevd --daemon
udevadm trigger; udevadm settle
mount -o ro /dev/vdb /mnt
cd /tmp
read -r -a arguments < /mnt/arguments
if /mnt/bench-write "${arguments[@]}" > /tmp/result; then
    echo; echo "LIVERY-BENCH-RESULT $(cat /tmp/result)"
else
    echo; echo "LIVERY-BENCH-FAILED"
fi
sync
# A serial port's driver sends later, by interrupts; a machine that is off sends no more of it.
sleep 2
echo o > /proc/sysrq-trigger
sleep 600
"#;

/// The guest's system, made once.
#[derive(Clone, Debug)]
pub struct System {
    folder: PathBuf,
}

impl System {
    /// Finds it, or makes it.
    ///
    /// # Errors
    /// Where packages can't be had.
    pub fn get() -> Result<Self> {
        let folder = place::cache(&format!("guest-{VERSION}"))?;
        let system = Self { folder };
        if system.root().exists() {
            return Ok(system);
        }
        eprintln!("making the guest's system: packages over the network, once");
        let tree = system.folder.join("tree");
        let at = tree.display().to_string();
        shell("rm -rf \"$1\"", &[&at], LONG)?;
        // Its mounts go with a namespace of its own, however it ends.
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "mmdebstrap", "--variant=essential", "--format=directory", "--quiet"]);
        command.args(["--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Retries \"5\""]);
        for never in ["doc", "man", "locale", "info"] {
            command.arg(format!("--dpkgopt=path-exclude=/usr/share/{never}/*"));
        }
        command.arg(format!("--include={PACKAGES}")).args([SUITE, &at]);
        run(&mut command, LONG)?;
        let init = tree.join("sbin/livery-bench");
        fs::write(&init, INIT).map_err(|error| Fault::refused("no room for the guest").cause(error).at(init.display()))?;
        let line = "chmod 0755 \"$1/sbin/livery-bench\"; cp \"$1\"/boot/vmlinuz-* \"$2/vmlinuz\"; \
            cp \"$1\"/boot/initrd.img-* \"$2/initrd.img\"; rm -rf \"$1\"/boot/*; \
            mke2fs -q -t ext4 -d \"$1\" \"$2/root.part\" 1500M; mv \"$2/root.part\" \"$2/root.ext4\"; rm -rf \"$1\"";
        shell(line, &[&at, &system.folder.display().to_string()], LONG)?;
        Ok(system)
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root.ext4")
    }
}

/// Runs this program in a guest, with these arguments and where disk and image lie there; returns its result.
///
/// # Errors
/// Where the guest does not boot, or the program fails in it.
pub async fn measure(system: System, image: Image, arguments: Vec<String>, most: Duration) -> Result<String> {
    let folder = place::cache("guest-run")?;
    let disks = tokio::task::spawn_blocking(move || Disks::make(&folder, &image, &arguments));
    let disks = disks.await.map_err(|error| Fault::internal("making disks broke off").cause(error))??;
    let mut machine = Machine::new("bench", &disks.folder)?;
    machine.memory = 3072;
    machine.network = false;
    machine.disks = vec![
        Disk::new(system.root(), Bus::Virtio).unchanged(),
        Disk::new(&disks.image, Bus::Virtio).unchanged(),
        Disk::new(&disks.target, Bus::Nvme).serial("LIVERYBENCH1"),
    ];
    machine.direct = Some(Direct {
        kernel: system.folder.join("vmlinuz"),
        initrd: system.folder.join("initrd.img"),
        command_line: "root=/dev/vda ro console=ttyS0 loglevel=3 panic=5 init=/sbin/livery-bench".into(),
    });
    let mut guest = machine.start().await?;
    let result = tokio::select! {
        result = wait(&mut guest, most) => result?,
        interrupted = interrupted() => return Err(interrupted),
    };
    guest.cut_power().await?;
    Ok(result)
}

async fn wait(guest: &mut Guest, most: Duration) -> Result<String> {
    let (which, line) = guest.wait_for_any("the guest's result", &[RESULT, FAILED], most).await?;
    match line.split_once(RESULT) {
        Some((_, result)) if which == 0 => Ok(result.trim().to_owned()),
        _ => Err(guest.failed("the benchmark failed in the guest")),
    }
}

async fn interrupted() -> Fault {
    loop {
        if let Err(fault) = interrupt::check() {
            return fault;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The disks of a run; the large ones are removed when dropped.
struct Disks {
    folder: PathBuf,
    image: PathBuf,
    target: PathBuf,
}

impl Disks {
    fn make(folder: &Path, image: &Image, arguments: &[String]) -> Result<Self> {
        let disks = Self { folder: folder.to_owned(), image: folder.join("image.ext4"), target: folder.join("nvme.raw") };
        disks.remove();
        place::check_room(folder, image.size() + image.data() * 2)?;
        let broken = |path: &Path, error| Fault::refused("a guest's disk can't be made").cause(error).at(path.display());
        File::create(&disks.target).and_then(|file| file.set_len(image.size())).map_err(|error| broken(&disks.target, error))?;
        let staged = folder.join("staged");
        let text = |path: &Path| path.display().to_string();
        // Links, not copies: mke2fs reads through them.
        shell("rm -rf \"$1\"; mkdir \"$1\"; cp -al \"$2\" \"$1/image\"", &[&text(&staged), &text(image.folder())], LONG)?;
        let own = std::env::current_exe().map_err(|error| broken(&staged, error))?;
        for (from, name) in [(own, "bench-write"), (Program::Agent.path()?, "livery-agent")] {
            fs::copy(&from, staged.join(name)).map_err(|error| broken(&from, error))?;
        }
        fs::write(staged.join("arguments"), arguments.join(" ") + "\n").map_err(|error| broken(&staged, error))?;
        let used = tool("du", ["--summarize", "--block-size=1M", &text(&staged)])?.stdout;
        let used: u64 = used.split_whitespace().next().and_then(|field| field.parse().ok()).unwrap_or(0);
        let size = format!("{}M", used + used / 5 + 128);
        tool("mke2fs", ["-q", "-t", "ext4", "-m", "0", "-O", "^has_journal", "-d", &text(&staged), &text(&disks.image), &size])?;
        shell("rm -rf \"$1\"", &[&text(&staged)], LONG)?;
        Ok(disks)
    }

    fn remove(&self) {
        let _ = fs::remove_file(&self.image);
        let _ = fs::remove_file(&self.target);
        let _ = fs::remove_dir_all(self.folder.join("staged"));
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        self.remove();
    }
}
