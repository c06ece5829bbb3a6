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

pub mod bytes;
pub mod chunk;
pub mod cpio;
pub mod disk;
pub mod erofs;
pub mod fat;
pub mod folder;
pub mod tree;
pub mod uki;

pub use bytes::Bytes;
pub use disk::Disk;
pub use tree::{Entry, Kind, Volume};
