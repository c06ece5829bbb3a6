//! Layers into one: the nearest file that sets a key wins; lists may add to and remove from what they inherit.
//!
//! For each key it stays known which lines had a say: `livery explain` and error messages name them.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    decode::Value,
    diagnose::{Problem, Sink, nearest, quoted},
    layer::{Change, Entry, Item, Layer},
    source::Place,
    table::{OWN, TABLE},
};

/// What a line did to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Set it: what lies below does not count.
    Set,
    /// Added to or removed from an inherited list.
    Changed,
}

/// A line that had a say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: PathBuf,
    /// Line of the key, from 1.
    pub line: usize,
    /// Column of the key, from 1.
    pub column: usize,
    /// What it did.
    pub action: Action,
}

/// For each key the lines that had a say, nearest first.
#[derive(Clone, Debug, Default)]
pub struct Origins(BTreeMap<&'static str, Vec<Origin>>);

impl Origins {
    /// The lines that had a say in this key, nearest first: the first one decided. Empty: no file says it, its default holds.
    pub fn of(&self, key: &str) -> &[Origin] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }
}

/// One key's value after merging.
#[derive(Clone, Debug)]
pub enum Held {
    /// A value.
    One(Value),
    /// A list.
    List(Vec<Item>),
    /// Faulty, and that has been said.
    Bad,
}

/// All layers in one.
#[derive(Debug, Default)]
pub struct Merged {
    /// What each key holds; absent where neither a file nor a default says anything.
    pub held: BTreeMap<&'static str, Held>,
    /// The value's place in the nearest file that says it.
    pub places: BTreeMap<&'static str, Place>,
    /// Every line that had a say.
    pub origins: Origins,
}

/// Merges; `layers` nearest first, `built_in` below them all.
pub fn merge(layers: &[Layer], built_in: &Layer, sink: &mut Sink) -> Merged {
    let mut merged = Merged::default();
    for setting in TABLE {
        let key = setting.key;
        let mut held = None;
        for (index, layer) in layers.iter().chain([built_in]).enumerate().collect::<Vec<_>>().into_iter().rev() {
            // What a file says of itself is not handed on.
            if OWN.contains(&key) && index > 0 && index < layers.len() {
                continue;
            }
            let Some(entry) = layer.entries.get(key) else { continue };
            held = Some(apply(key, held, entry, sink));
            if index < layers.len() {
                let (line, column) = entry.key.line_column();
                let action = if matches!(entry.change, Change::Edit { .. }) { Action::Changed } else { Action::Set };
                let origin = Origin { file: layer.source.path.clone(), line, column, action };
                merged.origins.0.entry(key).or_default().insert(0, origin);
                merged.places.insert(key, entry.value.clone());
            }
        }
        if let Some(held) = held {
            merged.held.insert(key, held);
        }
    }
    merged
}

fn apply(key: &str, below: Option<Held>, entry: &Entry, sink: &mut Sink) -> Held {
    match &entry.change {
        Change::Set(value) => Held::One(value.clone()),
        Change::List(items) => Held::List(items.clone()),
        Change::Bad => Held::Bad,
        Change::Edit { add, remove } => {
            let mut list = match below {
                Some(Held::List(list)) => list,
                Some(Held::Bad) => return Held::Bad,
                Some(Held::One(_)) | None => Vec::new(),
            };
            for item in remove {
                let before = list.len();
                list.retain(|held| held.id != item.id);
                if list.len() == before {
                    let problem = Problem::new(format!("{} is not in the inherited list", quoted(&item.text)));
                    let near = nearest(&item.text, list.iter().map(|held| held.text.as_str()));
                    let problem = problem.help(match near {
                        Some(near) => format!("did you mean {near:?}?"),
                        None => "take it out: there is nothing to remove".to_owned(),
                    });
                    sink.at(&item.place, format!("nothing to remove from `{key}`"), problem);
                }
            }
            for item in add {
                if let Some(held) = list.iter().find(|held| held.id == item.id) {
                    let problem = Problem::new(format!("{} is in the list already: {}", quoted(&item.text), held.place.short()));
                    sink.at(&item.place, format!("double item in `{key}`"), problem.help("take it out of `add`"));
                } else {
                    list.push(item.clone());
                }
            }
            Held::List(list)
        }
    }
}
