//! The files of a profile, from text to merged values.
//!
//! | module | what it does |
//! |---|---|
//! | [`value`] | what a text means |
//! | [`decode`] | one value: TOML to what it means, or why not |
//! | [`supplied`] | the same for a .deb that IT supplies |
//! | [`layer`] | one file against the table |
//! | [`extends`] | the chain of files |
//! | [`locks`] | what nearer files may not change |
//! | [`merge`] | the files in one |

pub(crate) mod decode;
pub(crate) mod extends;
pub(crate) mod layer;
pub(crate) mod locks;
pub(crate) mod merge;
pub(crate) mod supplied;
pub(crate) mod value;
