//! `livery explain`: what a setting is in a profile, and each line that had a say in it.
//!
//! | module | what it does |
//! |---|---|
//! | [`explained`] | looks it up |
//! | `print` | puts it in words for people |

pub(crate) mod explained;
mod print;
