//! Errors in profiles, as a compiler gives them: file, line, column, the line itself with a marker, the cause, the mend.
//!
//! `miette` draws them.

use std::{
    collections::HashSet,
    fmt,
    path::{Path, PathBuf},
};

use livery_contract::Fault;
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, Report, SourceCode, SourceSpan,
};
use serde_json::{Value, json};

use super::{problem::Problem, source::Place, text::harmless};

/// The most diagnostics that one run shows.
const MOST: usize = 100;

/// One error of a profile.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The file, as a path that the reader can open.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The cause, shown under the marker; may be empty.
    pub cause: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Where the marker goes; `None` where the file could not be read.
    place: Option<Place>,
}

impl Diagnostic {
    /// An error at a place.
    pub(crate) fn at(place: &Place, message: impl Into<String>, problem: Problem) -> Self {
        let (line, column) = place.line_column();
        Self {
            file: place.source.path.clone(),
            line,
            column,
            message: message.into(),
            cause: problem.cause,
            help: problem.help,
            place: Some(place.clone()),
        }
    }

    /// An error of a file that has no text to show.
    pub(crate) fn of_file(path: &Path, message: impl Into<String>) -> Self {
        let (message, cause, help) = (message.into(), String::new(), None);
        Self { file: path.to_owned(), line: 1, column: 1, message, cause, help, place: None }
    }

    /// With what to do about it.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Message and cause in one line.
    fn sentence(&self) -> String {
        if self.cause.is_empty() { self.message.clone() } else { format!("{}: {}", self.message, self.cause) }
    }

    fn to_json(&self) -> Value {
        json!({
            "file": self.file.to_string_lossy(),
            "line": self.line,
            "column": self.column,
            "message": self.sentence(),
            "help": self.help,
        })
    }
}

/// How diagnostics are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// ASCII, no colours.
    Plain,
    /// Colours and box-drawing characters.
    Fancy,
}

/// All errors of one run, sorted by file, line and column; at least one.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    more: usize,
}

impl Diagnostics {
    pub(crate) fn one(diagnostic: Diagnostic) -> Self {
        Self { list: vec![diagnostic], more: 0 }
    }

    /// The errors; beyond the first hundred they are only counted.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// How many errors there are, those included that are only counted.
    pub fn count(&self) -> usize {
        self.list.len() + self.more
    }

    /// `3 errors in 2 files`.
    pub fn summary(&self) -> String {
        let files: HashSet<&Path> = self.list.iter().map(|diagnostic| diagnostic.file.as_path()).collect();
        let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        format!("{} in {}", plural(self.count(), "error"), plural(files.len(), "file"))
    }

    /// The text for a terminal or a log.
    pub fn render(&self, style: Style) -> String {
        let mut text = String::new();
        for diagnostic in &self.list {
            draw(diagnostic, style, &mut text);
        }
        if self.more > 0 {
            text.push_str(&format!("  and {} more\n", self.more));
        }
        text
    }

    /// A list of `{file, line, column, message, help}`.
    pub fn to_json(&self) -> Value {
        Value::Array(self.list.iter().map(Diagnostic::to_json).collect())
    }
}

impl From<Diagnostics> for Fault {
    fn from(diagnostics: Diagnostics) -> Self {
        let mut what = diagnostics.summary();
        for diagnostic in &diagnostics.list {
            let Diagnostic { file, line, column, .. } = diagnostic;
            what.push_str(&format!("\n  {}:{line}:{column}: {}", file.display(), diagnostic.sentence()));
            if let Some(help) = &diagnostic.help {
                what.push_str(&format!(" ({help})"));
            }
        }
        if diagnostics.more > 0 {
            what.push_str(&format!("\n  and {} more", diagnostics.more));
        }
        Fault::refused(what).fix("correct these places and run the same command again; nothing was built")
    }
}

/// Collects errors while everything else is still being looked at.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    list: Vec<Diagnostic>,
    seen: HashSet<(PathBuf, usize, usize, String)>,
    more: usize,
}

impl Sink {
    /// Takes one in, unless the same was said of the same place: several profiles may extend one faulty file.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        let file = std::fs::canonicalize(&diagnostic.file).unwrap_or_else(|_| diagnostic.file.clone());
        let key = (file, diagnostic.line, diagnostic.column, diagnostic.sentence());
        if self.list.len() < MOST {
            if self.seen.insert(key) {
                self.list.push(diagnostic);
            }
        } else if !self.seen.contains(&key) {
            self.more += 1;
        }
    }

    /// An error at a place.
    pub(crate) fn at(&mut self, place: &Place, message: impl Into<String>, problem: Problem) {
        self.push(Diagnostic::at(place, message, problem));
    }

    /// What came in, if anything did.
    pub(crate) fn finish(mut self) -> Option<Diagnostics> {
        if self.list.is_empty() {
            return None;
        }
        self.list.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        Some(Diagnostics { list: self.list, more: self.more })
    }
}

/// A [`Diagnostic`] in the shape that `miette` draws.
#[derive(Debug)]
struct Drawn {
    message: String,
    help: Option<String>,
    label: Option<LabeledSpan>,
    source: Option<Snippet>,
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Drawn {}

impl miette::Diagnostic for Drawn {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.label.clone().map(|label| Box::new(std::iter::once(label)) as _)
    }
}

/// The one line that a diagnostic is about. `miette` would count columns in bytes; people and editors count characters.
#[derive(Debug)]
struct Snippet {
    file: String,
    text: String,
    /// Where the line begins in the file, in bytes.
    start: usize,
    line: usize,
    column: usize,
}

impl SourceCode for Snippet {
    fn read_span<'a>(
        &'a self,
        _: &SourceSpan,
        before: usize,
        _: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, MietteError> {
        // Without context `miette` asks for the marker's own place, for the header; with it, for the lines to draw.
        let column = if before == 0 { self.column - 1 } else { 0 };
        let span = SourceSpan::from((self.start, self.text.len()));
        let (file, data) = (self.file.clone(), self.text.as_bytes());
        Ok(Box::new(MietteSpanContents::new_named(file, data, span, self.line - 1, column, 1)))
    }
}

fn draw(diagnostic: &Diagnostic, style: Style, text: &mut String) {
    let Diagnostic { file, line, column, cause, .. } = diagnostic;
    let (message, label, source) = match &diagnostic.place {
        Some(place) => {
            let (start, whole) = place.source.line_of(place.span.start);
            let from = place.span.start.clamp(start, start + whole.len());
            let marker = from..place.span.end.clamp(from, start + whole.len());
            let label = LabeledSpan::new_primary_with_span(Some(cause.clone()).filter(|cause| !cause.is_empty()), marker);
            let file = harmless(&file.to_string_lossy());
            let source = Snippet { file, text: harmless(whole), start, line: *line, column: *column };
            (diagnostic.message.clone(), Some(label), Some(source))
        }
        None => (format!("{}:{line}:{column}: {}", file.display(), diagnostic.sentence()), None, None),
    };
    let (theme, ellipsis) = match style {
        Style::Plain => (GraphicalTheme::none(), "..."),
        Style::Fancy => (GraphicalTheme::unicode(), "\u{2026}"),
    };
    let message = message.replace('\u{2026}', ellipsis);
    let help = diagnostic.help.as_ref().map(|help| help.replace('\u{2026}', ellipsis));
    let handler = GraphicalReportHandler::new_themed(theme).with_context_lines(1).with_width(110).with_links(false);
    let report = Report::new(Drawn { message, help, label, source });
    if handler.render_report(text, report.as_ref()).is_err() {
        // The drawing failed, the message must not: fall back to the one-line form.
        text.push_str(&format!("{}:{line}:{column}: {}\n", file.display(), diagnostic.sentence()));
    }
    text.push('\n');
}
