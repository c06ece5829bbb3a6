//! What can be done with images in a store.
//!
//! | module | command |
//! |---|---|
//! | [`import`] | `livery import`: any raw disk image as a master |
//! | [`personalise`] | `livery personalise`: one employee's layer over a master |
//! | [`master`] | a disk image and its partitions into the store; what `import` and `build` share |
//! | [`show`] | `livery list`, `livery inspect` |
//! | [`export`] | `livery export`: back to a disk image |
//! | [`reserve`] | a file for the personal layer on a partition that others made |
//! | [`identity`] | the files of one employee's layer |
//! | [`account`] | a laptop's account in that layer |
//! | [`erofs`] | a small read-only file system made of a list of files |

pub(crate) mod account;
pub(crate) mod erofs;
pub(crate) mod export;
pub(crate) mod identity;
pub(crate) mod import;
pub(crate) mod master;
pub(crate) mod personalise;
pub(crate) mod reserve;
pub(crate) mod show;
