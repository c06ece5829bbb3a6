//! Into the store: bytes to chunks and packs, manifests to signed targets.
//!
//! The order makes a killed run harmless: blobs first, then manifests, then metadata under new versions, and last
//! `timestamp.json`, the one file by which all the rest is found. Until that rename the store is what it was.
//!
//! | module | what it does |
//! |---|---|
//! | [`keys`] | the private keys of the TUF roles, and the public root |
//! | [`packer`] | chunks to digests, frames and packs |
//! | [`sections`] | digests of whole sections |
//! | [`blobs`] | files into a store, found by their digest |
//! | [`repository`] | the signed metadata |
//! | [`restricted`] | software that may not be passed on, and stores that may hold it |

pub(crate) mod blobs;
pub(crate) mod keys;
pub(crate) mod packer;
pub(crate) mod repository;
pub(crate) mod restricted;
pub(crate) mod sections;
