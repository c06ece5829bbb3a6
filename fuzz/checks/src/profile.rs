//! A profile and a base under it: the input is `p.toml`, and behind a line `#---` the file `base.toml` beside it.
//!
//! The two lie in a folder of their own, with a certificate, `ca/root.pem`. An input that names a file anywhere else is left
//! alone: it would be judged by what this machine happens to have.

use std::{
    cell::OnceCell,
    fs,
    path::{Component, Path},
};

use jiff::Timestamp;
use livery_profile::{Diagnostics, Style, TABLE};
use tempfile::TempDir;
use toml::de::{DeTable, DeValue};

const ROOT: &str = include_str!("../../../profiles/ca/assurance-root.pem");
/// What parts the two files.
const PART: &str = "\n#---\n";

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Checks one input; whether it is a profile that can be built.
///
/// # Panics
/// Where an error has no place in its file or cannot be drawn; where a setting cannot be explained, or is explained
/// otherwise than it was resolved; where a profile that says nothing of its own is another than the one that it extends.
pub fn check(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let (profile, base) = text.split_once(PART).unwrap_or((text, ""));
    if leaves_the_folder(profile) || leaves_the_folder(base) {
        return false;
    }
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| folder_with_certificate().unwrap_or_else(|error| panic!("no folder: {error}")));
        let path = |name: &str| folder.path().join(name);
        for (name, text) in [("p.toml", profile), ("base.toml", base), ("child.toml", "schema = 1\nextends = \"p.toml\"\n")] {
            fs::write(path(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        files(&path("p.toml"), &path("child.toml"))
    })
}

fn files(path: &Path, child: &Path) -> bool {
    let now: Timestamp = Timestamp::constant(1_795_521_600, 0); // 2026-11-24: what has expired must not change by the day
    explain(path, now);
    let checked = livery_profile::check_at(&[path.to_owned()], now);
    if let Err(diagnostics) = &checked {
        drawn(diagnostics);
    }
    let profile = match livery_profile::load_at(path, now) {
        Ok(profile) => profile,
        Err(diagnostics) => {
            drawn(&diagnostics);
            return false;
        }
    };
    assert!(checked.is_ok(), "it is built though `check` refuses it");
    let inherited = livery_profile::load_at(child, now).unwrap_or_else(|all| panic!("extended: {}", all.render(Style::Plain)));
    assert_eq!(json(&inherited), json(&profile), "extended by a file that says nothing it is another");
    true
}

fn drawn(diagnostics: &Diagnostics) {
    assert!(diagnostics.count() > 0 && !diagnostics.render(Style::Plain).is_empty());
    for diagnostic in diagnostics.list() {
        assert!(diagnostic.line >= 1 && diagnostic.column >= 1 && !diagnostic.message.is_empty(), "{diagnostic:?}");
        let text = fs::read_to_string(&diagnostic.file).unwrap_or_default();
        assert!(diagnostic.line <= text.matches('\n').count() + 1, "past the end: {diagnostic:?}");
    }
}

/// Each setting has a value if a line or its default holds, and only then; asked for alone, one says the same.
fn explain(path: &Path, now: Timestamp) {
    let Ok(all) = livery_profile::explain_at(path, None, now) else { return };
    assert!(!all.to_string().is_empty());
    for setting in &all.settings {
        let said = setting.default_holds || setting.origins.iter().any(|origin| origin.holds);
        assert_eq!(said, setting.faulty || !setting.value.is_null(), "a value without an origin: {}", setting.key);
    }
    // Another one for each input: all of them would take most of the time.
    let some = fs::metadata(path).map_or(0, |about| about.len());
    let Some(setting) = usize::try_from(some).ok().and_then(|some| TABLE.get(some % TABLE.len())) else { return };
    let alone = livery_profile::explain_at(path, Some(setting.key), now).unwrap_or_else(|fault| panic!("{}", fault.render()));
    assert_eq!(alone.errors, all.errors);
    assert!(alone.to_string().contains(setting.key));
    let [explained] = alone.settings.as_slice() else { panic!("{} settings for {}", alone.settings.len(), setting.key) };
    if let Some(listed) = all.settings.iter().find(|listed| listed.key == setting.key) {
        assert_eq!(json(listed), json(explained));
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| panic!("it cannot be written: {error}"))
}

fn folder_with_certificate() -> std::io::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("ca"))?;
    fs::write(folder.path().join("ca/root.pem"), ROOT)?;
    Ok(folder)
}

/// Whether one of its paths would lead out of the folder.
fn leaves_the_folder(text: &str) -> bool {
    let (tree, _) = DeTable::parse_recoverable(text);
    let tree = tree.get_ref();
    let section = |section: &str, name: &str| match member(tree, section) {
        Some(DeValue::Table(table)) => member(table, name),
        _ => None,
    };
    let authorities = section("trust", "authorities");
    let agent = [section("agent", "station-ca"), section("agent", "job-key")];
    [member(tree, "extends"), authorities, section("saas", "lists")].into_iter().chain(agent).flatten().any(leads_out)
}

fn member<'a, 'b>(table: &'a DeTable<'b>, name: &str) -> Option<&'a DeValue<'b>> {
    table.iter().find(|(key, _)| &**key.get_ref() == name).map(|(_, value)| value.get_ref())
}

fn leads_out(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::String(text) => {
            !Path::new(&**text).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        }
        DeValue::Array(items) => items.iter().any(|item| leads_out(item.get_ref())),
        DeValue::Table(table) => table.iter().any(|(_, item)| leads_out(item.get_ref())),
        _ => false,
    }
}
