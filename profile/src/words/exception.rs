//! What the scan of an image may find, and why that is right: an item of `scan.allow`.

use serde::Serialize;

/// A file that may be as it is: `scan.allow` of a profile, `PATH: REASON`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// Path; `*` stands for anything, as in dpkg's `path-exclude`.
    pub path: String,
    /// Why that is right.
    pub reason: String,
}

impl Exception {
    /// From the profile's text; `None` where path or reason is missing.
    pub fn parse(text: &str) -> Option<Self> {
        let (path, reason) = text.split_once(": ")?;
        let good_path =
            path.len() > 1 && path.len() <= 256 && path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        let good_reason =
            reason.trim() == reason && (10..=300).contains(&reason.chars().count()) && !reason.chars().any(char::is_control);
        (good_path && good_reason && path.split('/').all(|part| part != ".."))
            .then(|| Self { path: path.into(), reason: reason.into() })
    }

    /// Whether it is about this file.
    pub fn covers(&self, path: &str) -> bool {
        matches(self.path.as_bytes(), path.as_bytes())
    }
}

/// Whether a pattern fits: `*` is any run of bytes, slashes included (fnmatch(3) without flags, as dpkg calls it).
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, t) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}
