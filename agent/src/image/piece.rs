//! A chunk of data of the image, and where it belongs.

use livery_contract::{Digest, chunkmap::Frame};

/// One chunk to decode, and where its bytes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where the frame lies.
    pub frame: Frame,
    /// Bytes when decoded.
    pub length: u64,
    /// SHA-256 of those.
    pub digest: Digest,
    /// Offsets on the disk; more than one where the image has the same chunk in several places.
    pub places: Vec<u64>,
}
