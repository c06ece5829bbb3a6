//! What the operator sees: lines, progress, and one big clear block at the end.
//!
//! Plain ASCII, no colours: it also goes to serial consoles and into their logs. On a terminal progress is a bar, elsewhere
//! a line every few seconds. With `--json` the same as one event a line on standard output.

use std::{
    fs::File,
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use livery_contract::{Fault, wire::Phase};
use serde_json::{Value, json};

use crate::work::progress::{Progress, Rate, Snapshot};

/// Elsewhere than on a terminal, a line at least so often.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Columns of the block at the end: fits an 80-column console.
const COLUMNS: usize = 74;

/// Where the operator looks.
#[derive(Clone, Debug)]
pub(crate) struct Console(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    events: bool,
    terminal: bool,
    bar: ProgressBar,
    /// Who holds it writes: a block is not torn by a line of progress that another thread tells.
    pen: Mutex<Pen>,
}

#[derive(Debug)]
struct Pen {
    /// Further consoles.
    others: Vec<File>,
    /// How many [`Watch`]es there are.
    watches: usize,
}

impl Pen {
    /// Lines for the further consoles only.
    fn elsewhere<T: AsRef<str>>(&mut self, lines: &[T]) {
        let text: String = lines.iter().map(|line| format!("{}\r\n", line.as_ref())).collect();
        // A console that went away is no reason to stop.
        self.others.retain_mut(|file| file.write_all(text.as_bytes()).and_then(|()| file.flush()).is_ok());
    }
}

impl Console {
    /// On standard error; with `events` also JSON lines on standard output. `others` are devices such as `/dev/ttyS0`
    /// that get the plain lines too; one that cannot be opened is said and left out.
    pub(crate) fn new(events: bool, others: &[PathBuf]) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let open = |path: &PathBuf| match File::options().write(true).open(path) {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::warn!(console = %path.display(), %error, "this console cannot be opened");
                None
            }
        };
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {percent}%  {prefix}") {
            bar.set_style(style.progress_chars("=> "));
        }
        let pen = Mutex::new(Pen { others: others.iter().filter_map(open).collect(), watches: 0 });
        Self(Arc::new(Inner { events, terminal, bar, pen }))
    }

    /// A line for people.
    pub(crate) fn say(&self, line: impl AsRef<str>) {
        self.write(&mut self.pen(), &[ascii(line.as_ref())]);
    }

    fn pen(&self) -> MutexGuard<'_, Pen> {
        self.0.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lines for people, together.
    fn write(&self, pen: &mut Pen, lines: &[String]) {
        self.0.bar.suspend(|| eprintln!("{}", lines.join("\n")));
        pen.elsewhere(lines);
    }

    /// An event for programs: an object with `event` in it.
    pub(crate) fn event(&self, event: &str, mut fields: Value) {
        if self.0.events {
            if let Some(fields) = fields.as_object_mut() {
                fields.insert("event".into(), event.into());
            }
            // A reader that has gone is no reason to stop.
            let _ = writeln!(std::io::stdout().lock(), "{fields}");
        }
    }

    /// The block that nobody can overlook.
    pub(crate) fn block(&self, title: &str, lines: &[String]) {
        let edge = format!("+{}+", "=".repeat(COLUMNS));
        let mut block = vec![String::new(), edge.clone(), row(""), row(title), row("")];
        block.extend(lines.iter().flat_map(|line| wrap(line, COLUMNS - 4)).map(|line| row(&line)));
        block.extend([row(""), edge, String::new()]);
        self.write(&mut self.pen(), &block);
    }

    /// The block of a failure: what, where, what to do.
    pub(crate) fn failed(&self, title: &str, fault: &Fault) {
        let report = fault.report();
        let mut lines = vec![format!("reason: {}", report.what)];
        lines.extend(report.at.map(|at| format!("where:  {at}")));
        lines.extend(report.fix.map(|fix| format!("do:     {fix}")));
        lines.push(format!("(exit code {}: {})", report.exit.code(), report.exit.word()));
        self.block(title, &lines);
    }

    /// Shows progress until the guard is dropped.
    #[must_use]
    pub(crate) fn watch(&self, progress: &Progress) -> Watch {
        let (console, progress) = (self.clone(), progress.clone());
        self.pen().watches += 1;
        if self.0.terminal {
            self.0.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        let shown = self.clone();
        let task = tokio::spawn(async move {
            let mut rate = Rate::default();
            let mut last: Option<(Instant, Snapshot)> = None;
            let mut tick = tokio::time::interval(Duration::from_millis(250));
            loop {
                tick.tick().await;
                let (now, snapshot) = (Instant::now(), progress.snapshot());
                let speed = rate.see(now, snapshot);
                let due = last.is_none_or(|(at, before)| {
                    before.phase != snapshot.phase
                        || (now.duration_since(at) >= LINE_EVERY && before.done != snapshot.done)
                        || now.duration_since(at) >= LINE_EVERY * 6
                });
                if console.0.terminal {
                    console.draw(snapshot, speed);
                }
                if due {
                    last = Some((now, snapshot));
                    console.line(snapshot, speed);
                }
            }
        });
        Watch { task, console: shown }
    }

    fn draw(&self, snapshot: Snapshot, rate: u64) {
        let bar = &self.0.bar;
        bar.set_length(snapshot.total.max(1));
        bar.set_position(snapshot.done.min(snapshot.total));
        bar.set_message(format!("{:9}", snapshot.phase.as_str()));
        bar.set_prefix(tail(snapshot, rate));
    }

    fn line(&self, snapshot: Snapshot, rate: u64) {
        let percent = snapshot.percent();
        self.event(
            "progress",
            json!({ "phase": snapshot.phase, "done": snapshot.done, "total": snapshot.total, "rate": rate, "percent": percent }),
        );
        let quiet = matches!(snapshot.phase, Phase::Done | Phase::Failed);
        if quiet {
            return;
        }
        let line = match percent {
            Some(percent) => format!("{:9} {percent:3}%  {}", snapshot.phase.as_str(), tail(snapshot, rate)),
            None => snapshot.phase.as_str().to_owned(),
        };
        let mut pen = self.pen();
        match self.0.terminal {
            // It came too late: what came of it all may have been said.
            _ if pen.watches == 0 => {}
            // A terminal has the bar.
            true => pen.elsewhere(&[line]),
            false => self.write(&mut pen, &[line]),
        }
    }
}

/// Progress is shown as long as this lives.
#[derive(Debug)]
pub(crate) struct Watch {
    task: tokio::task::JoinHandle<()>,
    console: Console,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
        self.console.pen().watches -= 1;
        self.console.0.bar.finish_and_clear();
        self.console.0.bar.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// `1.2 GB of 2.7 GB  182 MB/s  8 s left`
fn tail(snapshot: Snapshot, rate: u64) -> String {
    if snapshot.total == 0 {
        return String::new();
    }
    let mut text = format!("{} of {}", bytes(snapshot.done), bytes(snapshot.total));
    if let Some(left) = snapshot.total.saturating_sub(snapshot.done).checked_div(rate) {
        text.push_str(&format!("  {}/s  {} left", bytes(rate), seconds(left)));
    }
    text
}

/// Bytes for people, in powers of ten as on a disk's box.
pub(crate) fn bytes(count: u64) -> String {
    let units = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match units.iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", count / unit, count % unit / (unit / 10)),
        None => format!("{count} B"),
    }
}

fn seconds(count: u64) -> String {
    if count < 60 { format!("{count} s") } else { format!("{} min {} s", count / 60, count % 60) }
}

fn row(text: &str) -> String {
    format!("|  {:width$}|", ascii(text), width = COLUMNS - 2)
}

fn ascii(text: &str) -> String {
    text.chars().map(|character| if character.is_ascii() && !character.is_ascii_control() { character } else { '?' }).collect()
}

/// Cuts a text into lines of at most `width` characters, at spaces where there are any.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in ascii(text).split(' ') {
        let mut word = word;
        while let Some(last) = lines.last_mut() {
            let space = usize::from(!last.is_empty());
            if last.len() + space + word.len() <= width {
                if space == 1 {
                    last.push(' ');
                }
                last.push_str(word);
                break;
            }
            if last.is_empty() {
                let (head, rest) = word.split_at(width);
                last.push_str(head);
                word = rest;
            }
            lines.push(String::new());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_for_people() {
        for (count, text) in [(999, "999 B"), (1500, "1.5 kB"), (2_700_000_000, "2.7 GB"), (1_000_204_886_016, "1.0 TB")] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn a_row_is_ascii_and_has_one_width() {
        for text in ["", "DONE", "Größe \u{1b}[31m"] {
            let row = row(text);
            assert!(row.is_ascii() && !row.contains('\u{1b}'));
            assert_eq!(row.len(), COLUMNS + 2);
        }
    }

    #[test]
    fn no_progress_tears_a_block_or_comes_after_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console");
        std::fs::write(&path, "").unwrap();
        let console = Console::new(false, std::slice::from_ref(&path));
        let snapshot = Snapshot { phase: Phase::Target, done: 0, total: 0 };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        std::thread::scope(|scope| {
            let _entered = runtime.enter();
            let watch = console.watch(&Progress::default());
            scope.spawn(|| (0..2000).for_each(|_| console.line(snapshot, 0)));
            (0..50).for_each(|_| console.block("FAILED", &["one".into(), "two".into()]));
            drop(watch);
            console.say("the end");
        });
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        let edges: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with("+=")).collect();
        assert_eq!(edges.len(), 100);
        for pair in edges.chunks(2) {
            assert!(lines[pair[0] + 1..pair[1]].iter().all(|line| line.starts_with('|')), "{:?}", &lines[pair[0]..=pair[1]]);
        }
        assert_eq!(lines[lines.len() - 2..], ["the end", ""]);
    }

    proptest! {
        #[test]
        fn wrapping_loses_nothing(text in "[a-z ]{0,200}", width in 1_usize..40) {
            let lines = wrap(&text, width);
            prop_assert!(lines.iter().all(|line| line.len() <= width));
            let letters = |text: &str| text.replace(' ', "");
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
