//! Layers into one: the nearest file that sets a key wins, unless a farther one locks it; lists may add to and remove from
//! what they inherit.
//!
//! For each key it stays known which lines had a say: `livery explain` and error messages name them.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Serialize;

use super::{
    layer::{Change, Entry, Item, Layer},
    locks::{self, Locks},
    value::Value,
};
use crate::{
    report::{
        diagnose::Sink,
        problem::Problem,
        source::Place,
        text::{nearest, quoted},
    },
    settings::{
        setting::Setting,
        table::{PER_FILE, TABLE},
        written,
    },
};

/// What a line did to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Set it: what lies below does not count.
    Set {
        /// The value, as TOML in one line.
        value: String,
    },
    /// Added to or removed from an inherited list.
    Changed {
        /// Items that it added at the end.
        add: Vec<String>,
        /// Items that it took out.
        remove: Vec<String>,
    },
    /// Said what cannot be read.
    Faulty,
    /// Locked it: nearer files may not change it.
    Locked {
        /// The setting or the section that it names.
        by: String,
    },
    /// Would have changed it, where a farther file locks it: that is an error, and does not count.
    Refused {
        /// The lock, as `file:line`.
        lock: String,
    },
}

/// A line that had a say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The file.
    pub file: PathBuf,
    /// Line of the key, from 1.
    pub line: usize,
    /// Column of the key, from 1.
    pub column: usize,
    /// What it did.
    #[serde(flatten)]
    pub action: Action,
    /// Whether the value that holds is, or is in part, what this line says.
    pub holds: bool,
}

/// For each key the lines that had a say, nearest first.
#[derive(Clone, Debug, Default)]
pub struct Origins(BTreeMap<&'static str, Vec<Origin>>);

impl Origins {
    /// The lines that had a say in this key, nearest first: the first that [`holds`](Origin::holds) decided. None holds: no
    /// file says it, its default does.
    pub fn of(&self, key: &str) -> &[Origin] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    fn push(&mut self, key: &'static str, at: &Place, action: Action) {
        let (line, column) = at.line_column();
        let origin = Origin { file: at.source.path.clone(), line, column, action, holds: false };
        self.0.entry(key).or_default().insert(0, origin);
    }

    /// Marks the lines that the value is made of: down from the nearest to the first that sets it.
    fn settle(&mut self) {
        for lines in self.0.values_mut() {
            for line in lines.iter_mut() {
                line.holds = !matches!(line.action, Action::Locked { .. } | Action::Refused { .. });
                if matches!(line.action, Action::Set { .. } | Action::Faulty) {
                    break;
                }
            }
        }
    }
}

/// One key's value after merging.
#[derive(Clone, Debug)]
pub(crate) enum MergedValue {
    /// A value.
    One(Value),
    /// A list.
    List(Vec<Item>),
    /// Faulty, and that has been said.
    Bad,
}

/// All layers in one.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// What each key holds; absent where neither a file nor a default says anything.
    pub values: BTreeMap<&'static str, MergedValue>,
    /// The value's place in the nearest file that says it.
    pub places: BTreeMap<&'static str, Place>,
    /// What is locked for files that would extend the nearest, by the place of the farthest lock.
    pub locked: BTreeMap<&'static str, Place>,
    /// Every line that had a say.
    pub origins: Origins,
}

impl Merged {
    /// What holds, as TOML in one line; `None` where nothing does, or nobody can tell.
    pub(crate) fn value_of(&self, setting: &Setting) -> Option<String> {
        match self.values.get(setting.key)? {
            MergedValue::One(_) => self.places.get(setting.key).map(Place::text).or(setting.default).map(written::one_line),
            MergedValue::List(items) => Some(written::list(items.iter().map(Item::to_toml))),
            MergedValue::Bad => None,
        }
    }
}

/// Merges; `layers` nearest first, `built_in` below them all.
pub(crate) fn merge(layers: &[Layer], built_in: &Layer, sink: &mut Sink) -> Merged {
    let mut merged = Merged::default();
    let locks = Locks::of(layers);
    for setting in TABLE {
        let key = setting.key;
        let mut value = built_in.entries.get(key).map(|entry| apply(key, None, entry, sink));
        for (index, layer) in layers.iter().enumerate().rev() {
            // What a file says of itself is not handed on.
            if PER_FILE.contains(&key) && index > 0 {
                continue;
            }
            if let Some(lock) = locks.by(index, key) {
                merged.origins.push(key, &lock.place, Action::Locked { by: lock.text.clone() });
                merged.locked.entry(key).or_insert_with(|| lock.place.clone());
            }
            let Some(entry) = layer.entries.get(key) else { continue };
            if let Some(lock) = locks.against(index, key) {
                locks::offence(key, &entry.key, lock, sink);
                merged.origins.push(key, &entry.key, Action::Refused { lock: lock.place.short() });
                continue;
            }
            value = Some(apply(key, value, entry, sink));
            merged.origins.push(key, &entry.key, action(entry));
            merged.places.insert(key, entry.value.clone());
        }
        if let Some(value) = value {
            merged.values.insert(key, value);
        }
    }
    merged.origins.settle();
    merged
}

fn action(entry: &Entry) -> Action {
    let texts = |items: &[Item]| items.iter().map(|item| item.text.clone()).collect::<Vec<_>>();
    match &entry.change {
        Change::Set(_) => Action::Set { value: written::one_line(entry.value.text()) },
        Change::List(items) => Action::Set { value: written::list(items.iter().map(Item::to_toml)) },
        Change::Edit { add, remove } => Action::Changed { add: texts(add), remove: texts(remove) },
        Change::Bad => Action::Faulty,
    }
}

fn apply(key: &str, below: Option<MergedValue>, entry: &Entry, sink: &mut Sink) -> MergedValue {
    match &entry.change {
        Change::Set(value) => MergedValue::One(value.clone()),
        Change::List(items) => MergedValue::List(items.clone()),
        Change::Bad => MergedValue::Bad,
        Change::Edit { add, remove } => {
            let mut list = match below {
                Some(MergedValue::List(list)) => list,
                Some(MergedValue::Bad) => return MergedValue::Bad,
                Some(MergedValue::One(_)) | None => Vec::new(),
            };
            for item in remove {
                let before = list.len();
                list.retain(|inherited| inherited.id != item.id);
                if list.len() == before {
                    let problem = Problem::new(format!("{} is not in the inherited list", quoted(&item.text)));
                    let near = nearest(&item.text, list.iter().map(|inherited| inherited.text.as_str()));
                    let problem = problem.help(match near {
                        Some(near) => format!("did you mean {near:?}?"),
                        None => "remove it: there is nothing to remove".to_owned(),
                    });
                    sink.at(&item.place, format!("nothing to remove from `{key}`"), problem);
                }
            }
            for item in add {
                if let Some(inherited) = list.iter().find(|inherited| inherited.id == item.id) {
                    let problem =
                        Problem::new(format!("{} is already in the list: {}", quoted(&item.text), inherited.place.short()));
                    sink.at(&item.place, format!("double item in `{key}`"), problem.help("remove it from `add`"));
                } else {
                    list.push(item.clone());
                }
            }
            MergedValue::List(list)
        }
    }
}
