//! The chain of files: a profile, what it extends, what that extends… nearest first.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use super::{layer::Layer, value::Value};
use crate::{
    report::{
        diagnose::{Diagnostic, Sink},
        problem::Problem,
        source::{Place, Source, read_text},
        text::nearest,
    },
    settings::form::Word,
};

/// More parents than anyone can keep in mind.
const DEEPEST: usize = 16;

/// The files of a profile.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Nearest first.
    pub layers: Vec<Layer>,
    /// Whether every parent could be read.
    pub complete: bool,
}

/// Reads a profile and all that it extends. Reading stops at a parent that is missing or comes round again.
pub(crate) fn chain(path: &Path, now: Timestamp, sink: &mut Sink) -> Chain {
    follow(path, None, now, sink)
}

/// As [`chain`], for a text that is not in its file yet.
pub(crate) fn chain_of(source: Source, now: Timestamp, sink: &mut Sink) -> Chain {
    follow(&source.path, Some(source.text), now, sink)
}

fn follow(path: &Path, mut given: Option<String>, now: Timestamp, sink: &mut Sink) -> Chain {
    let mut chain = Chain { layers: Vec::new(), complete: true };
    let mut met: Vec<(PathBuf, PathBuf)> = Vec::new();
    let mut next = Some((path.to_owned(), None::<Place>));
    while let Some((path, asked)) = next.take() {
        let id = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        let round = met.iter().position(|(known, _)| *known == id);
        if let (Some(from), Some(asked)) = (round, &asked) {
            let names = met[from..].iter().map(|(_, shown)| shown).chain([&met[from].1]);
            let names: Vec<String> = names.map(|shown| shown.display().to_string()).collect();
            let cause = format!("these files extend one another in a circle: {}", names.join(" -> "));
            sink.at(asked, "cycle of `extends`", Problem::new(cause).help("remove one of these `extends`"));
            chain.complete = false;
            break;
        }
        if let (Some(asked), true) = (&asked, met.len() >= DEEPEST) {
            let cause = format!("more than {DEEPEST} files extend one another");
            sink.at(asked, "the chain of `extends` is too long", Problem::new(cause).help("merge some of them"));
            chain.complete = false;
            break;
        }
        let text = match given.take().map_or_else(|| read_text(&path), Ok) {
            Ok(text) => text,
            Err(why) => {
                chain.complete = false;
                match &asked {
                    Some(asked) => sink.at(asked, "file not readable for `extends`", missing(&path, &why)),
                    None => {
                        let help = missing(&path, &why).help.unwrap_or_default();
                        sink.push(Diagnostic::of_file(&path, format!("this profile cannot be read: {why}")).help(help));
                    }
                }
                break;
            }
        };
        let source = Arc::new(Source { path: path.clone(), text });
        let layer = Layer::read(source.clone(), now, sink);
        if let (Some(Value::Text(parent)), Some(entry)) = (layer.get("extends"), layer.entries.get("extends")) {
            next = Some((source.sibling(parent), Some(entry.value.clone())));
        } else if layer.entries.contains_key("extends") {
            chain.complete = false;
        }
        met.push((id, path));
        chain.layers.push(layer);
    }
    chain
}

/// A profile that is not there, with the one nearby that may have been meant.
fn missing(path: &Path, why: &str) -> Problem {
    let problem = Problem::new(format!("the path is {}: {why}", path.display()));
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .take(1000)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort_unstable();
    let wanted = path.file_name().unwrap_or_default().to_string_lossy();
    match nearest(&wanted, names.iter().map(String::as_str).filter(|name| *name != wanted)) {
        Some(near) => problem.help(format!("did you mean {near:?}? It is in the same folder")),
        None => {
            problem.help(format!("write {}; a path starts from the folder of the file that contains it", Word::Profile.wanted()))
        }
    }
}
