//! What a check found: where, what, and how to mend it.

use std::{fmt, path::PathBuf};

/// One thing to mend. Prints as an editor can jump to: `file:line: what`, then the fix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, relative to the workspace's folder.
    pub file: PathBuf,
    /// The line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// More lines of what is wrong, such as the arrows of a circle.
    pub details: Vec<String>,
    /// How to mend it.
    pub fix: String,
}

impl Finding {
    pub(crate) fn new(file: impl Into<PathBuf>, line: usize, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { file: file.into(), line, what: what.into(), details: Vec::new(), fix: fix.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.what)?;
        for detail in &self.details {
            write!(f, "\n       {detail}")?;
        }
        write!(f, "\n  fix: {}", self.fix)
    }
}
