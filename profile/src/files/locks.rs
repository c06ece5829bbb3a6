//! What an organisation locks: settings that files which extend the locking one may not change.
//!
//! The one rule of inheritance is "the nearest wins"; a lock is its one exception. It counts for files nearer than the one
//! that has it, never for the file itself or its parents. Locks add up, and nothing undoes one. Locking what no file sets
//! freezes its default; what every profile must set can only be locked where it is set.

use super::{
    layer::{Change, Item, Layer},
    value::Value,
};
use crate::{
    report::{diagnose::Sink, problem::Problem, source::Place},
    settings::{
        choice::Kind,
        setting::Need,
        table::{TABLE, covers},
    },
};

/// The locks of a chain of files.
pub(crate) struct Locks<'a> {
    layers: &'a [Layer],
}

impl<'a> Locks<'a> {
    /// Of these, nearest first.
    pub(crate) fn of(layers: &'a [Layer]) -> Self {
        Self { layers }
    }

    /// What the file at `index` says that locks `key`.
    pub(crate) fn by(&self, index: usize, key: &str) -> Option<&'a Item> {
        items(self.layers.get(index)?).iter().find(|item| covers(&item.text, key))
    }

    /// What keeps the file at `index` from changing `key`: the farthest lock, which none of the others could have undone.
    pub(crate) fn against(&self, index: usize, key: &str) -> Option<&'a Item> {
        (index + 1..self.layers.len()).rev().find_map(|farther| self.by(farther, key))
    }
}

fn items(layer: &Layer) -> &[Item] {
    match layer.entries.get("locked").map(|entry| &entry.change) {
        Some(Change::List(items)) => items,
        _ => &[],
    }
}

/// A nearer file that says what a farther one has locked.
pub(crate) fn offence(key: &str, at: &Place, lock: &Item, sink: &mut Sink) {
    let section = if lock.text == key { String::new() } else { format!(", with all of [{}]", lock.text) };
    let problem = Problem::new(format!("{} locks it{section}", lock.place.short()))
        .help(format!("remove it: {} decides it for every file that extends it", lock.place.source.path.display()));
    sink.at(at, format!("`{key}` is locked"), problem);
}

/// A lock on what every profile must set, and that nobody sets, would make every profile over it impossible.
pub(crate) fn can_be_met(layers: &[Layer], sink: &mut Sink) {
    for (index, layer) in layers.iter().enumerate() {
        let below = &layers[index..];
        let kind = below.iter().find_map(|layer| match layer.get("kind") {
            Some(Value::Text(word)) => Kind::of(word),
            _ => None,
        });
        for item in items(layer) {
            let unmet = TABLE.iter().find(|setting| {
                setting.need == Need::Required
                    && covers(&item.text, setting.key)
                    && kind.is_none_or(|kind| setting.kinds.contains(&kind))
                    && !below.iter().any(|layer| layer.entries.contains_key(setting.key))
            });
            if let Some(setting) = unmet {
                let problem =
                    Problem::new(format!("a profile needs `{}`, and no file that extends this one could set it", setting.key))
                        .help("set it in this file, or lock only the settings that have a value here");
                sink.at(&item.place, "locked without a value", problem);
            }
        }
    }
}
