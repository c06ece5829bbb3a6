//! Software that IT supplies, because Debian has it not and may not have it: a .deb, by path and digest, with IT's word that its
//! licence was read.
//!
//! In comes an item of `packages.supplied`. Out comes a [`Supplied`], looked at as far as a build relies on it: the file is there,
//! has that digest, is a Debian package and says that it is this one; or every problem of the item, each at its place.

use std::{fs::File, io::Read as _, ops::Range, process::Command};

use livery_contract::{Digest, digest::Hasher};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{decode::wrong_type, value::Context};
use crate::{
    report::{
        problem::Problem,
        text::{nearest, quoted},
    },
    settings::form::Word,
    words::{
        debian,
        supplied::{ACCEPT, KEYS, MAX_LICENCE, Supplied},
    },
};

/// The most bytes of a .deb: what a lockfile takes.
const MAX_BYTES: u64 = 4 << 30;
/// A problem of an item: where, what, and why.
pub(crate) type Found = (Range<usize>, String, Problem);

/// Reads an item; `whole` is where it stands.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn read(table: &DeTable<'_>, whole: Range<usize>, context: Context<'_>) -> Result<Supplied, Vec<Found>> {
    let mut item = Item { table, whole, found: Vec::new() };
    item.known();
    let path = item.text("path");
    let sha256 = item.checked("sha256", |text| {
        let digest = text.parse::<Digest>().ok();
        digest.ok_or_else(|| {
            Problem::new(format!("{} is not a SHA-256 digest", quoted(text))).help("write the 64 digits that sha256sum prints")
        })
    });
    let package = item.checked("package", |text| debian::package(text).map(|()| text.to_owned()));
    let version = item.checked("version", |text| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".+-~:".contains(&byte);
        let good = (1..=200).contains(&text.len()) && text.bytes().all(allowed);
        let problem =
            || Problem::new(format!("{} is not a version", quoted(text))).help("write what dpkg-deb --field FILE Version says");
        good.then(|| text.to_owned()).ok_or_else(problem)
    });
    let licence = item.checked("licence", |text| {
        let good = !text.trim().is_empty() && text.chars().count() <= MAX_LICENCE && !text.chars().any(char::is_control);
        let problem = || Problem::new(format!("a name of one line, at most {MAX_LICENCE} characters, is expected"));
        good.then(|| text.to_owned()).ok_or_else(problem)
    });
    let accepted = item.checked("accept-licence", |text| match &licence {
        Some(licence) if text != format!("{ACCEPT}{licence}") => {
            let help = format!("once you have, write accept-licence = {:?}", format!("{ACCEPT}{licence}"));
            Err(Problem::new("this does not state that you have read and accepted the licence").help(help))
        }
        _ => Ok(()),
    });
    let file = path.as_ref().map(|path| context.source.sibling(path));
    let size = file.as_ref().and_then(|file| item.file(file));
    let (Some(path), Some(sha256), Some(package), Some(version), Some(licence), Some(()), Some(file), Some(size)) =
        (path, sha256, package, version, licence, accepted, file, size)
    else {
        return Err(item.found);
    };
    // Only now: a file of gigabytes is not read for an item that is refused anyway.
    let supplied = Supplied { file, path, sha256, size, package, version, architecture: String::new(), licence };
    match item.content(supplied) {
        Some(supplied) if item.found.is_empty() => Ok(supplied),
        _ => Err(item.found),
    }
}

struct Item<'a> {
    table: &'a DeTable<'a>,
    whole: Range<usize>,
    found: Vec<Found>,
}

impl Item<'_> {
    fn report(&mut self, span: Range<usize>, what: impl Into<String>, problem: Problem) {
        self.found.push((span, what.into(), problem));
    }

    fn known(&mut self) {
        let unknown: Vec<_> = self.table.iter().filter(|(key, _)| !KEYS.contains(&key.get_ref().as_ref())).collect();
        for (key, _) in unknown {
            let name: &str = key.get_ref().as_ref();
            let help = match nearest(name, KEYS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the known ones are {}", KEYS.join(", ")),
            };
            let name: String = name.chars().take(60).flat_map(char::escape_debug).collect();
            self.report(
                key.span(),
                format!("unknown key `{name}` in `packages.supplied`"),
                Problem::new("an item has no such key").help(help),
            );
        }
    }

    fn value(&self, key: &str) -> Option<&Spanned<DeValue<'_>>> {
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    fn span(&self, key: &str) -> Range<usize> {
        self.value(key).map_or_else(|| self.whole.clone(), Spanned::span)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let Some(value) = self.value(key) else {
            let help = match key {
                "path" => "write path = \"…\": the .deb, relative to this file's folder".to_owned(),
                "sha256" => "write sha256 = \"…\": what sha256sum prints for the vendor's file".to_owned(),
                "licence" => "write licence = \"…\": the vendor's name for the licence".to_owned(),
                "accept-licence" => format!("read the licence; then write accept-licence = \"{ACCEPT}\" and its name"),
                _ => format!("write {key} = \"…\": what dpkg-deb --field FILE says"),
            };
            let problem = Problem::new("supplied software needs all of path, sha256, package, version, licence and accept-licence");
            self.report(self.whole.clone(), format!("missing `{key}` in an item of `packages.supplied`"), problem.help(help));
            return None;
        };
        match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            other => {
                let (span, problem) = (value.span(), wrong_type("text", other));
                self.report(span, format!("wrong type for `{key}`"), problem);
                None
            }
        }
    }

    fn checked<T>(&mut self, key: &str, check: impl FnOnce(&str) -> Result<T, Problem>) -> Option<T> {
        let text = self.text(key)?;
        match check(&text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.report(self.span(key), format!("{} for `{key}` of `packages.supplied`", problem.what), problem);
                None
            }
        }
    }

    fn bad_file(&mut self, problem: Problem) {
        self.report(self.span("path"), "this software can't be supplied", problem);
    }

    /// Whether there is such a file; its length.
    fn file(&mut self, file: &std::path::Path) -> Option<u64> {
        // A named pipe would block for ever, a device may have no end: ask before opening.
        let why = match std::fs::metadata(file) {
            Ok(about) if about.is_file() && about.len() <= MAX_BYTES => return Some(about.len()),
            Ok(about) if about.is_file() => format!("it has more than {MAX_BYTES} bytes"),
            Ok(_) => "it is not a regular file".to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            Err(error) => error.to_string(),
        };
        let problem = Problem::new(format!("the path is {}: {why}", file.display()));
        self.bad_file(problem.help("put the .deb there; a path starts from the folder of the file that contains it"));
        None
    }

    /// Whether the file is what the item says, down to its last byte.
    fn content(&mut self, mut supplied: Supplied) -> Option<Supplied> {
        match digest(&supplied) {
            Err(why) => {
                self.bad_file(Problem::new(why));
                return None;
            }
            Ok(digest) if digest != supplied.sha256 => {
                let problem = Problem::new(format!("{} has the digest {digest}", supplied.file.display()));
                let help = "get the file again from its vendor; if you mean a newer one, update its digest and version";
                self.report(self.span("sha256"), "this is not the software that the profile describes", problem.help(help));
                return None;
            }
            Ok(_) => {}
        }
        let control = match control(&supplied) {
            Ok(control) => control,
            Err(why) => {
                let problem = Problem::new(format!("it is not a Debian package: {why}"));
                self.bad_file(problem.help("take the .deb from the vendor's page, not the .rpm or the .tar.gz"));
                return None;
            }
        };
        let says = |name: &str| {
            control.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().trim().to_owned()
        };
        for (key, field, said) in
            [("package", "Package", supplied.package.clone()), ("version", "Version", supplied.version.clone())]
        {
            let stated = says(field);
            if stated != said {
                let problem = Problem::new(format!("the .deb itself says {} {}", field, quoted(&stated)));
                let what = format!("the profile describes another {key}");
                self.report(self.span(key), what, problem.help("correct it here, or supply the file that you mean"));
            }
        }
        supplied.architecture = says("Architecture");
        Some(supplied)
    }
}

fn digest(supplied: &Supplied) -> Result<Digest, String> {
    let read = |error: std::io::Error| format!("{} can't be read: {error}", supplied.file.display());
    let mut file = File::open(&supplied.file).map_err(read)?.take(MAX_BYTES);
    let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(read)? {
            0 => return Ok(hasher.finish()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// The control file's fields (Debian Policy 5.3), by dpkg itself.
fn control(supplied: &Supplied) -> Result<String, String> {
    let output = Command::new("dpkg-deb").env("LC_ALL", "C.UTF-8").arg("--field").arg(&supplied.file).output();
    let output = output.map_err(|error| format!("dpkg-deb can't be run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', " "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a list's items are tables, not texts.
pub(crate) fn is_table(word: Word) -> bool {
    matches!(word, Word::Supplied)
}
