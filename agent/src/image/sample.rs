//! Manifests for tests.
#![allow(clippy::unwrap_used)]

use livery_contract::{
    Digest,
    manifest::{Manifest, SCHEMA},
};

/// As JSON, so that a field that the contract gains does not concern us.
pub(crate) fn manifest(size: u64, partitions: &serde_json::Value) -> Manifest {
    let manifest = serde_json::json!({
        "schema": SCHEMA, "name": "t", "version": "1", "created": "2026-11-01T00:00:00Z",
        "size": size, "sector_size": 512, "partitions": partitions, "minimum_disk": size,
        "layers": [{ "offset": 0, "length": size, "chunk_map": { "digest": Digest::of(b""), "length": 0 } }],
    });
    Manifest::parse(&serde_json::to_vec(&manifest).unwrap()).unwrap()
}
