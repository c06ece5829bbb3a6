//! What the disk has of the image already.

use std::collections::HashMap;

use livery_contract::Digest;

/// What a disk holds of an image.
#[derive(Debug, Default)]
pub(crate) enum Found {
    /// Too little for a closer look.
    #[default]
    Nothing,
    Some(Chunks),
    /// All of it, the partition table too.
    Whole,
}

/// Chunks of an image that a disk holds.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// For each extent of the image, whether its place on the disk holds it.
    pub in_place: Vec<bool>,
    /// Where on the disk a data chunk was seen.
    pub seen: HashMap<Digest, u64>,
}
