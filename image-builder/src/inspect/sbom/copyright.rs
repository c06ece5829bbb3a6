//! Debian's machine-readable copyright files (DEP-5, copyright-format 1.0): what licences a package's files have.

use std::collections::{BTreeMap, BTreeSet};

use super::licence;

/// The most bytes of a licence's text that are kept: enough to tell it.
const MAX_TEXT: usize = 8 << 10;

/// Collects licences of packages, and the texts of those that SPDX has no identifier for.
#[derive(Debug, Default)]
pub(crate) struct Licensing {
    /// `LicenseRef-…` to text.
    pub(crate) texts: BTreeMap<String, String>,
}

impl Licensing {
    /// The licence of a package by its copyright file: an SPDX expression of all that its files have; `None` where the file is not
    /// in the form that machines read.
    pub(crate) fn of(&mut self, copyright: &str) -> Option<String> {
        let paragraphs = paragraphs(copyright);
        let header = paragraphs.first()?;
        if !header.iter().any(|(name, value)| name == "format" && value.contains("copyright-format")) {
            return None;
        }
        // A paragraph of files has its licence; one without files has the text for a short name.
        let field =
            |paragraph: &Paragraph, wanted: &str| paragraph.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        let mut all = BTreeSet::new();
        for paragraph in &paragraphs {
            let Some(value) = field(paragraph, "license") else { continue };
            let (short, text) = value.split_once('\n').unwrap_or((&value, ""));
            if !text.trim().is_empty() {
                texts.entry(short.trim().to_lowercase()).or_insert_with(|| shortened(text));
            }
            if field(paragraph, "files").is_some() && !short.trim().is_empty() {
                all.insert(short.trim().to_owned());
            }
        }
        let mut expressions = BTreeSet::new();
        for short in &all {
            let found = licence::expression(short);
            for (reference, name) in found.references {
                let text = texts.get(&name.to_lowercase()).cloned();
                let text = text.unwrap_or_else(|| format!("{name}, as Debian's copyright files call it"));
                // The first package's text stands for the name.
                self.texts.entry(reference).or_insert(text);
            }
            expressions.insert(found.expression);
        }
        let join = |expression: &String| if expression.contains(" OR ") { format!("({expression})") } else { expression.clone() };
        match expressions.len() {
            0 => None,
            1 => expressions.pop_first(),
            _ => Some(expressions.iter().map(join).collect::<Vec<_>>().join(" AND ")),
        }
    }
}

/// Fields by lower-case name; further lines of a field joined, without their one blank at the beginning.
type Paragraph = Vec<(String, String)>;

fn paragraphs(text: &str) -> Vec<Paragraph> {
    let mut all = vec![Paragraph::new()];
    for line in text.lines() {
        if line.trim().is_empty() {
            all.push(Paragraph::new());
        } else if line.starts_with('#') {
            continue;
        } else if let Some(more) = line.strip_prefix([' ', '\t']) {
            if let Some((_, value)) = all.last_mut().and_then(|paragraph| paragraph.last_mut()) {
                value.push('\n');
                value.push_str(if more.trim() == "." { "" } else { more });
            }
        } else if let Some((name, value)) = line.split_once(':')
            && let Some(paragraph) = all.last_mut()
        {
            paragraph.push((name.trim().to_lowercase(), value.trim().to_owned()));
        }
    }
    all.retain(|paragraph| !paragraph.is_empty());
    all
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licences_of_all_files_are_said_and_unknown_ones_with_their_text() {
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: x\n\n\
                    Files: *\nCopyright: 2020 A\nLicense: GPL-2+\n\nFiles: lib/*\nCopyright: B\nLicense: Expat or Own-1\n\n\
                    Files: debian/*\nCopyright: C\nLicense: GPL-2+\n\nLicense: Own-1\n Do what\n .\n you like.\n\nLicense: GPL-2+\n See there.\n";
        let mut licensing = Licensing::default();
        assert_eq!(licensing.of(text).unwrap(), "GPL-2.0-or-later AND (MIT OR LicenseRef-Own-1)");
        assert_eq!(licensing.texts["LicenseRef-Own-1"], "Do what\n\nyou like.");
        assert_eq!(licensing.texts.len(), 1);
        assert_eq!(licensing.of("This is free software.\n\nLicense: GPL\n"), None);
        assert_eq!(licensing.of("Upstream-Name: x\n\nFiles: *\nLicense: GPL-2\n"), None, "not in the form for machines");
        assert_eq!(licensing.of(""), None);
        let header = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nLicense: GPL-3\n";
        assert_eq!(licensing.of(header), None, "the header's is of the package as a whole, and of no file");
    }
}
