//! Faults of a disk that a file stands for: what was written changes, is lost, or cannot be written at all.
//!
//! Changes are made while the server keeps one answer back, so before the agent can begin to read back what it wrote: a
//! medium that changes after it was read and compared cannot be noticed by anybody.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    time::Duration,
};

use livery_contract::Result;
use tokio::time::{sleep, timeout};

use super::{
    agent::{self, Running},
    catalogue::Kind,
    ground::{Before, NEW, Subject, broken},
    image::FIRST,
    judge::{self, State},
    scene::{Run, Scene},
};
use crate::bad_server::{BadServer, Part, Rule, Trouble};

/// Runs the agent on a bad disk.
///
/// # Errors
/// Where the case can't be made.
pub async fn run(scene: &mut Scene<'_>, kind: Kind) -> Result<Run> {
    match kind {
        Kind::FileLimit => limited(scene).await,
        Kind::AtRest => at_rest(scene).await,
        _ => behind_the_back(scene, kind).await,
    }
}

async fn behind_the_back(scene: &mut Scene<'_>, kind: Kind) -> Result<Run> {
    let (subject, _) = scene.subject()?;
    let old = scene.folder.join("before.raw");
    if kind == Kind::DiskLost {
        fs::copy(&subject.path, &old).map_err(|error| broken(&old, error))?;
    }
    // The first two answers are the table's chunks, fetched before the disk is touched; then come the runs of data.
    let rule = Rule { what: Trouble::Gate, part: Part::Pack, after: scene.rng.within(2, 5), times: 1 };
    let server = BadServer::start(&scene.ground.store(), rule, None).await?;
    let url = server.url();
    let running = Running::start(&scene.ground.order("write", NEW, &url, &subject.path))?;
    if timeout(Duration::from_secs(3), server.reached()).await.is_ok() {
        // The runs before are being written meanwhile.
        sleep(Duration::from_millis(scene.rng.within(20, 250))).await;
        for _ in 0..scene.rng.any([1, 1, 3, 20]) {
            change(scene, kind, &subject, &old)?;
        }
    } else {
        scene.note("the gate was not reached: nothing changed");
    }
    server.release();
    Ok(Run::new(subject, None, running.end().await?))
}

fn change(scene: &mut Scene<'_>, kind: Kind, subject: &Subject, old: &Path) -> Result<()> {
    let disk = Below::open(&subject.path)?;
    let block = scene.rng.within(FIRST, subject.size - FIRST) / 4096 * 4096;
    match kind {
        Kind::DiskRot => {
            let (at, bit) = (scene.rng.below(4096), scene.rng.below(8));
            disk.edit(block, 4096, |bytes| bytes[usize::try_from(at).unwrap_or(0)] ^= 1 << bit)?;
            scene.note(format!("a bit of byte {} turned over", block + at));
        }
        Kind::DiskTorn => {
            let from = usize::try_from(scene.rng.below(8) * 512).unwrap_or(0);
            let length = 4096 - from + 4096 * usize::try_from(scene.rng.below(8)).unwrap_or(0);
            let torn = if scene.rng.once_in(2) { vec![0; length] } else { scene.rng.bytes(length) };
            disk.edit(block, from + length, |bytes| bytes[from..].copy_from_slice(&torn))?;
            scene.note(format!("{length} bytes at {} torn", block + from as u64));
        }
        _ => {
            let mut before = vec![0; 4096 * usize::try_from(scene.rng.within(1, 64)).unwrap_or(1)];
            let read = File::open(old).and_then(|file| file.read_exact_at(&mut before, block));
            read.map_err(|error| broken(old, error))?;
            disk.edit(block, before.len(), |bytes| bytes.copy_from_slice(&before))?;
            scene.note(format!("{} bytes at {block} as they were before", before.len()));
        }
    }
    Ok(())
}

/// The disk below the page cache, where the agent writes and reads too: two writers, one of whom goes by the cache, see each other's
/// bytes late, and the kernel answers EIO where it can't drop a page that the other one changed.
struct Below<'a> {
    file: File,
    path: &'a Path,
}

impl<'a> Below<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let mut options = File::options();
        options.read(true).write(true);
        // A file system without direct access has only the cache, for the agent as well.
        let file = options.clone().custom_flags(libc::O_DIRECT).open(path).or_else(|_| options.open(path));
        Ok(Self { file: file.map_err(|error| broken(path, error))?, path })
    }

    /// Changes whole blocks of 4096 bytes, from a byte that is the first of one.
    fn edit(&self, at: u64, length: usize, change: impl FnOnce(&mut [u8])) -> Result<()> {
        let whole = length.next_multiple_of(4096);
        let mut room = vec![0; whole + 4096];
        // Direct access wants memory that is aligned as the disk is.
        let from = room.as_ptr().align_offset(4096);
        let bytes = &mut room[from..from + whole];
        let done = self.file.read_exact_at(bytes, at).and_then(|()| {
            change(&mut bytes[..length]);
            self.file.write_all_at(bytes, at)
        });
        done.and_then(|()| self.file.sync_data()).map_err(|error| broken(self.path, error))
    }
}

async fn limited(scene: &mut Scene<'_>) -> Result<Run> {
    let (subject, before) = scene.subject()?;
    let limit = scene.rng.any([0, FIRST, subject.size - FIRST]).max(scene.rng.below(subject.size));
    scene.note(format!("writes beyond byte {limit} fail"));
    let store = scene.ground.store().display().to_string();
    let mut order = scene.ground.order("write", NEW, &store, &subject.path);
    // Ignored, the signal becomes an error of write(2), as of a disk that does not take it.
    order.under = ["env", "--ignore-signal=XFSZ", "prlimit"].map(str::to_owned).to_vec();
    order.under.push(format!("--fsize={limit}"));
    let ended = agent::run(&order).await?;
    Ok(Run::new(subject, before, ended))
}

/// A good disk rots; `verify` must say so where it does not hold the image, and the next write must mend it.
async fn at_rest(scene: &mut Scene<'_>) -> Result<Run> {
    let subject = scene.ground.subject_with(scene.folder.join("disk.raw"), Before::Old, &mut scene.rng)?;
    let store = scene.ground.store().display().to_string();
    let ground = scene.ground;
    let ended = agent::run(&ground.order("write", NEW, &store, &subject.path)).await?;
    if ended.code != 0 {
        return Ok(Run::new(subject, None, ended));
    }
    let file = File::options().read(true).write(true).open(&subject.path).map_err(|error| broken(&subject.path, error))?;
    for _ in 0..scene.rng.within(1, 6) {
        // The tables at both ends more often than their share.
        let at = match scene.rng.below(4) {
            0 => scene.rng.below(34 * 512),
            1 => subject.size - 1 - scene.rng.below(34 * 512),
            _ => scene.rng.below(subject.size),
        };
        let mut byte = [0];
        let flipped = file.read_exact_at(&mut byte, at).and_then(|()| file.write_all_at(&[byte[0] ^ 0x10], at));
        flipped.map_err(|error| broken(&subject.path, error))?;
        scene.note(format!("a bit of byte {at} turned over"));
    }
    let verified = agent::run(&ground.order("verify", NEW, &store, &subject.path)).await?;
    let state = judge::look(&subject.path, &ground.image(NEW))?;
    scene.note(format!("verify ended with {}, the disk is {state:?}", verified.code));
    if verified.code == 0 && state != State::Exact {
        // To be counted as what it is: a false success.
        return Ok(Run::new(subject, None, verified));
    }
    let ended = agent::run(&ground.order("write", NEW, &store, &subject.path)).await?;
    Ok(Run::new(subject, None, ended))
}
