//! What `livery explain` prints for people: one setting with all that is known of it, or a line for each of many.

use std::{
    fmt::{self, Write as _},
    path::Path,
};

use super::explained::{Explained, Explanation};
use crate::{
    files::merge::{Action, Origin},
    report::text::harmless,
    settings::choice::Kind,
};

/// The most characters of a value in the list of all settings.
const SHORT: usize = 60;

impl Explanation {
    /// What a person should know besides: that the profile has errors.
    pub fn note(&self, path: &Path) -> Option<String> {
        let errors = if self.errors == 1 { "an error" } else { "errors" };
        (self.errors > 0).then(|| format!("note: this profile has {errors}; livery check {} lists them", path.display()))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        if let (Some(setting), true) = (self.settings.first(), self.single) {
            setting.tell(self.kind, &mut text)?;
        } else {
            table_of(&self.settings, &mut text)?;
        }
        f.write_str(&harmless(&text))
    }
}

/// One line a setting: its name, what holds, who decided.
fn table_of(settings: &[Explained], text: &mut String) -> fmt::Result {
    let rows: Vec<_> = settings.iter().map(|setting| (setting.key, setting.short(), setting.deciders())).collect();
    let names = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let values = rows.iter().map(|row| row.1.chars().count()).max().unwrap_or(0);
    rows.iter().try_for_each(|(key, value, by)| writeln!(text, "{key:names$}  {value:values$}  {by}"))
}

impl Explained {
    fn short(&self) -> String {
        match (&self.text, &self.items) {
            (Some(text), _) if text.chars().count() <= SHORT => text.clone(),
            (Some(_), Some(items)) => format!("{} items", items.len()),
            (Some(text), None) => format!("{}\u{2026}", text.chars().take(SHORT - 1).collect::<String>()),
            (None, _) if self.faulty => "faulty".into(),
            (None, _) => "-".into(),
        }
    }

    fn deciders(&self) -> String {
        let mut by: Vec<String> = self
            .origins
            .iter()
            .filter(|origin| origin.holds)
            .map(|origin| format!("{}:{}:{}", origin.file.display(), origin.line, origin.column))
            .collect();
        if self.default_holds {
            by.push("default".into());
        }
        let by = if by.is_empty() { "not set".into() } else { by.join(", ") };
        if self.locked.is_some() { format!("{by} (locked)") } else { by }
    }

    /// All about one setting.
    fn tell(&self, kind: Option<Kind>, text: &mut String) -> fmt::Result {
        match &self.text {
            Some(value) => writeln!(text, "{} = {value}", self.key)?,
            None if self.faulty => writeln!(text, "{} has an error", self.key)?,
            None => writeln!(text, "{} is not set", self.key)?,
        }
        writeln!(text, "  {}", self.meaning)?;
        if let (false, Some(kind)) = (self.used, kind) {
            let users = self.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" and ");
            writeln!(text, "  It has no effect here: kind = \"{kind}\" does not use it, only {users} does.")?;
        }
        if let Some(items) = self.items.as_ref().filter(|items| !items.is_empty()) {
            writeln!(text, "\nitems, and where they come from:")?;
            let rows = items
                .iter()
                .map(|brought| (format!("{:?}", brought.item), brought.by.clone().unwrap_or_else(|| "the default".into())));
            columns("  ", &rows.collect::<Vec<_>>(), text)?;
        }
        writeln!(text, "\nwhere it is set, nearest first (* is the effective value):")?;
        let mut rows: Vec<(String, String)> = self
            .origins
            .iter()
            .map(|origin| {
                let mark = if origin.holds { '*' } else { ' ' };
                (format!("{mark} {}:{}:{}", origin.file.display(), origin.line, origin.column), origin.to_string())
            })
            .collect();
        let default = if self.default.is_null() { "none".into() } else { self.default.to_string() };
        rows.push((format!("{} the default", if self.default_holds { '*' } else { ' ' }), default));
        columns("", &rows, text)
    }
}

fn columns(before: &str, rows: &[(String, String)], text: &mut String) -> fmt::Result {
    let width = rows.iter().map(|row| row.0.chars().count()).max().unwrap_or(0);
    rows.iter().try_for_each(|(left, right)| writeln!(text, "{before}{left:width$}  {right}"))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: &[String]| items.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>().join(", ");
        match &self.action {
            Action::Set { value } => write!(f, "sets {value}")?,
            Action::Changed { add, remove } => {
                let changes = [("adds", add), ("removes", remove)];
                let told = changes.iter().filter(|(_, items)| !items.is_empty());
                let told: Vec<String> = told.map(|(what, items)| format!("{what} {}", list(items))).collect();
                f.write_str(&if told.is_empty() { "changes nothing".into() } else { told.join(", ") })?;
            }
            Action::Faulty => f.write_str("sets an invalid value")?,
            Action::Locked { by } if by.contains('.') => return f.write_str("locks it for files that extend this one"),
            Action::Locked { by } => return write!(f, "locks it, by {by:?}, for files that extend this one"),
            Action::Refused { lock } => return write!(f, "would change it, but {lock} locks it"),
        }
        if self.holds { Ok(()) } else { f.write_str(" (overridden)") }
    }
}
