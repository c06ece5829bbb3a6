//! What no image may have, since everyone who holds a device can read it, and every device has the same: secrets, identities that
//! each device must make for itself, and files that anybody may change.
//!
//! In: the files of an image, or of a tree that is to become one. Out: each [`Finding`], with path, reason and remedy; the profile's
//! `scan.allow` makes exceptions. A secret itself is never printed.
//!
//! | module | what it looks at |
//! |---|---|
//! | [`secrets`] | what files hold: private keys, tokens |
//! | [`settings`] | files of settings: passwords in URLs, for networks, in `netrc` files |
//! | [`places`] | files by their path: machine id, host keys, random seeds, password hashes |
//! | [`modes`] | permissions: who may write, who becomes root |
//! | [`verdict`] | findings against the profile's exceptions |
//!
//! # Why so few false alarms
//! A program that reads PEM files has the line in it that a private key begins with: a key is one only with its base64 behind. Tokens
//! count where their issuer's own prefix, alphabet and length fit, and nothing longer stands there. Passwords in URLs are looked for
//! in files of settings alone; elsewhere they are examples. What a file holds that is still just as a package of Debian's archive
//! brings it is public, and no secret (GnuTLS tests itself with keys of its own): [`stages::inspect`](crate::stages::inspect) drops
//! that. What is still wrong, the profile excepts, with a reason.

mod finding;
pub(crate) mod modes;
pub(crate) mod places;
pub(crate) mod secrets;
pub(crate) mod settings;
pub(crate) mod verdict;

use livery_contract::Result;
use rayon::prelude::*;

pub(crate) use self::finding::Finding;
use super::volume::{Entry, Kind, Volume};

/// Raised when other things are found in the same files.
pub(crate) const VERSION: u32 = 1;

/// Bytes of a file that are looked at in one go, and by how much the next go begins before their end.
const WINDOW: usize = 4 << 20;
const OVERLAP: usize = 16 << 10;
/// The most bytes of a file of settings, and of the others whose path says what they are.
const SMALL: usize = 1 << 20;
/// More findings than this are no report.
const MOST: usize = 200;

/// A stretch of a file to look at.
struct Window<'a> {
    path: &'a str,
    entry: &'a Entry,
    from: u64,
}

/// Looks through all files, on all processors.
///
/// # Errors
/// As [`Bytes::read`](super::volume::Bytes::read).
pub(crate) fn scan(volume: &Volume) -> Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut windows = Vec::new();
    for (path, entry) in &volume.tree {
        findings.extend(modes::look(path, entry));
        if entry.kind != Kind::File || entry.size == 0 {
            continue;
        }
        if places::concerns(path) {
            findings.extend(places::look(path, &volume.content(entry, SMALL)?));
        }
        let mut from = 0;
        while from < entry.size {
            windows.push(Window { path, entry, from });
            from += (WINDOW - OVERLAP) as u64;
        }
    }
    let found: Vec<Vec<Finding>> = windows
        .par_iter()
        .map_init(Vec::new, |buffer: &mut Vec<u8>, window| {
            let left = usize::try_from(window.entry.size - window.from).unwrap_or(usize::MAX);
            buffer.resize(WINDOW.min(left), 0);
            let filled = volume.read(window.entry, window.from, buffer)?;
            let mut found = secrets::look(window.path, window.from, &buffer[..filled]);
            if window.from == 0 && filled <= SMALL {
                found.extend(settings::look(window.path, &buffer[..filled]));
            }
            Ok(found)
        })
        .collect::<Result<_>>()?;
    findings.extend(found.into_iter().flatten());
    // Windows overlap, and a file may have two names.
    findings.sort();
    findings.dedup();
    findings.truncate(MOST);
    Ok(findings)
}

#[cfg(test)]
mod tests;
