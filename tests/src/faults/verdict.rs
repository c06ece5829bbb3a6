//! What a case comes to: from how the agent ended and what the disk is.

use std::time::Duration;

use serde::Serialize;

use super::{agent::Ended, catalogue::Entry, judge::State};

/// The longest time that a run may say nothing.
pub const SILENCE: Duration = Duration::from_secs(60);

/// What a case came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Exit code 0, and the disk is the image.
    Verified,
    /// Another exit code, the right one, said clearly; and the disk does not pass for a good one that it is not.
    Clear,
    /// Exit code 0, and the disk is not the image; or it failed and left a disk that boots into something else.
    FalseSuccess,
    /// A wrong exit code, or a message without what, where or fix, or a disk touched that was to be left alone.
    Unclear,
}

/// A run that was cut off from outside, without an exit code of its own.
pub const CUT: i32 = 137;

/// Judges a run. `untouched`: whether the disk is what it was before; `intact`: whether it is so between its tables.
pub fn of(entry: &Entry, code: i32, ended: Option<&Ended>, state: State, untouched: bool, intact: bool) -> (Verdict, String) {
    let said = |verdict, what: String| (verdict, what);
    if code == 0 {
        return match state {
            State::Exact => said(Verdict::Verified, String::new()),
            other => said(Verdict::FalseSuccess, format!("exit code 0, and the disk is {other:?}")),
        };
    }
    if state == State::Otherwise && !untouched && !intact {
        return said(Verdict::FalseSuccess, format!("it ended with {code}, and left a disk with a table and not the image"));
    }
    if !entry.codes.contains(&code) {
        return said(Verdict::Unclear, format!("exit code {code}, expected one of {:?}", entry.codes));
    }
    if code == 3 && !untouched {
        return said(Verdict::Unclear, "refused, and the disk was touched all the same".into());
    }
    match ended {
        Some(ended) if code < 128 => match &ended.report {
            Some(report) if i32::from(report.exit.code()) != code => {
                said(Verdict::Unclear, format!("exit code {code}, and its JSON says {:?}", report.exit))
            }
            Some(report) if report.what.is_empty() => said(Verdict::Unclear, "it does not say what".into()),
            Some(report) if code != 3 && report.at.is_none() && !report.what.contains("interrupted") => {
                said(Verdict::Unclear, format!("it does not say where: {}", report.what))
            }
            Some(report) if report.fix.is_none() && !report.what.contains("interrupted before") => {
                said(Verdict::Unclear, format!("it does not say what to do: {}", report.what))
            }
            Some(_) if !ended.stderr.contains("error: ") => said(Verdict::Unclear, "no error on standard error".into()),
            Some(_) => said(Verdict::Clear, String::new()),
            None => said(Verdict::Unclear, "no JSON object of the error".into()),
        },
        _ => said(Verdict::Clear, String::new()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use livery_contract::{Exit, Fault};

    use super::*;
    use crate::faults::catalogue::entry_of;

    fn ended(code: i32, fault: Option<Fault>) -> Ended {
        Ended {
            code,
            report: fault.map(|fault| fault.report()),
            stderr: "error: x".into(),
            stdout: String::new(),
            silence: Duration::ZERO,
            hung: false,
        }
    }

    #[test]
    fn what_counts_as_what() {
        let entry = entry_of("pack-flip").unwrap();
        let good = Fault::new(Exit::Untrusted, "what").at("where").fix("fix");
        let judge = |code, fault, state, untouched| of(&entry, code, Some(&ended(code, fault)), state, untouched, false).0;
        assert_eq!(judge(0, None, State::Exact, false), Verdict::Verified);
        for state in [State::Unfinished, State::AllButTable, State::DoesNotBoot, State::Otherwise] {
            assert_eq!(judge(0, None, state, false), Verdict::FalseSuccess);
            assert_eq!(judge(0, None, state, true), Verdict::FalseSuccess);
        }
        assert_eq!(judge(4, Some(good), State::DoesNotBoot, false), Verdict::Clear);
        let fault = || Fault::new(Exit::Untrusted, "what");
        assert_eq!(judge(4, Some(fault().at("where").fix("fix")), State::Otherwise, true), Verdict::Clear);
        assert_eq!(judge(4, Some(fault().at("where").fix("fix")), State::Otherwise, false), Verdict::FalseSuccess);
        // Killed between taking the one table away and the other: the old system, less a table, and nothing new.
        assert_eq!(of(&entry_of("kill-9").unwrap(), 137, None, State::Otherwise, false, true).0, Verdict::Clear);
        assert_eq!(of(&entry_of("kill-9").unwrap(), 137, None, State::Otherwise, false, false).0, Verdict::FalseSuccess);
        assert_eq!(judge(4, Some(fault().at("where")), State::DoesNotBoot, false), Verdict::Unclear);
        assert_eq!(judge(4, Some(fault().fix("fix")), State::DoesNotBoot, false), Verdict::Unclear);
        assert_eq!(judge(4, None, State::DoesNotBoot, false), Verdict::Unclear);
        assert_eq!(judge(5, Some(Fault::source("what").at("where").fix("fix")), State::DoesNotBoot, false), Verdict::Unclear);
    }
}
