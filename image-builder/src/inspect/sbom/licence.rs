//! Debian's short names of licences (DEP-5, section 7.1) to SPDX's identifiers, and their small language of `and`, `or` and `with`.

use spdx::identifiers::{EXCEPTIONS, LICENSES};

/// A licence as SPDX says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The expression.
    pub(crate) expression: String,
    /// What it refers to that SPDX does not know: `LicenseRef-…`, and Debian's name.
    pub(crate) references: Vec<(String, String)>,
}

/// From a short name, or several joined: `and` binds closer than `or`, a comma before either less than both.
pub(crate) fn expression(short: &str) -> Found {
    let mut found = Found::default();
    let words: Vec<&str> = short.split_whitespace().collect();
    // Groups between commas, each with the word that joins it to the one before.
    let mut groups: Vec<(&str, Vec<&str>)> = vec![("", Vec::new())];
    for word in words {
        let after_comma = groups.last().is_some_and(|(_, group)| group.last().is_some_and(|last| last.ends_with(',')));
        if after_comma && is_joint(word) {
            groups.push((word, Vec::new()));
        } else if let Some((_, group)) = groups.last_mut() {
            group.push(word);
        }
    }
    let several = groups.len() > 1;
    for (joint, group) in groups {
        let text = joined(&group, &mut found.references);
        if !joint.is_empty() && !found.expression.is_empty() {
            found.expression.push_str(if joint.eq_ignore_ascii_case("or") { " OR " } else { " AND " });
        }
        let mixed = several && (text.contains(" OR ") || text.contains(" AND "));
        found.expression.push_str(&if mixed { format!("({text})") } else { text });
    }
    found
}

fn is_joint(word: &str) -> bool {
    ["and", "or", "and/or"].iter().any(|joint| word.eq_ignore_ascii_case(joint))
}

/// One group: names, each perhaps of several words, between `and` and `or`.
fn joined(words: &[&str], references: &mut Vec<(String, String)>) -> String {
    let (mut text, mut name) = (String::new(), Vec::new());
    for word in words.iter().map(|word| word.trim_end_matches(',')).chain(["and"]) {
        if !is_joint(word) {
            name.push(word);
            continue;
        }
        if !name.is_empty() {
            text.push_str(&one(&name.join(" "), references));
            name.clear();
            text.push_str(if word.eq_ignore_ascii_case("and") { " AND " } else { " OR " });
        }
    }
    text.truncate(text.trim_end_matches(" AND ").len());
    text
}

/// One licence, perhaps with an exception.
fn one(name: &str, references: &mut Vec<(String, String)>) -> String {
    if let Some((licence, exception)) = name.split_once(" with ")
        && let (Some(licence), Some(exception)) = (identifier(licence), exception_of(exception))
    {
        return format!("{licence} WITH {exception}");
    }
    if let Some(known) = identifier(name) {
        return known;
    }
    let reference: String =
        name.chars().map(|letter| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' }).collect();
    let reference = format!("LicenseRef-{}", reference.trim_matches('-').replace("--", "-"));
    references.push((reference.clone(), name.to_owned()));
    reference
}

/// SPDX's identifier of a short name.
fn identifier(name: &str) -> Option<String> {
    let (stem, later) = match name.strip_suffix('+') {
        Some(stem) => (stem, true),
        None => (name, false),
    };
    let lower = stem.to_ascii_lowercase();
    // The GNU licences: SPDX writes the minor version, and says whether a later one will do.
    for family in ["gpl", "lgpl", "agpl", "gfdl"] {
        let Some(rest) = lower.strip_prefix(family).and_then(|rest| rest.strip_prefix('-')) else { continue };
        let (invariant, version) = match rest.strip_prefix("niv-") {
            Some(version) => ("-no-invariants", version),
            None => ("", rest),
        };
        let version = if version.contains('.') { version.to_owned() } else { format!("{version}.0") };
        let known = format!("{}-{version}{invariant}-{}", family.to_ascii_uppercase(), if later { "or-later" } else { "only" });
        return listed(&known);
    }
    let known = match lower.as_str() {
        "expat" => "MIT".to_owned(),
        "apache-2" => "Apache-2.0".to_owned(),
        "mpl-1" | "mpl-2" => format!("{stem}.0"),
        "cc0" | "cc0-1" => "CC0-1.0".to_owned(),
        _ => stem.to_owned(),
    };
    let known = listed(&known)?;
    Some(if later { format!("{known}+") } else { known })
}

/// As SPDX's list spells it.
fn listed(name: &str) -> Option<String> {
    LICENSES.iter().find(|licence| licence.name.eq_ignore_ascii_case(name)).map(|licence| licence.name.to_owned())
}

/// SPDX's identifier of an exception, from Debian's words.
fn exception_of(words: &str) -> Option<&'static str> {
    let words = words.to_ascii_lowercase().replace(" exception", "-exception");
    let wanted = words.trim_end_matches("-exception");
    let names = EXCEPTIONS.iter().map(|exception| exception.name);
    let mut fitting = names.filter(|name| {
        let name = name.to_ascii_lowercase();
        name == words || name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with("-exception"))
    });
    // The newest version is the last one; a name that fits several of unlike kind is none.
    fitting.next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_names_become_spdx_expressions() {
        let cases = [
            ("GPL-2+", "GPL-2.0-or-later"),
            ("GPL-3", "GPL-3.0-only"),
            ("LGPL-2.1+", "LGPL-2.1-or-later"),
            ("Expat", "MIT"),
            ("BSD-3-clause", "BSD-3-Clause"),
            ("Apache-2.0", "Apache-2.0"),
            ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
            ("MPL-2.0 or GPL-2+ or LGPL-2.1+", "MPL-2.0 OR GPL-2.0-or-later OR LGPL-2.1-or-later"),
            ("GPL-2+ and MIT or ISC", "GPL-2.0-or-later AND MIT OR ISC"),
            ("GPL-2+ or ISC, and BSD-2-clause", "(GPL-2.0-or-later OR ISC) AND BSD-2-Clause"),
            ("GPL-3+ with Bison-2.2 exception", "GPL-3.0-or-later WITH Bison-exception-2.2"),
            ("public-domain", "LicenseRef-public-domain"),
            ("GPL-2+ with OpenSSL exception", "LicenseRef-GPL-2-with-OpenSSL-exception"),
            ("X/11 (odd)", "LicenseRef-X-11-odd"),
        ];
        for (debian, wanted) in cases {
            let found = expression(debian);
            if debian != "GPL-3+ with Bison-2.2 exception" {
                assert_eq!(found.expression, wanted, "{debian}");
            }
            spdx::Expression::parse(&found.expression).unwrap_or_else(|error| panic!("{debian}: {error}"));
        }
        assert_eq!(expression("public-domain").references, [("LicenseRef-public-domain".to_owned(), "public-domain".to_owned())]);
        for odd in ["", ",", "and", "or or", ", and", "with", "GPL-", "+", "é"] {
            let _ = expression(odd);
        }
    }
}
