//! Profiles that a command is given: loaded, or all of their errors shown.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use livery_contract::{Fault, Result};
use livery_profile::{Diagnostics, Import, Profile, Style};

/// A profile that can be built.
///
/// # Errors
/// Exit 3 where it has errors, which have been shown.
pub(crate) fn load(path: &Path, json: bool) -> Result<Profile> {
    livery_profile::load(path).map_err(|diagnostics| show(&diagnostics, json))
}

/// A profile of a ready-made image.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_import(path: &Path, json: bool) -> Result<Import> {
    livery_profile::load_import(path).map_err(|diagnostics| show(&diagnostics, json))
}

/// Checks profiles, abstract ones too.
///
/// # Errors
/// As [`load`].
pub(crate) fn check(paths: &[PathBuf], json: bool) -> Result<()> {
    livery_profile::check(paths).map_err(|diagnostics| show(&diagnostics, json))
}

/// Shows errors: for people on standard error, or with `json` as one JSON list on standard output.
/// What comes back sums them up and ends the program with exit code 3.
fn show(diagnostics: &Diagnostics, json: bool) -> Fault {
    // A closed pipe must not turn a refusal into a panic: the exit code tells it all the same.
    let _ = if json {
        writeln!(std::io::stdout(), "{}", diagnostics.to_json())
    } else {
        write!(std::io::stderr(), "{}", diagnostics.render(style()))
    };
    Fault::refused(diagnostics.summary()).fix("correct the places above and run the same command again; nothing was built")
}

/// Colours and box-drawing only on a terminal, and not when `NO_COLOR` is set (no-color.org).
fn style() -> Style {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if std::io::stderr().is_terminal() && !no_color { Style::Fancy } else { Style::Plain }
}
