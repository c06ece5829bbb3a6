//! Faults of a virtual device's disk and power: QEMU's `blkdebug` fails requests below a virtio or NVMe disk, and a device
//! is switched off while it writes. The agent runs inside; its disk is judged, and written again, from outside.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    sync::{OnceCell, Semaphore},
    time::sleep,
};

use super::{
    agent::Ended,
    catalogue::Kind,
    ground::{Ground, NEW, broken},
    initramfs,
    recording::Recording,
    scene::{Run, Scene},
};
use crate::qemu::{Accel, PROGRAM};

/// The most that a device may take from power-on to the agent's end, on KVM.
const LIMIT: Duration = Duration::from_secs(60);
/// How often its console is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// How a disk is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// virtio-blk.
    Virtio,
    /// NVM Express.
    Nvme,
}

impl Bus {
    const fn node(self) -> &'static str {
        match self {
            Self::Virtio => "/dev/vda",
            Self::Nvme => "/dev/nvme0n1",
        }
    }
}

/// What all devices of a run share.
pub struct Guests {
    folder: PathBuf,
    medium: PathBuf,
    initramfs: OnceCell<PathBuf>,
    /// Recorded writes, for [`power`](super::power).
    pub recordings: OnceCell<Vec<Recording>>,
    /// One at a time: a device takes both processors of a small host.
    turn: Semaphore,
}

impl Guests {
    /// With kernel and drivers of the medium in this folder; `folder` is for what they share.
    pub fn new(folder: &Path, medium: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            medium: medium.to_owned(),
            initramfs: OnceCell::new(),
            recordings: OnceCell::new(),
            turn: Semaphore::new(1),
        }
    }

    /// Runs the agent in a device with a fault.
    ///
    /// # Errors
    /// Where the device can't be started.
    pub async fn run(&self, scene: &mut Scene<'_>, kind: Kind) -> Result<Run> {
        let (subject, before) = scene.subject()?;
        let bus = scene.rng.any([Bus::Virtio, Bus::Nvme]);
        let file = json!({ "driver": "file", "filename": subject.path, "discard": "unmap" });
        let drive = match kind {
            Kind::GuestPower => file,
            _ => {
                let rule = rule(scene, kind);
                scene.note(format!("{bus:?}, {rule}"));
                json!({ "driver": "blkdebug", "image": file, "inject-error": [rule] })
            }
        };
        let name = subject.path.with_extension("console");
        let _turn = self.turn.acquire().await;
        let mut device = self.start(scene.ground, &name, bus, &drive).await?;
        if kind == Kind::GuestPower {
            device.until(|said| said.contains("writing ")).await?;
            let moment = Duration::from_millis(scene.rng.below(4000));
            scene.note(format!("{bus:?}, power cut {} ms after the agent began", moment.as_millis()));
            // The moment is the fault: drawn from the seed, wherever the agent is by then.
            sleep(moment).await;
            let ended = device.ended_code()?;
            device.cut().await?;
            // It may have been quicker than the cut.
            return Ok(Run { ended, ..Run::cut(subject, before) });
        }
        let ended = device.end().await?;
        Ok(Run::new(subject, before, ended))
    }

    /// Starts a device whose disk is this block node.
    ///
    /// # Errors
    /// Where QEMU is absent, or the medium.
    pub async fn start(&self, ground: &Ground, console: &Path, bus: Bus, drive: &Value) -> Result<Device> {
        let initramfs = self
            .initramfs
            .get_or_try_init(|| async {
                let path = self.folder.join("initramfs");
                initramfs::make(&path, &self.medium, &ground.store(), &ground.at("keys/root.json"))?;
                Ok::<_, Fault>(path)
            })
            .await?;
        let accel = Accel::probe().await;
        let mut node = drive.clone();
        node["node-name"] = "disk".into();
        let device = match bus {
            Bus::Virtio => "virtio-blk-pci,drive=disk",
            Bus::Nvme => "nvme,drive=disk,serial=FAULTS0001",
        };
        let order = format!("console=ttyS0 quiet panic=-1 faults.disk={} faults.image={NEW}", bus.node());
        let errors = console.with_extension("qemu");
        File::create(console).map_err(|error| broken(console, error))?;
        let stderr = File::create(&errors).map_err(|error| broken(&errors, error))?;
        let child = Command::new(PROGRAM)
            .args(["-M", "q35", "-m", "768", "-nodefaults", "-no-reboot", "-display", "none"])
            .args(accel.flags())
            .arg("-kernel")
            .arg(self.medium.join("vmlinuz"))
            .arg("-initrd")
            .arg(initramfs)
            .args(["-append", &order, "-blockdev", &node.to_string(), "-device", device])
            .args(["-serial", &format!("file:{}", console.display())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Fault::refused("QEMU does not start").cause(error).fix("run scripts/setup"))?;
        let now = Instant::now();
        Ok(Device { child, console: console.to_owned(), errors, limit: LIMIT * accel.patience(), started: now })
    }
}

/// Which requests fail.
fn rule(scene: &mut Scene<'_>, kind: Kind) -> Value {
    let once = scene.rng.once_in(2);
    let kind = match kind {
        Kind::GuestWrite => "write",
        Kind::GuestRead => "read",
        _ => "flush",
    };
    let mut rule = json!({ "event": "none", "iotype": kind, "errno": 5, "once": once });
    if kind != "flush" && scene.rng.below(4) > 0 {
        // Where both images have data; else the first such request fails.
        rule["sector"] = (scene.rng.within(super::image::FIRST, 30 << 20) / 512).into();
    }
    rule
}

/// A running device; off when dropped.
pub struct Device {
    child: Child,
    console: PathBuf,
    errors: PathBuf,
    limit: Duration,
    started: Instant,
}

impl Device {
    fn said(&self) -> Result<String> {
        let bytes = std::fs::read(&self.console).map_err(|error| broken(&self.console, error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until its console is so.
    ///
    /// # Errors
    /// Where it goes off before, or it takes too long.
    async fn until(&mut self, is: impl Fn(&str) -> bool) -> Result<()> {
        loop {
            let off = self.child.try_wait().map_err(|error| broken(&self.console, error))?.is_some();
            let said = self.said()?;
            if is(&said) {
                return Ok(());
            }
            if off || self.started.elapsed() > self.limit {
                let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
                let from = said.len().saturating_sub(2000);
                let last = said.get(from..).unwrap_or_default();
                return Err(Fault::internal(format!("the device did not come so far: {errors}\n{last}")).at(self.console.display()));
            }
            sleep(GLANCE).await;
        }
    }

    /// Cuts its power.
    ///
    /// # Errors
    /// Where it can't be killed.
    pub async fn cut(mut self) -> Result<()> {
        self.child.kill().await.map_err(|error| broken(&self.console, error))
    }

    /// Waits until the agent in it has ended, and switches it off.
    ///
    /// # Errors
    /// Where the device does not come so far.
    pub async fn end(mut self) -> Result<Ended> {
        self.until(|said| said.contains("FAULTS begin")).await?;
        let (mut length, mut last, mut longest) = (0, Instant::now(), Duration::ZERO);
        let begun = Instant::now();
        while begun.elapsed() < super::agent::LIMIT {
            let said = self.said()?;
            if said.len() != length {
                (length, longest, last) = (said.len(), longest.max(last.elapsed()), Instant::now());
            }
            let off = self.child.try_wait().map_err(|error| broken(&self.console, error))?.is_some();
            if let Some(mut ended) = self.ended_code()? {
                if !off {
                    // Its own end flushes what QEMU still holds.
                    let _ = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await;
                }
                ended.silence = longest;
                return Ok(ended);
            }
            if off {
                return Err(Fault::internal("the device went off before the agent ended").at(self.console.display()));
            }
            sleep(GLANCE).await;
        }
        self.child.kill().await.map_err(|error| broken(&self.console, error))?;
        let said = self.said()?;
        Ok(Ended { code: -1, report: None, stderr: said.clone(), stdout: said, silence: longest.max(last.elapsed()), hung: true })
    }

    /// How the agent ended, as `init` says, once it has.
    fn ended_code(&self) -> Result<Option<Ended>> {
        let said = self.said()?;
        let code = said.lines().find_map(|line| line.trim().strip_prefix("FAULTS end ")?.parse().ok());
        let Some(code) = code else { return Ok(None) };
        Ok(Some(Ended::of(code, said)))
    }
}
