//! How a ready-made disk image is taken: a profile of `kind = "import"`, resolved.

use livery_contract::{Name, Version};

use super::values::Values;
use crate::files::merge::Merged;

/// What `livery import` is told by a profile.
#[derive(Clone, Debug)]
pub struct Import {
    /// The image's name.
    pub name: Name,
    /// Its version, where the profile says it.
    pub version: Option<Version>,
    /// Whether the last partition grows to the disk's end.
    pub grow: bool,
    /// Whether the agent may convert it to sectors of 4096 bytes.
    pub any_sectors: bool,
    /// What is in it that may not be passed on to everybody.
    pub restricted: Vec<String>,
    /// Where the personal layer goes; `None` for an image that has none.
    pub personal: Option<PersonalPlace>,
}

/// The file that the personal layer is to be.
#[derive(Clone, Debug)]
pub struct PersonalPlace {
    /// The partition's number, GUID or name.
    pub partition: String,
    /// The file, from the partition's top, with `/` between its parts.
    pub file: String,
    /// Its bytes, a multiple of 4096.
    pub size: u64,
    /// The locales that a roster may name; at least one.
    pub locales: Vec<String>,
}

impl Import {
    /// From checked values; `None` where some of them are not there, which has been said.
    pub(crate) fn assemble(merged: &Merged) -> Option<Self> {
        let mut values = Values::new(merged);
        let v = &mut values;
        let import = Self {
            name: v.text("name")?.parse().ok()?,
            version: match v.text("version") {
                Some(version) => Some(version.parse().ok()?),
                None => None,
            },
            grow: v.boolean("image.grow")?,
            any_sectors: v.text("image.sectors")? == "any",
            restricted: v.texts("image.restricted")?,
            personal: match (v.text("personal.partition"), v.text("personal.file")) {
                (Some(partition), Some(file)) => {
                    Some(PersonalPlace { partition, file, size: v.size("personal.size")?, locales: v.texts("locale.available")? })
                }
                _ => None,
            },
        };
        (!values.is_odd()).then_some(import)
    }
}
