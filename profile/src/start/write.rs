//! `livery new`: a commented starter for a profile, which `livery check` accepts as it is.
//!
//! In comes what is to be built, a file that must not be there yet, perhaps a profile to extend. The text is checked as
//! `livery check` would before anything is written; the schema is put beside it, where there is none, for the editor.

use std::{
    fmt,
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    path::{Component, Path, PathBuf},
};

use jiff::Timestamp;
use livery_contract::{Fault, Name, Result as FaultResult};
use serde::Serialize;

use super::{
    draft::{Draft, Plan},
    starter::Starter,
};
use crate::{
    files::{
        extends::{chain, chain_of},
        merge::Merged,
    },
    report::{diagnose::Sink, source::Source},
    resolve::read::{Purpose, Read, judge, read},
    settings::schema,
};

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct Started {
    /// The profile.
    pub file: PathBuf,
    /// The schema beside it, where there was none.
    pub schema: Option<PathBuf>,
    /// Settings that hold examples.
    pub examples: Vec<Example>,
}

/// A setting whose value is to be replaced before an image is of use.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    /// Line in the profile, from 1.
    pub line: usize,
    /// The setting.
    pub key: &'static str,
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Example { line, key } in &self.examples {
            writeln!(f, "{}:{line}: {key} is an example: replace it with your own", self.file.display())?;
        }
        if let Some(schema) = &self.schema {
            writeln!(f, "{}: for your editor", schema.display())?;
        }
        write!(f, "{}", self.file.display())
    }
}

/// Writes a starter.
///
/// # Errors
/// [`Exit::Refused`](livery_contract::Exit::Refused), and nothing is written: the file is there already or cannot be made,
/// or the profile to extend has errors or does not go with the kind.
pub fn start(starter: Starter, file: &Path, extends: Option<&Path>) -> FaultResult<Started> {
    start_at(starter, file, extends, Timestamp::now())
}

/// [`start`] at a given time.
pub(crate) fn start_at(starter: Starter, file: &Path, extends: Option<&Path>, now: Timestamp) -> FaultResult<Started> {
    let parent = match extends {
        Some(path) => Some((relative_to(file, path)?, parent(path, now)?)),
        None => None,
    };
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = if stem.parse::<Name>().is_ok() { &stem } else { starter.as_str() };
    let plan = Plan { starter, name, parent: parent.as_ref().map(|(path, merged)| (path.as_str(), merged)), now };
    let Draft { text, examples } = plan.draft();
    passes(file, &text, now)?;

    write_new(file, &text)?.ok_or_else(|| {
        Fault::refused("this file exists already").at(file.display()).fix("choose another name; nothing was written")
    })?;
    let schema = file.with_file_name(schema::FILE);
    let fresh = write_new(&schema, &schema::text())?;
    let examples = examples.into_iter().map(|(line, key)| Example { line, key }).collect();
    Ok(Started { file: file.to_owned(), schema: fresh.map(|()| schema), examples })
}

/// What a sound profile hands on.
fn parent(path: &Path, now: Timestamp) -> FaultResult<Merged> {
    let mut sink = Sink::default();
    let read = read(chain(path, now, &mut sink), now, &mut sink);
    if let Some(read) = &read {
        judge(read, Purpose::Check, &mut sink);
    }
    match (read, sink.finish()) {
        (Some(Read { merged, .. }), None) => Ok(merged),
        (_, Some(diagnostics)) => Err(diagnostics.into()),
        (None, None) => Err(Fault::refused("this profile cannot be read").at(path.display())),
    }
}

/// Refuses a text that `livery check` would refuse.
fn passes(file: &Path, text: &str, now: Timestamp) -> FaultResult<()> {
    let mut sink = Sink::default();
    let source = Source { path: file.to_owned(), text: text.to_owned() };
    if let Some(read) = read(chain_of(source, now, &mut sink), now, &mut sink) {
        judge(&read, Purpose::Check, &mut sink);
    }
    sink.finish().map_or(Ok(()), |diagnostics| {
        let why = Fault::from(diagnostics);
        Err(Fault::refused(format!("this starter would not be valid on top of the profile that it extends: {why}"))
            .at(file.display())
            .fix("extend another profile, or change that one; nothing was written"))
    })
}

/// `path`, which starts from where the command runs, relative to the folder of `file`.
fn relative_to(file: &Path, path: &Path) -> FaultResult<String> {
    let real = |path: &Path| {
        std::fs::canonicalize(path).map_err(|error| {
            let fault = Fault::refused("this path does not exist").at(path.display()).cause(error);
            fault.fix("check the path: it starts from the current folder")
        })
    };
    let folder = file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let (from, to) = (real(folder)?, real(path)?);
    let same = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(same).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(to.components().skip(same)).collect();
    way.into_os_string().into_string().map_err(|_| {
        Fault::refused("the path of the profile to extend is not UTF-8").at(path.display()).fix("rename the file or its folder")
    })
}

/// Makes a file with this text; `None` where there is one already.
fn write_new(path: &Path, text: &str) -> FaultResult<Option<()>> {
    let failed = |error: std::io::Error| {
        let fault = Fault::refused("this file cannot be written").at(path.display()).cause(error);
        fault.fix("the folder must exist, and you must be allowed to write in it")
    };
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
        Ok(()) => Ok(Some(())),
        Err(error) => {
            // Half a file would be in the way of the next try; it is ours, made a moment ago.
            let _ = std::fs::remove_file(path);
            Err(failed(error))
        }
    }
}
