//! The same packages made into an image: by Livery, by mkosi, and by hand with mmdebstrap, mkfs.erofs and zstd.
//!
//! All of them take the .debs from one folder on the same disk, with no network: what is measured is their work, not a mirror's. What
//! each makes is said beside its times, since they do not make the same: Livery signs, hashes and divides into chunks, mkosi
//! makes a disk without a signature, and by hand there is a compressed file system that nothing starts yet.
//!
//! | module | what it is |
//! |---|---|
//! | [`packages`] | which packages, locked once, and a repository of these |
//! | [`workbench`] | a Debian of the same release with mkosi in it, that nothing of this machine is changed for |
//! | [`contestants`] | who builds, and what each does in each step |

pub mod contestants;
pub mod packages;
pub mod workbench;
