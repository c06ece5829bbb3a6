//! Which paths of packages are not unpacked: dpkg's own patterns (`path-exclude`, `path-include` in dpkg(1)).
//!
//! dpkg reads them from a file of ours in the root. mmdebstrap lays the essential packages out with `tar` before there is a dpkg; given
//! the patterns itself, it filters those archives by a slow program of its own (8 of 35 seconds). What the patterns name is removed
//! from them by `find` instead, which matches as dpkg does: by fnmatch(3), `*` also over slashes.

use std::{fmt::Write as _, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use livery_contract::Result;

use super::files::{failed, write};

/// Where dpkg finds them in the root.
const IN_ROOT: &str = "etc/dpkg/dpkg.cfg.d/livery-paths";

/// See the module. A path that both name is unpacked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patterns<'a> {
    /// Not unpacked.
    pub(crate) exclude: &'a [&'a str],
    /// Unpacked nevertheless.
    pub(crate) include: &'a [&'a str],
}

impl Patterns<'_> {
    /// Has the dpkg in a root that mmdebstrap makes follow them; the file is put into `scratch`.
    ///
    /// # Errors
    /// Exit 1 where it can't be written.
    pub(crate) fn configure(self, command: &mut Command, scratch: &Path) -> Result<()> {
        let path = write(scratch, "livery-paths", &self.config())?;
        command.env("LIVERY_PATHS", path).arg(format!(r#"--setup-hook=cp "$LIVERY_PATHS" "$1/{IN_ROOT}""#));
        Ok(())
    }

    /// Has mmdebstrap remove what is excluded from the essential packages that it laid out; the script is put into `scratch`.
    ///
    /// # Errors
    /// Exit 1 where it can't be written.
    pub(crate) fn remove(self, command: &mut Command, scratch: &Path) -> Result<()> {
        if !self.exclude.is_empty() {
            let path = write(scratch, "remove-excluded", &self.script())?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(|error| failed(&path, error))?;
            command.arg(format!("--extract-hook={}", path.display()));
        }
        Ok(())
    }

    /// dpkg's configuration.
    fn config(self) -> String {
        let lines = |option: &'static str, patterns: &[&str]| -> String {
            patterns.iter().fold(String::new(), |mut text, pattern| {
                let _ = writeln!(text, "{option}={pattern}");
                text
            })
        };
        // The last one that matches a path decides.
        lines("path-exclude", self.exclude) + &lines("path-include", self.include)
    }

    /// Removes from a root, its first argument, what is excluded; what is mounted there, such as `/proc`, is left alone.
    fn script(self) -> String {
        let excluded: Vec<String> = self.exclude.iter().map(|pattern| format!("-path {}", quoted(pattern))).collect();
        let included: String = self.include.iter().map(|pattern| format!(" ! -path {}", quoted(pattern))).collect();
        format!(
            "#!/bin/sh\nset -e\ncd -- \"$1\"\nfind . -xdev -depth \\( {} \\){included} \\( ! -type d -o -empty \\) -delete\n",
            excluded.join(" -o ")
        )
    }
}

/// A pattern below `.`, as a word of sh.
fn quoted(pattern: &str) -> String {
    format!("'.{}'", pattern.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_excluded_goes_and_what_is_included_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("a [root]");
        for file in
            ["doc/bash/README", "doc/bash/copyright", "doc/it's/x", "locale/fr/LC/bash.mo", "locale/locale.alias", "other/x"]
        {
            let path = root.join("usr/share").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let patterns = Patterns {
            exclude: &["/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/it's/*"],
            include: &["/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias"],
        };
        assert_eq!(patterns.config().lines().next_back(), Some("path-include=/usr/share/locale/locale.alias"));
        let script = scratch.path().join("script");
        fs::write(&script, patterns.script()).unwrap();
        assert!(Command::new("sh").arg(&script).arg(&root).status().unwrap().success());
        let find = Command::new("find").current_dir(&root).args([".", "-mindepth", "3"]).output().unwrap();
        let mut left: Vec<&str> = std::str::from_utf8(&find.stdout).unwrap().lines().collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                "./usr/share/doc",
                "./usr/share/doc/bash",
                "./usr/share/doc/bash/copyright",
                "./usr/share/locale",
                "./usr/share/locale/locale.alias",
                "./usr/share/other",
                "./usr/share/other/x"
            ]
        );
    }
}
