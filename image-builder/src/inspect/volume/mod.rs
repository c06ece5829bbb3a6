//! Looking into images: the files of their partitions, read straight from the bytes, without mounting anything.
//!
//! ```text
//! store -> Disk (chunks, checked) -> Part (a partition) -> Volume (files and what they hold)
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`bytes`] | bytes to read from: a part of an image in the store, a file, memory |
//! | [`chunk`] | one chunk, checked |
//! | [`disk`] | an image's bytes out of the store, by chunks; which stretches two images share |
//! | [`tree`] | files: what each is and where its content lies |
//! | [`erofs`] | the root and the personal layer |
//! | [`fat`] | the EFI system partition |
//! | [`uki`] | kernel, initrd and command line in an EFI program |
//! | [`cpio`] | an initrd |
//! | [`folder`] | a tree that is not in an image yet |

pub(crate) mod bytes;
pub(crate) mod chunk;
pub(crate) mod cpio;
pub(crate) mod disk;
pub(crate) mod erofs;
pub(crate) mod fat;
pub(crate) mod folder;
pub(crate) mod tree;
pub(crate) mod uki;

pub(crate) use bytes::Bytes;
pub(crate) use disk::Disk;
pub(crate) use tree::{Entry, Kind, Volume};
