//! The image as the device sees it: signed, and in chunks that are fetched, decoded and checked one by one.
//!
//! | module | what it does |
//! |---|---|
//! | [`trust`] | what the signatures vouch for |
//! | [`source`] | where the packs are read from |
//! | [`range`](mod@range) | one range of a pack, asked for again where that fails |
//! | [`decode`] | a frame into a chunk, its digest checked |
//! | [`piece`] | a chunk, and where it belongs |
//! | [`chunk`] | single chunks, in memory |

pub(crate) mod chunk;
pub(crate) mod decode;
pub(crate) mod piece;
pub(crate) mod range;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod source;
pub(crate) mod trust;
