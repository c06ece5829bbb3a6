//! udev's database: one file a device, `E:KEY=value` lines. The format of `systemd-udevd`, unchanged since 2011.
//!
//! Read rather than linked to: libudev would be the only system library of this program, for ten lines.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::Path,
    time::{Duration, Instant},
};

/// The properties that udev gave to a block device; empty where udev does not run.
pub(super) fn properties(root: &Path, number: &str) -> BTreeMap<String, String> {
    let mut bytes = Vec::new();
    let path = root.join("run/udev/data").join(format!("b{number}"));
    if std::fs::File::open(path).and_then(|file| file.take(256 << 10).read_to_end(&mut bytes)).is_err() {
        return BTreeMap::new();
    }
    String::from_utf8_lossy(&bytes)
        .lines()
        .filter_map(|line| line.strip_prefix("E:")?.split_once('='))
        .filter(|(_, value)| !value.is_empty() && !value.chars().any(char::is_control))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect()
}

/// Waits until udev has handled all events, so that no disk is missed that is still being found; at most `limit`.
///
/// What `udevadm settle` does: while events are queued, udev keeps the file `/run/udev/queue`.
pub(crate) fn settle(limit: Duration) {
    let start = Instant::now();
    while Path::new("/run/udev/queue").exists() {
        if start.elapsed() > limit {
            tracing::warn!("udev has not settled after {} s; continuing", limit.as_secs());
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
