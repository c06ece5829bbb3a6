//! What was found, where, and how to mend it.

use serde::{Deserialize, Serialize};

/// Something that no image may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// The file, from the image's top.
    pub(crate) path: String,
    /// Where in it: `line 3` or `byte 8192`; nothing where it is the file itself.
    pub(crate) place: Option<String>,
    /// The rule's name, such as `private-key`.
    pub(crate) rule: String,
    pub(crate) what: String,
    /// Why it matters.
    pub(crate) why: String,
    /// How to mend it.
    pub(crate) fix: String,
}

impl Finding {
    pub(super) fn new(path: &str, rule: &str, what: impl Into<String>, why: &str, fix: &str) -> Self {
        Self { path: path.into(), place: None, rule: rule.into(), what: what.into(), why: why.into(), fix: fix.into() }
    }

    /// Whether it is something that the file holds, and not the file itself or who may use it.
    pub(crate) fn is_content(&self) -> bool {
        matches!(self.rule.as_str(), "private-key" | "token" | "password")
    }

    pub(super) fn at(mut self, place: String) -> Self {
        self.place = Some(place);
        self
    }
}

/// `line 3` in a text's beginning, else `byte 8192`.
pub(super) fn place(window: &[u8], from: u64, at: usize) -> String {
    if from == 0 && !window[..at].contains(&0) {
        let line = window[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        return format!("line {line}");
    }
    format!("byte {}", from + at as u64)
}
