//! What must hold for *any* bytes that Livery reads from others. One module a target, each with one function
//! `check(input) -> bool`: it panics where a rule is broken, and says whether the input was taken as a good one.
//!
//! Two callers: the fuzz targets (`fuzz/fuzz_targets`, `scripts/fuzz`) with inputs that libFuzzer makes up, and
//! `tests/corpus.rs` beside this file with those that are committed under `fuzz/seeds`.
//!
//! | target | input | beyond "no panic" |
//! |---|---|---|
//! | [`manifest`] | JSON | what parses is written and read back the same; its sections cover the disk |
//! | [`chunk_map`] | the binary map | what decodes is encoded to the very same bytes |
//! | [`compose`] | a recipe of layers | the extents are what painting block by block gives |
//! | [`pack`] | length, digest, zstd frame | only the signed frame, only a chunk of the right length, and nothing beside it |
//! | [`job`] | JSON | as for a message; and it is valid at the moment of its signing or never |
//! | [`lockfile`] | TOML | what parses is written and read back the same; no path leads out of an archive |
//! | [`profile`] | a profile and its base, TOML | errors have a place; explaining agrees with resolving; inheriting changes nothing |
//! | [`roster`] | CSV or TOML | what parses is written and read back the same; nothing stands twice |
//! | [`wire`] | JSON | every message is read back the same, and opens in an envelope of its own type, key and bytes only |

pub mod chunk_map;
pub mod compose;
pub mod job;
pub mod lockfile;
pub mod manifest;
pub mod pack;
pub mod profile;
pub mod roster;
pub mod signed;
pub mod wire;

/// The agent's own source. Not its crate: that would bring a TLS library and an HTTP client into each fuzz target.
#[path = "../../../agent/src/image/decode.rs"]
pub mod decode;

/// The lockfile's format, likewise: the image builder's crate would bring the whole of TUF and a compiler's worth of C.
#[path = "../../../image-builder/src/lock"]
pub mod lock {
    #[allow(dead_code, reason = "the targets ask for a part of it")]
    pub mod file;
}
