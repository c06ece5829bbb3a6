//! Faults of a block device of this host: a loop device whose file system is full, or whose file is cut. Here the kernel's
//! block layer gives the error, as it does for a disk. For root, where loop devices are to be had.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use livery_contract::{Fault, Result};
use tokio::time::timeout;

use super::{
    agent::{self, Running},
    catalogue::Kind,
    ground::{Before, NEW, broken},
    scene::{Run, Scene, Was},
};
use crate::bad_server::{BadServer, Part, Rule, Trouble};

/// What must be taken away afterwards; dropping it does.
#[derive(Debug, Default)]
pub struct Stand {
    device: Option<PathBuf>,
    mounted: Option<PathBuf>,
}

impl Drop for Stand {
    fn drop(&mut self) {
        if let Some(device) = self.device.take() {
            let _ = Command::new("losetup").arg("--detach").arg(device).status();
        }
        if let Some(mounted) = self.mounted.take() {
            let _ = Command::new("umount").arg("--lazy").arg(mounted).status();
        }
    }
}

/// Whether this host has what these cases need.
pub fn possible() -> bool {
    let Ok(file) = tempfile::NamedTempFile::new() else { return false };
    let mut stand = Stand::default();
    file.as_file().set_len(1 << 20).is_ok() && stand.attach(file.path()).is_ok()
}

impl Stand {
    fn attach(&mut self, file: &Path) -> Result<PathBuf> {
        let said = tool(Command::new("losetup").args(["--find", "--show", "--direct-io=on"]).arg(file))
            .or_else(|_| tool(Command::new("losetup").args(["--find", "--show"]).arg(file)))?;
        let device = PathBuf::from(said.trim());
        self.device = Some(device.clone());
        Ok(device)
    }
}

/// Runs the agent on a loop device with something wrong below.
///
/// # Errors
/// Where the case can't be made.
pub async fn run(scene: &mut Scene<'_>, kind: Kind, stand: &mut Stand) -> Result<Run> {
    if kind == Kind::LoopFull { full(scene, stand).await } else { cut(scene, stand).await }
}

async fn full(scene: &mut Scene<'_>, stand: &mut Stand) -> Result<Run> {
    let folder = scene.folder.join("small");
    std::fs::create_dir(&folder).map_err(|error| broken(&folder, error))?;
    let room = scene.rng.within(512 << 10, 30 << 20) / 4096 * 4096;
    scene.note(format!("a file system of {room} bytes"));
    tool(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={room}"), "faults"]).arg(&folder))?;
    stand.mounted = Some(folder.clone());
    let subject = scene.ground.subject_with(folder.join("disk.raw"), Before::Blank, &mut scene.rng)?;
    let (subject, before) = scene.noted(subject)?;
    let device = stand.attach(&subject.path)?;
    let store = scene.ground.store().display().to_string();
    let ended = agent::run(&scene.ground.order("write", NEW, &store, &device)).await?;
    let mut run = Run::new(subject, before, ended);
    run.judge(scene)?;
    run.device = Some(device);
    // Healthy again.
    tool(Command::new("mount").args(["-o", "remount,size=256m"]).arg(&folder))?;
    Ok(run)
}

async fn cut(scene: &mut Scene<'_>, stand: &mut Stand) -> Result<Run> {
    let (subject, _) = scene.subject()?;
    let device = stand.attach(&subject.path)?;
    let file = File::options().read(true).write(true).open(&subject.path).map_err(|error| broken(&subject.path, error))?;
    let resize = |to| file.set_len(to).map_err(|error| broken(&subject.path, error));
    let end = scene.rng.below(subject.size) / 4096 * 4096;
    let late = scene.rng.once_in(2);
    scene.note(format!("the file is cut to {end} bytes, {}", if late { "in the middle of the write" } else { "before" }));
    let mut before = None;
    if !late {
        resize(end)?;
        resize(subject.size)?;
        // As it will look when its end is put back.
        before = Some(Was::of(&subject.path)?);
        resize(end)?;
    }
    let rule = Rule { what: Trouble::Gate, part: Part::Pack, after: scene.rng.within(2, 5), times: if late { 1 } else { 0 } };
    let server = BadServer::start(&scene.ground.store(), rule, None).await?;
    let url = server.url();
    let running = Running::start(&scene.ground.order("write", NEW, &url, &device))?;
    if late && timeout(Duration::from_secs(3), server.reached()).await.is_ok() {
        resize(end)?;
    }
    server.release();
    let ended = running.end().await?;
    resize(subject.size.max(file.metadata().map_or(0, |metadata| metadata.len())))?;
    let mut run = Run::new(subject, before, ended);
    run.judge(scene)?;
    run.device = Some(device);
    Ok(run)
}

fn tool(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let broken = || Fault::internal(format!("{name} failed"));
    let output = command.output().map_err(|error| broken().cause(error))?;
    if !output.status.success() {
        return Err(broken().at(String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
