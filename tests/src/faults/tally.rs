//! Outcomes counted by kind: the table at the end, and what it says of the whole.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{case::Outcome, catalogue, verdict::Verdict};

/// One line of the table.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Line {
    /// Cases.
    pub cases: u64,
    /// Exit code 0, and the disk is the image.
    pub verified: u64,
    /// Failed, said so clearly, with the right exit code.
    pub clear: u64,
    /// Success claimed, or left to be believed, where there is none.
    pub false_successes: u64,
    /// A wrong exit code, or not clearly said.
    pub unclear: u64,
    /// Longer than a minute without a word.
    pub silences: u64,
    /// Plain re-runs that completed.
    pub reruns: u64,
    /// The longest time without a word, in seconds.
    pub longest_silence: f64,
    /// Seconds of all cases together.
    pub seconds: f64,
}

/// All lines.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// By kind.
    pub kinds: BTreeMap<&'static str, Line>,
    /// All kinds together.
    pub all: Line,
    /// Cases that are not as they must be.
    pub bad: Vec<Outcome>,
}

impl Line {
    fn count(&mut self, outcome: &Outcome) {
        self.cases += 1;
        match outcome.verdict {
            Verdict::Verified => self.verified += 1,
            Verdict::Clear => self.clear += 1,
            Verdict::FalseSuccess => self.false_successes += 1,
            Verdict::Unclear => self.unclear += 1,
        }
        self.silences += u64::from(outcome.silent);
        self.reruns += u64::from(outcome.rerun);
        self.longest_silence = self.longest_silence.max(outcome.silence);
        self.seconds += outcome.seconds;
    }

    fn row(&self, name: &str) -> String {
        format!(
            "{name:18} {:>5} {:>8} {:>6} {:>6} {:>7} {:>8} {:>7} {:>9.1} {:>8.0}",
            self.cases,
            self.verified,
            self.clear,
            self.false_successes,
            self.unclear,
            self.silences,
            self.reruns,
            self.longest_silence,
            self.seconds
        )
    }
}

impl Tally {
    /// Takes in an outcome.
    pub fn count(&mut self, outcome: Outcome) {
        self.kinds.entry(outcome.kind).or_default().count(&outcome);
        self.all.count(&outcome);
        if !outcome.good() {
            self.bad.push(outcome);
        }
    }

    /// Whether all is as it must be.
    pub fn good(&self) -> bool {
        self.bad.is_empty()
    }

    /// The table, in the catalogue's order.
    pub fn table(&self) -> String {
        let mut lines = vec![format!(
            "{:18} {:>5} {:>8} {:>6} {:>6} {:>7} {:>8} {:>7} {:>9} {:>8}",
            "fault", "cases", "verified", "clear", "false", "unclear", "silences", "re-runs", "longest s", "seconds"
        )];
        for entry in catalogue::ALL {
            lines.extend(self.kinds.get(entry.name).map(|line| line.row(entry.name)));
        }
        lines.push(self.all.row("all"));
        lines.join("\n")
    }

    /// What is wrong, and how to have it again.
    pub fn complaints(&self) -> String {
        let mut lines = Vec::new();
        for outcome in &self.bad {
            let mut what = vec![format!("{:?}", outcome.verdict)];
            if outcome.silent {
                what.push(format!("silent for {:.0} s", outcome.silence));
            }
            if !outcome.rerun {
                what.push("the re-run did not complete".into());
            }
            lines.push(format!(
                "{}: {}: --only {0} --seed {2} --case {3}",
                outcome.kind,
                what.join(", "),
                outcome.seed,
                outcome.case
            ));
            lines.extend(outcome.notes.iter().map(|note| format!("    {}", note.trim_end().replace('\n', "\n    "))));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(verdict: Verdict, silent: bool, rerun: bool) -> Outcome {
        let notes = vec!["why".into()];
        Outcome { seed: 3, case: 7, kind: "kill-9", verdict, code: 0, silence: 1.0, silent, rerun, seconds: 2.0, notes }
    }

    #[test]
    fn whatever_is_wrong_is_bad_and_can_be_had_again() {
        let mut tally = Tally::default();
        tally.count(outcome(Verdict::Verified, false, true));
        tally.count(outcome(Verdict::Clear, false, true));
        assert!(tally.good());
        for (verdict, silent, rerun) in [
            (Verdict::FalseSuccess, false, true),
            (Verdict::Unclear, false, true),
            (Verdict::Clear, true, true),
            (Verdict::Verified, false, false),
        ] {
            let mut tally = tally.clone();
            tally.count(outcome(verdict, silent, rerun));
            assert!(!tally.good());
            assert!(tally.complaints().contains("--only kill-9 --seed 3 --case 7"), "{}", tally.complaints());
        }
        assert!(
            tally.table().lines().last().is_some_and(|line| line.starts_with("all                    2        1      1      0"))
        );
    }
}
