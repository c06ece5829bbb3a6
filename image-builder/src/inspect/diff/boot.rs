//! What is in a changed UKI: kernel, initrd, command line.

use livery_contract::Result;

use super::{
    files::{self, Change, FileChange},
    settings::{self, SettingChange},
};
use crate::inspect::volume::{Volume, cpio, uki::Parts};

/// The most bytes of a UKI.
const MAX_UKI: usize = 1 << 30;

/// What was found in it.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    /// The command line.
    pub(crate) settings: Vec<SettingChange>,
    /// The initrd's files.
    pub(crate) files: Vec<FileChange>,
}

/// Looks into an EFI program of both images, and says in `change` which of its parts differ.
///
/// # Errors
/// As [`Bytes::read`](crate::inspect::volume::Bytes::read).
pub(crate) fn look_into(change: &mut FileChange, [one, other]: [&Volume; 2]) -> Result<Inner> {
    let mut inner = Inner::default();
    if change.change != Change::Changed || !change.path.to_ascii_lowercase().ends_with(".efi") {
        return Ok(inner);
    }
    let (Some(before), Some(now)) = (one.tree.get(&change.path), other.tree.get(&change.path)) else { return Ok(inner) };
    let (before, now) = (one.content(before, MAX_UKI)?, other.content(now, MAX_UKI)?);
    let (Some(parts), Some(parts_now)) = (Parts::of(&before), Parts::of(&now)) else { return Ok(inner) };
    let mut names: Vec<&String> = parts.sections.iter().chain(&parts_now.sections).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (a, b) = (parts.get(&before, name), parts_now.get(&now, name));
        if a == b {
            continue;
        }
        change.what.push(match (name.as_str(), a, b) {
            (".cmdline", ..) => "command line".to_owned(),
            (".initrd", ..) => "initrd".to_owned(),
            (".linux", ..) => "kernel".to_owned(),
            (".ucode", ..) => "microcode".to_owned(),
            (".osrel", ..) => "os-release".to_owned(),
            (".uname", Some(_), Some(_)) => format!(
                "kernel's version {} -> {}",
                parts.text(&before, name).unwrap_or_default(),
                parts_now.text(&now, name).unwrap_or_default()
            ),
            (other, ..) => format!("section {other}"),
        });
    }
    let words =
        |text: Option<String>| text.unwrap_or_default().split_whitespace().map(|word| format!("{word}\n")).collect::<String>();
    let lines = settings::differences(&words(parts.command_line(&before)), &words(parts_now.command_line(&now)));
    if !lines.is_empty() {
        inner.settings.push(SettingChange::new("kernel command line", lines));
    }
    if let (Some(a), Some(b)) = (parts.get(&before, ".initrd"), parts_now.get(&now, ".initrd"))
        && a != b
        && let (Ok(Some(a)), Ok(Some(b))) = (cpio::read(a), cpio::read(b))
    {
        inner.files = files::compare("initrd", &a, &b)?;
        if inner.files.is_empty() {
            change.what.push("the initrd's files are the same, but packed differently".to_owned());
        }
    }
    Ok(inner)
}
