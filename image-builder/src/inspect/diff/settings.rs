//! Lines of settings: what lies under `/etc` and where systemd's and our own settings lie below `/usr/lib`, and the kernel's command
//! line word by word.

use livery_contract::Result;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::files::FileChange;
use crate::inspect::volume::{Kind, Volume};

/// Where settings lie.
const FOLDERS: [&str; 5] = ["/etc/", "/usr/lib/systemd/", "/usr/lib/sysusers.d/", "/usr/lib/tmpfiles.d/", "/usr/lib/livery/"];
/// The most bytes of a file of settings that is compared line by line.
const MAX_FILE: u64 = 256 << 10;
/// The most lines that are told of one.
const MAX_LINES: usize = 200;
/// The most characters of a line.
const MAX_LINE: usize = 300;

/// A file of settings that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SettingChange {
    /// Its path, or what it is.
    pub(crate) name: String,
    /// Lines that went, with `-`, and came, with `+`.
    pub(crate) lines: Vec<String>,
    /// How many more there are.
    pub(crate) more: usize,
}

impl SettingChange {
    /// At most so many lines as a person reads.
    pub(super) fn new(name: &str, mut lines: Vec<String>) -> Self {
        let more = lines.len().saturating_sub(MAX_LINES);
        lines.truncate(MAX_LINES);
        Self { name: name.to_owned(), lines, more }
    }
}

/// The lines of a changed file, where it is one of settings and a text.
///
/// # Errors
/// As [`Bytes::read`](crate::inspect::volume::Bytes::read).
pub(crate) fn lines(change: &FileChange, [one, other]: [&Volume; 2]) -> Result<Option<SettingChange>> {
    if !FOLDERS.iter().any(|folder| change.path.starts_with(folder)) || change.kind != Kind::File || change.within == "esp" {
        return Ok(None);
    }
    let text = |volume: &Volume| -> Result<Option<String>> {
        match volume.tree.get(&change.path) {
            Some(entry) if entry.kind == Kind::File && entry.size <= MAX_FILE => {
                let content = volume.content(entry, usize::try_from(MAX_FILE).unwrap_or(usize::MAX))?;
                Ok(String::from_utf8(content).ok().filter(|text| !text.contains('\0')))
            }
            Some(_) => Ok(None),
            None => Ok(Some(String::new())),
        }
    };
    let (Some(before), Some(now)) = (text(one)?, text(other)?) else { return Ok(None) };
    let lines = differences(&before, &now);
    let name = if change.within == "identity" { format!("{} (personal layer)", change.path) } else { change.path.clone() };
    Ok((!lines.is_empty()).then(|| SettingChange::new(&name, lines)))
}

/// The lines that went and came, in their order; nothing that a terminal would obey.
pub(crate) fn differences(before: &str, now: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(before, now);
    let changed = diff.iter_all_changes().filter_map(|change| {
        let sign = match change.tag() {
            ChangeTag::Equal => return None,
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
        };
        let line: String = change.value().trim_end_matches(['\n', '\r']).chars().take(MAX_LINE).flat_map(shown).collect();
        Some(format!("{sign} {line}"))
    });
    changed.collect()
}

fn shown(letter: char) -> Vec<char> {
    if letter.is_control() && letter != '\t' { letter.escape_default().collect() } else { vec![letter] }
}
