//! Where progress goes: to bars on a terminal, plain lines elsewhere, events with `--json`.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{step::Step, times::Times, units::bytes};

/// Where progress goes.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bars: Option<MultiProgress>,
    json: bool,
    began: Instant,
    /// What is done and how long it took, in the order of ending.
    times: Times,
}

impl Progress {
    /// Bars where standard error is a terminal, lines otherwise; with `json`, one event a line on standard output.
    pub(crate) fn new(json: bool) -> Self {
        let bars = (std::io::stderr().is_terminal() && !json).then(MultiProgress::new);
        Self { bars, json, began: Instant::now(), times: Times::default() }
    }

    /// Work of which the number of bytes is known.
    pub(crate) fn bytes(&self, what: &str, total: u64) -> Step {
        self.step(what, Some(total), |count| bytes(*count), "{msg:14} {bar:30} {bytes:>10}/{total_bytes} {bytes_per_sec} {eta}")
    }

    /// Work of which the number of pieces is known.
    pub(crate) fn pieces(&self, what: &str, total: u64) -> Step {
        self.step(what, Some(total), u64::to_string, "{msg:14} {bar:30} {pos:>10}/{len} {per_sec} {eta}")
    }

    /// Work of unknown length.
    pub(crate) fn stage(&self, what: &str) -> Step {
        self.step(what, None, u64::to_string, "{msg:14} {spinner} {elapsed}")
    }

    /// Something to know that is no work.
    pub(crate) fn note(&self, text: &str) {
        if self.json {
            println!("{}", serde_json::json!({"event": "note", "text": text}));
        } else if let Some(bars) = &self.bars {
            let _ = bars.println(text); // a terminal that is gone needs no notes
        } else {
            eprintln!("{text}");
        }
    }

    /// Something that machines shall have in its parts, and people are told otherwise.
    pub(crate) fn event(&self, event: &str, detail: &impl serde::Serialize) {
        if self.json {
            println!("{}", serde_json::json!({"event": event, event: detail}));
        }
    }

    /// How long each piece of work took, and all of it: the end of a long command.
    pub(crate) fn summary(&self) {
        let all = self.began.elapsed().as_secs_f64();
        if self.json {
            println!("{}", serde_json::json!({"event": "summary", "seconds": all}));
            return;
        }
        eprintln!();
        for (what, took) in self.times.all() {
            eprintln!("{what:<14} {:>7.1} s", took.as_secs_f64());
        }
        // Less than their sum where stages ran at the same time.
        eprintln!("{:<14} {all:>7.1} s", "all");
    }

    fn step(&self, what: &str, total: Option<u64>, unit: fn(&u64) -> String, template: &str) -> Step {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(total.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Step::begin(what, (total, unit), bar, self.json, self.times.clone())
    }
}
