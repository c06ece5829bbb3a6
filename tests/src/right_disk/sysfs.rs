//! Disks as the kernel and udev show them: the judge does not ask the program that is judged.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result};

use super::tools::run;

/// How long udev may take to name a disk.
const NAMED: Duration = Duration::from_secs(30);

/// The kernel's name of the disk with this serial number, as soon as udev has a link for it.
///
/// # Errors
/// Where there is none.
pub fn find(serial: &str) -> Result<String> {
    let begun = Instant::now();
    loop {
        let links = fs::read_dir("/dev/disk/by-id").into_iter().flatten().flatten();
        let found = links.filter_map(|link| Some((link.file_name().into_string().ok()?, link.path()))).find(|(name, _)| {
            // virtio-SERIAL, ata-MODEL_SERIAL, usb-MODEL_SERIAL-0:0
            let name = name.strip_suffix("-0:0").unwrap_or(name);
            name.strip_suffix(serial).is_some_and(|rest| rest.ends_with(['-', '_']))
        });
        let target = found.and_then(|(_, link)| fs::canonicalize(link).ok());
        if let Some(name) = target.and_then(|path| Some(path.file_name()?.to_str()?.to_owned())) {
            return Ok(name);
        }
        if begun.elapsed() > NAMED {
            return Err(Fault::internal(format!("no disk {serial}")).at("/dev/disk/by-id"));
        }
        sleep(Duration::from_millis(100));
    }
}

/// The node of a disk, or of one of its partitions: `p` stands between where the disk's name ends with a digit.
pub fn node(name: &str, partition: Option<u32>) -> String {
    let between = if name.ends_with(|character: char| character.is_ascii_digit()) { "p" } else { "" };
    partition.map_or_else(|| format!("/dev/{name}"), |number| format!("/dev/{name}{between}{number}"))
}

/// A disk's folder.
pub fn folder(name: &str) -> PathBuf {
    Path::new("/sys/block").join(name)
}

/// A number in a file of a disk's or partition's folder.
pub fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Name, first byte and length of each partition, as the kernel has them.
pub fn partitions(name: &str) -> Vec<(String, u64, u64)> {
    let entries = fs::read_dir(folder(name)).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.path();
            number(&path.join("partition"))?;
            let bytes = |file: &str| number(&path.join(file)).map(|sectors| sectors * 512);
            Some((entry.file_name().into_string().ok()?, bytes("start")?, bytes("size")?))
        })
        .collect();
    found.sort();
    found
}

/// How many writes and discards each disk was sent since it came, by its sequence number; and its name.
pub fn writes() -> BTreeMap<u64, (String, u64)> {
    let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    entries
        // NVMe multipath: the paths below a subsystem's disk are hidden, and count the same requests.
        .filter(|entry| entry.path().join("device").exists() && number(&entry.path().join("hidden")) != Some(1))
        .filter_map(|entry| {
            let sequence = number(&entry.path().join("diskseq"))?;
            let statistics = fs::read_to_string(entry.path().join("stat")).ok()?;
            let fields: Vec<u64> = statistics.split_whitespace().filter_map(|field| field.parse().ok()).collect();
            // Requests, as Documentation/block/stat.rst has them: the fifth field, and the twelfth since Linux 4.18.
            let count = fields.get(4)? + fields.get(11).unwrap_or(&0);
            Some((sequence, (entry.file_name().into_string().ok()?, count)))
        })
        .collect()
}

/// The disks that were sent more writes than before.
pub fn written_since(before: &BTreeMap<u64, (String, u64)>) -> Vec<String> {
    let more = |sequence: &u64, count: u64| before.get(sequence).map_or(0, |(_, count)| *count) < count;
    writes().into_iter().filter(|(sequence, (_, count))| more(sequence, *count)).map(|(_, (name, _))| name).collect()
}

/// All that a disk holds, from the disk.
///
/// # Errors
/// Where it can't be read.
pub fn content(name: &str) -> Result<Vec<u8>> {
    let path = node(name, None);
    run("blockdev", &["--flushbufs", &path])?;
    fs::read(&path).map_err(|error| Fault::internal("a disk can't be read").at(path).cause(error))
}

/// The same, once it does not change any more.
///
/// # Errors
/// Where it can't be read, or never comes to rest.
pub fn content_at_rest(name: &str) -> Result<Vec<u8>> {
    let mut last = content(name)?;
    for _ in 0..50 {
        sleep(Duration::from_millis(250));
        let now = content(name)?;
        if now == last {
            return Ok(now);
        }
        last = now;
    }
    Err(Fault::internal("a disk that nobody should write does not come to rest").at(node(name, None)))
}

/// Writes a word into a file of the kernel's.
///
/// # Errors
/// What the kernel says.
pub fn tell(path: impl AsRef<Path>, word: &str) -> Result<()> {
    let path = path.as_ref();
    fs::write(path, word)
        .map_err(|error| Fault::internal(format!("the kernel does not take {word:?}")).at(path.display()).cause(error))
}

/// Waits until udev has done all that it has to do.
///
/// # Errors
/// Where it never has.
pub fn settle() -> Result<()> {
    run("udevadm", &["settle", "--timeout=60"]).map(drop)
}
