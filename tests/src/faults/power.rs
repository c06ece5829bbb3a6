//! Power cuts by the hundred: what a device's disk was sent is recorded once, request by request (QEMU's `blklogwrites`);
//! then any state that a cut can leave is put together. All that was flushed is there; of what was not, each request is
//! kept, lost, or torn at a sector: what a disk with a volatile cache may do. The agent's part in this is real, and so are
//! the requests and their flushes; the cut itself is worked out.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::FileExt as _,
    path::Path,
};

use livery_contract::{Fault, Result};
use serde_json::json;

use super::{
    ground::{Before, Ground, Subject, broken},
    guests::{Bus, Guests},
    recording::{Recording, Request},
    rng::Rng,
    scene::{Run, Scene},
};

const MAGIC: u64 = 0x006a_7366_7773_6872;
const SECTOR: usize = 512;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;

/// Puts a state together that a power cut may leave.
///
/// # Errors
/// Where no device can be recorded.
pub async fn run(scene: &mut Scene<'_>, guests: &Guests) -> Result<Run> {
    let recordings = guests.recordings.get_or_try_init(|| record(guests, scene.ground)).await?;
    let recording = scene.rng.pick(recordings).ok_or_else(|| Fault::internal("nothing was recorded"))?;
    let path = scene.folder.join("disk.raw");
    fs::copy(&recording.base, &path).map_err(|error| broken(&path, error))?;
    let subject = Subject { path, ..recording.subject.clone() };
    let (subject, before) = scene.noted(subject)?;
    // The tables are written at the end: half of the cuts fall there.
    let count = recording.requests.len() as u64;
    let most = if scene.rng.once_in(2) { count } else { count.min(40) };
    let cut = count - scene.rng.below(most + 1);
    scene.note(format!("cut after request {cut} of {count}"));
    let cut = usize::try_from(cut).unwrap_or(usize::MAX);
    apply(recording, &subject.path, cut, &mut scene.rng)?;
    Ok(Run::cut(subject, before))
}

fn apply(recording: &Recording, disk: &Path, cut: usize, rng: &mut Rng) -> Result<()> {
    let fail = |error| broken(disk, error);
    let (log, disk) = (File::open(&recording.log).map_err(fail)?, File::options().write(true).open(disk).map_err(fail)?);
    let done = &recording.requests[..cut.min(recording.requests.len())];
    // A flush is complete only when the next request could come: the last one may have been cut itself.
    let flushed = done.iter().rposition(|request| request.flush).unwrap_or(0);
    for (index, request) in done.iter().enumerate() {
        let sectors = request.length / SECTOR as u64;
        let kept = match (index < flushed || request.forced, rng.below(4)) {
            (true, _) | (false, 0 | 1) => sectors,
            (false, 2) => 0,
            (false, _) => rng.below(sectors + 1),
        };
        let mut bytes = vec![0; usize::try_from(kept).unwrap_or(0) * SECTOR];
        if !request.discard {
            log.read_exact_at(&mut bytes, request.data).map_err(fail)?;
            disk.write_all_at(&bytes, request.at).map_err(fail)?;
        }
    }
    Ok(())
}

/// One device for each kind of disk from before.
async fn record(guests: &Guests, ground: &Ground) -> Result<Vec<Recording>> {
    let mut recordings = Vec::new();
    for (name, before, bus, seed) in
        [("a", Before::Foreign, Bus::Virtio, 1), ("b", Before::Old, Bus::Nvme, 2), ("c", Before::Half, Bus::Virtio, 3)]
    {
        let folder = ground.at(&format!("recorded-{name}"));
        fs::create_dir_all(&folder).map_err(|error| broken(&folder, error))?;
        let subject = ground.subject_with(folder.join("base.raw"), before, &mut Rng::of(seed, 0))?;
        let (disk, log, console) = (folder.join("disk.raw"), folder.join("log"), folder.join("console"));
        fs::copy(&subject.path, &disk).and_then(|_| File::create(&log)).map_err(|error| broken(&folder, error))?;
        let file = |path: &Path| json!({ "driver": "file", "filename": path });
        let drive = json!({ "driver": "blklogwrites", "file": file(&disk), "log": file(&log), "log-sector-size": SECTOR });
        let ended = guests.start(ground, &console, bus, &drive).await?.end().await?;
        if ended.code != 0 {
            return Err(Fault::internal(format!("a healthy device ended with {}: {}", ended.code, ended.stderr)));
        }
        let requests = parse(&log)?;
        recordings.push(Recording { base: subject.path.clone(), subject, log, requests });
    }
    Ok(recordings)
}

/// Reads the log: a sector with magic, version, count and sector size; then each request in a sector of its own, and its
/// data (QEMU: block/blklogwrites.c, as the kernel's dm-log-writes has it).
fn parse(path: &Path) -> Result<Vec<Request>> {
    let fail = |error| broken(path, error);
    let mut file = File::open(path).map_err(fail)?;
    let length = file.metadata().map_err(fail)?.len();
    let mut head = [0; SECTOR];
    file.read_exact(&mut head).map_err(fail)?;
    let word =
        |bytes: &[u8; SECTOR], index: usize| bytes[index * 8..].first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    if word(&head, 0) != MAGIC {
        return Err(Fault::internal(format!("no log of writes: {:x}", word(&head, 0))).at(path.display()));
    }
    let mut requests = Vec::new();
    let mut at = SECTOR as u64;
    for _ in 0..word(&head, 2) {
        let mut entry = [0; SECTOR];
        file.read_exact_at(&mut entry, at).map_err(fail)?;
        let (sector, sectors, flags) = (word(&entry, 0), word(&entry, 1), word(&entry, 2));
        let bytes = sectors * SECTOR as u64;
        let discard = flags & DISCARD != 0;
        let data = at + SECTOR as u64;
        requests.push(Request {
            at: sector * SECTOR as u64,
            length: bytes,
            flush: flags & FLUSH != 0,
            forced: flags & FUA != 0,
            discard,
            data,
        });
        at = data + if discard { 0 } else { bytes };
        if at > length {
            return Err(Fault::internal("the log of writes is cut").at(path.display()));
        }
    }
    Ok(requests)
}
