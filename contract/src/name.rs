//! Names that are also file names, URL parts and labels on a box: images, versions, orders.
//!
//! Each has at most 60 bytes: a manifest's file is called `SHA256.NAME@VERSION+ORDER.json`, and a file name may have 255.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// Whether `text` is 1 to `most` of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit.
/// Such a name is safe as a file name, in a URL and on a command line.
fn is_plain(text: &str, most: usize) -> bool {
    text.len() <= most
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

macro_rules! plain_name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $most:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = Fault;

            fn from_str(text: &str) -> Result<Self, Fault> {
                if is_plain(text, $most) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Fault::usage(format!("not {}: {text:?}", $what)).fix(concat!(
                        "use 1 to ", stringify!($most), " of A-Z a-z 0-9 . _ -, beginning with a letter or digit"
                    )))
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = Fault;

            fn try_from(text: String) -> Result<Self, Fault> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

plain_name!(
    /// An image's name, such as `terminal`.
    Name, "an image name", 60
);
plain_name!(
    /// An image's version, such as `2026.11` or the first digits of what it was built from.
    Version, "a version", 60
);
impl Version {
    /// Which of the two is newer, by the Version Format Specification (UAPI.10): `2026.10` comes after `2026.9`, `1.0-2` after `1.0`.
    /// Not the order of text, which this type has besides: `1.0` and `1.00` are equal here.
    pub fn by_age(&self, other: &Self) -> Ordering {
        uapi_version::strverscmp(self.as_str(), other.as_str())
    }

    /// Whether it is newer than another, as [`by_age`](Self::by_age) has it.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.by_age(other).is_gt()
    }
}

plain_name!(
    /// An order of the store, such as `ORD-1001`: one employee's device.
    OrderId, "an order number", 60
);

/// What people and scripts call an image: `NAME@VERSION` for a master, `NAME@VERSION/ORDER` for one employee's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    /// The master's name.
    pub name: Name,
    /// The master's version.
    pub version: Version,
    /// Whose personal image; `None` is the master itself.
    pub order: Option<OrderId>,
}

impl Reference {
    /// The master that this image is, or stands on.
    pub fn master(&self) -> Self {
        Self { order: None, ..self.clone() }
    }

    /// This master's personal image for `order`.
    pub fn personal(&self, order: OrderId) -> Self {
        Self { order: Some(order), ..self.clone() }
    }

    /// Whether it is a master of the same name as another image's, and newer.
    pub fn is_newer_master_than(&self, other: &Self) -> bool {
        self.order.is_none() && self.name == other.name && self.version.is_newer_than(&other.version)
    }

    /// The manifest's name as a TUF target. A personal one has a `+`, which no master's can have: by that the delegated
    /// role `personal` may sign these and no other ([`PERSONAL_TARGETS`]).
    pub fn target(&self) -> String {
        match &self.order {
            None => format!("{}@{}.json", self.name, self.version),
            Some(order) => format!("{}@{}+{order}.json", self.name, self.version),
        }
    }

    /// The reference that a TUF target's name stands for, if it is a manifest's.
    pub fn from_target(target: &str) -> Option<Self> {
        let reference: Self = target.strip_suffix(".json")?.replacen('+', "/", 1).parse().ok()?;
        (reference.target() == target).then_some(reference)
    }
}

/// TUF path pattern of the personal images' manifests: the delegated role may sign nothing else.
pub const PERSONAL_TARGETS: &str = "*+*";

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)?;
        match &self.order {
            Some(order) => write!(f, "/{order}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Reference {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let (image, order) = match text.split_once('/') {
            Some((image, order)) => (image, Some(order.parse()?)),
            None => (text, None),
        };
        let Some((name, version)) = image.split_once('@') else {
            return Err(Fault::usage(format!("not an image reference: {text:?}"))
                .fix("write NAME@VERSION, or NAME@VERSION/ORDER for a personal image; `livery list --store DIR` shows them"));
        };
        Ok(Self { name: name.parse()?, version: version.parse()?, order })
    }
}

impl TryFrom<String> for Reference {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_their_order() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        for (old, new) in [("2026.9", "2026.10"), ("2026.11", "2026.11.1"), ("1.0", "1.0-2"), ("9", "10")] {
            assert!(version(new).is_newer_than(&version(old)), "{new} after {old}");
            assert!(!version(old).is_newer_than(&version(new)), "{old} before {new}");
        }
        assert!(!version("1.0").is_newer_than(&version("1.0")));
    }

    #[test]
    fn references_and_targets() {
        for (text, target) in
            [("terminal@2026.11", "terminal@2026.11.json"), ("terminal@2026.11/ORD-1", "terminal@2026.11+ORD-1.json")]
        {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
            assert_eq!(reference.target(), target);
            assert_eq!(Reference::from_target(target), Some(reference));
        }
        for bad in ["", "terminal", "@1", "a@", "a@1/", "../a@1", "a@1/b/c", "a@1/..", "a b@1", "a@1+x"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
        assert_eq!(Reference::from_target("a@1+b+c.json"), None);
    }
}
