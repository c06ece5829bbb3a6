//! What Debian's own tools take: names of packages, patterns of paths.

use crate::report::{problem::Problem, text::quoted};

/// A package's name (Debian Policy section 5.6.1).
pub(crate) fn package(text: &str) -> Result<(), Problem> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.');
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if first && text.len() >= 2 && text.len() <= 128 && text.bytes().all(allowed) {
        return Ok(());
    }
    let problem = Problem::new(format!("{} is not a package name", quoted(text)));
    Err(match text.split_once(['=', ':', '/']) {
        Some((name, _)) => {
            problem.help(format!("write only {name:?}: the suite decides the version, and debian.architecture the architecture"))
        }
        None => problem.help("Debian's names have a-z 0-9 + - . and at least two characters"),
    })
}

/// An absolute path with wildcards, as dpkg's `path-exclude` takes it.
pub(crate) fn is_path_pattern(text: &str) -> bool {
    text.len() > 1
        && text.len() <= 256
        && text.starts_with('/')
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'#'))
        && text.split('/').all(|part| part != "..")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn packages_and_path_patterns() {
        assert!(["/usr/share/doc/*", "/usr/share/locale/locale.alias"].into_iter().all(is_path_pattern));
        assert!(!["/", "usr", "/usr/../etc", "/a b", "/é"].into_iter().any(is_path_pattern));
        assert!(["firefox-esr", "libstdc++6", "7zip"].into_iter().all(|text| package(text).is_ok()));
        assert!(["", "x", "Firefox", "a=1", "-a", "a b"].into_iter().all(|text| package(text).is_err()));
    }
}
