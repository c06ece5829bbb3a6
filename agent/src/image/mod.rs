//! The image as the device sees it: signed, and in chunks that are fetched, decoded and checked one by one.
//!
//! | module | what it does |
//! |---|---|
//! | [`trust`] | what the signatures vouch for |
//! | [`source`] | where the packs are read from |
//! | [`decode`] | a frame into a chunk, its digest checked |
//! | [`chunk`] | single chunks, in memory |

pub mod chunk;
pub mod decode;
pub mod source;
pub mod trust;
