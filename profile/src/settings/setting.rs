//! One setting: what the table says of it.

use super::{choice::Kind, form::Form};

/// Whether a setting must be there once everything is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It may be left out.
    Optional,
    /// A profile that can be built has it.
    Required,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// `section.key`, or `key` at the top.
    pub key: &'static str,
    /// What its value looks like.
    pub form: Form,
    /// What holds where no file says anything, as TOML.
    pub default: Option<&'static str>,
    /// Whether it must be there.
    pub need: Need,
    /// Which kinds of profile use it.
    pub kinds: &'static [Kind],
    /// What it means: one or two sentences of Markdown.
    pub doc: &'static str,
}
