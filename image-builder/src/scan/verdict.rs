//! Findings against the exceptions that a profile makes.

use livery_contract::{Fault, Result};
use serde::Serialize;

use super::Finding;
use crate::progress::Progress;

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
        let good_path = path.len() > 1 && path.len() <= 256 && path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        let good_reason = reason.trim() == reason && (10..=300).contains(&reason.chars().count()) && !reason.chars().any(char::is_control);
        (good_path && good_reason && path.split('/').all(|part| part != "..")).then(|| Self { path: path.into(), reason: reason.into() })
    }

    fn covers(&self, path: &str) -> bool {
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

/// Judges what a scan found. An exception that nothing needs any more is named: it would cover what comes there next.
///
/// # Errors
/// Exit 3 with every finding that no exception covers.
pub fn judge(findings: &[Finding], allowed: &[Exception], subject: &str, progress: &Progress) -> Result<()> {
    let mut used = vec![false; allowed.len()];
    let mut open = Vec::new();
    for finding in findings {
        let mut covered = false;
        for (exception, used) in allowed.iter().zip(&mut used) {
            if exception.covers(&finding.path) {
                (covered, *used) = (true, true);
            }
        }
        if !covered {
            open.push(finding);
        }
    }
    for (exception, used) in allowed.iter().zip(used) {
        if !used {
            progress.note(&format!(
                "warning: `scan.allow` excepts {}, where nothing is found (any more): take it out, before something else comes there",
                exception.path
            ));
        }
    }
    if open.is_empty() {
        return Ok(());
    }
    progress.event("findings", &open);
    let mut text = format!("{subject} has {} that no image may have:", if open.len() == 1 { "a thing" } else { "things" });
    for Finding { path, place, what, why, fix, .. } in open {
        let place = place.as_ref().map(|place| format!(", {place}")).unwrap_or_default();
        text.push_str(&format!("\n  {path}{place}: {what}\n     why: {why}\n    mend: {fix}"));
    }
    Err(Fault::refused(text).fix("mend each of these; what is right as it is goes into the profile: [scan] allow = [\"PATH: REASON\"]"))
}
