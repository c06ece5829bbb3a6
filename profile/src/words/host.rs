//! Host names as a browser's policy takes them.

use serde::Serialize;

use super::pattern::Pattern;
use crate::report::{problem::Problem, text::quoted};

/// A host that the browser may reach: `gateway.assurance.example`, or `*.assurance.example` for it and all below it.
///
/// There is no port: Firefox's match patterns have none, a host is allowed on every port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Host(String);

impl Host {
    /// Checks a host as a profile writes it.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let stem = text.strip_prefix("*.").unwrap_or(text);
        name(stem, "a host")?;
        if stem.len() < text.len() && !stem.contains('.') {
            return Err(Problem::new(format!("{} would allow a whole top-level domain", quoted(text)))
                .help("name the organisation's domain, such as \"*.assurance.example\""));
        }
        Ok(Self(text.to_owned()))
    }

    /// The host as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The rule that it stands for.
    pub fn pattern(&self) -> Pattern {
        match self.0.strip_prefix("*.") {
            Some(domain) => Pattern::Domain(domain.to_owned()),
            None => Pattern::Exact(self.0.clone()),
        }
    }

    /// Whether it lets `host` through. As in Firefox, `*.a.example` matches `a.example` too.
    pub fn matches(&self, host: &str) -> bool {
        match self.0.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            None => self.0 == host,
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host name after RFC 1123 section 2.1, in lower case, or an IPv4 address. `what` begins the message.
pub(super) fn name(text: &str, what: &str) -> Result<(), Problem> {
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', ':', '?']).next().unwrap_or_default();
        return Err(Problem::new(format!("{} is a URL, but {what} name is expected", quoted(text))).help(format!("write {host:?}")));
    }
    if let Some((host, port)) = text.split_once(':')
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(Problem::new(format!("{} has a port", quoted(text)))
            .help(format!("write {host:?}: a host is allowed on every port, the URL decides which")));
    }
    if let Some((host, _)) = text.split_once('/') {
        return Err(Problem::new(format!("{} has a path", quoted(text))).help(format!("write {host:?}")));
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(
            Problem::new(format!("{} has capital letters", quoted(text))).help(format!("write {:?}", text.to_ascii_lowercase()))
        );
    }
    if !text.is_ascii() {
        return Err(Problem::new(format!("{} has letters that are not ASCII", quoted(text)))
            .help("write the name in its DNS form, with xn--"));
    }
    let malformed = |why: &str| {
        Err(Problem::new(format!("{} is not a host name: {why}", quoted(text)))
            .help("RFC 1123: labels of 1 to 63 of a-z 0-9 -, with dots between, 253 in all"))
    };
    if text.is_empty() || text.len() > 253 {
        return malformed(if text.is_empty() { "it is empty" } else { "it is too long" });
    }
    for label in text.split('.') {
        if label.is_empty() {
            return malformed("a label is empty: two dots in a row, or a dot at the beginning or end");
        }
        if !livery_contract::roster::is_hostname(label) {
            return malformed(&format!("the label {}", quoted(label)));
        }
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    // WHATWG URL: a last label of digits makes it an IPv4 address, so it must be a whole one.
    if last.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<std::net::Ipv4Addr>().is_err() {
        return malformed("it ends in a number but is no IPv4 address");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn good_and_bad_hosts() {
        for good in ["a", "gateway.assurance.example", "*.assurance.example", "10.0.2.2", "xn--e1afmkfd.example", "1a.example"] {
            Host::parse(good).unwrap();
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "a_b",
            "*",
            "*.",
            "*.example",
            "a.*.b",
            "A.example",
            "é.example",
            "a b",
            "https://a.example/",
            "a.example:443",
            "a.example/x",
            "1.2.3",
            "1.2.3.256",
            "[::1]",
        ] {
            assert!(Host::parse(bad).is_err(), "{bad}");
        }
        assert!(Host::parse(&"a.".repeat(127)).is_err());
    }

    #[test]
    fn a_star_covers_its_domain_and_what_is_below() {
        let star = Host::parse("*.a.example").unwrap();
        assert!(star.matches("a.example") && star.matches("x.y.a.example"));
        assert!(!star.matches("ba.example") && !star.matches("example"));
        assert!(!Host::parse("a.example").unwrap().matches("x.a.example"));
    }
}
