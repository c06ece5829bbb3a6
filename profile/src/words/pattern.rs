//! Which host names a rule is for.

use std::{cmp::Reverse, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A rule's host names: `a.example` alone; `*.a.example` for it and all below, as in Firefox's match patterns; or what
/// begins and ends in a certain way (`autodiscover.*.onmicrosoft.com`, `*cdn.onenote.net`), as Microsoft's list has two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pattern {
    /// This name alone.
    Exact(String),
    /// This name and all below it.
    Domain(String),
    /// At least one character between these.
    Glob(String, String),
}

impl Pattern {
    /// Whether the rule is for this host: lower case, without a last dot.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host == name,
            Self::Domain(domain) => below(host, domain),
            Self::Glob(begin, end) => {
                host.len() > begin.len() + end.len() && host.starts_with(begin.as_str()) && host.ends_with(end.as_str())
            }
        }
    }

    /// Whether all that the other matches, this one matches too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (one, Self::Exact(name)) => one.matches(name),
            (Self::Domain(domain), Self::Domain(other)) => below(other, domain),
            // What ends in `.a.example` lies below it.
            (Self::Domain(domain), Self::Glob(_, end)) => end.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.')),
            (Self::Glob(begin, end), Self::Glob(other_begin, other_end)) => {
                other_begin.starts_with(begin.as_str()) && other_end.ends_with(end.as_str())
            }
            (Self::Glob(begin, end), Self::Domain(domain)) => {
                begin.is_empty() && domain.len() > end.len() && domain.ends_with(end.as_str())
            }
            (Self::Exact(_), _) => false,
        }
    }

    /// What decides between rules that match one host: a name before a longer end of it before a shorter one. The end of two
    /// patterns that match one host is never equally long, unless they differ in kind or beginning.
    pub fn rank(&self) -> impl Ord + use<> {
        match self {
            Self::Exact(name) => (0, Reverse(name.len()), Reverse(0)),
            Self::Domain(domain) => (1, Reverse(domain.len()), Reverse(0)),
            Self::Glob(begin, end) => (1, Reverse(end.trim_start_matches('.').len()), Reverse(begin.len() + 1)),
        }
    }
}

/// Whether `host` is `domain` or below it.
fn below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Domain(domain) => write!(f, "*.{domain}"),
            Self::Glob(begin, end) => write!(f, "{begin}*{end}"),
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    /// In words, why it is none.
    fn from_str(text: &str) -> Result<Self, String> {
        let no = |why: &str| Err(format!("{text:?} is not a host name pattern: {why}"));
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        if text.is_empty() || text.len() > 253 || !text.bytes().all(|byte| allowed(byte) || byte == b'*') {
            return no("it has 1 to 253 of a-z 0-9 - . _, and perhaps one *");
        }
        if text.split('.').any(str::is_empty) {
            return no("a label is empty: two dots in a row, or a dot at the beginning or end");
        }
        let Some((begin, end)) = text.split_once('*') else { return Ok(Self::Exact(text.to_owned())) };
        if end.contains('*') {
            return no("it has two asterisks");
        }
        let domain = end.trim_start_matches('.');
        if !domain.contains('.') {
            return no("it would match a whole top-level domain");
        }
        match begin {
            "" if end.starts_with('.') => Ok(Self::Domain(domain.to_owned())),
            _ => Ok(Self::Glob(begin.to_owned(), end.to_owned())),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn what_they_match_and_cover() {
        for (text, yes, no) in [
            ("a.example", &["a.example"][..], &["b.a.example", "xa.example", "a.example.com"][..]),
            ("*.a.example", &["a.example", "b.a.example", "c.b.a.example"], &["xa.example", "example"]),
            ("auto.*.ms.com", &["auto.x.ms.com", "auto.x.y.ms.com"], &["auto.ms.com", "auto..ms.com.x", "x.auto.x.ms.com"]),
            ("*cdn.note.net", &["xcdn.note.net", "a.cdn.note.net"], &["cdn.note.net", "note.net"]),
        ] {
            let pattern = pattern(text);
            assert_eq!(pattern.to_string(), text);
            assert!(yes.iter().all(|host| pattern.matches(host)), "{text}");
            assert!(!no.iter().any(|host| pattern.matches(host)), "{text}");
            assert!(pattern.covers(&pattern), "{text}");
        }
        for (one, other) in [
            ("*.a.example", "*.b.a.example"),
            ("*.a.example", "a.example"),
            ("*.ms.com", "auto.*.ms.com"),
            ("*cdn.note.net", "*.xcdn.note.net"),
            ("*cdn.note.net", "a.*.cdn.note.net"),
        ] {
            assert!(pattern(one).covers(&pattern(other)) && !pattern(other).covers(&pattern(one)), "{one} {other}");
        }
        assert!(!pattern("*.cdn.note.net").covers(&pattern("*cdn.note.net")));
    }

    #[test]
    fn the_most_particular_decides() {
        let mut all = ["*.example.com", "*.a.example.com", "x.*.example.com", "*le.com", "b.a.example.com"].map(pattern);
        all.sort_by_key(Pattern::rank);
        assert_eq!(
            all.map(|pattern| pattern.to_string()),
            ["b.a.example.com", "*.a.example.com", "x.*.example.com", "*.example.com", "*le.com"]
        );
    }

    #[test]
    fn bad_ones() {
        for bad in
            ["", "*", "*.com", "a..b", ".a.b", "a.b.", "A.b", "a b", "*.a.*.b", "a/b", "é.example", "*com", &"a.".repeat(200)]
        {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }
}
