//! What is wrong with a roster, by row and column.

use std::fmt;

use crate::fault::Fault;

/// What is wrong with one field. Row 1 is the first employee; row 0 is the file as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// Row, from 1.
    pub row: usize,
    /// Line in the file, from 1, where known.
    pub line: Option<u64>,
    /// Column's name, empty for the row as a whole.
    pub column: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.row > 0 {
            write!(f, "row {}", self.row)?;
        }
        if let Some(line) = self.line {
            write!(f, "{}line {line}", if self.row > 0 { ", " } else { "" })?;
        }
        if !self.column.is_empty() {
            write!(f, ", column {}", self.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The errors as one fault for a person; at most the first 50 are spelt out.
pub fn fault(errors: &[RowError], path: &str) -> Fault {
    let mut what = format!("the roster has {} error{}", errors.len(), if errors.len() == 1 { "" } else { "s" });
    for error in errors.iter().take(50) {
        what.push_str(&format!("\n  {error}"));
    }
    if errors.len() > 50 {
        what.push_str(&format!("\n  and {} more", errors.len() - 50));
    }
    Fault::refused(what).at(path).fix("correct the roster and run the same command again; nothing was written")
}

/// The file as a whole.
pub(super) fn whole(line: Option<u64>, message: String) -> RowError {
    RowError { row: 0, line, column: String::new(), message }
}
