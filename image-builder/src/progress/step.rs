//! One piece of work, from its beginning to its end.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::times::Times;

/// A plain line at most so often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// One piece of work.
#[derive(Debug)]
pub(crate) struct Step {
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
    /// Begins, and says so. `total` is how much there is to do, where that is known, and how it is told.
    pub(crate) fn begin(
        what: &str,
        (total, unit): (Option<u64>, fn(&u64) -> String),
        bar: Option<ProgressBar>,
        json: bool,
        times: Times,
    ) -> Self {
        let (began, said) = (Instant::now(), Instant::now());
        let step = Self { what: what.to_owned(), total, unit, times, bar, json, began, said, ended: false };
        step.event("begin", 0);
        step
    }

    /// So many bytes or pieces are done.
    pub(crate) fn at(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if self.said.elapsed() >= LINE_EVERY {
            self.said = Instant::now();
            self.event("progress", done);
        }
    }

    /// The work is done; gives how long it took.
    pub(crate) fn done(mut self) -> Duration {
        self.ended = true;
        let took = self.began.elapsed();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.event("done", self.total.unwrap_or(0));
        self.times.add(self.what.clone(), took);
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
