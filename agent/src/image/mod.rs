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

pub mod chunk;
pub mod decode;
pub mod piece;
pub mod range;
#[cfg(test)]
pub mod sample;
pub mod source;
pub mod trust;
