//! Small files of the kernel's, one value each.

use std::{
    fs::{File, read_dir},
    io::{Error, Read as _},
    path::{Path, PathBuf},
};

use livery_contract::Fault;

/// The trimmed text of a small file such as a sysfs attribute; `None` where it is missing, empty or unreadable.
pub(super) fn text(path: PathBuf) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(4096).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    // What firmware and devices say about themselves goes to screens and into JSON: no control characters.
    let text: String = text.trim_matches(['\0', ' ', '\n', '\t']).chars().filter(|character| !character.is_control()).collect();
    (!text.is_empty()).then_some(text)
}

pub(super) fn number<N: std::str::FromStr>(path: PathBuf) -> Option<N> {
    text(path)?.parse().ok()
}

/// The names in a folder, sorted; empty where it is not there.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names
}

pub(super) fn unreadable(path: &Path, error: Error) -> Fault {
    Fault::device("the kernel's list of devices cannot be read").at(path.display()).cause(error).fix("mount sysfs on /sys")
}

/// All of a file's text; empty where it is missing or unreadable.
pub(super) fn lossy(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
