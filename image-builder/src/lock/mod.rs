//! Exactly which packages a build takes: asked of apt once, written beside the profile, kept as .debs in the store.
//!
//! ```text
//! profile -> requests --apt--> lockfile --> .debs in the store --> an archive of just these --> mmdebstrap
//! ```
//!
//! A build with a lockfile needs no package index, and no network once the .debs are there: what it takes is named by
//! SHA-256. Without a lockfile a build takes what the mirrors have that day, and says so.
//!
//! | module | what it is |
//! |---|---|
//! | [`request`] | which packages a profile asks for, root by root |
//! | [`apt`] | an apt of our own: its indexes, its answers, its downloads |
//! | [`resolve`] | apt's answers as a lock |
//! | [`added`](mod@added) | what came to a root after it was locked |
//! | [`file`](mod@file) | the lockfile's format, checked, and whether it fits what is asked |
//! | [`sidecar`] | the lockfile in its place: next to its profile |
//! | [`change`] | what an update changes, package by package |
//! | [`debs`] | folders of .debs, found by digest |
//! | [`archive`] | a repository of just the locked packages |
//! | [`supply`] | lock and .debs together: what the stages take roots from |
//! | [`command`] | `livery lock` |

pub(crate) mod added;
pub(crate) mod apt;
pub(crate) mod archive;
pub(crate) mod change;
pub(crate) mod command;
pub(crate) mod debs;
pub(crate) mod file;
pub(crate) mod request;
pub(crate) mod resolve;
pub(crate) mod sidecar;
pub(crate) mod supply;

pub(crate) use file::{Package, RootName};
pub(crate) use supply::Supply;
