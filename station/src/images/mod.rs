//! The store: its manifests, verified, and its files over HTTPS.

pub mod catalogue;
pub(crate) mod files;
