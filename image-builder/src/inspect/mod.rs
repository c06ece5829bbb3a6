//! Looking into images: what is in them, what must not be, what they are made of, what differs between two.
//!
//! A folder and not a crate: the tests of its readers are made by the builder's own erofs writer, the list of packages comes from the
//! lock, and personal layers are found by what makes them.
//!
//! | module | what it does |
//! |---|---|
//! | [`volume`] | the files of an image's partitions |
//! | [`diff`] | what differs between two images, for people |
//! | [`scan`] | what no image may have: secrets, identities, files that anybody may change |
//! | [`sbom`] | what an image is made of, as SPDX |

pub(crate) mod diff;
pub(crate) mod sbom;
pub(crate) mod scan;
pub(crate) mod volume;
