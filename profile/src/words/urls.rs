//! URLs and time servers as settings take them.

use std::net::IpAddr;

use url::Url;

use super::host;
use crate::report::{problem::Problem, text::quoted};

/// A URL under https, without a password in it.
pub(crate) fn https(text: &str) -> Result<Url, Problem> {
    let url = any(text)?;
    if url.scheme() != "https" {
        let help = match url.scheme() {
            "http" => format!("write {:?}", text.replacen("http", "https", 1)),
            _ => "write https://…".to_owned(),
        };
        return Err(Problem::new(format!("{} is not https", quoted(text))).help(help));
    }
    Ok(url)
}

/// An https URL of a host and perhaps a port, nothing else: what others put paths behind.
pub(crate) fn origin(text: &str) -> Result<Url, Problem> {
    let url = https(text)?;
    if url.path() != "/" || url.query().is_some() {
        return Err(
            Problem::new(format!("{} has a path", quoted(text))).help(format!("write {:?}", url.origin().ascii_serialization()))
        );
    }
    Ok(url)
}

/// A Debian mirror: http will do, as apt checks signatures itself.
pub(crate) fn mirror(text: &str) -> Result<Url, Problem> {
    let url = any(text)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Problem::new(format!("{} is neither https nor http", quoted(text)))
            .help("name the mirror's folder that holds dists/ and pool/, such as \"https://mirror.assurance.example/debian\""));
    }
    Ok(url)
}

fn any(text: &str) -> Result<Url, Problem> {
    let example = "write a whole URL, such as \"https://gateway.assurance.example/\"";
    // The WHATWG parser silently drops these; a profile that holds them was pasted badly.
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Problem::new(format!("{} has spaces or control characters", quoted(text))).help(example));
    }
    let url = Url::parse(text).map_err(|error| Problem::new(format!("{} is not a URL: {error}", quoted(text))).help(example))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Problem::new(format!("{} names no host", quoted(text))).help(example));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            Problem::new("the URL holds a user name or a password").help("remove it: anyone who has a device can read its image")
        );
    }
    if url.fragment().is_some() {
        return Err(Problem::new(format!("{} has a fragment (#…)", quoted(text))).help("remove it: it is never sent"));
    }
    Ok(url)
}

/// A time server: a host name or an IP address.
pub(crate) fn server(text: &str) -> Result<(), Problem> {
    if text.parse::<IpAddr>().is_ok() { Ok(()) } else { host::name(text, "a host") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for good in ["https://a.example", "https://a.example:8443/x?y=1", "https://10.0.2.2/"] {
            assert!(https(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "http://a.example/",
            "ftp://a.example/",
            "https://",
            "https://u@a.example/",
            "https://u:p@a.example/",
            "https://a.example/#x",
            " https://a.example/",
            "https://a.exa\nmple/",
            "https://a.example:99999/",
            "file:///etc/passwd",
        ] {
            assert!(https(bad).is_err(), "{bad}");
        }
        assert!(origin("https://a.example:8443").is_ok() && origin("https://a.example/store").is_err());
        assert!(mirror("http://a.example/debian").is_ok() && mirror("file:///debian").is_err());
        assert!(server("fd00::1").is_ok() && server("time.assurance.example").is_ok() && server("*.x.example").is_err());
    }
}
