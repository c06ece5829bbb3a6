//! From merged layers to a [`Profile`]: what must be there, what fits together, and each value in its own type.

use std::path::Path;

use jiff::Timestamp;

use super::{assemble::assemble, import::Import, model::Profile, rules, values::Values};
use crate::{
    files::{
        extends::{Chain, chain},
        layer::Layer,
        locks,
        merge::{Merged, MergedValue, merge},
    },
    report::{diagnose::Sink, problem::Problem},
    settings::{
        choice::Kind,
        setting::{Need, Setting},
        table::TABLE,
    },
};

/// What a profile is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `livery check`: an abstract one is fine.
    Check,
    /// A build: it must be whole.
    Build,
}

/// A profile's files, merged.
pub(crate) struct Read {
    /// The files, nearest first; at least one.
    pub layers: Vec<Layer>,
    /// Whether all that can be missing is missing, and not only unread.
    pub whole: bool,
    /// What they say together.
    pub merged: Merged,
    /// What is built, where that is said.
    pub kind: Option<Kind>,
}

/// Merges the files of a profile; `None` where it could not be read at all.
pub(crate) fn read(chain: Chain, now: Timestamp, sink: &mut Sink) -> Option<Read> {
    let Chain { layers, complete } = chain;
    layers.first()?;
    for layer in &layers {
        has_schema(layer, sink);
    }
    let whole = complete && !layers.iter().any(|layer| layer.broken);
    let merged = merge(&layers, &Layer::built_in(now, sink), sink);
    let kind = Values::new(&merged).text("kind").and_then(|word| Kind::of(&word));
    Some(Read { layers, whole, merged, kind })
}

/// Resolves a profile. What is wrong goes into `sink`; `None` where no whole profile came of it.
pub(crate) fn resolve(path: &Path, now: Timestamp, purpose: Purpose, sink: &mut Sink) -> Option<Resolved> {
    let read = read(chain(path, now, sink), now, sink)?;
    judge(&read, purpose, sink);
    let Read { layers, merged, kind, .. } = read;
    match kind? {
        _ if layers.first()?.is_abstract() => None,
        Kind::Import => Import::assemble(&merged).map(|import| Resolved::Import(Box::new(import))),
        kind => assemble(path, &layers, kind, merged).map(|profile| Resolved::Build(Box::new(profile))),
    }
}

/// What a profile came to.
pub(crate) enum Resolved {
    /// Something to build.
    Build(Box<Profile>),
    /// How to take a ready-made image.
    Import(Box<Import>),
}

/// What the files say together: what is missing, what has no effect, what contradicts.
pub(crate) fn judge(read: &Read, purpose: Purpose, sink: &mut Sink) {
    let Read { layers, whole, merged, kind } = read;
    let (Some(leaf), kind) = (layers.first(), *kind) else { return };
    if *whole {
        locks::can_be_met(layers, sink);
    }
    if leaf.is_abstract() {
        if let (Purpose::Build, Some(place)) = (purpose, merged.places.get("abstract")) {
            let problem = Problem::new("other profiles extend this file; it is not built itself");
            sink.at(place, "an abstract profile", problem.help("build a profile that extends it"));
        }
        return rules::apply(merged, None, sink);
    }
    if let Some(kind) = kind {
        for layer in layers.iter().filter(|layer| !layer.is_abstract()) {
            rules::fits_kind(layer, kind, merged, sink);
        }
    }
    if *whole {
        for setting in TABLE.iter().filter(|setting| setting.need == Need::Required && setting.key != "schema") {
            // Without a kind only what all that is built needs can be missed.
            if kind.map_or(setting.kinds.len() >= 3, |kind| setting.kinds.contains(&kind)) {
                is_there(setting, leaf, merged, sink);
            }
        }
    }
    rules::apply(merged, kind, sink);
}

/// Each file says which version of the format it is written in.
fn has_schema(layer: &Layer, sink: &mut Sink) {
    if !layer.broken && !layer.entries.contains_key("schema") {
        let problem = Problem::new("the file does not state the version of its format");
        sink.at(&layer.top(), "missing `schema`", problem.help("write schema = 1 at the top of the file"));
    }
}

fn is_there(setting: &Setting, leaf: &Layer, merged: &Merged, sink: &mut Sink) {
    let key = setting.key;
    let how = match key.split_once('.') {
        Some((section, name)) => format!("write `{name} = …` in [{section}]: {}", setting.form.wanted()),
        None => format!("write `{key} = …` at the top of the file: {}", setting.form.wanted()),
    };
    match merged.values.get(key) {
        None => {
            let problem = Problem::new("neither this file nor a file that it extends sets it").help(how);
            sink.at(&leaf.top(), format!("missing `{key}`"), problem);
        }
        Some(MergedValue::List(items)) if items.is_empty() => {
            let place = merged.places.get(key).cloned().unwrap_or_else(|| leaf.top());
            sink.at(&place, format!("bad value for `{key}`"), Problem::new("the list is empty").help(how));
        }
        Some(_) => {}
    }
}
