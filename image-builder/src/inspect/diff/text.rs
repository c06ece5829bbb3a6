//! A difference for a terminal.

use std::fmt;

use super::{
    Difference,
    files::{Change, FileChange},
    packages::PackageChange,
    settings::SettingChange,
};
use crate::progress::bytes;

/// So many are shown of each; the rest is counted.
const SHOWN: usize = 60;
/// The same of a file's lines.
const LINES: usize = 24;

/// A difference as text; `all` shows each item, however many there are.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    /// What differs.
    pub(crate) difference: &'a Difference,
    /// Whether everything is shown.
    pub(crate) all: bool,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let difference = self.difference;
        let [a, b] = &difference.images;
        writeln!(f, "{a} -> {b}: {}", if difference.same { "the same content, bit for bit" } else { "they differ" })?;
        self.sizes(f)?;
        if let Some(packages) = &difference.packages {
            self.packages(f, packages)?;
        }
        self.settings(f, &difference.settings)?;
        self.files(f, &difference.files)?;
        if !difference.parts.is_empty() {
            writeln!(f, "\npartitions")?;
            for part in &difference.parts {
                let name = &part.name;
                match (part.before, part.now) {
                    (Some(before), Some(now)) => {
                        let sizes = if before == now { bytes(now) } else { format!("{} -> {}", bytes(before), bytes(now)) };
                        write!(f, "  ~ {name:<14} {sizes}")?;
                        if part.differs > 0 {
                            write!(f, "; up to {} differ, {} of it new", bytes(part.differs), bytes(part.new))?;
                        }
                        writeln!(f)?;
                    }
                    (None, now) => writeln!(f, "  + {name:<14} {}", bytes(now.unwrap_or(0)))?,
                    (before, None) => writeln!(f, "  - {name:<14} {}", bytes(before.unwrap_or(0)))?,
                }
                part.what.iter().try_for_each(|what| writeln!(f, "      {what}"))?;
            }
        }
        if !difference.notes.is_empty() {
            writeln!(f)?;
            difference.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))?;
        }
        Ok(())
    }
}

impl Text<'_> {
    fn shown<'a, T>(&self, items: &'a [T], most: usize) -> (&'a [T], usize) {
        let shown = if self.all { items.len() } else { items.len().min(most) };
        (&items[..shown], items.len() - shown)
    }

    fn sizes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = &self.difference.sizes;
        let mut row = |name: &str, before: Option<String>, now: Option<String>| match (before, now) {
            (None, None) => Ok(()),
            (before, now) if before == now => writeln!(f, "  {name:<14} {}", now.unwrap_or_default()),
            (before, now) => writeln!(f, "  {name:<14} {} -> {}", before.unwrap_or("-".into()), now.unwrap_or("-".into())),
        };
        row("disk", Some(bytes(a.disk)), Some(bytes(b.disk)))?;
        row("data", Some(bytes(a.data)), Some(bytes(b.data)))?;
        row("compressed", Some(bytes(a.compressed)), Some(bytes(b.compressed)))?;
        row("root", a.root.map(bytes), b.root.map(bytes))?;
        row("files in it", a.files.map(|count| count.to_string()), b.files.map(|count| count.to_string()))
    }

    fn packages(&self, f: &mut fmt::Formatter<'_>, packages: &[PackageChange]) -> fmt::Result {
        if packages.is_empty() {
            return Ok(());
        }
        let count = |fits: fn(&PackageChange) -> bool| packages.iter().filter(|change| fits(change)).count();
        let added = count(|change| change.before.is_none());
        let removed = count(|change| change.now.is_none());
        writeln!(f, "\npackages: {added} added, {removed} removed, {} changed", packages.len() - added - removed)?;
        let (shown, more) = self.shown(packages, SHOWN);
        for PackageChange { name, before, now } in shown {
            match (before, now) {
                (Some(before), Some(now)) => writeln!(f, "  ~ {name} {before} -> {now}")?,
                (Some(before), None) => writeln!(f, "  - {name} {before}")?,
                (None, now) => writeln!(f, "  + {name} {}", now.as_deref().unwrap_or_default())?,
            }
        }
        rest(f, more)
    }

    fn settings(&self, f: &mut fmt::Formatter<'_>, settings: &[SettingChange]) -> fmt::Result {
        if settings.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nsettings: {} changed", settings.len())?;
        let (shown, more) = self.shown(settings, SHOWN);
        for change in shown {
            writeln!(f, "  {}", change.name)?;
            let (lines, further) = self.shown(&change.lines, LINES);
            lines.iter().try_for_each(|line| writeln!(f, "    {line}"))?;
            if further + change.more > 0 {
                writeln!(f, "    and {} more lines", further + change.more)?;
            }
        }
        rest(f, more)
    }

    fn files(&self, f: &mut fmt::Formatter<'_>, files: &[FileChange]) -> fmt::Result {
        if files.is_empty() {
            return Ok(());
        }
        let count = |change: Change| files.iter().filter(|file| file.change == change).count();
        let (added, removed, changed) = (count(Change::Added), count(Change::Removed), count(Change::Changed));
        writeln!(f, "\nfiles: {added} added, {removed} removed, {changed} changed")?;
        let (shown, more) = self.shown(files, SHOWN);
        for file in shown {
            let sign = match file.change {
                Change::Added => '+',
                Change::Removed => '-',
                Change::Changed => '~',
            };
            let size = match (file.before, file.now) {
                (Some(before), Some(now)) if before != now => format!(", {} -> {}", bytes(before), bytes(now)),
                (_, Some(size)) | (Some(size), None) => format!(", {}", bytes(size)),
                (None, None) => String::new(),
            };
            let place = if file.within == "root" { String::new() } else { format!("{}: ", file.within) };
            let path: String = file
                .path
                .chars()
                .flat_map(|letter| if letter.is_control() { letter.escape_default().collect() } else { vec![letter] })
                .collect();
            writeln!(f, "  {sign} {place}{path}  {}{size}", file.what.join(", "))?;
        }
        rest(f, more)
    }
}

fn rest(f: &mut fmt::Formatter<'_>, more: usize) -> fmt::Result {
    if more > 0 { writeln!(f, "  and {more} more; --all and --json show all") } else { Ok(()) }
}
