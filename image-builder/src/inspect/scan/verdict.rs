//! Findings against the exceptions that a profile makes.

use livery_contract::{Fault, Result};
use livery_profile::Exception;

use super::finding::Finding;
use crate::progress::Progress;

/// Judges what a scan found. An exception that nothing needs any more is named: it would cover what comes there next.
///
/// # Errors
/// Exit 3 with every finding that no exception covers.
pub(crate) fn judge(findings: &[Finding], allowed: &[Exception], subject: &str, progress: &Progress) -> Result<()> {
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
                "warning: `scan.allow` has an exception for {}, where the scan finds nothing (any more): remove it, before it hides something new",
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
        text.push_str(&format!("\n  {path}{place}: {what}\n     why: {why}\n     fix: {fix}"));
    }
    Err(Fault::refused(text)
        .fix("fix each of these; if one is right as it is, add an exception to the profile: [scan] allow = [\"PATH: REASON\"]"))
}
