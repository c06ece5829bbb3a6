//! What differs between two locks, package by package.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::file::{Lock, Package};

/// One package that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub(crate) enum Change {
    /// It was not there before.
    Added {
        name: String,
        version: String,
        /// Suite and component.
        origin: String,
    },
    /// It is no longer there.
    Removed { name: String, version: String },
    /// It is another version, or the same version built otherwise.
    Changed {
        name: String,
        /// The version before.
        from: String,
        /// The version now.
        to: String,
        /// Suite and component.
        origin: String,
    },
    /// The same .deb in other roots.
    Moved {
        name: String,
        version: String,
        /// The roots now.
        roots: Vec<&'static str>,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { name, version, origin } => write!(f, "+ {name} {version} ({origin})"),
            Self::Removed { name, version } => write!(f, "- {name} {version}"),
            Self::Changed { name, from, to, origin } if from == to => write!(f, "~ {name} {to}, another .deb ({origin})"),
            Self::Changed { name, from, to, origin } => write!(f, "~ {name} {from} -> {to} ({origin})"),
            Self::Moved { name, version, roots } => write!(f, "~ {name} {version}, now in {}", roots.join(", ")),
        }
    }
}

/// All that differs, in order of name.
pub(crate) fn changes(before: &Lock, now: &Lock) -> Vec<Change> {
    let mut pairs: BTreeMap<&str, (Option<&Package>, Option<&Package>)> = BTreeMap::new();
    for package in &before.packages {
        pairs.entry(&package.name).or_default().0 = Some(package);
    }
    for package in &now.packages {
        pairs.entry(&package.name).or_default().1 = Some(package);
    }
    pairs.into_values().filter_map(|(before, now)| change(before, now)).collect()
}

fn change(before: Option<&Package>, now: Option<&Package>) -> Option<Change> {
    match (before, now) {
        (None, Some(now)) => {
            Some(Change::Added { name: now.name.clone(), version: now.version.clone(), origin: now.source().to_owned() })
        }
        (Some(before), None) => Some(Change::Removed { name: before.name.clone(), version: before.version.clone() }),
        (Some(before), Some(now)) if before.sha256 != now.sha256 => Some(Change::Changed {
            name: now.name.clone(),
            from: before.version.clone(),
            to: now.version.clone(),
            origin: now.source().to_owned(),
        }),
        (Some(before), Some(now)) if before.roots != now.roots => Some(Change::Moved {
            name: now.name.clone(),
            version: now.version.clone(),
            roots: now.roots.iter().map(|root| root.as_str()).collect(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::{
        RootName,
        file::tests::{lock, package},
    };

    #[test]
    fn each_difference_is_one_line() {
        let device = [RootName::Device];
        let before = lock(vec![
            package("cage", "1", &device),
            package("gone", "1", &device),
            package("moved", "1", &device),
            package("same", "1", &device),
        ]);
        let now = lock(vec![
            package("cage", "2", &device),
            package("moved", "1", &[RootName::Boot, RootName::Device]),
            package("new", "1:3", &device),
            package("same", "1", &device),
        ]);
        let lines: Vec<String> = changes(&before, &now).iter().map(Change::to_string).collect();
        assert_eq!(lines, ["~ cage 1 -> 2 (trixie/main)", "- gone 1", "~ moved 1, now in boot, device", "+ new 1:3 (trixie/main)"]);
        assert!(changes(&now, &now).is_empty());
    }
}
