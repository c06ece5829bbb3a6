//! udev's database: one file a device, `E:KEY=value` lines. The format of `systemd-udevd`, unchanged since 2011.
//!
//! Read rather than linked to: libudev would be the only system library of this program, for ten lines.

use std::{collections::BTreeMap, io::Read as _, path::Path};

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
