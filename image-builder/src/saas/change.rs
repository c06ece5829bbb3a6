//! What a newer list would change.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use livery_profile::EndpointList;
use serde::Serialize;

/// The difference of two lists, by category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// Version before; `None` where there was no list.
    pub(crate) before: Option<String>,
    /// Version after.
    pub(crate) after: String,
    /// What comes and goes; categories without a change are left out.
    pub(crate) categories: BTreeMap<String, Category>,
}

/// What comes and goes in a category.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Category {
    /// Names and prefixes that come.
    pub(crate) added: BTreeSet<String>,
    /// Names and prefixes that go.
    pub(crate) removed: BTreeSet<String>,
}

impl Change {
    /// From one list to another.
    pub(crate) fn new(before: Option<&EndpointList>, after: &EndpointList) -> Self {
        let (old, new) = (before.map(by_category).unwrap_or_default(), by_category(after));
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let none = BTreeSet::new();
        let categories = keys
            .into_iter()
            .map(|key| {
                let (old, new) = (old.get(key).unwrap_or(&none), new.get(key).unwrap_or(&none));
                let without = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect();
                (key.clone(), Category { added: without(new, old), removed: without(old, new) })
            })
            .filter(|(_, category)| *category != Category::default())
            .collect();
        Self { before: before.map(|list| list.version.clone()), after: after.version.clone(), categories }
    }

    /// Whether no name and no prefix changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.categories.is_empty()
    }
}

fn by_category(list: &EndpointList) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for endpoint in &list.endpoints {
        let items = endpoint.names.iter().map(ToString::to_string).chain(endpoint.prefixes.iter().map(ToString::to_string));
        all.entry(endpoint.category.clone()).or_default().extend(items);
    }
    all
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.before {
            Some(before) => write!(f, "{before} -> {}", self.after)?,
            None => write!(f, "new: {}", self.after)?,
        }
        for (name, Category { added, removed }) in &self.categories {
            write!(f, "\n{name}: {} come, {} go", added.len(), removed.len())?;
            for (sign, items) in [('+', added), ('-', removed)] {
                for item in items {
                    write!(f, "\n  {sign} {item}")?;
                }
            }
        }
        if self.is_empty() { write!(f, "\nno names or prefixes change") } else { Ok(()) }
    }
}
