//! What a person sees of long work: a bar on a terminal, plain lines elsewhere, events with `--json`.

use std::{
    io::IsTerminal as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// A plain line at most so often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Where progress goes.
#[derive(Clone, Debug)]
pub struct Progress {
    bars: Option<MultiProgress>,
    json: bool,
    began: Instant,
    /// What is done and how long it took, in the order of ending.
    times: Times,
}

type Times = Arc<Mutex<Vec<(String, Duration)>>>;

impl Progress {
    /// Bars where standard error is a terminal, lines otherwise; with `json`, one event a line on standard output.
    pub fn new(json: bool) -> Self {
        let bars = (std::io::stderr().is_terminal() && !json).then(MultiProgress::new);
        Self { bars, json, began: Instant::now(), times: Times::default() }
    }

    /// Work of which the number of bytes is known.
    pub fn bytes(&self, what: &str, total: u64) -> Step {
        self.step(what, Some(total), |count| bytes(*count), "{msg:14} {bar:30} {bytes:>10}/{total_bytes} {bytes_per_sec} {eta}")
    }

    /// Work of which the number of pieces is known.
    pub fn pieces(&self, what: &str, total: u64) -> Step {
        self.step(what, Some(total), u64::to_string, "{msg:14} {bar:30} {pos:>10}/{len} {per_sec} {eta}")
    }

    /// Work of unknown length.
    pub fn stage(&self, what: &str) -> Step {
        self.step(what, None, u64::to_string, "{msg:14} {spinner} {elapsed}")
    }

    /// Something to know that is no work.
    pub fn note(&self, text: &str) {
        if self.json {
            println!("{}", serde_json::json!({"event": "note", "text": text}));
        } else if let Some(bars) = &self.bars {
            let _ = bars.println(text); // a terminal that is gone needs no notes
        } else {
            eprintln!("{text}");
        }
    }

    /// Something that machines shall have in its parts, and people are told otherwise.
    pub fn event(&self, event: &str, detail: &impl serde::Serialize) {
        if self.json {
            println!("{}", serde_json::json!({"event": event, event: detail}));
        }
    }

    /// How long each piece of work took, and all of it: the end of a long command.
    pub fn summary(&self) {
        let all = self.began.elapsed().as_secs_f64();
        if self.json {
            println!("{}", serde_json::json!({"event": "summary", "seconds": all}));
            return;
        }
        let times = lock(&self.times);
        eprintln!();
        for (what, took) in times.iter() {
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
        let step = Step {
            what: what.to_owned(),
            total,
            unit,
            times: Arc::clone(&self.times),
            bar,
            json: self.json,
            began: Instant::now(),
            said: Instant::now(),
            ended: false,
        };
        step.event("begin", 0);
        step
    }
}

/// One piece of work.
#[derive(Debug)]
pub struct Step {
    what: String,
    total: Option<u64>,
    unit: fn(&u64) -> String,
    times: Times,
    bar: Option<ProgressBar>,
    json: bool,
    began: Instant,
    said: Instant,
    ended: bool,
}

impl Step {
    /// So many bytes or pieces are done.
    pub fn at(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if self.said.elapsed() >= LINE_EVERY {
            self.said = Instant::now();
            self.event("progress", done);
        }
    }

    /// The work is done; gives how long it took.
    pub fn done(mut self) -> Duration {
        self.ended = true;
        let took = self.began.elapsed();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.event("done", self.total.unwrap_or(0));
        lock(&self.times).push((self.what.clone(), took));
        took
    }

    fn event(&self, event: &str, done: u64) {
        let seconds = self.began.elapsed().as_secs_f64();
        if self.json {
            println!(
                "{}",
                serde_json::json!({"event": event, "stage": self.what, "done": done, "total": self.total, "seconds": seconds})
            );
            return;
        }
        let amount = match self.total {
            Some(total) if total > 0 => format!(" {:>3}% of {}", u128::from(done) * 100 / u128::from(total), (self.unit)(&total)),
            _ => String::new(),
        };
        match event {
            "begin" if self.bar.is_some() => {}
            "begin" => {
                eprintln!(
                    "{:<14} begins{}",
                    self.what,
                    self.total.map(|total| format!(", {}", (self.unit)(&total))).unwrap_or_default()
                )
            }
            "progress" => eprintln!("{:<14}{amount} {seconds:.0} s", self.what),
            how if self.bar.is_some() => {
                if let Some(bar) = &self.bar {
                    bar.println(format!("{:<14} {how} {seconds:.1} s", self.what));
                }
            }
            how => eprintln!("{:<14} {how} {seconds:.1} s", self.what),
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.as_ref().filter(|_| !self.ended) {
            bar.abandon();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Bytes for a person: `1.3 GiB`.
pub fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}
